/* hello: a handler as a shared object.
 *
 *     build/prefork serve --port 127.0.0.1:7008 build/examples/hello.so */
#include <prefork/prefork.h>

static void
hello(struct prefork_conn *c, void *data)
{
    (void)data;
    (void)prefork_printf(c, "Hello, %s\r\n",
                         prefork_peer_text(c)); /* gone: nothing to do */
}

static const struct prefork_app app = {.name = "hello", .process_request = hello};

PREFORK_MODULE(app);

/* Standard input and output of a handler, tied to a connection with TLS.
 *
 * On a plain connection descriptors 0 and 1 are the socket. With TLS a descriptor would
 * carry what is encrypted, so here the streams stdin and stdout are tied instead: scanf(3),
 * printf(3) and their kin go through the session, and the descriptors are the null device.
 * Code that reads and writes the descriptors needs prefork_read() and prefork_write(). */
#include "log/log.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The streams as they were: of the process, as the streams themselves are. */
static FILE *own_stdin;
static FILE *own_stdout;

static ssize_t
read_tied(void *cookie, char *buffer, size_t size)
{
    ssize_t n = pf_connection_read(cookie, buffer, size);

    if (n >= 0)
        return n;
    errno = (int)-n;
    return -1;
}

/* Of such a stream 0 means failure (fopencookie(3)). */
static ssize_t
write_tied(void *cookie, const char *bytes, size_t size)
{
    int r = pf_connection_write(cookie, bytes, size);

    if (r == 0)
        return (ssize_t)size;
    errno = -r;
    return 0;
}

void
pf_tie_stdio(struct prefork_worker *w)
{
    FILE *in = fopencookie(&w->conn, "r", (cookie_io_functions_t){.read = read_tied});
    FILE *out = fopencookie(&w->conn, "w", (cookie_io_functions_t){.write = write_tied});

    if (!in || !out) {
        pf_log(PREFORK_LOG_WARNING, "cannot tie the connection to stdin and stdout: %s",
               strerror(errno));
        if (in)
            (void)fclose(in);
        if (out)
            (void)fclose(out);
        return;
    }
    own_stdin = stdin;
    own_stdout = stdout;
    stdin = in;
    stdout = out;
}

void
pf_untie_stdio(void)
{
    if (!own_stdin)
        return;
    (void)fclose(stdout); /* a client that is gone is no news */
    (void)fclose(stdin);
    stdin = own_stdin;
    stdout = own_stdout;
    own_stdin = own_stdout = NULL;
}

/* Messages on the channel: records of any bytes from the other end, each with its length in
 * the byte before it. A text that comes out is one line, and what is nonsense is dropped.
 */
#include "link/channel.h"

#include "fuzz.h"
#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void
receive(int fd)
{
    char text[PF_CHANNEL_TEXT_BYTES];
    struct pf_message message;
    int r = pf_channel_receive_text(fd, &message, text);

    if (r != 0 && r != -EBADMSG && r != -EPIPE)
        (void)fprintf(stderr, "%s\n", strerror(-r));
    REQUIRE(r == 0 || r == -EBADMSG || r == -EPIPE);
    if (r != 0)
        return;
    REQUIRE(message.kind >= PF_MESSAGE_LEAVE && message.kind <= PF_MESSAGE_LAST);
    REQUIRE(memchr(text, '\0', sizeof text));
    REQUIRE(!strchr(text, '\n'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int master;
    int worker;

    REQUIRE(pf_channel_open(&master, &worker) == 0);
    while (size > 1) {
        size_t length = data[0] < size ? data[0] : size - 1;
        if (length > 0 && send(worker, data + 1, length, MSG_NOSIGNAL) == (ssize_t)length)
            receive(master);
        data += 1 + length;
        size -= 1 + length;
    }
    pf_fd_close(&worker);
    receive(master);
    pf_fd_close(&master);
    return 0;
}

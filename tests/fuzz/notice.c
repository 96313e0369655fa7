/* What programs say by sd_notify(3): any bytes as a message. READY=1 is heard if it is a
 * line before the first null byte, and through the socket as without it. */
#include "os/notice.h"

#include "fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool
is_heard(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size);
    char *rest = text;
    char *line;
    bool found = false;

    while ((line = strsep(&rest, "\n")))
        found = found || strcmp(line, "READY=1") == 0;
    free(text);
    return found;
}

static void
send_to(int receiver, const uint8_t *data, size_t size)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof address;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    REQUIRE(getsockname(receiver, (struct sockaddr *)&address, &bytes) == 0);
    REQUIRE(sendto(fd, data, size, 0, (struct sockaddr *)&address, bytes) == (ssize_t)size);
    (void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool ready = is_heard(data, size);
    struct pf_notice notice;
    int fd = pf_notice_open();
    int r;

    REQUIRE(fd >= 0);
    REQUIRE(pf_notice_says_ready((const char *)data, size) == ready);
    send_to(fd, data, size);
    r = pf_notice_receive(fd, &notice);
    REQUIRE(r == 0 || (r == -EBADMSG && size > 4096));
    REQUIRE(r < 0 || (notice.ready == ready && notice.pid == getpid()));
    (void)close(fd);
    return 0;
}

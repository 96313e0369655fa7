/* Scoreboards: any bytes as a file. What is read keeps its own counts and its bounds. */
#include "fuzz.h"
#include <prefork/prefork.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
require_sound(const struct prefork_scoreboard *b)
{
    REQUIRE(!b->alive); /* nobody locks it */
    REQUIRE(b->num_busy <= b->num_children && b->num_idle <= b->num_children - b->num_busy);
    REQUIRE(memchr(b->name, '\0', sizeof b->name));
    for (unsigned i = 0; i < b->num_children; i++) {
        const struct prefork_score *w = &b->workers[i];
        REQUIRE(memchr(w->proto, '\0', sizeof w->proto));
        REQUIRE(memchr(w->peer, '\0', sizeof w->peer));
        REQUIRE(memchr(w->local, '\0', sizeof w->local));
        REQUIRE(memchr(w->label, '\0', sizeof w->label));
        REQUIRE(i == 0 || w->slot > b->workers[i - 1].slot);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prefork_scoreboard *b = NULL;
    char error[256] = "";
    char path[64];
    int fd = memfd_create("scoreboard", MFD_CLOEXEC);

    REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (prefork_read_scoreboard(path, &b, error, sizeof error) == 0)
        require_sound(b);
    else
        REQUIRE(!b && error[0] != '\0');
    prefork_free_scoreboard(b);
    (void)close(fd);
    return 0;
}

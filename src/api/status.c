/* The public calls about servers of other processes: what their files say. */
#include "status/scoreboard.h"

#include <stdio.h>

int
prefork_read_scoreboard(const char *path, struct prefork_scoreboard **ret_scoreboard,
                        char *error, size_t size)
{
    struct pf_error failure = {0};
    int r = pf_scoreboard_read(path, ret_scoreboard, &failure);

    if (r < 0 && error)
        (void)snprintf(error, size, "%s", failure.text); /* cut is fine */
    return r;
}

void
prefork_free_scoreboard(struct prefork_scoreboard *scoreboard)
{
    pf_scoreboard_free(scoreboard);
}

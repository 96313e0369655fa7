/* The program that this process runs, and how it is executed once more in its place.
 *
 * Noted once for the process, as early as can be: a title that is set, a directory that is
 * changed and a file that is replaced take nothing away from it. */
#ifndef PF_OS_IMAGE_H
#define PF_OS_IMAGE_H

#include "base/attr.h"

#include <stdbool.h>
#include <sys/types.h>

struct pf_image {
    char *path;    /* absolute; it runs what is found there next time; NULL: not known */
    char **argv;   /* as the process was started */
    int exe;       /* what runs now (O_PATH), whatever became of its path; -1: not known */
    int directory; /* where it was started; -1: not known */
    mode_t umask;  /* with which */
};

/* What runs in this process; from the second call on what the first one found. Without
 * /proc there is no path. */
struct pf_image *pf_image_here(void);

/* The path of a file that a server is made of, from the root directory (given): working
 * directories move. As it is where there is no working directory; NULL: no memory. */
char *pf_image_absolute(const char *path);

/* The path is another one: what runs was executed by its descriptor. 0 or -ENOMEM. */
PF_MUST_USE int pf_image_rename(struct pf_image *image, const char *path);

/* In a child, and before another root directory: it will not be executed from here. Its
 * path stays known. */
void pf_image_leave(struct pf_image *image);

/* Execute what is at its path, or (exe, an O_PATH descriptor; -1: none) that, with the same
 * arguments, where and with the umask it was started, with the capabilities of this
 * process, and with its environment and NAME=number in addition. Returns only if it was
 * refused: a negative errno, and nothing is changed. */
int pf_image_exec(const struct pf_image *image, int exe, const char *name, int number);

#endif

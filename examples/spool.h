/* spool.h: a directory of jobs that many processes work off. spool.c says how. */
#ifndef EXAMPLES_SPOOL_H
#define EXAMPLES_SPOOL_H

#include <dirent.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>

enum spool_room { SPOOL_NEW, SPOOL_HELD, SPOOL_DONE, SPOOL_FAILED, SPOOL_ROOMS };

struct spool {
    const char *path;    /* absolute; borrowed */
    atomic_int *trouble; /* of each room, as an errno value; shared by all processes */
    int watch;           /* this process's inotify: readable when there may be jobs */
    bool watched;        /* it works */
    DIR *dir;            /* new/, while this process looks through it */
    int met;             /* the first trouble of that look, as a negative errno, or 0 */
};

struct spool_job {
    char name[NAME_MAX + 1]; /* X, and X.try2 at the second attempt */
    char base[NAME_MAX + 1]; /* X */
    unsigned attempt;
    int fd; /* the job's text; its lock makes the job ours */
};

/* Make the rooms that are missing, and put back what dead workers had claimed. Once, before
 * the fork. path is borrowed. 0, or a negative errno after a line that says what is wrong.
 */
int spool_open(struct spool *s, const char *path);

/* Put back what dead workers had claimed. In any process, at any time. */
void spool_recover(struct spool *s);

/* Begin to look for jobs. From then on watch becomes readable when there are more. */
void spool_look(struct spool *s);

/* The next job of this look: 1, and it is ours until spool_leave(); or 0, no more. */
int spool_next(struct spool *s, struct spool_job *ret_job);

/* Seconds to wait for watch before looking again. */
double spool_patience(const struct spool *s);

/* Store the result of a job that is ours. 0; 1: there was one already, which stands; or a
 * negative errno: it is not stored, and trying again is all right. */
int spool_store(struct spool *s, const struct spool_job *job, const char *result);

/* A job is no longer ours: its result is stored, or it is given back as it was. */
void spool_leave(struct spool *s, struct spool_job *job, bool stored);

#endif

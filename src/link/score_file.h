/* The scoreboard in a file, for other programs.
 *
 * Its layout stands in link/score.h. The master makes it and writes it by pwrite(2); a
 * worker writes its own line, in a page that it has mapped. It is only ever written: the
 * pool lives by the board (link/board.h), with or without this file. */
#ifndef PF_LINK_SCORE_FILE_H
#define PF_LINK_SCORE_FILE_H

#include "base/attr.h"
#include "base/error.h"
#include "link/score.h"

#include <stdbool.h>

enum pf_score_damage {
    PF_SCORE_INTACT,
    PF_SCORE_REMOVED, /* or replaced: our file has no name any more */
    PF_SCORE_CUT,     /* somebody made it shorter */
};

struct pf_score_file {
    const char *path;  /* borrowed; NULL: there is no file */
    int directory;     /* of the file, for its removal; the master's */
    int fd;            /* of the master, which holds the lock by it */
    int page_fd;       /* the same file without the lock: for the pages of workers */
    uint64_t number;   /* the caller's: tells it from other files that workers may have */
    unsigned beside;   /* a part of its name beside its place; 0: it is there */
    unsigned records;  /* there can be */
    uint64_t *page;    /* where a page is put together */
    size_t page_bytes; /* of each of them */
};

/* No file. */
#define PF_SCORE_FILE_NONE                                                                 \
    {                                                                                      \
        .directory = -1, .fd = -1, .page_fd = -1                                           \
    }

/* Make the file at path (borrowed) for so many records, lock it, and have it say who this
 * is (name, and started as in the head). What a server left there that is gone is replaced,
 * of which told_left gets a sentence; everything else that is there is refused. 0, or a
 * negative errno with the sentence and PREFORK_EXIT_SYSTEM; then nothing was made. */
PF_MUST_USE int pf_score_file_open(struct pf_score_file *f, const char *path,
                                   unsigned records, const char *name, int64_t started,
                                   void (*told_left)(void *context, const char *text),
                                   void *context, struct pf_error *error);

/* In two steps, for who may have to go back: make the file beside its place, where nobody
 * looks for it; and put it into its place. What is there may also be `before` (a
 * descriptor, or -1), which somebody hands over. Each: 0, or a negative errno with the
 * sentence; after a failure of the first nothing was made, after one of the second the file
 * has no name. */
PF_MUST_USE int pf_score_file_make(struct pf_score_file *f, const char *path,
                                   unsigned records, const char *name, int64_t started,
                                   int before, struct pf_error *error);
PF_MUST_USE int pf_score_file_settle(struct pf_score_file *f, int before,
                                     struct pf_error *error);

/* Go on with the file of the master before, by its two descriptors, if it is the one at
 * path (borrowed), of a server of this name, whole, and has so many records at least. It
 * says then that this process is the master. 0: the descriptors are the file's; or a
 * negative errno: it is another one, and nothing was changed. */
PF_MUST_USE int pf_score_file_adopt(struct pf_score_file *f, const char *path,
                                    unsigned records, const char *name, int fd,
                                    int page_fd);

/* In the master: is it still there, and whole? */
enum pf_score_damage pf_score_file_damage(const struct pf_score_file *f);

/* In the master, while nobody else writes this record: the whole page, with this line. 0 or
 * a negative errno: the disk is full, or gone. */
PF_MUST_USE int pf_score_file_write(struct pf_score_file *f, unsigned slot,
                                    const struct pf_score_line *line);
PF_MUST_USE int pf_score_file_write_totals(struct pf_score_file *f,
                                           const struct pf_score_totals *totals);

/* In a worker: its own record behind page_fd, of which nothing but what is written there is
 * lost if the file is cut; NULL: no memory left. */
PF_MUST_USE struct pf_score *pf_score_file_claim(int page_fd, unsigned slot);

/* Let go of it, whatever becomes of the file. */
void pf_score_file_leave(struct pf_score_file *f);

/* In the master, at the end: remove the file if it is ours. 0; or a negative errno: it
 * stays, and nobody holds its lock. PF_SCORE_FILE_NONE is fine. The same for one that was
 * handed over with its path and not adopted (descriptors of -1 are fine). */
PF_MUST_USE int pf_score_file_close(struct pf_score_file *f);
PF_MUST_USE int pf_score_file_remove(const char *path, int *fd, int *page_fd);

#endif

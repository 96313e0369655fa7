/* Memory that is shared across fork(2). */
#ifndef PF_OS_SHARE_H
#define PF_OS_SHARE_H

#include "base/attr.h"

#include <stddef.h>

/* Zeroed memory that every process forked later shares; NULL: none left. */
void *pf_share_open(size_t bytes);
void pf_share_close(void *memory, size_t bytes);

/* The same with a descriptor (close-on-exec), by which a process that was not forked from
 * here can have it too. */
struct pf_share_object {
    int fd; /* -1: none */
    void *memory;
    size_t bytes;
};

/* Zeroed, or what is behind this descriptor (consumed, also on failure), which has to be so
 * large. 0 or a negative errno: -EBADF: it is something else. Close accepts what was not
 * opened. */
PF_MUST_USE int pf_share_object_open(struct pf_share_object *share, size_t bytes);
PF_MUST_USE int pf_share_object_adopt(struct pf_share_object *share, int fd, size_t bytes);
void pf_share_object_close(struct pf_share_object *share);

/* Pages of which the opener sees all, and a child that it forks one. */
struct pf_share_pages {
    int fd;       /* of the memory behind them; -1: not open */
    char *memory; /* the opener's view */
    size_t count;
};

/* Size of a page in bytes. */
size_t pf_share_page_bytes(void);

/* 0 or a negative errno. Children forked from here on have no part of the view. Close
 * accepts pages whose open failed. */
PF_MUST_USE int pf_share_pages_open(struct pf_share_pages *pages, size_t count);

/* The same with the pages that another process opened (the descriptor is consumed, also on
 * failure); there may be more of them from now on, and never fewer. */
PF_MUST_USE int pf_share_pages_adopt(struct pf_share_pages *pages, int fd, size_t count);
void pf_share_pages_close(struct pf_share_pages *pages);

/* The opener's view of a page. Reading one that was never cleared is fine. */
void *pf_share_page(const struct pf_share_pages *pages, size_t index);

/* Make a page exist and zero it. 0 or a negative errno: no memory left. */
PF_MUST_USE int pf_share_page_clear(struct pf_share_pages *pages, size_t index);

/* In a child: map this one page of those behind fd, writable. NULL: no memory left. */
void *pf_share_page_claim(int fd, size_t index);

#endif

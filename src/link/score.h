/* One line of the scoreboard: what one worker does, for everybody who may look.
 *
 * A line is written by one process at a time: by the worker while it lives, by the master
 * before and after. Whoever reads it needs no lock and stops nobody: a sequence number says
 * whether a copy is whole. Layout, units and letters are public (prefork.scoreboard(5)) and
 * change only with PF_SCORE_VERSION. Nothing in a line is a pointer, and whoever uses a
 * number of it as an index checks it first. */
#ifndef PF_LINK_SCORE_H
#define PF_LINK_SCORE_H

#include "base/attr.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PF_SCORE_PROTO_BYTES = 16,
    PF_SCORE_VERSION = 1,
    PF_SCORE_WORDS = 24,
    PF_SCORE_NO_LISTENER = UINT16_MAX,
};

/* What a worker does; everything else that is printable is a program's own word for busy.
 * '.' of older systems is read as '_'. */
enum pf_score_state {
    PF_SCORE_NOBODY = 0,
    PF_SCORE_STARTING = 'S',
    PF_SCORE_IDLE = '_',
    PF_SCORE_READING = 'R',
    PF_SCORE_WRITING = 'W',
    PF_SCORE_LEAVING = 'L', /* takes nothing more, and ends */
    PF_SCORE_DEQUEUE = 'D', /* a dequeue process: none of the pool */
    PF_SCORE_UNKNOWN = '?', /* a program that accepts by itself and tells nobody */
};

/* One end of a connection. */
struct pf_score_end {
    uint16_t family; /* AF_INET, AF_INET6; 0: unknown, or it has no number */
    uint16_t port;   /* in host byte order */
    uint32_t scope;  /* of a link-local address of IPv6 */
    uint8_t address[16];
};

/* Times are microseconds since the epoch; 0: never. */
struct pf_score_line {
    int32_t pid;
    uint8_t state;     /* enum pf_score_state */
    uint8_t reserved;  /* 0 */
    uint16_t listener; /* number of where the connection came in; PF_SCORE_NO_LISTENER */
    int64_t born;
    int64_t request; /* begin of the present request, or of the last one */
    int64_t updated;
    uint64_t requests;                /* the present one included */
    char proto[PF_SCORE_PROTO_BYTES]; /* of the connection: "tcp"; "": there is none */
    struct pf_score_end peer;
    struct pf_score_end local;
    char label[88]; /* what the program says that it does; "": nothing */
};

struct pf_score {
    _Atomic uint64_t sequence; /* odd: being written */
    _Atomic uint64_t words[PF_SCORE_WORDS];
};

/* The first page of a scoreboard in a file. Up to pid its layout never changes; record n
 * begins at head_bytes + n * stride.
 *
 * The master that writes it holds a write lock of the open file description (fcntl(2)) on
 * the whole file. Readers ask for it with F_OFD_GETLK and l_type F_RDLCK, which no reader's
 * own lock can answer: F_UNLCK says that the master is gone. Pages of records that were
 * never used are holes, which a mapping may fill when they are read: look at the first
 * totals.used records. Somebody may cut the file while it is read: then a mapping of it
 * ends in SIGBUS, and pread(2) comes back short. */
struct pf_score_head {
    char magic[8];       /* PF_SCORE_MAGIC */
    uint32_t order;      /* PF_SCORE_ORDER, in the byte order of the file */
    uint32_t version;    /* PF_SCORE_VERSION */
    uint32_t head_bytes; /* size of this page */
    uint32_t stride;     /* from one record to the next */
    uint32_t records;    /* how many there can be; those never used are zero */
    int32_t pid;         /* of the master, which holds a lock of the file */
    int64_t started;     /* as the times of a line */
    char name[64];       /* of the server; ends with a null byte */
    /* ---- changes, like a line ---- */
    struct pf_score totals; /* struct pf_score_totals and zeros */
};

struct pf_score_totals {
    int64_t updated;
    uint64_t births;   /* of workers and dequeue processes, so far */
    uint64_t requests; /* of workers that are gone */
    uint32_t stopping; /* 1: a stop was asked for */
    uint32_t used;     /* records that were ever in use: all but one just born */
};

#define PF_SCORE_MAGIC "PREFORK\n"
#define PF_SCORE_ORDER 0x01020304u

enum {
    PF_SCORE_E_UNSETTLED = 1, /* it was always being written: its writer may have died */
};

/* Whoever writes: nobody else does meanwhile. All of it; or what stands before the label;
 * or before the number of requests: where the rest is what was written last. */
void pf_score_write(struct pf_score *s, const struct pf_score_line *line);
void pf_score_write_request(struct pf_score *s, const struct pf_score_line *line);
void pf_score_write_state(struct pf_score *s, const struct pf_score_line *line);

/* In the master: a copy. 0; or PF_SCORE_E_UNSETTLED, and the copy may be of several lines.
 * Its texts always end, whatever the writer put there. Does not wait for a writer that lost
 * its processor, or never means to finish: gives up within microseconds. Who reads the file
 * has status/record.h. */
PF_MUST_USE int pf_score_glance(const struct pf_score *s, struct pf_score_line *ret_line);

#endif

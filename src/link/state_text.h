/* The text of a state, as its writer and its reader share it. Internal to link/.
 *
 * A line is a word and the fields of one struct, in the order of its table. */
#ifndef PF_LINK_STATE_TEXT_H
#define PF_LINK_STATE_TEXT_H

#include "link/state.h"

#include <fcntl.h>
#include <stddef.h>

enum {
    PF_STATE_WORDS = 5,
    PF_STATE_WORD_WORKER = PF_STATE_WORDS - 1, /* the last of them */
    PF_STATE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL,
};

enum pf_state_type {
    PF_STATE_FLAG,     /* bool */
    PF_STATE_UNSIGNED, /* unsigned, and enums */
    PF_STATE_NUMBER,   /* int: a descriptor or a pid; negative: none */
    PF_STATE_LONG,     /* uint64_t */
    PF_STATE_TIME,     /* pf_time */
    PF_STATE_TEXT,     /* char[size] */
};

struct pf_state_field {
    enum pf_state_type type;
    size_t offset;
    size_t size;
};

/* A line's word, and what it is about: one struct, or the next of a table in the state. */
struct pf_state_word {
    const char *word;
    const struct pf_state_field *fields;
    size_t field_count;
    size_t table;     /* offset of the first one, or of the pointer to it */
    size_t size;      /* of each */
    size_t count;     /* offset of how many there are; 0: there is one */
    unsigned maximum; /* 0: the state says how many there may be */
};

/* The first word of all. */
extern const char pf_state_heading[];

extern const struct pf_state_word pf_state_words[PF_STATE_WORDS];
extern const char *const pf_state_fd_names[PF_STATE_FD_COUNT_OF];

/* A member; how many structs of a word there are; where they are. */
void *pf_state_at(void *base, size_t offset);
unsigned *pf_state_count_of(struct pf_state *s, const struct pf_state_word *word);
void *pf_state_table_of(struct pf_state *s, const struct pf_state_word *word);

#endif

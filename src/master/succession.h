/* One program in the place of another: the state goes along, memory does not. */
#ifndef PF_MASTER_SUCCESSION_H
#define PF_MASTER_SUCCESSION_H

#include "base/attr.h"
#include "link/state.h"
#include "master/daemon.h"
#include "master/herald.h"
#include "net/listener.h"
#include "os/image.h"

#include <stddef.h>

/* Under this name the number of the state's descriptor travels. */
#define PF_SUCCESSION_VARIABLE "PREFORK_STATE"

/* What a server holds open of its files, to come back to them. */
struct pf_held_file {
    int fd;
    enum pf_file_role role;
    const char *path;
};

struct pf_held {
    unsigned count;
    struct pf_held_file files[PF_STATE_FILES_MAX];
};

/* Where a state is put together: memory that is there before it is needed. */
struct pf_succession {
    struct pf_state *state; /* all in one piece with its workers and the text */
    unsigned capacity;      /* workers in it */
    char *text;
    size_t text_bytes;
    size_t bytes; /* of all */
};

/* Room for so many workers. 0 or -ENOMEM. Close accepts what was not opened, if it is all
 * zeros. */
PF_MUST_USE int pf_succession_open(struct pf_succession *s, unsigned workers);
void pf_succession_close(struct pf_succession *s);

/* What a server has, with workers or without. All borrowed. */
struct pf_belongings {
    const char *name;
    uint64_t generation; /* of programs */
    uint64_t reload;     /* number of the last one that began */
    const struct pf_daemonized *daemonized;
    const struct pf_herald *herald; /* as it was opened */
    int keeper;
    const struct pf_listeners *listeners;
    const struct pf_held *held;
};

/* Begin a state with that: there are no workers in it, and nobody who asks for anything. */
void pf_succession_describe(struct pf_state *s, const struct pf_belongings *b);

/* Execute what is at the image's path, or (exe; -1: none) that, with what is in s->state.
 * Returns a negative errno if it was refused; then nothing is changed. */
int pf_succession_exec(const struct pf_succession *s, const struct pf_image *image,
                       int exe);

/* The descriptor of the program that has to come back; -1: there is none. */
int pf_succession_executable(const struct pf_state *s);

/* From here until pf_lifeline_close() a crash of this program, which is on trial, executes
 * the one before, with the state as it came. Without room for that, it does not. */
void pf_succession_secure(struct pf_state *s, const struct pf_image *image);

/* In the one before: what became of the other one (os/lifeline.h). */
void pf_succession_explain(struct pf_state *s, int cause);

/* In a process that cannot go on with what it took over: execute the program that was here
 * before, with the state as it came, and the reason. Returns if there is none, or it cannot
 * be executed. */
void pf_succession_return(struct pf_state *s, const struct pf_image *image,
                          const char *reason);

#endif

/* What a start opens before the loop, and gives back after it. */
#ifndef PF_MASTER_PREPARE_H
#define PF_MASTER_PREPARE_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "link/score_file.h"
#include "link/turn.h"
#include "master/daemon.h"
#include "master/herald.h"
#include "master/master.h"
#include "master/renewal.h"
#include "net/listener.h"
#include "os/watch.h"

/* A start under way. What was not opened is closed in its own way (-1, zero). */
struct pf_startup {
    struct prefork *p; /* for hooks; borrowed, like the next four */
    const struct pf_config *config;
    struct pf_listeners *listeners;
    const struct pf_held *held;
    struct pf_image *image;
    struct pf_state *from; /* what was handed over; NULL: nothing */
    struct pf_turn turn;
    struct pf_watch watch;
    struct pf_score_file score_file;
    bool keeps_score; /* it is the one of the master before */
    struct pf_daemonized daemonized;
    struct pf_daemonized before; /* while there is a way back: the pid file of that master,
                                    if it is another one */
    struct pf_herald herald;
    struct pf_renewal renewal; /* of a server without workers */
    int keeper;                /* the socket to it; -1: there is none */
    struct pf_master master;
    struct pf_error *error; /* the sentence of what went wrong; borrowed */
};

/* All steps up to the master. 0, or a negative errno with the sentence in s->error; then
 * what was opened is still there for pf_prepare_undo(). */
PF_MUST_USE int pf_prepare(struct pf_startup *s);

/* The same where one connection was handed in: no port, no pid file, no pool. */
PF_MUST_USE int pf_prepare_inet(struct pf_startup *s);

/* Could this server take over what it was handed? Nothing is done but to open, and close,
 * its logs and what it has to listen on. 0, or a negative errno with the sentence in
 * s->error. */
PF_MUST_USE int pf_prepare_check(struct pf_startup *s);

/* There is no way back any more: what waited for that is done, and what was only kept for
 * it is given up. And: go back. */
void pf_prepare_commit(struct pf_startup *s);
void pf_prepare_return(struct pf_startup *s);

/* Leave the scoreboard's file that was taken over to whoever goes on with it. */
void pf_prepare_forget_score(struct pf_startup *s);

/* Let go of the files of the program before; and of all else that was handed over; also in
 * a worker. */
void pf_prepare_forget_files(struct pf_startup *s);
void pf_prepare_forget_state(struct pf_startup *s);

/* Changes of files make a reload. */
bool pf_prepare_reloads(const struct pf_startup *s);

/* Give everything back, whatever there is; tell the starter, who is then told nothing
 * twice: the sentence is "" afterwards. */
void pf_prepare_undo(struct pf_startup *s);

#endif

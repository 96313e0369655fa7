/* There are no programs in this world, and so a reload replaces workers.
 *
 * What becoming another program would ask of the kernel must not be asked here: each of
 * these names is the end of the run. */
#include "base/attr.h"
#include "net/handed.h"
#include "os/lifeline.h"
#include "os/process.h"

#include <stdlib.h>

void sim_image_never(void);

void
sim_image_never(void)
{
    abort();
}

#define NEVER(name) __asm__(".globl " #name "\n.set " #name ", sim_image_never")

NEVER(pf_control_adopt);
NEVER(pf_control_listener_fd);
NEVER(pf_control_waiters);
NEVER(pf_fd_limit_at_start);
NEVER(pf_fd_set_cloexec);
NEVER(pf_image_exec);
NEVER(pf_image_leave);
NEVER(pf_lifeline_open);
NEVER(pf_listener_describe);
NEVER(pf_listeners_give_back);
NEVER(pf_listeners_retire);
NEVER(pf_process_abandon);
NEVER(pf_process_adopt);
NEVER(pf_process_die_with_parent);
NEVER(pf_process_ends_by);
NEVER(pf_process_exit);
NEVER(pf_process_lead_group);
NEVER(pf_process_watch);
NEVER(pf_signal_at_start);
NEVER(pf_signal_forget);
NEVER(pf_signal_hand_over);
NEVER(pf_signal_take_back);

void
pf_lifeline_close(void)
{
}

/* Nothing was left by another master. */
void
pf_listeners_commit(struct pf_listeners *ls, pf_time now, pf_listener_note *note,
                    void *context)
{
    (void)ls;
    (void)now;
    (void)note;
    (void)context;
}

/* No number is given twice here. */
uint64_t
pf_process_start_time(pid_t pid)
{
    return (uint64_t)pid;
}

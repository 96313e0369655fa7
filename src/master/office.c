/* The master's office: which process holds it, and what that shows in ps(1).
 *
 * It is taken anew after going to the background. Who holds it is known by the number of
 * the process, so whatever is forked does not, by whomever. */
#include "master/master.h"
#include "os/title.h"

#include <unistd.h>

static struct {
    pid_t pid;        /* 0: nobody's */
    const char *name; /* of the server; borrowed */
    bool labelled;    /* the program has set the title */
} office;

void
pf_master_take_office(const char *name)
{
    office.pid = getpid();
    office.name = name;
    office.labelled = false;
}

void
pf_master_leave_office(void)
{
    office.pid = 0;
}

bool
pf_master_is_here(void)
{
    return office.pid != 0 && office.pid == getpid();
}

void
pf_master_title(void)
{
    if (!office.labelled)
        pf_title_set(office.name, "master");
}

void
pf_master_label(const char *label)
{
    if (!pf_master_is_here())
        return;
    office.labelled = label != NULL;
    if (label)
        pf_title_set(office.name, label);
    else
        pf_master_title();
}

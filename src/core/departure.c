/* A client that has gone needs no answer any more.
 *
 * That it has gone is a fact in the worker's slot, and stays there while the worker serves
 * that connection: pf_pool_told() takes it away when the next one began, or none did. A
 * program that accepts by itself tells nothing, so it is taken at the moment's word.
 *
 * A worker that was signalled already is on the ladder, which needs no help from here. One
 * that was asked to leave is still with its connection, and so not spared. */
#include "core/departure.h"

enum pf_step
pf_departure_step(const struct pf_slot *s, const struct pf_policy *policy)
{
    bool serves =
        s->life == PF_LIFE_IDLE || s->life == PF_LIFE_BUSY || s->life == PF_LIFE_DRAINING;

    if (!s->client_gone || !serves || s->kind != PF_KIND_WORKER)
        return PF_STEP_NONE;
    switch (policy->on_departure) {
    case PF_DEPARTURE_IGNORE:
    case PF_DEPARTURE_TELL: break;
    case PF_DEPARTURE_TERM: return PF_STEP_TERM;
    case PF_DEPARTURE_KILL: return PF_STEP_KILL;
    }
    return PF_STEP_NONE;
}

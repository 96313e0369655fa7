/* Who may come in.
 *
 * The documented order is: double lookups, `deny`, `cidr_deny`, `allow`, `cidr_allow`, the
 * rest. A client that any of the first three refuses is denied, whichever comes first, so
 * the work may be done in an order of its own, the cheapest first:
 *
 *     cidr_deny        a binary search
 *     deny             on the address
 *     cidr_allow       or the rest is allowed: the address would do
 *     allow            on the address
 *     ------------------------------------------------------------------ a name is needed
 *     double lookups
 *     deny             on the name
 *     allow            on the name
 *
 * and the line is crossed only if what is below it can still make a difference. So a
 * flood of clients that blocks deny asks no name server anything, and costs each worker
 * microseconds.
 *
 * What always holds: a match that nobody can decide (pattern.h) is a denial, in both kinds
 * of lists. `deny` is asked before `allow`, on address and on name. A name is seen by
 * patterns only if it is confirmed (lookup.h).
 *
 * Deliberately absent: hooks and logging (worker/admit.c), settings (config/access.c). */
#include "net/access.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    BLOCK_TEXT_BYTES = 100,
};

/* A case before the judge. */
struct trial {
    const struct pf_access *access;
    const struct pf_access_client *client;
    struct pf_ip ip;
    struct pf_verdict *verdict;
};

PF_PRINTF(2, 3)
static bool
deny(const struct trial *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(t->verdict->reason, sizeof t->verdict->reason, format, args); /* cut */
    va_end(args);
    return false;
}

/* True if the patterns say no, which is the only good news from `deny`. */
static bool
passes_deny(const struct trial *t, const char *text)
{
    const char *pattern;

    switch (pf_patterns_match(&t->access->deny, text, &pattern)) {
    case PF_MATCH_NO: return true;
    case PF_MATCH_YES: return deny(t, "deny %s matches %s", pattern, text);
    case PF_MATCH_UNDECIDED: break;
    }
    return deny(t, "deny %s takes too long to match %s", pattern, text);
}

static bool
passes_cidr_deny(const struct trial *t)
{
    const struct pf_block *block = pf_blocks_find(&t->access->cidr_deny, &t->ip);
    char text[BLOCK_TEXT_BYTES];

    if (!block)
        return true;
    pf_block_format(block, text, sizeof text);
    return deny(t, "cidr_deny has %s", text);
}

/* What `allow` says about a text; an undecided match has its reason written. */
static enum pf_match
ask_allow(const struct trial *t, const char *text)
{
    const char *pattern;
    enum pf_match m = pf_patterns_match(&t->access->allow, text, &pattern);

    if (m == PF_MATCH_UNDECIDED)
        (void)deny(t, "allow %s takes too long to match %s", pattern, text);
    return m;
}

/* Is the address enough to be allowed, as far as `allow` goes? */
static enum pf_match
allows_address(const struct trial *t)
{
    if (t->access->allow_rest || pf_blocks_find(&t->access->cidr_allow, &t->ip))
        return PF_MATCH_YES;
    return ask_allow(t, t->client->host);
}

static bool
deny_rest(const struct trial *t)
{
    return deny(t, "no rule allows %s", t->client->host);
}

/* Could a name change what the address led to? */
static bool
needs_name(const struct trial *t, bool allowed)
{
    const struct pf_access *a = t->access;

    if (allowed)
        return a->confirmed_only || (a->names && a->deny.count > 0);
    return a->names && a->allow.count > 0;
}

/* allowed: the address was enough. */
static bool
passes_by_name(const struct trial *t, bool allowed)
{
    const struct pf_access *a = t->access;
    const struct pf_lookup *lookup = t->client->look_up(t->client->context);
    const char *name = pf_lookup_name(lookup);

    if (a->confirmed_only && lookup->outcome != PF_LOOKUP_CONFIRMED)
        return deny(t, "double_reverse_lookups: %s",
                    pf_lookup_outcome_text(lookup->outcome));
    if (a->autofail)
        return deny(t, "double_reverse_lookups: autofail");
    if (name[0] == '\0')
        return allowed || deny_rest(t);
    if (!passes_deny(t, name))
        return false;
    if (allowed)
        return true;
    switch (ask_allow(t, name)) {
    case PF_MATCH_YES: return true;
    case PF_MATCH_NO: return deny_rest(t);
    case PF_MATCH_UNDECIDED: break;
    }
    return false;
}

static bool
passes(const struct trial *t)
{
    enum pf_match m;

    if (!passes_cidr_deny(t) || !passes_deny(t, t->client->host))
        return false;
    m = allows_address(t);
    if (m == PF_MATCH_UNDECIDED)
        return false;
    if (needs_name(t, m == PF_MATCH_YES))
        return passes_by_name(t, m == PF_MATCH_YES);
    return m == PF_MATCH_YES || deny_rest(t);
}

void
pf_access_judge(const struct pf_access *access, const struct pf_access_client *client,
                struct pf_verdict *ret_verdict)
{
    const struct trial t = {
        .access = access,
        .client = client,
        .ip = pf_ip_of(client->address, client->address_bytes),
        .verdict = ret_verdict,
    };

    ret_verdict->reason[0] = '\0';
    ret_verdict->allowed = t.ip.version == 0 || passes(&t);
}

void
pf_access_deinit(struct pf_access *access)
{
    pf_patterns_deinit(&access->deny);
    pf_patterns_deinit(&access->allow);
    pf_blocks_deinit(&access->cidr_deny);
    pf_blocks_deinit(&access->cidr_allow);
}

/* The one symbol of the module. What it points to is in context.c, session.c, ticket.c. */
#include "tls/internal.h"

static void
advance(struct pf_tls_context *context, pf_time now)
{
    pf_ticket_advance(&context->tickets, now);
}

extern const struct pf_tls_module prefork_tls_module;

__attribute__((visibility("default"))) const struct pf_tls_module prefork_tls_module = {
    .abi = PF_TLS_ABI,
    .open = pf_context_open,
    .close = pf_context_close,
    .advance = advance,
    .give_keys = pf_context_give_keys,
    .take_keys = pf_context_take_keys,
    .start = pf_session_start,
    .end = pf_session_end,
    .handshake = pf_session_handshake,
    .read = pf_session_read,
    .write = pf_session_write,
    .shut = pf_session_shut,
    .wants = pf_session_wants,
    .reason = pf_session_reason,
    .fact = pf_session_fact,
    .is_verified = pf_session_is_verified,
    .is_resumed = pf_session_is_resumed,
};

/* What a port needs, made once before the first fork.
 *
 * The rules stand in one SSL_CTX, with the certificate for clients that name no other. For
 * each pair of SSL_sni there is a further one that holds only certificate and key: a
 * session changes to it when the client has said the name it wants.
 *
 * Sessions are kept by clients alone (tls/ticket.c): a cache of ours would have to be
 * shared by all workers and locked. */
#include "os/clock.h"
#include "tls/internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICKETS = 2, /* that a client gets: it may want to open two connections at once */
};

/* ---- callbacks of a handshake ------------------------------------------------------ */

static struct pf_tls_context *
context_of(void *arg)
{
    return arg;
}

static int
choose_certificate(SSL *ssl, int *alert, void *arg)
{
    const struct pf_tls_context *context = context_of(arg);
    const char *said = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char name[256];

    (void)alert;
    if (!said || !pf_name_copy(said, name, sizeof name))
        return SSL_TLSEXT_ERR_NOACK;
    for (unsigned i = 0; i < context->other_count; i++) {
        if (pf_names_match(context->others[i].names, name)) {
            (void)SSL_set_SSL_CTX(ssl, context->others[i].ctx);
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

/* The first of ours that the client offers; if there is none, the connection ends, as
 * RFC 7301 has it: the two would not understand each other. */
static int
choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                const unsigned char *offered, unsigned offered_bytes, void *arg)
{
    const struct pf_tls_context *context = context_of(arg);
    unsigned char *name = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&name, ret_length, context->alpn,
                              (unsigned)context->alpn_bytes, offered,
                              offered_bytes) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- rules ------------------------------------------------------------------------- */

static void
set_versions(SSL_CTX *ctx, const struct pf_tls_setup *setup)
{
    (void)SSL_CTX_set_min_proto_version(ctx,
                                        setup->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    (void)SSL_CTX_set_max_proto_version(ctx, setup->tls13 ? 0 : TLS1_2_VERSION);
}

static int
set_ciphers(SSL_CTX *ctx, const struct pf_tls_setup *setup, struct pf_tls_fault *fault)
{
    if (setup->cipher_list && SSL_CTX_set_cipher_list(ctx, setup->cipher_list) != 1)
        return pf_fault_set(fault, PF_TLS_ITEM_CIPHER_LIST,
                            "\"%s\": %s; openssl-ciphers(1) has the words",
                            setup->cipher_list, pf_fault_reason());
    if (setup->ciphersuites && SSL_CTX_set_ciphersuites(ctx, setup->ciphersuites) != 1)
        return pf_fault_set(fault, PF_TLS_ITEM_CIPHERSUITES,
                            "\"%s\": %s; names such as TLS_AES_128_GCM_SHA256, separated "
                            "by colons, are expected",
                            setup->ciphersuites, pf_fault_reason());
    return 0;
}

static int
set_verify(SSL_CTX *ctx, const struct pf_tls_setup *setup, struct pf_tls_fault *fault)
{
    int mode = SSL_VERIFY_PEER;

    if (setup->verify == PF_TLS_VERIFY_NONE)
        return 0;
    if (setup->verify == PF_TLS_VERIFY_REQUIRE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, pf_session_judge);
    return pf_trust_read(ctx, setup, fault);
}

static int
set_alpn(struct pf_tls_context *context, const struct pf_tls_setup *setup,
         struct pf_tls_fault *fault)
{
    if (setup->alpn_bytes == 0)
        return 0;
    context->alpn = malloc(setup->alpn_bytes);
    if (!context->alpn)
        return pf_fault_set(fault, PF_TLS_ITEM_NONE, "out of memory");
    memcpy(context->alpn, setup->alpn, setup->alpn_bytes);
    context->alpn_bytes = setup->alpn_bytes;
    SSL_CTX_set_alpn_select_cb(context->ctx, choose_protocol, context);
    return 0;
}

/* A ticket counts as old when its key may be gone. */
static void
set_tickets(struct pf_tls_context *context, const struct pf_tls_setup *setup)
{
    SSL_CTX *ctx = context->ctx;

    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, TICKETS);
    (void)SSL_CTX_set_timeout(
        ctx, (long)((2 * setup->ticket_rotation + PF_SECOND - 1) / PF_SECOND));
    pf_ticket_install(ctx, &context->tickets);
}

static int
set_rules(struct pf_tls_context *context, const struct pf_tls_setup *setup,
          struct pf_tls_fault *fault)
{
    SSL_CTX *ctx = context->ctx;
    int r;

    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record in one system call instead of two */
    set_versions(ctx, setup);
    set_tickets(context, setup);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    (void)SSL_CTX_set_tlsext_servername_arg(ctx, context);
    r = set_ciphers(ctx, setup, fault);
    if (r == 0)
        r = set_verify(ctx, setup, fault);
    return r < 0 ? r : set_alpn(context, setup, fault);
}

/* ---- certificates by name ---------------------------------------------------------- */

static void
copy_lower(char *to, const char *from, size_t size)
{
    size_t i = 0;

    for (; from[i] != '\0' && i < size - 1; i++)
        to[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] - 'A' + 'a') : from[i];
    to[i] = '\0';
}

static int
open_other(struct pf_tls_context *context, const struct pf_tls_setup *setup, unsigned index,
           const unsigned char *id, struct pf_tls_fault *fault)
{
    struct pf_tls_named *named = &context->others[index];
    int r;

    named->ctx = SSL_CTX_new(TLS_server_method());
    if (!named->ctx)
        return pf_fault_set(fault, PF_TLS_ITEM_NONE, "out of memory");
    context->other_count++;
    copy_lower(named->names, setup->others[index].names, sizeof named->names);
    (void)SSL_CTX_set_session_id_context(named->ctx, id, PF_CONTEXT_ID_BYTES);
    pf_ticket_install(named->ctx, &context->tickets);
    r = pf_pair_read(named->ctx, setup, &setup->others[index], fault);
    if (r < 0 && fault->item != PF_TLS_ITEM_PASSWD_FILE) {
        fault->item = PF_TLS_ITEM_SNI;
        fault->index = index;
    }
    return r;
}

/* Its id keeps the sessions of this context apart from those of others, whose rules about
 * clients' certificates may differ. */
static int
open_pairs(struct pf_tls_context *context, const struct pf_tls_setup *setup,
           struct pf_tls_fault *fault)
{
    unsigned char *id = context->id;
    int r;

    if (RAND_bytes(id, sizeof context->id) != 1)
        return pf_fault_set(fault, PF_TLS_ITEM_NONE, "no random numbers: %s",
                            pf_fault_reason());
    (void)SSL_CTX_set_session_id_context(context->ctx, id, sizeof context->id);
    r = pf_pair_read(context->ctx, setup, &setup->pair, fault);
    for (unsigned i = 0; i < setup->other_count && r == 0; i++)
        r = open_other(context, setup, i, id, fault);
    return r;
}

static struct pf_tls_context *
allocate(unsigned others)
{
    struct pf_tls_context *context = calloc(1, sizeof *context);

    if (!context)
        return NULL;
    context->ctx = SSL_CTX_new(TLS_server_method());
    context->others = calloc(others + 1, sizeof *context->others);
    if (context->ctx && context->others)
        return context;
    pf_context_close(context);
    return NULL;
}

int
pf_context_open(const struct pf_tls_setup *setup, struct pf_tls_context **ret_context,
                struct pf_tls_fault *fault)
{
    struct pf_tls_context *context;
    int r;

    *fault = (struct pf_tls_fault){0};
    ERR_clear_error();
    context = allocate(setup->other_count);
    if (!context)
        return pf_fault_set(fault, PF_TLS_ITEM_NONE, "OpenSSL: %s", pf_fault_reason());
    context->judge = setup->judge;
    context->data = setup->data;
    context->verifies = setup->verify != PF_TLS_VERIFY_NONE;
    r = pf_ticket_init(&context->tickets, pf_clock_now(), setup->ticket_rotation);
    if (r < 0)
        r = pf_fault_set(fault, PF_TLS_ITEM_NONE, "no random numbers: %s",
                         pf_fault_reason());
    if (r == 0)
        r = set_rules(context, setup, fault);
    if (r == 0)
        r = open_pairs(context, setup, fault);
    if (r < 0)
        pf_context_close(context);
    else
        *ret_context = context;
    return r;
}

void
pf_context_close(struct pf_tls_context *context)
{
    if (!context)
        return;
    for (unsigned i = 0; i < context->other_count; i++)
        SSL_CTX_free(context->others[i].ctx);
    SSL_CTX_free(context->ctx);
    pf_ticket_deinit(&context->tickets);
    free(context->others);
    free(context->alpn);
    free(context);
}

/* ---- sessions over a reload --------------------------------------------------------- */

/* What is handed over. Both sides are a module of the same interface, or nothing is. */
struct keys {
    int abi;
    unsigned char id[PF_CONTEXT_ID_BYTES];
    struct pf_ticket_keys tickets;
};

static_assert(sizeof(struct keys) <= PF_TLS_KEYS_BYTES, "it fits where it is handed over");

/* A client that was let in by other rules about certificates is not to be let in by a
 * session: where there are any, clients show what they have again. */
size_t
pf_context_give_keys(const struct pf_tls_context *context, void *buffer)
{
    struct keys keys = {.abi = PF_TLS_ABI, .tickets = context->tickets};

    if (context->verifies)
        return 0;
    memcpy(keys.id, context->id, sizeof keys.id);
    memcpy(buffer, &keys, sizeof keys);
    OPENSSL_cleanse(&keys, sizeof keys);
    return sizeof keys;
}

static void
use_id(struct pf_tls_context *context, const unsigned char *id)
{
    memcpy(context->id, id, sizeof context->id);
    (void)SSL_CTX_set_session_id_context(context->ctx, id, sizeof context->id);
    for (unsigned i = 0; i < context->other_count; i++)
        (void)SSL_CTX_set_session_id_context(context->others[i].ctx, id,
                                             sizeof context->id);
}

void
pf_context_take_keys(struct pf_tls_context *context, const void *bytes, size_t size)
{
    struct keys keys;

    if (context->verifies || size != sizeof keys)
        return;
    memcpy(&keys, bytes, sizeof keys);
    if (keys.abi == PF_TLS_ABI && keys.tickets.rotation == context->tickets.rotation) {
        use_id(context, keys.id);
        context->tickets = keys.tickets;
    }
    OPENSSL_cleanse(&keys, sizeof keys);
}

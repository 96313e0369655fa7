/* One connection.
 *
 * Between OpenSSL and the socket stands a BIO of our own. It receives and sends without
 * waiting and without SIGPIPE whatever mode the socket is in, and it remembers how the
 * socket failed, since OpenSSL tells its caller only that it did.
 *
 * A stream that ends without the farewell of TLS (close_notify) may have been cut by
 * anybody on the way, so it is an error and not an end. */
#include "tls/internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    NAME_BYTES = 256,
    REASON_BYTES = 160,
};

struct pf_tls_session {
    struct pf_tls_context *context;
    SSL *ssl;
    struct prefork_conn *owner; /* borrowed */
    int fd;
    int errnum;            /* of the socket's last failure; 0: it did not fail */
    bool ended;            /* the socket's stream ended */
    bool broken;           /* nothing more can be said by TLS */
    short wants;           /* after -EAGAIN */
    char *subject;         /* of the client's certificate, once it was asked for */
    char name[NAME_BYTES]; /* of the host, as the client said it */
    char protocol[NAME_BYTES];
    char reason[REASON_BYTES];
};

/* ---- the socket, as OpenSSL sees it ------------------------------------------------ */

static BIO_METHOD *method;

/* After a failed call: what OpenSSL has to know. */
static void
note_failure(BIO *bio, struct pf_tls_session *s, bool reading)
{
    if (errno != EAGAIN && errno != EINTR)
        s->errnum = errno;
    else if (reading)
        BIO_set_retry_read(bio);
    else
        BIO_set_retry_write(bio);
}

static int
socket_read(BIO *bio, char *buffer, size_t size, size_t *ret_bytes)
{
    struct pf_tls_session *s = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do
        n = recv(s->fd, buffer, size, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_bytes = (size_t)n;
        return 1;
    }
    if (n == 0)
        s->ended = true;
    else
        note_failure(bio, s, true);
    return 0;
}

static int
socket_write(BIO *bio, const char *bytes, size_t size, size_t *ret_bytes)
{
    struct pf_tls_session *s = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do
        n = send(s->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *ret_bytes = (size_t)n;
        return 1;
    }
    note_failure(bio, s, false);
    return 0;
}

static long
socket_control(BIO *bio, int command, long number, void *pointer)
{
    const struct pf_tls_session *s = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return s->ended;
    return command == BIO_CTRL_FLUSH; /* nothing is kept here: always done */
}

/* Made once; it lives as long as the process. */
static BIO_METHOD *
socket_method(void)
{
    if (method)
        return method;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "prefork socket");
    if (!method)
        return NULL;
    (void)BIO_meth_set_read_ex(method, socket_read);
    (void)BIO_meth_set_write_ex(method, socket_write);
    (void)BIO_meth_set_ctrl(method, socket_control);
    return method;
}

/* ---- beginning and end ------------------------------------------------------------- */

static bool
attach(struct pf_tls_session *s)
{
    BIO_METHOD *socket_bio = socket_method();
    BIO *bio = socket_bio ? BIO_new(socket_bio) : NULL;

    if (!bio)
        return false;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio); /* taken */
    (void)SSL_set_app_data(s->ssl, s);
    SSL_set_accept_state(s->ssl);
    return true;
}

struct pf_tls_session *
pf_session_start(struct pf_tls_context *context, int fd, struct prefork_conn *owner)
{
    struct pf_tls_session *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->context = context;
    s->fd = fd;
    s->owner = owner;
    s->ssl = SSL_new(context->ctx);
    if (s->ssl && attach(s))
        return s;
    pf_session_end(s);
    return NULL;
}

void
pf_session_end(struct pf_tls_session *s)
{
    if (!s)
        return;
    SSL_free(s->ssl); /* erases the keys */
    OPENSSL_free(s->subject);
    free(s);
}

/* ---- talking ----------------------------------------------------------------------- */

static void
explain(struct pf_tls_session *s, const char *words)
{
    (void)snprintf(s->reason, sizeof s->reason, "%s", words);
}

/* The rules by which a client's certificate was refused say more than that it was. */
static void
explain_protocol(struct pf_tls_session *s)
{
    unsigned long error = ERR_peek_error();
    const char *words = ERR_reason_error_string(error);
    long verdict = SSL_get_verify_result(s->ssl);

    if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
        (void)snprintf(s->reason, sizeof s->reason, "certificate verify failed: %s",
                       X509_verify_cert_error_string(verdict));
    else
        explain(s, words ? words : "a mistake in the protocol");
}

/* What a call that gave no success means: 0 (the client's farewell) or a negative errno. */
static int
outcome(struct pf_tls_session *s, int result)
{
    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ: s->wants = POLLIN; return -EAGAIN;
    case SSL_ERROR_WANT_WRITE: s->wants = POLLOUT; return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: break;
    }
    s->broken = true;
    if (s->errnum != 0) {
        explain(s, strerror(s->errnum));
        return -s->errnum;
    }
    if (s->ended) {
        explain(s, "the client closed the connection without a farewell");
        return -ECONNRESET;
    }
    explain_protocol(s);
    return -EPROTO;
}

int
pf_session_handshake(struct pf_tls_session *s)
{
    int result;
    int r;

    ERR_clear_error();
    result = SSL_do_handshake(s->ssl);
    if (result == 1)
        return 0;
    r = outcome(s, result);
    if (r != 0)
        return r;
    explain(s, "the client took its leave");
    s->broken = true;
    return -ECONNRESET;
}

ssize_t
pf_session_read(struct pf_tls_session *s, void *buffer, size_t size)
{
    size_t n = 0;
    int result;

    ERR_clear_error();
    result = SSL_read_ex(s->ssl, buffer, size, &n);
    if (result == 1)
        return (ssize_t)n;
    result = outcome(s, result);
    return result == -EPIPE ? -ECONNRESET : result; /* as the kernel names a late reset */
}

ssize_t
pf_session_write(struct pf_tls_session *s, const void *bytes, size_t size)
{
    size_t n = 0;
    int result;

    ERR_clear_error();
    result = SSL_write_ex(s->ssl, bytes, size, &n);
    if (result == 1)
        return (ssize_t)n;
    result = outcome(s, result);
    return result == 0 ? -EPIPE : result;
}

int
pf_session_shut(struct pf_tls_session *s)
{
    int result;

    if (s->broken || !SSL_is_init_finished(s->ssl))
        return -EPIPE;
    if (SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN)
        return 0;
    ERR_clear_error();
    result = SSL_shutdown(s->ssl);
    return result >= 0 ? 0 : outcome(s, result);
}

short
pf_session_wants(const struct pf_tls_session *s)
{
    return s->wants;
}

const char *
pf_session_reason(const struct pf_tls_session *s)
{
    return s->reason;
}

/* ---- facts ------------------------------------------------------------------------- */

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#define get_certificate SSL_get1_peer_certificate
#else
#define get_certificate SSL_get_peer_certificate
#endif

/* A name in one line; given, to be freed by OPENSSL_free(); NULL: no memory. */
static char *
print_name(const X509_NAME *name)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *text = NULL;
    int size;

    if (!memory)
        return NULL;
    (void)X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253);
    size = (int)BIO_pending(memory);
    text = OPENSSL_zalloc((size_t)size + 1);
    if (text && size > 0)
        (void)BIO_read(memory, text, size);
    BIO_free(memory);
    return text;
}

static const char *
subject(struct pf_tls_session *s)
{
    X509 *certificate;

    if (s->subject)
        return s->subject;
    certificate = get_certificate(s->ssl);
    if (!certificate)
        return "";
    s->subject = print_name(X509_get_subject_name(certificate));
    X509_free(certificate);
    return s->subject ? s->subject : "";
}

static const char *
server_name(struct pf_tls_session *s)
{
    const char *said = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);

    if (!said || !pf_name_copy(said, s->name, sizeof s->name))
        return "";
    return s->name;
}

static const char *
alpn(struct pf_tls_session *s)
{
    const unsigned char *name = NULL;
    unsigned length = 0;

    SSL_get0_alpn_selected(s->ssl, &name, &length);
    if (length == 0 || length >= sizeof s->protocol)
        return "";
    memcpy(s->protocol, name, length);
    s->protocol[length] = '\0';
    return s->protocol;
}

const char *
pf_session_fact(struct pf_tls_session *s, enum pf_tls_fact fact)
{
    switch (fact) {
    case PF_TLS_FACT_VERSION: return SSL_get_version(s->ssl);
    case PF_TLS_FACT_CIPHER: return SSL_get_cipher_name(s->ssl);
    case PF_TLS_FACT_SERVER_NAME: return server_name(s);
    case PF_TLS_FACT_ALPN: return alpn(s);
    case PF_TLS_FACT_SUBJECT: return subject(s);
    }
    return "";
}

/* The verdict alone is also good where there was nothing to look at. */
bool
pf_session_is_verified(const struct pf_tls_session *s)
{
    X509 *certificate = get_certificate(s->ssl);

    X509_free(certificate);
    return certificate && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE &&
           SSL_get_verify_result(s->ssl) == X509_V_OK;
}

bool
pf_session_is_resumed(const struct pf_tls_session *s)
{
    return SSL_session_reused(s->ssl) == 1;
}

/* ---- a client's certificate -------------------------------------------------------- */

int
pf_session_judge(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct pf_tls_session *s = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    char *name;
    bool accepted;

    if (!s->context->judge)
        return good;
    name = certificate ? print_name(X509_get_subject_name(certificate)) : NULL;
    accepted = s->context->judge(
        s->owner, good == 1, X509_STORE_CTX_get_error_depth(store), name ? name : "",
        good ? "" : X509_verify_cert_error_string(error), s->context->data);
    OPENSSL_free(name);
    if (!accepted && good)
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return accepted;
}

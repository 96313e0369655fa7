/* What the library asks of the TLS module, and all that both know of each other.
 *
 * The module, prefork-tls.so, is the one place that knows OpenSSL. It is loaded only when a
 * port needs it (net/tls.c), so a server without TLS neither links nor maps OpenSSL. It
 * never waits: what cannot go on now gives -EAGAIN, and the caller waits for the socket.
 *
 * A context is what a port needs: certificates, keys, rules. It is made before the first
 * fork, with every file read; afterwards no file is opened. A session is one connection. */
#ifndef PF_TLS_INTERFACE_H
#define PF_TLS_INTERFACE_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    PF_TLS_ABI = 2, /* changes with anything in this header */
    PF_TLS_PAIRS_MAX = 64,
    PF_TLS_NAMES_BYTES = 512,
    PF_TLS_FAULT_BYTES = 384,
    PF_TLS_KEYS_BYTES = 384,
};

/* The name of the one symbol that the module exports: a struct pf_tls_module. */
#define PF_TLS_SYMBOL "prefork_tls_module"

struct prefork_conn;
struct pf_tls_context;
struct pf_tls_session;

enum pf_tls_verify {
    PF_TLS_VERIFY_NONE,    /* clients are not asked for a certificate */
    PF_TLS_VERIFY_PEER,    /* asked; one that is shown must be good */
    PF_TLS_VERIFY_REQUIRE, /* none, no connection */
};

/* What a value of the setup is about; a fault names it. */
enum pf_tls_item {
    PF_TLS_ITEM_NONE, /* nothing that was set */
    PF_TLS_ITEM_CERT_FILE,
    PF_TLS_ITEM_KEY_FILE,
    PF_TLS_ITEM_PASSWD_FILE,
    PF_TLS_ITEM_CA_FILE,
    PF_TLS_ITEM_CA_PATH,
    PF_TLS_ITEM_CIPHER_LIST,
    PF_TLS_ITEM_CIPHERSUITES,
    PF_TLS_ITEM_SNI, /* index says which */
};

/* A certificate with its chain, and its key. */
struct pf_tls_pair {
    const char *names; /* separated by commas: example.org,*.example.org; NULL: any */
    const char *cert_file;
    const char *key_file;
};

/* Texts are borrowed for the call unless it says otherwise. NULL: not set. */
struct pf_tls_setup {
    struct pf_tls_pair pair;          /* for clients that name no other */
    const struct pf_tls_pair *others; /* by name */
    unsigned other_count;

    const char *passwd_file;
    /* The password of a key file: its length, or negative: refused. NULL: not offered. */
    int (*passwd)(char *buffer, size_t size, const char *key_file, void *data);

    const char *ca_file;
    const char *ca_path;
    enum pf_tls_verify verify;
    /* A client's certificate was looked at: is it to be accepted? Called in the worker for
     * each certificate of the chain, with the session's owner. reason: "" if it is good.
     * NULL: the look decides. */
    bool (*judge)(struct prefork_conn *c, bool good, int depth, const char *subject,
                  const char *reason, void *data);
    void *data; /* of passwd and judge; borrowed until the context is closed */

    const char *cipher_list;  /* TLS 1.2 */
    const char *ciphersuites; /* TLS 1.3 */
    bool tls12;
    bool tls13;
    const unsigned char *alpn; /* as in RFC 7301: length, name, length, name */
    size_t alpn_bytes;
    pf_time ticket_rotation;
};

struct pf_tls_fault {
    enum pf_tls_item item;
    unsigned index;                /* of others, for PF_TLS_ITEM_SNI */
    char text[PF_TLS_FAULT_BYTES]; /* file, what is wrong, what to do */
};

enum pf_tls_fact {
    PF_TLS_FACT_VERSION,     /* "TLSv1.3" */
    PF_TLS_FACT_CIPHER,      /* "TLS_AES_256_GCM_SHA384" */
    PF_TLS_FACT_SERVER_NAME, /* that the client asked for, in lower case */
    PF_TLS_FACT_ALPN,
    PF_TLS_FACT_SUBJECT, /* of the client's certificate, as in RFC 2253 */
};

struct pf_tls_module {
    int abi;

    /* Read and check everything. 0, or a negative errno with *fault filled. */
    int (*open)(const struct pf_tls_setup *setup, struct pf_tls_context **ret_context,
                struct pf_tls_fault *fault);
    void (*close)(struct pf_tls_context *context);

    /* Let the keys of session tickets be those of now; older ones are erased. */
    void (*advance)(struct pf_tls_context *context, pf_time now);

    /* What lets a context in another process take up sessions of this one, as secret bytes:
     * how many, at most PF_TLS_KEYS_BYTES; 0: sessions are not to be handed over. And: take
     * up sessions of whoever gave these; without effect if that cannot be. */
    size_t (*give_keys)(const struct pf_tls_context *context, void *buffer);
    void (*take_keys)(struct pf_tls_context *context, const void *bytes, size_t size);

    /* A session on a connected socket (not consumed); owner is handed to judge(). NULL: no
     * memory. end() says nothing to the client; NULL is fine. */
    struct pf_tls_session *(*start)(struct pf_tls_context *context, int fd,
                                    struct prefork_conn *owner);
    void (*end)(struct pf_tls_session *s);

    /* Each: 0 or the number of bytes, -EAGAIN (wait for wants()), or a negative errno:
     * -EPROTO for what is not TLS as it should be (reason() has the words), -ECONNRESET
     * when the stream ends without the client's farewell. Read: 0 is its farewell. Shut:
     * the server's own farewell; reading goes on. */
    int (*handshake)(struct pf_tls_session *s);
    ssize_t (*read)(struct pf_tls_session *s, void *buffer, size_t size);
    ssize_t (*write)(struct pf_tls_session *s, const void *bytes, size_t size);
    int (*shut)(struct pf_tls_session *s);

    short (*wants)(const struct pf_tls_session *s);        /* POLLIN or POLLOUT */
    const char *(*reason)(const struct pf_tls_session *s); /* of the last failure */

    /* "" if there is none. Borrowed until the session ends. */
    const char *(*fact)(struct pf_tls_session *s, enum pf_tls_fact fact);
    bool (*is_verified)(
        const struct pf_tls_session *s); /* a certificate was, and is good */
    bool (*is_resumed)(const struct pf_tls_session *s);
};

#endif

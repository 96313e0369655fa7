/* The settings of the group TLS, for one port: words become a setup, files are read.
 *
 * Reading happens here, while settings are checked: `prefork check` finds what a start
 * would find, the rights are the starter's, and a mistake is told with the place where the
 * file was named. From here on nothing of it is read again. */
#include "net/tls.h"

#include "base/text.h"
#include "config/freeze.h"
#include "config/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SNI_BYTES = 1024,
    ALPN_BYTES = 256,
};

/* What a setup borrows until it was used. */
struct words {
    struct pf_tls_setup setup;
    struct pf_tls_pair others[PF_TLS_PAIRS_MAX];
    char sni[PF_TLS_PAIRS_MAX][SNI_BYTES]; /* cut up */
    unsigned char alpn[ALPN_BYTES];
};

/* ---- versions ---------------------------------------------------------------------- */

struct version {
    const char *word;
    size_t length;
    bool tls12;
    bool tls13;
};

/* The versions that a word stands for: none for those too old to be had. */
static bool
find_version(const char *s, size_t length, struct version *ret_version)
{
    static const struct version known[] = {
        {"TLSv1_2", 7, true, false},  {"TLSv12", 6, true, false},
        {"TLSv1_3", 7, false, true},  {"TLSv13", 6, false, true},
        {"TLS", 3, true, true},       {"SSLv23", 6, true, true},
        {"SSLv2/3", 7, true, true},   {"SSLv2", 5, false, false},
        {"SSLv3", 5, false, false},   {"TLSv1", 5, false, false},
        {"TLSv1_1", 7, false, false}, {"TLSv11", 6, false, false},
    };

    for (size_t i = 0; i < PF_COUNT(known); i++) {
        if (known[i].length == length && strncmp(known[i].word, s, length) == 0) {
            *ret_version = known[i];
            return true;
        }
    }
    return false;
}

/* One word that is wanted, or with ! one that is not. */
static int
add_version(const struct pf_port *p, const char *word, size_t length,
            struct pf_tls_setup *setup)
{
    bool without = word[0] == '!';
    struct version v;

    if (!find_version(word + without, length - without, &v))
        return pf_port_refuse(p, PF_SETTING_SSL_VERSION, EINVAL,
                              "\"%.*s\" is no version; words such as TLSv1_2, TLSv1_3 or "
                              "SSLv23:!TLSv1_2 are expected",
                              (int)length, word);
    if (without) {
        setup->tls12 = setup->tls12 && !v.tls12;
        setup->tls13 = setup->tls13 && !v.tls13;
        return 0;
    }
    if (!v.tls12 && !v.tls13)
        return pf_port_refuse(p, PF_SETTING_SSL_VERSION, EINVAL,
                              "\"%.*s\" is not safe; the least is TLSv1_2", (int)length,
                              word);
    setup->tls12 = v.tls12;
    setup->tls13 = v.tls13;
    return 0;
}

static int
read_versions(const struct pf_port *p, struct pf_tls_setup *setup)
{
    const char *s = pf_port_text(p, PF_SETTING_SSL_VERSION);
    size_t length;
    int r = 0;

    setup->tls12 = setup->tls13 = true;
    for (; *s != '\0' && r == 0; s += length, s += *s == ':') {
        length = strcspn(s, ":");
        r = add_version(p, s, length, setup);
    }
    if (r == 0 && !setup->tls12 && !setup->tls13)
        r = pf_port_refuse(p, PF_SETTING_SSL_VERSION, EINVAL,
                           "no version is left; TLSv1_2 and TLSv1_3 are there");
    return r;
}

/* ---- protocols and names ----------------------------------------------------------- */

static int
read_alpn(const struct pf_port *p, struct words *w)
{
    const char *s = pf_port_text(p, PF_SETTING_SSL_ALPN);
    size_t at = 0;
    size_t length;

    for (; s && *s != '\0'; s += length, s += strspn(s, ", \t")) {
        length = strcspn(s, ", \t");
        if (length == 0 || length > 255 || at + 1 + length > sizeof w->alpn)
            return pf_port_refuse(p, PF_SETTING_SSL_ALPN, EINVAL,
                                  "names such as h2,http/1.1 are expected, %d bytes in all",
                                  ALPN_BYTES);
        w->alpn[at++] = (unsigned char)length;
        memcpy(w->alpn + at, s, length);
        at += length;
    }
    w->setup.alpn = w->alpn;
    w->setup.alpn_bytes = at;
    return 0;
}

static int
refuse_sni(const struct pf_port *p, unsigned index, const char *what)
{
    if (pf_port_has_own(p, PF_SETTING_SSL_SNI))
        return pf_port_refuse(p, PF_SETTING_SSL_SNI, EINVAL, "%s", what);
    return pf_freeze_refuse(p->f, PF_SETTING_SSL_SNI, index, EINVAL, "%s", what);
}

/* names cert_file [key_file] */
static int
read_name(const struct pf_port *p, struct words *w, unsigned index)
{
    const char *said = pf_port_item(p, PF_SETTING_SSL_SNI, index);
    struct pf_tls_pair *pair = &w->others[index];
    char *rest = w->sni[index];

    if (strlen(said) >= sizeof w->sni[index])
        return refuse_sni(p, index, "it is too long");
    memcpy(rest, said, strlen(said) + 1);
    pair->names = strtok_r(rest, " \t", &rest);
    pair->cert_file = strtok_r(NULL, " \t", &rest);
    pair->key_file = strtok_r(NULL, " \t", &rest);
    if (!pair->cert_file || strtok_r(NULL, " \t", &rest))
        return refuse_sni(p, index,
                          "names, certificate and key are expected, such as "
                          "example.org,*.example.org /etc/x.pem /etc/x.key");
    if (strlen(pair->names) >= PF_TLS_NAMES_BYTES)
        return refuse_sni(p, index, "there are too many names; divide them");
    if (!pair->key_file)
        pair->key_file = pair->cert_file;
    return 0;
}

static int
read_names(const struct pf_port *p, struct words *w)
{
    unsigned count = pf_port_item_count(p, PF_SETTING_SSL_SNI);
    int r = 0;

    if (count > PF_TLS_PAIRS_MAX)
        return refuse_sni(p, PF_TLS_PAIRS_MAX, "there are more than 64 of them");
    for (unsigned i = 0; i < count && r == 0; i++)
        r = read_name(p, w, i);
    w->setup.others = w->others;
    w->setup.other_count = count;
    return r;
}

/* ---- the whole --------------------------------------------------------------------- */

/* As the words of the row: names, then the numbers of OpenSSL, whose 4 means nothing to a
 * server that does not renegotiate. */
static enum pf_tls_verify
verify_mode(const struct pf_port *p)
{
    static const enum pf_tls_verify modes[] = {
        PF_TLS_VERIFY_NONE, PF_TLS_VERIFY_PEER, PF_TLS_VERIFY_REQUIRE, /* the names */
        PF_TLS_VERIFY_NONE, PF_TLS_VERIFY_PEER, PF_TLS_VERIFY_REQUIRE, /* 0 1 3 */
        PF_TLS_VERIFY_NONE, PF_TLS_VERIFY_PEER, PF_TLS_VERIFY_REQUIRE, /* 4 5 7 */
    };

    return modes[pf_port_choice(p, PF_SETTING_SSL_VERIFY_MODE)];
}

static int
read_words(const struct pf_port *p, struct words *w)
{
    const struct prefork_app *app = &p->f->config->recipe.app;
    const char *key_file = pf_port_text(p, PF_SETTING_SSL_KEY_FILE);
    const char *cert_file = pf_port_text(p, PF_SETTING_SSL_CERT_FILE);
    int r;

    w->setup = (struct pf_tls_setup){
        .pair = {NULL, cert_file, key_file ? key_file : cert_file},
        .passwd_file = pf_port_text(p, PF_SETTING_SSL_PASSWD_FILE),
        .passwd = app->SSL_passwd_cb,
        .judge = app->SSL_verify_callback,
        .data = app->data,
        .ca_file = pf_port_text(p, PF_SETTING_SSL_CA_FILE),
        .ca_path = pf_port_text(p, PF_SETTING_SSL_CA_PATH),
        .verify = verify_mode(p),
        .cipher_list = pf_port_text(p, PF_SETTING_SSL_CIPHER_LIST),
        .ciphersuites = pf_port_text(p, PF_SETTING_SSL_CIPHERSUITES),
        .ticket_rotation = pf_port_span(p, PF_SETTING_SSL_TICKET_ROTATION),
    };
    r = read_versions(p, &w->setup);
    if (r == 0)
        r = read_alpn(p, w);
    return r < 0 ? r : read_names(p, w);
}

/* What a value alone does not show. */
static int
check(const struct pf_port *p, const struct pf_tls_setup *setup)
{
    const struct pf_freeze *f = p->f;
    enum pf_handler handler = f->config->recipe.handler;

    if (handler == PF_HANDLER_WAIT || handler == PF_HANDLER_MAIN_LOOP)
        return pf_freeze_refuse(
            f, PF_SETTING_PORT, p->index, EINVAL,
            "%s accepts by itself and would meet TLS it does not speak; "
            "with protocol ssl use %s",
            handler == PF_HANDLER_WAIT ? "a program with handler wait" : "main_loop",
            handler == PF_HANDLER_WAIT ? "handler nowait" : "process_request");
    if (!setup->pair.cert_file)
        return pf_freeze_refuse(f, PF_SETTING_PORT, p->index, EINVAL,
                                "protocol ssl needs SSL_cert_file, a PEM file with the "
                                "server's certificate");
    if (!pf_port_flag(p, PF_SETTING_SSL_USE_CERT))
        return pf_port_refuse(p, PF_SETTING_SSL_USE_CERT, EINVAL,
                              "a server has to show a certificate; leave it out");
    if (setup->verify != PF_TLS_VERIFY_NONE && !setup->ca_file && !setup->ca_path)
        return pf_port_refuse(p, PF_SETTING_SSL_VERIFY_MODE, EINVAL,
                              "clients' certificates can only be checked with SSL_ca_file "
                              "or SSL_ca_path");
    return 0;
}

static enum pf_setting_id
setting_of(const struct pf_port *p, enum pf_tls_item item)
{
    switch (item) {
    case PF_TLS_ITEM_NONE: break;
    case PF_TLS_ITEM_CERT_FILE: return PF_SETTING_SSL_CERT_FILE;
    case PF_TLS_ITEM_KEY_FILE:
        return pf_port_is_set(p, PF_SETTING_SSL_KEY_FILE) ? PF_SETTING_SSL_KEY_FILE
                                                          : PF_SETTING_SSL_CERT_FILE;
    case PF_TLS_ITEM_PASSWD_FILE: return PF_SETTING_SSL_PASSWD_FILE;
    case PF_TLS_ITEM_CA_FILE: return PF_SETTING_SSL_CA_FILE;
    case PF_TLS_ITEM_CA_PATH: return PF_SETTING_SSL_CA_PATH;
    case PF_TLS_ITEM_CIPHER_LIST: return PF_SETTING_SSL_CIPHER_LIST;
    case PF_TLS_ITEM_CIPHERSUITES: return PF_SETTING_SSL_CIPHERSUITES;
    case PF_TLS_ITEM_SNI: return PF_SETTING_SSL_SNI;
    }
    return PF_SETTING_PORT;
}

static int
refuse_fault(const struct pf_port *p, const struct pf_tls_fault *fault)
{
    enum pf_setting_id id = setting_of(p, fault->item);

    if (id == PF_SETTING_PORT)
        return pf_freeze_refuse(p->f, id, p->index, EINVAL, "%s", fault->text);
    if (id == PF_SETTING_SSL_SNI)
        return refuse_sni(p, fault->index, fault->text);
    return pf_port_refuse(p, id, EINVAL, "%s", fault->text);
}

/* A port that does not speak TLS must not look as if it did. */
static int
refuse_own(const struct pf_port *p)
{
    for (unsigned i = 0; i < p->own_count; i++) {
        const char *key = pf_setting_row(p->own[i].id)->key;
        if (strncmp(key, "SSL_", 4) == 0)
            return pf_freeze_refuse(p->f, PF_SETTING_PORT, p->index, EINVAL,
                                    "%s is for protocol ssl only, as in 8443/ssl", key);
    }
    return 0;
}

int
pf_freeze_tls(const struct pf_port *p, struct pf_endpoint *e)
{
    struct pf_tls_fault fault;
    struct words w;
    int r;

    if (e->proto != PF_PROTO_SSL)
        return refuse_own(p);
    r = read_words(p, &w);
    if (r == 0)
        r = check(p, &w.setup);
    if (r < 0)
        return r;
    r = pf_tls_open(&w.setup, pf_port_span(p, PF_SETTING_SSL_HANDSHAKE_TIMEOUT), &e->tls,
                    &fault);
    return r < 0 ? refuse_fault(p, &fault) : 0;
}

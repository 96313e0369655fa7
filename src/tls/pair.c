/* A certificate, its chain and its key: read, and checked as far as that is possible
 * without a client.
 *
 * Whatever a client would find wrong is found here: files that cannot be read or hold
 * something else, a key of another certificate, a certificate that is not valid today. The
 * key's password comes from a file or from the program; nobody is asked on a terminal. */
#include "tls/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    DATE_BYTES = 64,
};

/* ---- the certificate --------------------------------------------------------------- */

static FILE *
open_file(const char *path, enum pf_tls_item item, struct pf_tls_fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    struct stat st;

    if (!file) {
        (void)pf_fault_set(fault, item,
                           "%s: %s; it is read once, by the user who starts the server",
                           path, strerror(errno));
    } else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)pf_fault_set(fault, item, "%s: it is no regular file", path);
        (void)fclose(file); /* it was only looked at */
        file = NULL;
    }
    return file;
}

/* "Nov 21 01:00:00 2026 GMT" */
static void
print_date(const ASN1_TIME *when, char *buffer)
{
    BIO *memory = BIO_new(BIO_s_mem());
    int n = 0;

    if (memory && ASN1_TIME_print(memory, when) == 1)
        n = BIO_read(memory, buffer, DATE_BYTES - 1);
    buffer[n > 0 ? n : 0] = '\0';
    BIO_free(memory);
}

static int
check_dates(const X509 *x, const char *path, struct pf_tls_fault *fault)
{
    const ASN1_TIME *from = X509_get0_notBefore(x);
    const ASN1_TIME *to = X509_get0_notAfter(x);
    char date[DATE_BYTES];

    if (X509_cmp_current_time(to) < 0) {
        print_date(to, date);
        return pf_fault_set(fault, PF_TLS_ITEM_CERT_FILE,
                            "%s: a certificate in it expired at %s; put a new one there",
                            path, date);
    }
    if (X509_cmp_current_time(from) > 0) {
        print_date(from, date);
        return pf_fault_set(fault, PF_TLS_ITEM_CERT_FILE,
                            "%s: a certificate in it is not valid before %s; look at the "
                            "clock of this machine",
                            path, date);
    }
    return 0;
}

static int
check_all_dates(SSL_CTX *ctx, const char *path, struct pf_tls_fault *fault)
{
    STACK_OF(X509) *chain = NULL;
    int r = check_dates(SSL_CTX_get0_certificate(ctx), path, fault);

    (void)SSL_CTX_get0_chain_certs(ctx, &chain);
    for (int i = 0; i < sk_X509_num(chain) && r == 0; i++)
        r = check_dates(sk_X509_value(chain, i), path, fault);
    return r;
}

static int
read_certificate(SSL_CTX *ctx, const char *path, struct pf_tls_fault *fault)
{
    FILE *file = open_file(path, PF_TLS_ITEM_CERT_FILE, fault);

    if (!file)
        return -EINVAL;
    (void)fclose(file);
    if (SSL_CTX_use_certificate_chain_file(ctx, path) != 1)
        return pf_fault_set(fault, PF_TLS_ITEM_CERT_FILE,
                            "%s: no certificate can be read from it (%s); a PEM file is "
                            "expected, the server's certificate first",
                            path, pf_fault_reason());
    return check_all_dates(ctx, path, fault);
}

/* ---- the key ----------------------------------------------------------------------- */

/* What answers the question for a password. */
struct asked {
    const struct pf_tls_setup *setup;
    const char *key_file;
    struct pf_tls_fault *fault;
    bool was_asked;
    bool refused; /* the fault is filled */
};

/* The first line of passwd_file: its length, or negative. */
static int
read_password(struct asked *a, char *buffer, size_t size)
{
    FILE *file = open_file(a->setup->passwd_file, PF_TLS_ITEM_PASSWD_FILE, a->fault);
    char *line;

    if (!file)
        return -1;
    (void)setvbuf(file, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
    line = fgets(buffer, (int)size, file);
    (void)fclose(file);
    if (line)
        buffer[strcspn(buffer, "\r\n")] = '\0';
    if (!line || buffer[0] == '\0') {
        (void)pf_fault_set(a->fault, PF_TLS_ITEM_PASSWD_FILE,
                           "%s: no password in its first line", a->setup->passwd_file);
        return -1;
    }
    return (int)strlen(buffer);
}

static int
ask(char *buffer, int size, int writing, void *userdata)
{
    struct asked *a = userdata;
    int length = -1;

    (void)writing;
    a->was_asked = true;
    if (a->setup->passwd_file) {
        length = read_password(a, buffer, (size_t)size);
        a->refused = length < 0;
    } else if (a->setup->passwd) {
        length = a->setup->passwd(buffer, (size_t)size, a->key_file, a->setup->data);
        if (length > size)
            length = -1;
    }
    return length;
}

static int
refuse_key(const struct asked *a)
{
    const char *path = a->key_file;
    bool could_answer = a->setup->passwd_file || a->setup->passwd;

    if (a->refused)
        return -EINVAL;
    if (a->was_asked && !could_answer)
        return pf_fault_set(a->fault, PF_TLS_ITEM_KEY_FILE,
                            "%s: the key is encrypted; set SSL_passwd_file, or decrypt it",
                            path);
    if (a->was_asked)
        return pf_fault_set(a->fault, PF_TLS_ITEM_KEY_FILE,
                            "%s: the password does not open the key (%s)", path,
                            pf_fault_reason());
    return pf_fault_set(a->fault, PF_TLS_ITEM_KEY_FILE,
                        "%s: no private key can be read from it (%s); a PEM file is "
                        "expected",
                        path, pf_fault_reason());
}

static EVP_PKEY *
read_key(const struct pf_tls_setup *setup, const char *path, struct pf_tls_fault *fault)
{
    struct asked a = {.setup = setup, .key_file = path, .fault = fault};
    FILE *file = open_file(path, PF_TLS_ITEM_KEY_FILE, fault);
    EVP_PKEY *key;

    if (!file)
        return NULL;
    (void)setvbuf(file, NULL, _IONBF, 0);
    key = PEM_read_PrivateKey(file, NULL, ask, &a);
    (void)fclose(file);
    if (!key)
        (void)refuse_key(&a);
    return key;
}

static int
use_key(SSL_CTX *ctx, EVP_PKEY *key, const struct pf_tls_pair *pair,
        struct pf_tls_fault *fault)
{
    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
        return pf_fault_set(fault, PF_TLS_ITEM_KEY_FILE,
                            "%s: this is not the key of the certificate in %s",
                            pair->key_file, pair->cert_file);
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        return pf_fault_set(fault, PF_TLS_ITEM_KEY_FILE, "%s: %s", pair->key_file,
                            pf_fault_reason());
    return 0;
}

int
pf_pair_read(SSL_CTX *ctx, const struct pf_tls_setup *setup, const struct pf_tls_pair *pair,
             struct pf_tls_fault *fault)
{
    EVP_PKEY *key;
    int r;

    ERR_clear_error();
    r = read_certificate(ctx, pair->cert_file, fault);
    if (r < 0)
        return r;
    key = read_key(setup, pair->key_file, fault);
    if (!key)
        return -EINVAL;
    r = use_key(ctx, key, pair, fault);
    EVP_PKEY_free(key);
    return r;
}

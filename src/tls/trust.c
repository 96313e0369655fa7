/* Whom a client's certificate may come from.
 *
 * All files are read at start. OpenSSL would look into a directory only when a client
 * comes, which is too late: privileges are gone by then, and mistakes are found by
 * strangers. */
#include "tls/internal.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 4096,
};

/* Certificates of a file: trusted, and named to clients. */
static bool
trust_file(SSL_CTX *ctx, STACK_OF(X509_NAME) * names, const char *path)
{
    return SSL_CTX_load_verify_locations(ctx, path, NULL) == 1 &&
           SSL_add_file_cert_subjects_to_stack(names, path) == 1;
}

static int
read_file(SSL_CTX *ctx, STACK_OF(X509_NAME) * names, const char *path,
          struct pf_tls_fault *fault)
{
    if (access(path, R_OK) < 0)
        return pf_fault_set(fault, PF_TLS_ITEM_CA_FILE, "%s: %s", path, strerror(errno));
    if (!trust_file(ctx, names, path))
        return pf_fault_set(fault, PF_TLS_ITEM_CA_FILE,
                            "%s: no certificate can be read from it (%s); a PEM file is "
                            "expected",
                            path, pf_fault_reason());
    return 0;
}

static bool
is_regular(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Files that hold something else may lie there too. */
static int
read_directory(SSL_CTX *ctx, STACK_OF(X509_NAME) * names, const char *path,
               struct pf_tls_fault *fault)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    char file[PATH_BYTES];
    int found = 0;

    if (!directory)
        return pf_fault_set(fault, PF_TLS_ITEM_CA_PATH, "%s: %s", path, strerror(errno));
    while ((entry = readdir(directory))) {
        int length = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (length < (int)sizeof file && is_regular(file))
            found += trust_file(ctx, names, file);
    }
    (void)closedir(directory);
    ERR_clear_error();
    if (found == 0)
        return pf_fault_set(fault, PF_TLS_ITEM_CA_PATH,
                            "%s: no file in it holds a certificate; PEM files are expected",
                            path);
    return 0;
}

int
pf_trust_read(SSL_CTX *ctx, const struct pf_tls_setup *setup, struct pf_tls_fault *fault)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    int r = 0;

    if (!names)
        return pf_fault_set(fault, PF_TLS_ITEM_NONE, "out of memory");
    if (setup->ca_file)
        r = read_file(ctx, names, setup->ca_file, fault);
    if (r == 0 && setup->ca_path)
        r = read_directory(ctx, names, setup->ca_path, fault);
    SSL_CTX_set_client_CA_list(ctx, names); /* taken */
    return r;
}

/* Faults: what is wrong with a file, in words for a person. */
#include "tls/internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

int
pf_fault_set(struct pf_tls_fault *fault, enum pf_tls_item item, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fault->item = item;
    (void)vsnprintf(fault->text, sizeof fault->text, format, args); /* cut is fine */
    va_end(args);
    ERR_clear_error();
    return -EINVAL;
}

const char *
pf_fault_reason(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return words ? words : "OpenSSL does not say why";
}

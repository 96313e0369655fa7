/* Keys that are known from elsewhere and have nothing to switch here.
 *
 * To refuse them would break files that work; to drop them in silence would let somebody
 * wait for an effect. So they are accepted and told. That, and where each was met, is the
 * business of config/setting.c; here is only the table. */
#include "config/foreign.h"

#include "base/attr.h"
#include "config/table.h"

#include <stddef.h>

enum kind {
    KIND_VALUE,
    KIND_FLAG,
};

static const struct pf_foreign rows[] = {
#define PF_FOREIGN(key, kind, reason) {key, KIND_##kind == KIND_FLAG, reason},
#include "config/foreign.def"
#undef PF_FOREIGN
};

const struct pf_foreign *
pf_foreign_find(const char *key)
{
    for (size_t i = 0; i < PF_COUNT(rows); i++) {
        if (pf_words_index(key, rows[i].key) == 0)
            return &rows[i];
    }
    return NULL;
}

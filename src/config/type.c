/* What the personalities of Net::Server are here.
 *
 * There is one engine, and a type is a name for settings of it. Fork is a pool on demand
 * whose workers serve one connection each, Single a pool of one. A setting that belongs to
 * another type may stand in the file: it is told about and not used, as one file may serve
 * several types. */
#include "config/type.h"

#include "base/text.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <string.h>
#include <strings.h>

enum {
    SENTENCE_BYTES = 384,
};

#define SEPARATORS ", \t"

static const struct pf_type_rules types[] = {
    [PF_SERVER_PREFORK] = {"PreFork", NULL, NULL, NULL},
    [PF_SERVER_PREFORK_SIMPLE] = {"PreForkSimple", "static", NULL, NULL},
    [PF_SERVER_FORK] = {"Fork", "ondemand", "256", "1"},
    [PF_SERVER_SINGLE] = {"Single", "static", "1", "0"},
    [PF_SERVER_INET] = {"INET", NULL, NULL, NULL, "0"},
};

#define POOLS (~(1u << PF_SERVER_INET))

/* Settings that some types do not use, with those that do. */
static const struct {
    enum pf_setting_id id;
    unsigned used_by; /* bits by type */
} limited[] = {
    {PF_SETTING_MIN_SERVERS, 1u << PF_SERVER_PREFORK},
    {PF_SETTING_MIN_SPARE_SERVERS, 1u << PF_SERVER_PREFORK},
    {PF_SETTING_MAX_SPARE_SERVERS, 1u << PF_SERVER_PREFORK},
    {PF_SETTING_MAX_SERVERS,
     1u << PF_SERVER_PREFORK | 1u << PF_SERVER_PREFORK_SIMPLE | 1u << PF_SERVER_FORK},
    {PF_SETTING_PORT, POOLS},
    {PF_SETTING_BACKGROUND, POOLS},
    {PF_SETTING_SETSID, POOLS},
    {PF_SETTING_PID_FILE, POOLS},
    {PF_SETTING_KEEPER, POOLS},
    {PF_SETTING_FDSTORE, POOLS},
    {PF_SETTING_MAX_REQUESTS,
     1u << PF_SERVER_PREFORK | 1u << PF_SERVER_PREFORK_SIMPLE | 1u << PF_SERVER_SINGLE},
};

const char *
pf_type_name(enum pf_server_type type)
{
    return types[type].name;
}

const struct pf_type_rules *
pf_type_rules(enum pf_server_type type)
{
    return &types[type];
}

bool
pf_type_uses(enum pf_server_type type, enum pf_setting_id id)
{
    for (size_t i = 0; i < PF_COUNT(limited); i++) {
        if (limited[i].id == id)
            return (limited[i].used_by >> type & 1) != 0;
    }
    return true;
}

static bool
find_type(const char *word, size_t length, enum pf_server_type *ret_type)
{
    for (size_t i = 0; i < PF_COUNT(types); i++) {
        if (strlen(types[i].name) == length &&
            strncasecmp(types[i].name, word, length) == 0) {
            *ret_type = (enum pf_server_type)i;
            return true;
        }
    }
    return false;
}

/* The first known word of a value; the others before it are appended to unknown. */
static bool
choose_word(const char *s, enum pf_server_type *ret_type, struct pf_text *unknown)
{
    size_t length;

    for (s += strspn(s, SEPARATORS); *s != '\0'; s += length, s += strspn(s, SEPARATORS)) {
        length = strcspn(s, SEPARATORS);
        if (find_type(s, length, ret_type))
            return true;
        pf_text_add(unknown, "%s%.*s", unknown->length > 0 ? ", " : "", (int)length, s);
    }
    return false;
}

int
pf_type_choose(const struct pf_settings *settings, enum pf_server_type *ret_type,
               pf_config_note *note, void *context, struct pf_error *error)
{
    const enum pf_setting_id id = PF_SETTING_SERVER_TYPE;
    unsigned count = pf_settings_item_count(settings, id);
    char unknown_bytes[SENTENCE_BYTES / 3];
    char bytes[SENTENCE_BYTES];
    struct pf_text unknown;
    struct pf_text t;
    bool found = false;

    pf_text_init(&unknown, unknown_bytes, sizeof unknown_bytes);
    for (unsigned i = 0; i < count && !found; i++)
        found = choose_word(pf_settings_item(settings, id, i), ret_type, &unknown);
    if (unknown.length == 0 && found)
        return 0;
    pf_text_init(&t, bytes, sizeof bytes);
    pf_origin_add_subject(&t, pf_settings_item_origin(settings, id, 0), "server_type");
    pf_text_add(&t, ": there is no type %s", unknown.bytes);
    if (found) {
        pf_text_add(&t, "; %s is used", pf_type_name(*ret_type));
        if (note)
            note(context, t.bytes);
        return 0;
    }
    return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                        "%s; use PreFork, PreForkSimple, Fork, Single or INET", t.bytes);
}

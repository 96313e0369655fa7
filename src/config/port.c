/* A port's text is cut where its own settings begin: at the first word that is a key and
 * an equals sign. The address before it has a grammar of its own (net/endpoint.c), in which
 * no equals sign occurs.
 *
 * A value is checked by the row of its setting, like one that stands on a line alone, so a
 * wrong one gets the same sentence. Which settings a single port can have is listed below;
 * the others are about the server as a whole. */
#include "config/port.h"

#include "base/text.h"
#include "config/entry.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const enum pf_setting_id own_settings[] = {
    PF_SETTING_HOST,
    PF_SETTING_PROTO,
    PF_SETTING_IPV,
    PF_SETTING_LISTEN,
    PF_SETTING_SOCKET_MODE,
    PF_SETTING_SOCKET_OWNER,
    PF_SETTING_UNIX_TYPE,
    PF_SETTING_UDP_RECV_LEN,
    PF_SETTING_UDP_RECV_FLAGS,
    PF_SETTING_UDP_BROADCAST,

    PF_SETTING_SSL_CERT_FILE,
    PF_SETTING_SSL_KEY_FILE,
    PF_SETTING_SSL_PASSWD_FILE,
    PF_SETTING_SSL_SNI,
    PF_SETTING_SSL_CA_FILE,
    PF_SETTING_SSL_CA_PATH,
    PF_SETTING_SSL_VERIFY_MODE,
    PF_SETTING_SSL_VERSION,
    PF_SETTING_SSL_CIPHER_LIST,
    PF_SETTING_SSL_CIPHERSUITES,
    PF_SETTING_SSL_ALPN,
    PF_SETTING_SSL_HANDSHAKE_TIMEOUT,
    PF_SETTING_SSL_USE_CERT,
    PF_SETTING_SSL_TICKET_ROTATION,
};

static bool
may_be_own(enum pf_setting_id id)
{
    for (size_t i = 0; i < PF_COUNT(own_settings); i++) {
        if (own_settings[i] == id)
            return true;
    }
    return false;
}

/* Does a word of the form key= begin here? */
static bool
is_assignment(const char *s)
{
    if (!isalpha((unsigned char)*s))
        return false;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return *s == '=';
}

/* Where the port's own settings begin; the end of the text if it has none. */
static char *
find_own(char *s)
{
    for (char *at = s; *at != '\0'; at++) {
        if (isblank((unsigned char)*at) && is_assignment(at + 1))
            return at;
    }
    return s + strlen(s);
}

/* Cut one value off *next, without its quotes: NULL if a quote is not closed. */
static char *
cut_value(char **next)
{
    char *value = *next;
    bool quoted = *value == '"';
    char *end;

    if (quoted)
        value++;
    end = value + strcspn(value, quoted ? "\"" : " \t");
    if (quoted && *end == '\0')
        return NULL;
    *next = *end == '\0' ? end : end + 1;
    *end = '\0';
    return value;
}

static int
refuse_port(const struct pf_port *p, const char *what, const char *word)
{
    return pf_freeze_refuse(p->f, PF_SETTING_PORT, p->index, EINVAL, "%s \"%.80s\"", what,
                            word);
}

static int
keep(struct pf_port *p, const char *key, const char *value)
{
    struct pf_entry entry = {
        .key = key,
        .value = value,
        .origin = pf_settings_item_origin(p->f->settings, PF_SETTING_PORT, p->index),
        .error = p->f->error,
    };
    int64_t number = 0;
    int r;

    if (pf_setting_find(key, &entry.id) < 0)
        return pf_entry_refuse_key(&entry);
    if (!may_be_own(entry.id))
        return refuse_port(p, "a single port cannot have the setting", key);
    if (p->own_count == PF_PORT_OWN_MAX)
        return refuse_port(p, "too many settings at", key);
    r = pf_entry_check(&entry, &number);
    if (r == 0)
        p->own[p->own_count++] = (struct pf_port_own){entry.id, value, number};
    return r;
}

static int
read_own(struct pf_port *p, char *next)
{
    while (*next != '\0') {
        char *key = next;
        char *value;
        int r;
        if (isblank((unsigned char)*next)) {
            next++;
            continue;
        }
        if (!is_assignment(next))
            return refuse_port(p, "key=value is expected at", next);
        next += strcspn(next, "=");
        *next++ = '\0';
        value = cut_value(&next);
        if (!value)
            return refuse_port(p, "the quote is not closed after", key);
        r = keep(p, key, value);
        if (r < 0)
            return r;
    }
    return 0;
}

int
pf_port_read(struct pf_port *p, const struct pf_freeze *f, unsigned index)
{
    const char *said = pf_settings_item(f->settings, PF_SETTING_PORT, index);
    char *own;

    p->f = f;
    p->index = index;
    p->own_count = 0;
    p->address = p->text;
    if (strlen(said) >= sizeof p->text)
        return pf_freeze_refuse(f, PF_SETTING_PORT, index, EINVAL, "it is too long");
    memcpy(p->text, said, strlen(said) + 1);
    own = find_own(p->text);
    if (*own == '\0')
        return 0;
    *own = '\0';
    return read_own(p, own + 1);
}

/* The last one said counts, as in a file. */
static const struct pf_port_own *
find(const struct pf_port *p, enum pf_setting_id id)
{
    for (unsigned i = p->own_count; i > 0; i--) {
        if (p->own[i - 1].id == id)
            return &p->own[i - 1];
    }
    return NULL;
}

/* The entry of a list that goes with this port: the last one serves all further ports. */
static unsigned
paired(const struct pf_port *p, enum pf_setting_id id)
{
    unsigned count = pf_settings_item_count(p->f->settings, id);

    return p->index < count ? p->index : count - 1;
}

const char *
pf_port_text(const struct pf_port *p, enum pf_setting_id id)
{
    const struct pf_port_own *own = find(p, id);

    if (own)
        return own->text;
    if (pf_setting_row(id)->number == PF_NUMBER_SCALAR)
        return pf_settings_text(p->f->settings, id);
    return pf_settings_item(p->f->settings, id, paired(p, id));
}

unsigned
pf_port_number(const struct pf_port *p, enum pf_setting_id id)
{
    const struct pf_port_own *own = find(p, id);

    return own ? (unsigned)own->number : pf_settings_number(p->f->settings, id);
}

bool
pf_port_flag(const struct pf_port *p, enum pf_setting_id id)
{
    const struct pf_port_own *own = find(p, id);

    return own ? own->number != 0 : pf_settings_flag(p->f->settings, id);
}

unsigned
pf_port_choice(const struct pf_port *p, enum pf_setting_id id)
{
    const struct pf_port_own *own = find(p, id);

    return own ? (unsigned)own->number : pf_settings_choice(p->f->settings, id);
}

pf_time
pf_port_span(const struct pf_port *p, enum pf_setting_id id)
{
    const struct pf_port_own *own = find(p, id);

    return own ? own->number : pf_settings_span(p->f->settings, id);
}

bool
pf_port_has_own(const struct pf_port *p, enum pf_setting_id id)
{
    return find(p, id) != NULL;
}

unsigned
pf_port_item_count(const struct pf_port *p, enum pf_setting_id id)
{
    unsigned count = 0;

    if (!pf_port_has_own(p, id))
        return pf_settings_item_count(p->f->settings, id);
    for (unsigned i = 0; i < p->own_count; i++)
        count += p->own[i].id == id;
    return count;
}

const char *
pf_port_item(const struct pf_port *p, enum pf_setting_id id, unsigned index)
{
    if (!pf_port_has_own(p, id))
        return pf_settings_item(p->f->settings, id, index);
    for (unsigned i = 0; i < p->own_count; i++) {
        if (p->own[i].id == id && index-- == 0)
            return p->own[i].text;
    }
    return NULL;
}

bool
pf_port_is_set(const struct pf_port *p, enum pf_setting_id id)
{
    return find(p, id) || pf_settings_is_set(p->f->settings, id);
}

enum pf_setting_id
pf_port_said_by(const struct pf_port *p, enum pf_setting_id id, unsigned *ret_index)
{
    bool own = find(p, id) != NULL;

    *ret_index = 0;
    if (own)
        *ret_index = p->index;
    else if (pf_setting_row(id)->number == PF_NUMBER_LIST)
        *ret_index = paired(p, id);
    return own ? PF_SETTING_PORT : id;
}

int
pf_port_refuse(const struct pf_port *p, enum pf_setting_id id, int errnum,
               const char *format, ...)
{
    char what[PF_ERROR_TEXT_BYTES];
    unsigned index;
    enum pf_setting_id said_by = pf_port_said_by(p, id, &index);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args); /* cut is fine */
    va_end(args);
    if (said_by == id)
        return pf_freeze_refuse(p->f, id, index, errnum, "%s", what);
    return pf_freeze_refuse(p->f, said_by, index, errnum, "%s: %s", pf_setting_row(id)->key,
                            what);
}

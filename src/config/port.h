/* One port with the settings that belong to it alone.
 *
 * A port may carry settings of its own behind its address:
 *
 *     port 8443/ssl SSL_cert_file=/etc/x.pem SSL_key_file=/etc/x.key listen=64
 *
 * Each word is a setting's key, =, and its value, which may stand in double quotes if there
 * are blanks in it. What a port does not set for itself it has from the setting of that
 * name, and lists like host, which are paired with ports, from the entry at its index. */
#ifndef PF_CONFIG_PORT_H
#define PF_CONFIG_PORT_H

#include "config/freeze.h"

#include <stdint.h>

enum {
    PF_PORT_TEXT_BYTES = 2048,
    PF_PORT_OWN_MAX = 32,
};

struct pf_port_own {
    enum pf_setting_id id;
    const char *text; /* in the port's text */
    int64_t number;   /* as pf_entry_check() has it */
};

struct pf_port {
    const struct pf_freeze *f;
    unsigned index;
    const char *address;           /* what stands before the port's own settings */
    char text[PF_PORT_TEXT_BYTES]; /* cut up by reading */
    unsigned own_count;
    struct pf_port_own own[PF_PORT_OWN_MAX];
};

/* Read the port setting at index. 0, or refused with the sentence in f->error. */
PF_MUST_USE int pf_port_read(struct pf_port *p, const struct pf_freeze *f, unsigned index);

/* The value for this port: its own, else that of the setting. As pf_settings_text() and so
 * on; texts are borrowed from p or the settings. */
const char *pf_port_text(const struct pf_port *p, enum pf_setting_id id);
unsigned pf_port_number(const struct pf_port *p, enum pf_setting_id id);
bool pf_port_flag(const struct pf_port *p, enum pf_setting_id id);
unsigned pf_port_choice(const struct pf_port *p, enum pf_setting_id id);
pf_time pf_port_span(const struct pf_port *p, enum pf_setting_id id);
bool pf_port_is_set(const struct pf_port *p, enum pf_setting_id id);

/* The port says this for itself. */
bool pf_port_has_own(const struct pf_port *p, enum pf_setting_id id);

/* Entries of a list that is not paired with ports: the port's own, else all of the setting.
 * NULL past the last. */
unsigned pf_port_item_count(const struct pf_port *p, enum pf_setting_id id);
const char *pf_port_item(const struct pf_port *p, enum pf_setting_id id, unsigned index);

/* The setting, and the index in it, whose origin is that of the value: the port itself if
 * the value is its own. */
enum pf_setting_id pf_port_said_by(const struct pf_port *p, enum pf_setting_id id,
                                   unsigned *ret_index);

/* Refuse a value of this port: told about where the value stands, which is the port's line
 * if it is its own. Returns -errnum. */
int pf_port_refuse(const struct pf_port *p, enum pf_setting_id id, int errnum,
                   const char *format, ...) PF_PRINTF(4, 5);

#endif

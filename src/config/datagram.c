/* What ports need for datagrams.
 *
 * Flags of recv(2) are a number or names. The number is that of this system; only flags
 * with which a datagram is still received once, whole and at once are let through. The
 * others are refused one by one, with what they would do.
 *
 * A program that is started for each connection (handler nowait) has nothing to read a
 * datagram from: it would find the socket that the whole pool shares. inetd makes such
 * services "wait", and so does the sentence here. */
#include "base/text.h"
#include "config/freeze.h"
#include "config/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    WORD_BYTES = 40,
};

struct flag {
    const char *name;
    int value;
    const char *fault; /* why it cannot be; NULL: it can */
};

static const struct flag flags[] = {
    {"MSG_TRUNC", MSG_TRUNC, NULL},
    {"MSG_DONTWAIT", MSG_DONTWAIT, NULL},
    {"MSG_WAITALL", MSG_WAITALL, NULL},
    {"MSG_NOSIGNAL", MSG_NOSIGNAL, NULL},
    {"MSG_CMSG_CLOEXEC", MSG_CMSG_CLOEXEC, NULL},
    {"MSG_PEEK", MSG_PEEK, "would serve the same datagram without end"},
    {"MSG_OOB", MSG_OOB, "is for streams: no datagram would be received"},
    {"MSG_ERRQUEUE", MSG_ERRQUEUE, "reads errors only: no datagram would be received"},
};

/* Adds the flag of this name to *value: its fault, or NULL. */
static const char *
add_name(const char *name, int *value)
{
    for (size_t i = 0; i < PF_COUNT(flags); i++) {
        if (strcasecmp(name, flags[i].name) == 0) {
            *value |= flags[i].value;
            return flags[i].fault;
        }
    }
    return "is not a flag of recv(2) that is known here; 0 is the default";
}

/* The same for all flags that a number is the sum of. */
static const char *
add_number(uint64_t number, int *value)
{
    for (size_t i = 0; i < PF_COUNT(flags); i++) {
        if ((number & (uint64_t)flags[i].value) == 0)
            continue;
        if (flags[i].fault)
            return flags[i].fault;
        *value |= flags[i].value;
        number &= ~(uint64_t)flags[i].value;
    }
    return number == 0 ? NULL : "is not a sum of flags of recv(2) that are known here";
}

/* Read flags: NULL, or the fault of the word that is copied to fault_word. */
static const char *
read_flags(const char *text, int *ret_value, char fault_word[WORD_BYTES])
{
    const char *separators = " \t,|";
    const char *fault = NULL;
    int value = 0;

    while (!fault && *(text += strspn(text, separators)) != '\0') {
        size_t length = strcspn(text, separators);
        uint64_t number;
        (void)snprintf(fault_word, WORD_BYTES, "%.*s", (int)length, text); /* cut is fine */
        fault = pf_text_number(fault_word, &number) == 0 ? add_number(number, &value)
                                                         : add_name(fault_word, &value);
        text += length;
    }
    if (!fault)
        *ret_value = value;
    return fault;
}

static int
freeze_flags(const struct pf_port *p, struct pf_endpoint *e)
{
    char word[WORD_BYTES] = "";
    const char *fault =
        read_flags(pf_port_text(p, PF_SETTING_UDP_RECV_FLAGS), &e->recv_flags, word);

    if (fault)
        return pf_port_refuse(p, PF_SETTING_UDP_RECV_FLAGS, EINVAL, "%s %s", word, fault);
    return 0;
}

/* unix_type counts where the port itself does not say the type. */
static int
freeze_unix_type(const struct pf_port *p, struct pf_endpoint *e)
{
    const char *type = pf_port_text(p, PF_SETTING_UNIX_TYPE);
    bool datagrams;

    if (!type)
        return 0;
    datagrams = strcasecmp(type, "sock_dgram") == 0 || strcmp(type, "2") == 0;
    if (!datagrams && strcasecmp(type, "sock_stream") != 0 && strcmp(type, "1") != 0)
        return pf_port_refuse(p, PF_SETTING_UNIX_TYPE, EINVAL,
                              "\"%.40s\" is neither SOCK_STREAM (1) nor SOCK_DGRAM (2)",
                              type);
    if (datagrams && e->proto == PF_PROTO_UNIX && !e->has_type)
        e->proto = PF_PROTO_UNIXDGRAM;
    return 0;
}

/* Without anything to run, handler auto may still become something else. */
static bool
runs_programs(const struct pf_freeze *f)
{
    const struct pf_recipe *recipe = &f->config->recipe;

    return recipe->handler == PF_HANDLER_NOWAIT &&
           (recipe->program || pf_settings_choice(f->settings, PF_SETTING_HANDLER) ==
                                   PF_CHOICE_HANDLER_NOWAIT);
}

int
pf_freeze_datagrams(const struct pf_port *p, struct pf_endpoint *e)
{
    int r = freeze_unix_type(p, e);

    if (r == 0)
        r = freeze_flags(p, e);
    if (r < 0)
        return r;
    e->recv_len = pf_port_number(p, PF_SETTING_UDP_RECV_LEN);
    e->broadcast = pf_port_flag(p, PF_SETTING_UDP_BROADCAST);
    if (pf_proto_is_datagram(e->proto) && runs_programs(p->f))
        return pf_freeze_refuse(p->f, PF_SETTING_PORT, p->index, EINVAL,
                                "\"%.80s\" is for datagrams, which a program that is "
                                "started for each connection cannot read: use handler "
                                "wait, which gives the program the socket",
                                p->address);
    return 0;
}

int
pf_freeze_datagram_defaults(const struct pf_freeze *f)
{
    struct pf_recipe *recipe = &f->config->recipe;
    const char *text = pf_settings_text(f->settings, PF_SETTING_UDP_RECV_FLAGS);
    char word[WORD_BYTES] = "";
    const char *fault = read_flags(text, &recipe->udp_recv_flags, word);

    if (fault)
        return pf_freeze_refuse(f, PF_SETTING_UDP_RECV_FLAGS, 0, EINVAL, "%s %s", word,
                                fault);
    recipe->udp_recv_len = pf_settings_number(f->settings, PF_SETTING_UDP_RECV_LEN);
    return 0;
}

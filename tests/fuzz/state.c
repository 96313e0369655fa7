/* The state that one master hands to the next. What is taken is written again as the same:
 * nothing in it is lost, and nothing comes in that the writer could not have written. */
#include "link/state.h"

#include "fuzz.h"

#include <string.h>

enum {
    WORKERS = 8,
};

/* Everything that whoever takes over uses without asking again. */
static void
require_bounds(const struct pf_state *s)
{
    REQUIRE(s->listener_count <= PF_STATE_LISTENERS_MAX);
    REQUIRE(s->file_count <= PF_STATE_FILES_MAX);
    REQUIRE(s->waiter_count <= PF_STATE_WAITERS_MAX);
    REQUIRE(s->worker_count <= s->worker_capacity);
    REQUIRE(memchr(s->name, '\0', sizeof s->name));
    REQUIRE(memchr(s->reason, '\0', sizeof s->reason));
    REQUIRE(memchr(s->pid_file, '\0', sizeof s->pid_file));
    REQUIRE(memchr(s->score_file, '\0', sizeof s->score_file));
    for (unsigned i = 0; i < s->listener_count; i++)
        REQUIRE(memchr(s->listeners[i].address, '\0', sizeof s->listeners[i].address));
    for (unsigned i = 0; i < s->file_count; i++)
        REQUIRE(memchr(s->files[i].path, '\0', sizeof s->files[i].path));
}

static void
require_descriptor(void *context, int *fd)
{
    (void)context;
    REQUIRE(*fd >= -1);
}

/* The text of it; to be freed. */
static char *
print(struct pf_state *s)
{
    size_t bytes = pf_state_bytes(WORKERS);
    char *text = malloc(bytes);
    size_t length = 0;

    REQUIRE(text && pf_state_print(s, text, bytes, &length) == 0);
    REQUIRE(length < bytes && text[length] == '\0');
    return text;
}

static struct pf_state *
new_state(void)
{
    struct pf_state *s = calloc(1, sizeof *s);

    REQUIRE(s);
    s->workers = calloc(WORKERS, sizeof *s->workers);
    s->worker_capacity = WORKERS;
    REQUIRE(s->workers);
    return s;
}

static void
free_state(struct pf_state *s)
{
    free(s->workers);
    free(s);
}

static void
require_same_again(struct pf_state *s)
{
    struct pf_state *again = new_state();
    struct pf_error error = {0};
    char *first = print(s);
    char *copy = text_of((const uint8_t *)first, strlen(first));
    char *second;

    REQUIRE(pf_state_parse(again, copy, &error) == 0);
    second = print(again);
    REQUIRE(strcmp(first, second) == 0);
    free(first);
    free(second);
    free(copy);
    free_state(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pf_state *s = new_state();
    struct pf_error error = {0};
    char *text = text_of(data, size);

    if (pf_state_parse(s, text, &error) == 0) {
        require_bounds(s);
        pf_state_each_fd(s, require_descriptor, NULL);
        require_same_again(s);
    } else {
        REQUIRE(error.exit_code != 0 && error.text[0] != '\0');
    }
    free(text);
    free_state(s);
    return 0;
}

/* Config files: any bytes are read or refused with a sentence, and what is printed of the
 * settings is a config file that says the same. */
#include "config/config.h"
#include "config/parse.h"
#include "config/setting.h"
#include "fuzz.h"

#include <string.h>

static char *
print(const struct pf_settings *settings, size_t *ret_size)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, ret_size);

    REQUIRE(to);
    pf_config_print(settings, to);
    REQUIRE(fclose(to) == 0);
    return text;
}

static void
require_same(const struct pf_settings *a, const struct pf_settings *b)
{
    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++) {
        enum pf_setting_id id = (enum pf_setting_id)i;
        unsigned count = pf_settings_item_count(a, id);

        REQUIRE(pf_settings_item_count(b, id) == count);
        for (unsigned k = 0; k < count; k++)
            REQUIRE(strcmp(pf_settings_item(a, id, k), pf_settings_item(b, id, k)) == 0);
    }
}

static void
read_again(const struct pf_settings *settings)
{
    struct pf_settings *again = pf_settings_new();
    struct pf_error error = {0};
    size_t size = 0;
    char *text = print(settings, &size);

    REQUIRE(again);
    if (pf_parse_config(again, "printed", text, size, &error) != 0)
        (void)fprintf(stderr, "%s\n", error.text);
    REQUIRE(error.text[0] == '\0');
    require_same(settings, again);
    pf_settings_free(again);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pf_settings *settings = pf_settings_new();
    struct pf_error error = {0};
    int r;

    REQUIRE(settings);
    r = pf_parse_config(settings, "fuzz.conf", (const char *)data, size, &error);
    REQUIRE((r == 0) == (error.text[0] == '\0'));
    REQUIRE(r == 0 || strncmp(error.text, "fuzz.conf", strlen("fuzz.conf")) == 0);
    read_again(settings);
    pf_settings_free(settings);
    return 0;
}

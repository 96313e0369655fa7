/* Command lines: words divided by newlines. What is used is never more than there is. */
#include "config/options.h"

#include "config/setting.h"
#include "fuzz.h"

#include <string.h>

enum {
    WORDS_MAX = 64,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pf_settings *settings = pf_settings_new();
    struct pf_error error = {0};
    char *text = text_of(data, size);
    char *argv[WORDS_MAX + 2] = {"fuzz"};
    char *rest = text;
    int used = -1;
    int argc = 1;
    int r;

    REQUIRE(settings);
    while (rest && argc <= WORDS_MAX)
        argv[argc++] = strsep(&rest, "\n");
    r = pf_options_parse(settings, argc, argv, &used, &error);
    REQUIRE(r < 0 ? used == -1 : used >= 1 && used <= argc);
    REQUIRE((r < 0) == (error.text[0] != '\0'));
    pf_settings_free(settings);
    free(text);
    return 0;
}

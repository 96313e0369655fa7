/* Where the value stands that the system refused.
 *
 * What is wrong with a value by itself is found while it is read, and told with file and
 * line. What only shows when something is opened, such as a port that is in use, is told by
 * the room that tries, which knows nothing of files: the place is put in front of its
 * sentence afterwards. */
#include "base/text.h"
#include "config/config.h"
#include "config/setting.h"

#include <string.h>

void
pf_config_blame(const struct pf_config *config, const char *key, unsigned index,
                struct pf_error *error)
{
    char sentence[PF_ERROR_TEXT_BYTES];
    const struct pf_origin *origin;
    enum pf_setting_id id;
    struct pf_text t;

    if (!config->settings || pf_setting_find(key, &id) < 0)
        return;
    origin = pf_settings_item_origin(config->settings, id, index);
    if (!origin || origin->kind != PF_ORIGIN_FILE)
        return;
    memcpy(sentence, error->text, sizeof sentence);
    pf_text_init(&t, error->text, sizeof error->text);
    pf_origin_add(&t, origin, id);
    pf_text_add(&t, ": %s", sentence);
}

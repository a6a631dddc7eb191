/* The metadata of a committed offset: whatever parses must format to the same text. */
#include <stdlib.h>
#include <string.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct vd_commit_note note;
    struct vd_err err = {0};
    char again[VD_COMMIT_NOTE_BYTES];

    if (vd_commit_note_parse((const char *)bytes, len, &note, &err) == VD_OK) {
        vd_commit_note_format(&note, again);
        if (len != strlen(again) || memcmp(again, bytes, len) != 0) {
            abort();
        }
    }
    return 0;
}

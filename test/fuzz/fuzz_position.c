/* The position header: whatever parses must format to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct vd_position position;
    struct vd_err err = {0};
    uint8_t again[VD_POSITION_BYTES];

    if (vd_position_parse(bytes, len, &position, &err) == VD_OK) {
        vd_position_format(&position, again);
        if (len != sizeof(again) || memcmp(again, bytes, len) != 0) {
            abort();
        }
    }
    return 0;
}

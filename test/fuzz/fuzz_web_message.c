/* Text frames of websocket clients: taken apart without reading beyond the end, and what is found
 * is in range. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "web_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len > 0 ? len : 1); /* exactly as long, so that one byte more is seen */
    struct vd_web_message message;

    if (len > 0) {
        memcpy(text, bytes, len);
    }
    message = vd_web_message_parse(text, len);
    assert(message.seq <= 9007199254740991);
    assert(message.min_ms == 0 ||
           (message.min_ms >= VD_WEB_RATE_MIN_MS && message.min_ms <= VD_WEB_RATE_MAX_MS));
    free(text);
    return 0;
}

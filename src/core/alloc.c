/* Memory that is never refused. */
#include "alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* No stdio here: it may want memory, too. */
static void __attribute__((noreturn)) die(void)
{
    static const char words[] = "votingd: out of memory\n";
    ssize_t written = write(STDERR_FILENO, words, sizeof(words) - 1);

    (void)written; /* nothing is left to be done about it */
    abort();
}

void *vd_alloc(size_t bytes)
{
    return vd_alloc_array(1, bytes);
}

void *vd_alloc_array(size_t count, size_t bytes)
{
    void *memory;

    if (count == 0 || bytes == 0) {
        count = bytes = 1; /* calloc may answer NULL to nothing */
    }
    memory = calloc(count, bytes);
    if (memory == NULL) {
        die();
    }
    return memory;
}

void *vd_realloc(void *memory, size_t bytes)
{
    void *moved = realloc(memory, bytes > 0 ? bytes : 1);

    if (moved == NULL) {
        die();
    }
    return moved;
}

char *vd_strdup(const char *text)
{
    return text != NULL ? vd_memdup(text, strlen(text) + 1) : NULL;
}

char *vd_strndup(const char *text, size_t bytes)
{
    size_t len;
    char *copy;

    if (text == NULL) {
        return NULL;
    }
    len = strnlen(text, bytes);
    copy = vd_realloc(NULL, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void *vd_memdup(const void *memory, size_t bytes)
{
    void *copy;

    if (memory == NULL) {
        return NULL;
    }
    copy = vd_realloc(NULL, bytes);
    memcpy(copy, memory, bytes);
    return copy;
}

char *vd_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        die();
    }
    return text;
}

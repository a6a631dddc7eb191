/* A bounded ELF reader: section headers, the dynamic section and the dynamic symbols, no more. It
 * finds honest mistakes; a file that lies in its section headers could do worse once
 * it is loaded. */
#include "plugin_elf.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "stage.h"

#define SECTIONS_MAX 4096
#define SYMBOLS_MAX 1000000

/* Placed by the linker at the front of this program: what machine we are. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

struct elf {
    const unsigned char *bytes;
    size_t len;
    ElfW(Ehdr) head;
};

/* A run of equal structures in the file, with the texts they refer to. */
struct elf_table {
    const unsigned char *entries;
    size_t count;
    const char *texts; /* ends with a zero byte */
    size_t texts_len;
};

/* Kafka, PostgreSQL, HTTP and TLS belong to the host: a second copy in the process, or one behind
 * its back, would fight over signals, threads and global state. */
static const char *const forbidden_libraries[] = {
    "librdkafka.so", "libpq.so",     "libcurl.so",   "libcurl-", "libcivetweb.so",
    "libssl.so",     "libcrypto.so", "libgnutls.so", "libuv.so",
};
static const char *const forbidden_symbols[] = {
    "rd_kafka_", "PQ",      "curl_",    "mg_",   "SSL_", "TLS_",
    "EVP_",      "CRYPTO_", "OPENSSL_", "X509_", "uv_",
};

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_in_file(const struct elf *elf, uint64_t offset, uint64_t bytes)
{
    return offset <= elf->len && bytes <= elf->len - offset;
}

static enum vd_status read_head(struct elf *elf, struct vd_err *err)
{
    if (elf->len < sizeof(elf->head) || memcmp(elf->bytes, ELFMAG, SELFMAG) != 0) {
        return vd_fail(err, VD_INVALID, "not a shared object; build it with -shared -fPIC");
    }
    memcpy(&elf->head, elf->bytes, sizeof(elf->head));
    if (elf->head.e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        elf->head.e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
        elf->head.e_machine != __ehdr_start.e_machine) {
        return vd_fail(err, VD_INVALID,
                       "machine: found %u, wanted %u; build it for the machine votingd runs on",
                       (unsigned)elf->head.e_machine, (unsigned)__ehdr_start.e_machine);
    }
    if (elf->head.e_type != ET_DYN) {
        return vd_fail(err, VD_INVALID, "not a shared object; build it with -shared -fPIC");
    }
    if (elf->head.e_shentsize != sizeof(ElfW(Shdr)) || elf->head.e_shnum == 0 ||
        elf->head.e_shnum > SECTIONS_MAX ||
        !is_in_file(elf, elf->head.e_shoff, (uint64_t)elf->head.e_shnum * sizeof(ElfW(Shdr)))) {
        return vd_fail(err, VD_INVALID,
                       "its section headers are cut off or damaged; build it anew, "
                       "and leave them in when stripping it");
    }
    return VD_OK;
}

static ElfW(Shdr) section_at(const struct elf *elf, size_t i)
{
    ElfW(Shdr) section;

    memcpy(&section, elf->bytes + elf->head.e_shoff + i * sizeof(section), sizeof(section));
    return section;
}

/* The first section of a type. False: there is none, or it does not lie inside the file. */
static bool find_table(const struct elf *elf, uint32_t type, size_t entry_bytes,
                       struct elf_table *table)
{
    for (size_t i = 0; i < elf->head.e_shnum; i++) {
        ElfW(Shdr) section = section_at(elf, i);
        ElfW(Shdr) texts;

        if (section.sh_type != type) {
            continue;
        }
        if (section.sh_link >= elf->head.e_shnum ||
            !is_in_file(elf, section.sh_offset, section.sh_size)) {
            return false;
        }
        texts = section_at(elf, section.sh_link);
        if (texts.sh_type != SHT_STRTAB || texts.sh_size == 0 ||
            !is_in_file(elf, texts.sh_offset, texts.sh_size) ||
            elf->bytes[texts.sh_offset + texts.sh_size - 1] != '\0') {
            return false;
        }
        *table = (struct elf_table){
            .entries = elf->bytes + section.sh_offset,
            .count = section.sh_size / entry_bytes,
            .texts = (const char *)elf->bytes + texts.sh_offset,
            .texts_len = texts.sh_size,
        };
        return table->count <= SYMBOLS_MAX;
    }
    return false;
}

static const char *text_at(const struct elf_table *table, uint64_t offset)
{
    return offset < table->texts_len ? table->texts + offset : "";
}

static enum vd_status check_needed(const struct elf *elf, struct vd_err *err)
{
    struct elf_table table = {0};

    if (!find_table(elf, SHT_DYNAMIC, sizeof(ElfW(Dyn)), &table)) {
        return vd_fail(err, VD_INVALID, "no dynamic section; build it with -shared -fPIC");
    }
    for (size_t i = 0; i < table.count; i++) {
        ElfW(Dyn) entry;
        const char *library = NULL;

        memcpy(&entry, table.entries + i * sizeof(entry), sizeof(entry));
        if (entry.d_tag == DT_NULL) {
            break;
        }
        library = entry.d_tag == DT_NEEDED ? text_at(&table, entry.d_un.d_val) : "";
        for (size_t j = 0; j < sizeof(forbidden_libraries) / sizeof(*forbidden_libraries); j++) {
            if (begins_with(library, forbidden_libraries[j])) {
                return vd_fail(err, VD_INVALID,
                               "needs \"%s\"; use the host's services in <votingd/stage.h> and do "
                               "not link it",
                               library);
            }
        }
    }
    return VD_OK;
}

/* "PQ" alone would also forbid names that only begin that way in capitals. */
static bool is_forbidden_symbol(const char *name)
{
    for (size_t i = 0; i < sizeof(forbidden_symbols) / sizeof(*forbidden_symbols); i++) {
        if (begins_with(name, forbidden_symbols[i])) {
            return strcmp(forbidden_symbols[i], "PQ") != 0 || (name[2] >= 'a' && name[2] <= 'z');
        }
    }
    return false;
}

static enum vd_status check_symbols(const struct elf *elf, struct vd_err *err)
{
    struct elf_table table = {0};
    bool is_stage = false;

    if (!find_table(elf, SHT_DYNSYM, sizeof(ElfW(Sym)), &table)) {
        return vd_fail(err, VD_INVALID, "no dynamic symbols; build it with -shared -fPIC");
    }
    for (size_t i = 0; i < table.count; i++) {
        ElfW(Sym) symbol;
        const char *name = NULL;
        bool is_defined = false;

        memcpy(&symbol, table.entries + i * sizeof(symbol), sizeof(symbol));
        name = text_at(&table, symbol.st_name);
        is_defined = symbol.st_shndx != SHN_UNDEF;
        if (is_defined && strcmp(name, VD_STAGE_SYMBOL) == 0) {
            is_stage = true;
        }
        if (is_forbidden_symbol(name)) {
            return vd_fail(err, VD_INVALID,
                           "%s \"%s\" of a client library; use the host's services in "
                           "<votingd/stage.h> instead",
                           is_defined ? "defines" : "calls", name);
        }
    }
    if (!is_stage) {
        return vd_fail(err, VD_INVALID,
                       "exports no function " VD_STAGE_SYMBOL
                       "; end the module with VD_STAGE_EXPORT(descriptor)");
    }
    return VD_OK;
}

enum vd_status vd_plugin_elf_check(const void *bytes, size_t len, struct vd_err *err)
{
    struct elf elf = {.bytes = bytes, .len = len};

    if (read_head(&elf, err) != VD_OK || check_needed(&elf, err) != VD_OK) {
        return VD_INVALID;
    }
    return check_symbols(&elf, err);
}

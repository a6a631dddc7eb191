/* The handshake: a module's descriptor compared with what this build knows. */
#include <stdbool.h>
#include <string.h>

#include "plugin.h"

#define PORTS_MAX 64 /* in one list: a list without an end is found */
#define STATE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define OUTPUT_FLAGS \
    (VD_PORT_OPTIONAL | VD_PORT_CHAINED | VD_PORT_COPARTITIONED | VD_PORT_PLAIN | VD_PORT_REJECTED)

/* The descriptor's size at minor 0: it only ever grows at its end within a major. */
#define DESC_BYTES_MIN \
    (offsetof(struct vd_stage_desc, stop) + sizeof(((struct vd_stage_desc *)0)->stop))

static enum vd_status check_head(const struct vd_stage_desc *desc, struct vd_err *err)
{
    if (desc->magic != VD_ABI_MAGIC) {
        return vd_fail(err, VD_INVALID,
                       "magic: found 0x%08x, wanted 0x%08x; begin the descriptor with "
                       "VD_STAGE_HEAD",
                       (unsigned)desc->magic, VD_ABI_MAGIC);
    }
    if (desc->abi_major != VD_ABI_MAJOR) {
        return vd_fail(err, VD_INVALID,
                       "ABI major: found %u, wanted %u; build the module against this votingd's "
                       "<votingd/stage.h>",
                       (unsigned)desc->abi_major, (unsigned)VD_ABI_MAJOR);
    }
    if (desc->abi_minor > VD_ABI_MINOR) {
        return vd_fail(
            err, VD_INVALID,
            "ABI minor: found %u, wanted at most %u; update votingd, or build the module "
            "against this votingd's <votingd/stage.h>",
            (unsigned)desc->abi_minor, (unsigned)VD_ABI_MINOR);
    }
    if (desc->size < DESC_BYTES_MIN || desc->size > sizeof(*desc)) {
        return vd_fail(err, VD_INVALID,
                       "size: found %zu, wanted %zu to %zu; begin the descriptor with "
                       "VD_STAGE_HEAD",
                       desc->size, DESC_BYTES_MIN, sizeof(*desc));
    }
    return VD_OK;
}

static enum vd_status check_names(const struct vd_stage_desc *desc, const char *file,
                                  struct vd_err *err)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash != NULL ? slash + 1 : file;
    size_t len = strlen(base);

    if (len > 3 && strcmp(base + len - 3, ".so") == 0) {
        len -= 3;
    }
    if (desc->name == NULL || strlen(desc->name) != len || memcmp(desc->name, base, len) != 0) {
        return vd_fail(err, VD_INVALID,
                       "name: found \"%s\", wanted \"%.*s\"; file and descriptor have one name",
                       desc->name != NULL ? desc->name : "", (int)len, base);
    }
    if (desc->summary == NULL || *desc->summary == '\0' || strchr(desc->summary, '\n') != NULL) {
        return vd_fail(err, VD_INVALID,
                       "summary: found none, wanted one line of text; set .summary");
    }
    if (desc->state_size > STATE_BYTES_MAX) {
        return vd_fail(err, VD_INVALID,
                       "state_size: found %zu, wanted at most %zu; allocate large things in start",
                       desc->state_size, STATE_BYTES_MAX);
    }
    if ((desc->flags & ~(VD_STAGE_SERIAL | VD_STAGE_KEEPS_POSITION)) != 0) {
        return vd_fail(err, VD_INVALID, "flags: found 0x%x, wanted those of votingd/stage.h",
                       desc->flags);
    }
    return VD_OK;
}

static bool is_port_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return len > 0 && len <= 64 && name[len] == '\0';
}

static bool is_first_of_name(const struct vd_port *ports, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(ports[j].name, ports[i].name) == 0) {
            return false;
        }
    }
    return true;
}

/* One list of ports; 'kind' is "input", "output" or "table", 'flags' what one of them may have. */
static enum vd_status check_ports(const struct vd_port *ports, const char *kind, unsigned flags,
                                  struct vd_err *err)
{
    for (size_t i = 0; ports != NULL && ports[i].name != NULL; i++) {
        if (i == PORTS_MAX) {
            return vd_fail(err, VD_INVALID, "%ss: found more than %d, wanted VD_PORT_END last",
                           kind, PORTS_MAX);
        }
        if ((ports[i].flags & flags & VD_PORT_FURTHER) != 0) {
            if (strcmp(ports[i].name, "*") != 0 || ports[i + 1].name != NULL) {
                return vd_fail(err, VD_INVALID,
                               "%s \"%s\": any number of them, wanted the name \"*\" and the last "
                               "place",
                               kind, ports[i].name);
            }
        } else if (!is_port_name(ports[i].name)) {
            return vd_fail(err, VD_INVALID,
                           "%s \"%.64s\": a name has 1 to 64 letters, digits, '_' and '-'", kind,
                           ports[i].name);
        }
        if (!is_first_of_name(ports, i)) {
            return vd_fail(err, VD_INVALID, "%s \"%s\": found twice, wanted once", kind,
                           ports[i].name);
        }
        if ((ports[i].flags & ~flags) != 0) {
            return vd_fail(err, VD_INVALID,
                           "%s \"%s\": flags: found 0x%x, wanted only some of 0x%x", kind,
                           ports[i].name, ports[i].flags, flags);
        }
    }
    return VD_OK;
}

size_t vd_port_count(const struct vd_port *ports)
{
    size_t count = 0;

    while (ports != NULL && ports[count].name != NULL) {
        count++;
    }
    return count;
}

static enum vd_status check_outputs(const struct vd_stage_desc *desc, struct vd_err *err)
{
    const unsigned follows_input = VD_PORT_CHAINED | VD_PORT_COPARTITIONED;

    if (check_ports(desc->outputs, "output", OUTPUT_FLAGS, err) != VD_OK) {
        return VD_INVALID;
    }
    for (const struct vd_port *port = desc->outputs; port != NULL && port->name != NULL; port++) {
        if ((port->flags & follows_input) != 0 && (port->flags & VD_PORT_PLAIN) != 0) {
            return vd_fail(err, VD_INVALID,
                           "output \"%s\": found plain and chained or copartitioned, wanted one of "
                           "them",
                           port->name);
        }
        if ((port->flags & follows_input) != 0 && vd_port_count(desc->inputs) == 0) {
            return vd_fail(err, VD_INVALID,
                           "output \"%s\": chained or copartitioned, but there is no input to "
                           "follow",
                           port->name);
        }
    }
    return VD_OK;
}

/* Keys of a stage's section that name ports and cannot be options too. */
static enum vd_status check_option_names(const struct vd_opt *opts, struct vd_err *err)
{
    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        if (strncmp(opt->name, "input.", 6) == 0 || strncmp(opt->name, "output.", 7) == 0 ||
            strncmp(opt->name, "table.", 6) == 0) {
            return vd_fail(err, VD_INVALID,
                           "option \"%s\": input., output. and table. name ports; rename it",
                           opt->name);
        }
    }
    return VD_OK;
}

static enum vd_status check_callbacks(const struct vd_stage_desc *desc, struct vd_err *err)
{
    if (desc->batch == NULL && vd_port_count(desc->inputs) > 0) {
        return vd_fail(err, VD_INVALID,
                       "batch: found none, wanted one, since there are inputs; set .batch");
    }
    if (desc->batch == NULL && desc->start == NULL) {
        return vd_fail(err, VD_INVALID,
                       "start and batch: found neither, wanted one; set .batch or .start");
    }
    return VD_OK;
}

enum vd_status vd_plugin_check(const struct vd_stage_desc *desc, const char *file,
                               struct vd_err *err)
{
    if (check_head(desc, err) != VD_OK || check_names(desc, file, err) != VD_OK ||
        vd_opt_check(desc->opts, desc->state_size, err) != VD_OK ||
        check_option_names(desc->opts, err) != VD_OK ||
        check_ports(desc->inputs, "input", VD_PORT_OPTIONAL, err) != VD_OK ||
        check_outputs(desc, err) != VD_OK ||
        check_ports(desc->tables, "table", VD_PORT_OPTIONAL | VD_PORT_FURTHER, err) != VD_OK ||
        check_callbacks(desc, err) != VD_OK) {
        return vd_fail_in(err, "\"%s\"", file);
    }
    return VD_OK;
}

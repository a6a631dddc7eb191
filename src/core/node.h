/* One running node: everything of a topology on one loop. */
#ifndef VD_CORE_NODE_H
#define VD_CORE_NODE_H

#include "topology.h"

struct vd_node;

/* Build the node and run it until it has stopped: SIGINT and SIGTERM drain, a second one ends at
 * once. Returns: the exit code of the process (see vd_exit). */
int vd_node_run(struct vd_topology *topology);

/* Ask the broker and, if [postgres] names one, the database; create nothing: --check --connect.
 * Fails: with what is wrong with either, or both. */
enum vd_status vd_node_check_connect(struct vd_topology *topology,
                                     struct vd_err *err) VD_MUST_CHECK;

enum vd_exit {
    VD_EXIT_OK = 0,
    VD_EXIT_FAILURE = 1,  /* something outside failed for good, or a stage could not start */
    VD_EXIT_USAGE = 2,    /* the command line is wrong */
    VD_EXIT_CONFIG = 3,   /* the topology is wrong */
    VD_EXIT_FENCED = 4,   /* another process runs under this node's name */
    VD_EXIT_DEADLINE = 5, /* the drain did not end in time; nothing is lost, work is repeated */
    VD_EXIT_MOVING = 6,   /* an audit saw the election move, or unfinished */
    VD_EXIT_UNREAD = 7,   /* an audit could not read broker or database */
    VD_EXIT_FORCED = 8,   /* by a second signal; nothing is lost, work is repeated */
};

#endif

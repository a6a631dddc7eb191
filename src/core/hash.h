/* SipHash-2-4 (Aumasson, Bernstein 2012), and murmur2 as Kafka's Java client partitions keys. */
#ifndef VD_CORE_HASH_H
#define VD_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct vd_hash_key {
    uint64_t k0, k1;
};

VD_API uint64_t vd_siphash(const struct vd_hash_key *key, const void *bytes, size_t len);

/* The partition that Kafka's Java client sends 'key' to: (murmur2(key) & 0x7fffffff) modulo
 * partitions. */
VD_API int32_t vd_partition_of(const void *key, size_t len, int32_t partitions);

#endif

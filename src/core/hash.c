/* SipHash-2-4 and Kafka's murmur2. */
#include "hash.h"

#include <assert.h>

/* By bytes: neither alignment nor byte order of the machine matters. */
static uint64_t le64(const uint8_t *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static uint32_t le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void sip_rounds(uint64_t v[4], unsigned rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

uint64_t vd_siphash(const struct vd_hash_key *key, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t last = (uint64_t)len << 56;
    uint64_t v[4] = {
        key->k0 ^ 0x736f6d6570736575u, /* "somepseudorandomlygeneratedbytes" */
        key->k1 ^ 0x646f72616e646f6du,
        key->k0 ^ 0x6c7967656e657261u,
        key->k1 ^ 0x7465646279746573u,
    };

    for (size_t words = len / 8; words > 0; words--, at += 8) {
        uint64_t word = le64(at);

        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
    }
    for (unsigned i = 0; i < len % 8; i++) {
        last |= (uint64_t)at[i] << (8 * i);
    }
    v[3] ^= last;
    sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* MurmurHash2 (Appleby), with the seed that Kafka's Java client uses. */
static uint32_t murmur2(const uint8_t *at, size_t len)
{
    const uint32_t m = 0x5bd1e995u;
    uint32_t hash = 0x9747b28cu ^ (uint32_t)len;

    for (size_t words = len / 4; words > 0; words--, at += 4) {
        uint32_t word = le32(at) * m;

        word = (word ^ word >> 24) * m;
        hash = hash * m ^ word;
    }
    if (len % 4 > 0) {
        for (unsigned i = 0; i < len % 4; i++) {
            hash ^= (uint32_t)at[i] << (8 * i);
        }
        hash *= m;
    }
    hash = (hash ^ hash >> 13) * m;
    return hash ^ hash >> 15;
}

int32_t vd_partition_of(const void *key, size_t len, int32_t partitions)
{
    assert(partitions > 0);
    return (int32_t)(murmur2(key, len) & 0x7fffffffu) % partitions;
}

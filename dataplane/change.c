/*
 * change.c: the hash that names an entity's place.
 *
 * One function, because three parties must agree on it: decoders compute it once, the router takes
 * the shard from it, the store takes the bucket. XXH3-64 without a seed: the same in every process,
 * so HBase's row keys can use it too. It is not a defence against chosen keys; the store bounds its
 * chains itself.
 */
#include "dataplane/change.h"

#include <xxhash.h>

uint64_t key_hash(struct slice key)
{
    return XXH3_64bits(key.data, key.len);
}

"""The smallest sizes of everything that has one, built into a copy of the sources: (file, old text, new text).

Rings of 2, frames of 2 changes (a key change makes two) and one frame a shard, one pending document, one lookup, of a
few keys, and a store whose spans are a 64th of their size, as it is itself: some documents fill it. Sizes that the
config has (documents a batch, batches in flight) are drawn from the seed anyway.
"""
TIGHT = [
    ("dataplane/pipeline.h", "#define FRAMES 8 ", "#define FRAMES 1 "),
    ("dataplane/pipeline.h", "#define LOOKUPS_MAX   4 ", "#define LOOKUPS_MAX   1 "),
    ("dataplane/pipeline.h", "#define CLOCK_HISTORY 16", "#define CLOCK_HISTORY 2"),
    ("tests/sim/source_port.c", "HISTORY = 16 }", "HISTORY = 2 }"),
    ("dataplane/pipeline.c", "#define INBOX_SLOTS 16", "#define INBOX_SLOTS 2"),
    ("dataplane/frame.h", "#define FRAME_CHANGES_MAX 256", "#define FRAME_CHANGES_MAX 2"),
    ("dataplane/hydrator.c", "#define LOOKUP_KEYS_MAX 8192", "#define LOOKUP_KEYS_MAX 2"),
    ("tests/sim/main.c", "#define DRAIN_US   UINT64_C(180000000)", "#define DRAIN_US   UINT64_C(900000000)"),
    # pools
    ("control/boot.c", "(uint32_t)(store_bytes / BYTES_PER_PENDING)", "1"),
    # the store
    ("control/boot.c", "#define SHARE_BYTES_LEAST ((size_t)8 << 20)", "#define SHARE_BYTES_LEAST ((size_t)128 << 10)"),
    ("tests/sim/main.c", "world.share_bytes = (size_t)8 << 20;", "world.share_bytes = (size_t)128 << 10;"),
    ("tests/sim/changelog.h", "ROW_BYTES_MOST = 20000, EVENT_BYTES_MAX = 65536",
     "ROW_BYTES_MOST = 2000, EVENT_BYTES_MAX = 16384"),
    ("dataplane/base/slab.c", "#define SPAN_BYTES  ((size_t)65536)", "#define SPAN_BYTES  ((size_t)1024)"),
    ("dataplane/base/slab.c", "#define BLOCK_MAX   ((size_t)16384)", "#define BLOCK_MAX   ((size_t)256)"),
    ("dataplane/base/slab.c", "#define CLASS_COUNT 72 ", "#define CLASS_COUNT 24 "),
    ("dataplane/store.c", "#define SPAN_BYTES        ((size_t)65536)", "#define SPAN_BYTES        ((size_t)1024)"),
    ("dataplane/store.c", "#define SWEEP_BUCKETS     1024", "#define SWEEP_BUCKETS     1"),
    ("dataplane/store.c", "#define EVICT_BUCKETS     2048", "#define EVICT_BUCKETS     2"),
    ("dataplane/store.c", "#define BAG_BLOCKS        61", "#define BAG_BLOCKS        2"),
    ("dataplane/store.c", "#define BAGS              4096", "#define BAGS              4"),
    ("dataplane/store.c", "    size_t n = 1024;\n", "    size_t n = 2;\n"),
    # the drivers
    ("drivers/elasticsearch/elasticsearch.c", "#define LOOKUPS              2u", "#define LOOKUPS              1u"),
    ("drivers/elasticsearch/lookup.h", "#define LOOKUP_KEYS_MAX 2000u", "#define LOOKUP_KEYS_MAX 2u"),
    ("drivers/hbase/hbase.c", "#define GETS             4u", "#define GETS             1u"),
    ("drivers/hbase/get.h", "#define GET_KEYS_MAX 2048u", "#define GET_KEYS_MAX 2u"),
    ("drivers/hbase/route.h", "#define ROUTE_CALL_ACTIONS_MAX 5000u", "#define ROUTE_CALL_ACTIONS_MAX 2u"),
    ("drivers/hbase/meta.h", "#define META_PAGE_ROWS 1000u", "#define META_PAGE_ROWS 2u"),
]

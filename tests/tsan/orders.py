"""Orders between threads, each broken by edits: [(file, old text, new text)], for tests/tsan/canaries.

Where a text is not found any more lint says so: whoever changed the place decides how its order is broken now.
"""
ORDERS = {
    # The ring: the slot is written, the fence, the tail is written.
    "ring_without_its_fence": [
        ("tests/tsan/ck_pr.h", "    ck_pr_fence_store();\n    tsan_fenced = 1;\n", "    ck_pr_fence_store();\n")],
    # A frame goes back to who filled it by its counter.
    "frame_is_given_back_relaxed": [
        ("dataplane/apply.c", "__atomic_sub_fetch(&frame->shards_left, 1, __ATOMIC_ACQ_REL)",
         "__atomic_sub_fetch(&frame->shards_left, 1, __ATOMIC_RELAXED)")],
    "frame_is_taken_back_relaxed": [
        ("dataplane/intake.c", "__atomic_load_n(&frame->shards_left, __ATOMIC_ACQUIRE) == 0",
         "__atomic_load_n(&frame->shards_left, __ATOMIC_RELAXED) == 0")],
    # The mailbox.
    "command_is_posted_relaxed": [
        ("dataplane/shard.c", "__atomic_store_n(&shard->posted, shard->posted + 1, __ATOMIC_RELEASE)",
         "__atomic_store_n(&shard->posted, shard->posted + 1, __ATOMIC_RELAXED)")],
    "command_is_obeyed_relaxed": [
        ("dataplane/shard.c", "__atomic_store_n(&shard->obeyed, posted, __ATOMIC_RELEASE)",
         "__atomic_store_n(&shard->obeyed, posted, __ATOMIC_RELAXED)")],
    # What readers of the store see.
    "entity_is_published_relaxed": [
        ("dataplane/store.c", "__atomic_store_n(bucket, entity, __ATOMIC_RELEASE)",
         "__atomic_store_n(bucket, entity, __ATOMIC_RELAXED)")],
    "row_is_replaced_relaxed": [
        ("dataplane/store.c", "__atomic_store_n(&set->rows[place], row, __ATOMIC_RELEASE)",
         "__atomic_store_n(&set->rows[place], row, __ATOMIC_RELAXED)")],
    "row_set_is_published_relaxed": [
        ("dataplane/store.c", "__atomic_store_n(&entity->rows, grown, __ATOMIC_RELEASE)",
         "__atomic_store_n(&entity->rows, grown, __ATOMIC_RELAXED)")],
    # Epochs: memory waits for the readers that are inside.
    "row_is_freed_under_readers": [
        ("dataplane/store.c", "        retire(store, old);\n        return true;",
         "        slab_give(store->slab, old);\n        return true;")],
    "reader_leaves_before_it_has_read": [
        ("dataplane/store.c", "        store_read_end(reader);\n        return false;",
         "        (void)ck_epoch_end(&reader->record, &reader->section);\n        return false;"),
        ("dataplane/store.c", "    *entity = at;\n    return true;",
         "    *entity = at;\n    (void)ck_epoch_end(&reader->record, &reader->section);\n    return true;"),
        ("dataplane/store.c",
         "void store_read_end(struct store_reader *reader)\n{\n"
         "    (void)ck_epoch_end(&reader->record, &reader->section);",
         "void store_read_end(struct store_reader *reader)\n{\n    (void)reader;")],
    # A pending document's record.
    "pending_state_is_a_plain_store": [
        ("dataplane/pending.c", "__atomic_store_n(&at->state, (uint8_t)state, __ATOMIC_RELEASE)",
         "at->state = (uint8_t)state")],
    "pending_record_begins_plainly": [
        ("dataplane/pending.c", "__atomic_store_n(&pending->entity, entity, __ATOMIC_RELAXED)",
         "pending->entity = entity")],
}

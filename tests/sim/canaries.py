"""Known bugs: each is built into a copy of the sources, and the simulator must catch it.

A canary is a text of one file that is replaced by another, or several. Where a text is not found any more the canary
says so: whoever changed the place decides what its bug is now.
"""


class Canary:
    """name, then file, old text, new text, once or more."""

    def __init__(self, name, *edits):
        self.name, self.edits = name, [edits[at:at + 3] for at in range(0, len(edits), 3)]


# What a history may fail by (check.h, books.h, hydrated.h, node_memory.h, node.c): some canary must break each.
INVARIANTS = ["no loss", "clock", "no version falls", "no row falls", "drained", "documents", "fixed point",
              "counters conserve", "all comes back", "a node that hydrated", "no allocation after start",
              "a node ends for a reason"]

CANARIES = [
    # R1 to R7 of docs/ORDERING.md
    Canary("r1_commits_carry_no_clock", "control/commit.c",
           ".clock = at->durable_clock", ".clock = 1704067200000000 /* SEQNO_EPOCH */"),
    Canary("r2_version_is_the_newest_seqno", "dataplane/store.c",
           "        .version = entity->version,\n        .residual = entity->residual,\n        .n_rows",
           "        .version = ({ uint64_t newest = 0; for (uint32_t i = 0; entity->rows && i < entity->rows->n; i++)"
           " if (entity->rows->rows[i]->seqno > newest) newest = entity->rows->rows[i]->seqno; newest; }),\n"
           "        .residual = entity->residual,\n        .n_rows"),
    Canary("r3_new_entities_are_not_read_back", "dataplane/apply.c",
           "return entity->epoch < change->epoch &&", "return entity->epoch != 0 && entity->epoch < change->epoch &&"),
    Canary("r4_an_assignment_is_no_reason_to_read_back", "dataplane/apply.c",
           "return entity->epoch < change->epoch &&", "return entity->epoch == 0 && entity->epoch < change->epoch &&",
           # nor to forget what rests when a partition is given up, which would hide it
           "dataplane/shard.c", "    pipeline->sweep_partition = partition;\n", ""),
    Canary("r5_what_was_read_is_committed", "control/commit.c",
           "bool held = low_of(task, slot, &low) && low.offset < position->offset;",
           "bool held = low_of(task, slot, &low) && false;"),
    Canary("r6_deleted_documents_leave_no_state", "drivers/elasticsearch/lookup.c",
           "    if (!doc->found || item->found == LOOKUP_BROKEN)\n",
           "    if (side || !doc->found || item->found == LOOKUP_BROKEN)\n"),
    Canary("r7_a_document_comes_by_several_partitions", "tests/sim/changelog.c",
           "return (log->keyed ? key / 2", "return (false ? key / 2"),
    # and others
    Canary("commit_before_the_acknowledgement", "dataplane/pending.c",
           "watermark_move(pendings->watermark, &at->holds, &at->flying_holds);",
           "watermark_release(pendings->watermark, &at->holds);"),
    Canary("equal_seqno_wins", "dataplane/merge.c",
           "if (deleted || (!deletes && tie_order(row, change) <= 0))", "if (false && tie_order(row, change) <= 0)"),
    Canary("watermark_is_the_tail", "dataplane/watermark.c",
           "const struct hold *head = list_of(watermark, sink, partition)->head;\n        if",
           "const struct hold *head = list_of(watermark, sink, partition)->tail;\n        if"),
    Canary("conflict_is_a_failure", "drivers/elasticsearch/bulk.c",
           "\"version_conflict_engine_exception\") ? SINK_STALE",
           "\"version_conflict_engine_exception\") ? SINK_RETRY"),
    Canary("answer_is_applied_to_the_wrong_item", "drivers/elasticsearch/bulk.c",
           "struct sink_item *item = &bulk->batch.items[op->item];\n    enum sink_verdict",
           "struct sink_item *item = &bulk->batch.items[(op->item + 1) % bulk->batch.n];\n    enum sink_verdict"),
    Canary("document_is_deleted_before_its_side_state_is_acknowledged", "drivers/elasticsearch/bulk.c",
           "        if (!pass->ops[i].ready)\n            continue;\n", ""),
    Canary("a_deleted_row_comes_back", "dataplane/merge.c",
           "if (change->seqno < row->seqno)", "if (change->seqno < row->seqno && row->tombstone == 0)"),
    Canary("partial_images_forget_their_tombstone", "dataplane/merge.c",
           "        tombstone = deleted_at;\n", "        tombstone = 0;\n"),
    Canary("a_row_that_moved_stays_where_it_was", "dataplane/event_row.c",
           "    if (reading->moved)\n        emit", "    if (false && reading->moved)\n        emit"),
    Canary("purged_rows_leave_no_term", "dataplane/document_purge.c",
           "        if (document_purges(plan, document, document->rows[i]))\n            residual",
           "        if (false && document_purges(plan, document, document->rows[i]))\n            residual"),
    # no server's bug is weir's: this one shows that a version that fell would be seen
    Canary("the_index_takes_any_version", "tests/sim/search_index.c",
           "    if (conflicts(entry, op->version))\n", "    if (false && conflicts(entry, op->version))\n"),
    Canary("tombstones_are_purged_at_once", "dataplane/document_purge.c",
           "newest > retention ? newest - retention : 0", "newest > retention ? newest : 0"),
    Canary("deleted_rows_leave_no_marker", "drivers/hbase/rows_write.c",
           "    put_bytes(writer, HEAD_ROW, SLICE(\"\"), timestamp, alive ? SLICE(\"u\") : SLICE(\"d\"));",
           "    if (alive)\n        put_bytes(writer, HEAD_ROW, SLICE(\"\"), timestamp, SLICE(\"u\"));\n"
           "    else\n        put_delete(writer, HEAD_ROW, SLICE(\"\"), timestamp);"),
    Canary("a_bad_event_leaves_no_letter", "dataplane/intake.c",
           "    if (!pipeline_letter(pipeline, &letter))\n        return false;\n    uint64_t more;",
           "    (void)letter;\n    uint64_t more;"),
    # what a node's own books and disks tell (books.h, hydrated.h, node_memory.h, disk.h)
    Canary("a_retry_is_not_counted", "dataplane/outlet.c",
           "counter_add(&outlet->counters.retried, 1);", "counter_add(&outlet->counters.retried, 0);"),
    Canary("a_stale_change_is_not_counted", "dataplane/apply.c",
           "        counter_add(&pipeline->counters.stale, 1);\n", ""),
    Canary("a_hold_is_not_given_back", "dataplane/watermark.c",
           "    pool_give(&watermark->holds, hold);\n}", "    if (hold->offset % 16 != 0)\n"
           "        pool_give(&watermark->holds, hold);\n}"),
    Canary("a_dropped_document_leaves_its_row_set", "dataplane/store.c",
           "    retire(store, entity->rows);\n    retire(store, entity);\n", "    retire(store, entity);\n"),
    Canary("a_lookup_that_failed_is_not_given_back", "dataplane/hydrator.c",
           "    outlet->port->ops->lookup_recycle(outlet->port, hydrator->landing);\n",
           "    if (!hydrator->landing->failed_whole)\n"
           "        outlet->port->ops->lookup_recycle(outlet->port, hydrator->landing);\n"),
    Canary("folded_tombstones_leave_no_term", "dataplane/store_join.c",
           "    uint64_t residual = document_residual(plan, &document);\n    publish_set",
           "    uint64_t residual = document.residual;\n    publish_set"),
    Canary("what_is_read_back_counts_for_more", "dataplane/store_join.c",
           "__atomic_store_n(&entity->version, making.terms + join.residual, ",
           "__atomic_store_n(&entity->version, making.terms + join.residual + (join.n_new > 1), "),
    Canary("a_shard_allocates", "dataplane/outlet.c",
           "    counter_add(&outlet->counters.retried, 1);\n",
           "    counter_add(&outlet->counters.retried, __builtin_strdup(outlet->name)[0] != '\\0');\n"),
    Canary("a_torn_letter_is_not_ended", "drivers/dead_letter/file.c",
           "    return write_all(fd, SLICE(\"\\n\"));\n", "    return 0;\n"),
    Canary("a_new_file_has_no_durable_name", "drivers/dead_letter/file.c",
           "if (fsync(fd) != 0 && errno", "if (false && fsync(fd) != 0 && errno"),
    Canary("a_failed_task_ends_the_node_by_another_code", "control/run.c",
           "            return task->failure.code;", "            return EXIT_USAGE;"),
    Canary("a_failed_sync_is_forgotten", "drivers/dead_letter/file.c",
           "        result = fail(file, \"sync\", error, err);\n", "        result = 0;\n"),
]

"""HBase as a sink and as what states are completed from: every cell at its row's seqno, whatever happens.

What weir wrote is read by a client of the tests' own (hbase.py) and compared with cells computed from the log
(hbase_oracle.py), timestamps included.
"""
import contextlib
import json
import random

import hbase_oracle
import oracle
import workload
from harness import CANAL, CAPTURES, MAPPING, check, check_documents, check_equal, produce, test, until
from hbase import Cell, Client, RemoteError
from test_crash import drained

BY_CAPTURE = {capture.name: (capture,) for capture in CAPTURES}
BY_FORMAT = {name: BY_CAPTURE[name] for name in ("canal", "debezium")}  # with and without schema: one once decoded
SMALL = {"docs": 50, "bytes": "256KiB", "linger": "5ms", "in_flight": 4}  # many steps, so that many moments differ


# ---- both sides ----

def client(case):
    """A client, and the test's table gone at its end."""
    made = Client(case.servers.hbase)
    case.cleanups.callback(made.close)
    case.cleanups.callback(forget, made, case.unique)
    return made


def forget(table, name):
    """Drops a table; where HBase did not come back after a test that killed it, there is nothing to keep clean."""
    with contextlib.suppress(OSError, RemoteError):
        table.zookeeper.children("/hbase/rs")
        table.drop(name)


def sink(case, batch=None, regions=4, **more):
    create = {"create": {"regions": regions}} if regions else {}
    return {"hbase": {"zookeeper": [case.servers.hbase], "table": case.unique, "family": "d"} | create | more} | (
        {"batch": batch} if batch else {})


def from_file(case, path, form="canal-json", name="weir", **options):
    """Runs a file into the table to its end; returns the summary."""
    config = case.config(case.file_source(path, format=form), sink(case), name=name, **options)
    summary = case.drain(config)
    check_equal(case.letters(name), [], "dead letters")
    return summary


def replay(events, form="canal-json"):
    return oracle.replay(events, MAPPING, form)


def doubled(events):
    """Every message a second time, right behind itself, as a producer without idempotence makes it."""
    offsets, made = {}, []
    for event in events:
        for _ in range(2):
            log = event["topic"], event["partition"]
            made.append(event | {"offset": offsets.get(log, 0)})
            offsets[log] = offsets.get(log, 0) + 1
    return made


# ---- the right cells ----

@test(needs="hbase", each=BY_CAPTURE)
def file_ends_in_the_right_cells(case, capture):
    # A capture as kcat wrote it. The table is made with four regions, and each has its share.
    table = client(case)
    summary = from_file(case, capture.events, capture.format)
    check_equal(summary["events"], len(capture.load()), "events")
    cells = table.scan(case.unique)
    hbase_oracle.check_cells(cells, replay(capture.load(), capture.format), "hbase")
    hbase_oracle.check_rows(cells, replay(capture.load(), capture.format), "hbase, read by its markers")
    bounds = [region.start for region in table.regions(case.unique)]
    check_equal(len(bounds), 4, "regions")
    spread = {max(bound for bound in bounds if bound <= cell.row) for cell in cells}
    check_equal(len(spread), 4, "regions with cells")


@test(needs="hbase kafka", each=BY_FORMAT)
def kafka_ends_in_the_right_cells(case, capture):
    # The capture as its producer wrote it; then a group without commits reads the whole log again.
    table, events = client(case), capture.load()
    produce(case.servers.kafka, events, topic=lambda name: f"{case.unique}.{name}")
    topics = f"^{case.unique}[.].*"
    case.drain(case.config(case.kafka_source(topics, format=capture.format), sink(case)))
    hbase_oracle.check_cells(table.scan(case.unique), replay(events, capture.format), "hbase")
    before = table.scan(case.unique, raw=True)
    again = case.kafka_source(topics, format=capture.format, group=case.unique + "-again")
    summary = case.drain(case.config(again, sink(case), name="again"))
    check_equal((summary["events"], summary["documents_written"]), (len(events), 0), "events, documents written again")
    hbase_oracle.check_unchanged(before, table.scan(case.unique, raw=True), "the log came again")
    check_equal(case.letters() + case.letters("again"), [], "dead letters")


@test(needs="hbase", each=BY_FORMAT)
def whole_log_again_in_any_interleaving_changes_no_cell(case, capture):
    # The offsets are set back to the start, and fetches bring the partitions in another order.
    table, events = client(case), capture.load()
    from_file(case, case.write("1.ndjson", workload.interleave(events, 1)), capture.format)
    before = table.scan(case.unique, raw=True)
    for seed in (2, 3):
        summary = from_file(case, case.write("2.ndjson", workload.interleave(events, seed)), capture.format)
        check_equal(summary["documents_written"], 0, "documents written again")
        hbase_oracle.check_unchanged(before, table.scan(case.unique, raw=True), f"interleaved by seed {seed}")
    hbase_oracle.check_cells(table.scan(case.unique), replay(events, capture.format), "hbase")


@test(needs="hbase", each=BY_FORMAT)
def every_message_produced_twice_raises_timestamps_and_changes_no_value(case, capture):
    # The log, and then one that holds each message a second time: those have seqnos of their own.
    table, events = client(case), capture.load()
    from_file(case, capture.events, capture.format)
    before = table.scan(case.unique)
    from_file(case, case.write("twice.ndjson", doubled(events)), capture.format)
    after = table.scan(case.unique)
    hbase_oracle.check_same_values(before, after, "each message twice")
    check(before != after, "no timestamp rose")
    hbase_oracle.check_cells(after, replay(doubled(events), capture.format), "hbase")


@test(needs="hbase", each=[1, 2])
def random_workload_ends_in_the_right_cells_seed(case, seed):
    # Inserts, updates, deletes, key changes and re-inserts of 300 orders: rows that came and went many times.
    table = client(case)
    events = workload.Workload(seed, 300, "shop").events(10000)
    from_file(case, case.write("events.ndjson", workload.interleave(events, seed)))
    hbase_oracle.check_cells(table.scan(case.unique), replay(events), "hbase")


# ---- completed from the cells ----

@test(needs="hbase kafka")
def next_run_completes_states_from_the_cells_and_writes_only_what_changed(case):
    # Half of the log, a restart with an empty store, the other half: documents that it does not name are not written.
    table = client(case)
    log = workload.Workload(21, 400, case.unique)
    first, rest = log.events(3000), log.events(300)
    config = case.config(case.kafka_source(case.unique), sink(case))
    produce(case.servers.kafka, first)
    case.drain(config)
    hbase_oracle.check_cells(table.scan(case.unique), replay(first), "after the first half")
    produce(case.servers.kafka, rest)
    summary = case.drain(config)
    check_equal(summary["events"], len(rest), "events of the second run")
    was, now = replay(first).rows, replay(first + rest).rows
    changed = sum(was.get(key) != rows for key, rows in now.items())
    check(summary["documents_written"] <= len(rest) and changed < len(now),
          f"{summary['documents_written']} documents written for {changed} that changed")
    hbase_oracle.check_cells(table.scan(case.unique), replay(first + rest), "after the rest")


@test(needs="hbase")
def old_log_onto_newer_cells_changes_nothing(case):
    # Another node was ahead: its cells are newer than what this log says.
    table = client(case)
    log = workload.Workload(22, 300, "shop")
    old, new = log.events(3000), log.events(3000)
    from_file(case, case.write("all.ndjson", old + new))
    before = table.scan(case.unique, raw=True)
    summary = from_file(case, case.write("old.ndjson", old))
    check_equal(summary["documents_written"], 0, "documents written")
    hbase_oracle.check_unchanged(before, table.scan(case.unique, raw=True), "an old log")


@test(needs="hbase")
def another_sink_is_filled_from_the_cells(case):
    # SQLite is lost; one update of each order suffices to have all its rows there again, digits and JSON included.
    client(case)
    events = CANAL.load()
    from_file(case, CANAL.events)
    config = case.config(case.file_source(CANAL.events), None, name="both",
                         sinks={"detail": sink(case), "local": case.sqlite()}, hydrate="detail")
    case.drain(config)
    check_documents(case.sqlite_documents(), oracle.documents(events, MAPPING, "canal-json"), "sqlite")
    (case.dir / "out.db").unlink()
    last = case.write("last.ndjson", touching(events))
    config = case.config(case.file_source(last), None, name="both",
                         sinks={"detail": sink(case), "local": case.sqlite()}, hydrate="detail")
    case.drain(config)
    check_documents(case.sqlite_documents(), CANAL.documents(), "sqlite, from the cells")


def touching(events):
    """For each document the last event that named it: stale where the cells are right, but it asks for the state."""
    last = {}
    for event in events:
        for table, _, before, after in oracle.CHANGES["canal-json"](oracle.parse(event["payload"])):
            for row in (before, after):
                if row and table in MAPPING.tables:
                    last[MAPPING.name(table, row)[0]] = event
    return [event for event in events if any(event is item for item in last.values())]


@test(needs="hbase elasticsearch")
def hbase_elasticsearch_and_sqlite_agree(case):
    # One task, three stores, a log with everything in it.
    table = client(case)
    events = workload.Workload(23, 300, "shop").events(8000)
    path = case.write("events.ndjson", workload.interleave(events, 23))
    case.drain(case.config(case.file_source(path), None, sinks={
        "detail": sink(case), "search": case.elasticsearch(), "local": case.sqlite()}))
    documents = oracle.documents(events, MAPPING, "canal-json")
    check_documents(case.documents("elasticsearch"), documents, "elasticsearch")
    check_documents(case.sqlite_documents(), documents, "sqlite")
    hbase_oracle.check_cells(table.scan(case.unique), replay(events), "hbase")
    check_equal(case.letters(), [], "dead letters")


# ---- deletes that stay deleted ----

@test(needs="hbase")
def zombie_puts_and_major_compactions_bring_nothing_back(case):
    # Late writes of a node that lost its partitions, before and after the compaction that forgets delete markers: the
    # plain table shows old cells again; readers of markers do not, and neither does weir.
    table = client(case)
    log = workload.Workload(24, 150, "shop")
    old, new = log.events(2000), log.events(2000)
    from_file(case, case.write("old.ndjson", old))
    zombies = table.scan(case.unique)
    from_file(case, case.write("all.ndjson", old + new))
    truth = replay(old + new)
    table.write(case.unique, zombies)
    hbase_oracle.check_cells(table.scan(case.unique), truth, "zombies while the deletes are there")
    table.major_compact(case.unique)
    hbase_oracle.check_cells(table.scan(case.unique), truth, "after the compaction")
    table.write(case.unique, zombies)
    hbase_oracle.check_rows(table.scan(case.unique), truth, "zombies after the compaction")
    check(len(table.scan(case.unique)) > len(hbase_oracle.expected_cells(truth)), "no old cell showed again")
    config = case.config(case.file_source(case.write("all.ndjson", old + new)), None, name="both",
                         sinks={"detail": sink(case), "local": case.sqlite()}, hydrate="detail")
    case.drain(config)
    hbase_oracle.check_rows(table.scan(case.unique), truth, "after the log was read again")
    check_documents(case.sqlite_documents(), truth.documents(), "sqlite, completed from cells with zombies")


# ---- trouble ----

@test(needs="hbase kafka")
def hbase_down_at_the_start_and_in_the_middle_loses_nothing(case):
    # The node waits for HBase, then goes on where it was; HBase is killed with writes under way and comes back.
    table = client(case)
    log = workload.Workload(25, 500, case.unique)
    events = log.events(6000)
    config = case.config(case.kafka_source(case.unique), sink(case, batch=SMALL))
    produce(case.servers.kafka, events)
    case.servers.kill("hbase")
    node = case.start("run", config)
    node.socket = case.dir / "weir.sock"
    try:
        until(lambda: not node.running or "hbase" in node.err.read_text(errors="replace"), "weir says what it misses")
        check(node.running, f"the node ended: {node.result and node.result.stderr[-800:]}")
    finally:
        case.servers.revive("hbase")
    until(lambda: case.unique in table.tables() and table.scan(case.unique), "the node writes")
    case.servers.kill("hbase")
    more = log.events(2000)
    produce(case.servers.kafka, more)
    case.servers.revive("hbase")
    until(lambda: not node.running or drained(case, node), "the node has read everything")
    check_equal(node.stop().code, 0, "exit")
    check_equal(case.drain(config)["events"], 0, "events of the next run")
    hbase_oracle.check_cells(table.scan(case.unique), replay(events + more), "after two ends of HBase")
    check_equal(case.letters(), [], "dead letters")


@test(needs="hbase kafka")
def kill_9_of_weir_at_five_moments_ends_in_the_right_cells(case):
    # With batches to several regions under way, half acknowledged.
    table, generator = client(case), random.Random(26)
    events = workload.Workload(26, 1500, case.unique).events(15000)
    produce(case.servers.kafka, events)
    source = case.kafka_source(case.unique, options={"group.instance.id": case.unique})
    config = case.config(source, sink(case, batch=SMALL))
    rows = 0
    for _ in range(5):
        node = case.node(config)
        rows += generator.randrange(20, 300)
        until(lambda: not node.running or drained(case, node)
              or case.unique in table.tables() and len(row_keys(table, case.unique)) >= rows, "the node writes")
        check(node.running, f"the node ended by itself: {node.result and node.result.stderr[-1000:]}")
        node.stop(9)
    case.drain(config)
    hbase_oracle.check_cells(table.scan(case.unique), replay(events), "after five kills")
    check_equal(case.letters(), [], "dead letters")


def row_keys(table, name):
    return {cell.row for cell in table.scan(name)}


@test(needs="hbase kafka")
def region_splits_merges_moves_and_a_servers_death_under_load_lose_nothing(case):
    # The map of regions changes all the time while a log flows: split, moved to a second region server and back,
    # merged; then that server is killed with regions on it.
    table = client(case)
    log = workload.Workload(27, 1000, case.unique)
    events = []
    config = case.config(case.kafka_source(case.unique), sink(case, batch=SMALL))
    table.balancer(False)
    second = second_server(case, table)
    produce(case.servers.kafka, [])
    node = None
    for step in steps(case, table, second):
        events += log.events(1500)
        produce(case.servers.kafka, events[-1500:])
        node = node or case.node(config)
        until(lambda: case.unique in table.tables(), "the table is there")
        step()
        check(node.running, f"the node ended: {node.result and node.result.stderr[-1000:]}")
    until(lambda: not node.running or drained(case, node), "the node has read everything")
    check_equal(node.stop().code, 0, "exit")
    case.drain(config)
    hbase_oracle.check_cells(table.scan(case.unique), replay(events), "after all this")
    check_equal(case.letters(), [], "dead letters")


def second_server(case, table):
    """A region server of its own process, for this test; its name as HBase has it."""
    folder = case.servers.folder / "hbase-regionserver"
    case.servers.port("hbase-regionserver", case.servers.folder / "hbase", HEAP="256m")
    case.cleanups.callback(case.servers.ports.pop, "hbase-regionserver")
    case.cleanups.callback(case.servers.command, "wipe", folder)
    return known_server(case, table)


def known_server(case, table, before=""):
    """The second region server's name; `before`: that of one which was killed on the same port."""
    port = str(case.servers.ports["hbase-regionserver"])
    return until(lambda: next((name for name in table.servers() if name.split(",")[1] == port and name != before),
                              None), "the second region server is known")


def steps(case, table, second):
    """What happens to the table, one after the other. A region that was just split or merged can be moved, but
    neither split nor merged before it is compacted."""
    name = case.unique

    def move_all(to):
        for region in table.online(name):
            table.move(name, region, to)

    first = next(server for server in table.servers() if server != second)
    yield lambda: table.split(name, "6")
    yield lambda: table.move(name, table.online(name)[1], second)
    yield lambda: table.merge(name, *table.online(name)[3:5])
    yield lambda: table.move(name, table.online(name)[0], first)
    yield lambda: table.split(name, "2")
    yield lambda: move_all(second)
    yield lambda: case.servers.kill("hbase-regionserver")
    yield lambda: table.online(name)


# ---- tables that are not fit ----

@test(needs="hbase")
def table_with_a_ttl_is_refused(case):
    # Cells that vanish by themselves would take their rows' seqnos along.
    client(case).create(case.unique, TTL="86400")
    config = case.config(case.file_source(CANAL.events), sink(case))
    for arguments in (("run", config, "--until-end"), ("check", config, "--live")):
        result = case.weir(*arguments, code=78)
        said = result.stdout + result.stderr
        check("TTL" in said and case.unique in said, f"{arguments[0]} does not name table and TTL: {said[-500:]}")


@test(needs="hbase")
def missing_table_that_may_not_be_created_is_a_clear_error(case):
    # Without `create` weir makes no table; the message names the table and the key that would.
    client(case)
    config = case.config(case.file_source(CANAL.events), sink(case, regions=None))
    result = case.weir("run", config, "--until-end", code=78)
    check(case.unique in result.stderr and "create" in result.stderr, f"not clear: {result.stderr[-500:]}")


@test(needs="hbase")
def cell_that_hbase_refuses_goes_to_the_dead_letters_and_delays_nothing(case):
    # A remark over HBase's 10 MiB for one cell. Its document is named with the server's own words, all others arrive.
    table, events = client(case), workload.Workload(28, 50, "shop").events(400)
    poison, message = next((event, said) for event in reversed(events) for said in [json.loads(event["payload"])]
                           if said["table"] == "tc_order" and said["type"] == "INSERT")
    key = poison["key"]
    message["data"][0]["remark"] = "x" * (11 << 20)
    poisoned = [event | {"payload": json.dumps(message)} if event is poison else event for event in events]
    config = case.config(case.file_source(case.write("events.ndjson", poisoned)), sink(case))
    case.drain(config)
    letters = case.letters()
    check(letters and all(key in str(letter) for letter in letters), f"dead letters: {str(letters)[:500]}")
    others = replay(events)
    del others.rows[key]
    cells = [cell for cell in table.scan(case.unique) if cell.row != hbase_oracle.row_key(key)]
    hbase_oracle.check_cells(cells, others, "the other documents")


@test(needs="hbase")
def cells_of_others_in_the_table_stay(case):
    # Another program keeps a column of its own in the same family, in a row of weir's and in one of its own.
    table = client(case)
    table.create(case.unique)
    key = hbase_oracle.row_key(sorted(replay(CANAL.load()).rows)[0])
    foreign = [Cell(key, "notes", 7, "mine"), Cell("other", "shop.unknown:x", 8, "too")]
    table.write(case.unique, foreign)
    from_file(case, CANAL.events)
    cells = table.scan(case.unique)
    check(set(foreign) <= set(cells), "cells of others are gone")
    hbase_oracle.check_cells([cell for cell in cells if cell not in foreign], replay(CANAL.load()), "hbase")

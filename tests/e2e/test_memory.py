"""Data much larger than the store: the same documents, in the memory that was promised.

WEIR_E2E_MIB is the size of the store: 8, the short form, with 140 MiB of events, or 16, 32 or 64 with as much more.
"""
import json
import os
import pathlib
import re

import hbase_oracle
import oracle
import workload
from harness import HANG_S, MAPPING, WEIR, check, check_documents, check_equal, produce, test, until
from test_hbase import client, sink
from test_owners import KEYED

PROMISE = re.compile(r"memory: (\d+) MiB for documents \(node.memory\) and (\d+) MiB reserved at start")
MIB = int(os.environ.get("WEIR_E2E_MIB", "8"))
TASKS = 64 // MIB
CORES = [min(os.sched_getaffinity(0))]  # a task's share is that of a core, and must be 8 MiB
ORDERS = 1250 * MIB
REMARK_BYTES = 28000


def large_events():
    """Rows and updates of every order, in random order, some deleted, of all sizes up to REMARK_BYTES."""
    log = workload.Workload(41, ORDERS, "memory", partitions=4, keyed=True)
    pick, events = log.random, []
    for number in range(4 * ORDERS):
        table, order = pick.choice(list(workload.TYPES)), pick.choice(log.orders)
        values = log.values(table, order) | {"id": f"1{order[-6:]}{pick.randrange(2)}",
                                             "remark": f"{number} " + "x" * pick.randrange(REMARK_BYTES)}
        kind = "DELETE" if pick.random() < 0.05 else "INSERT"
        events.append(log.message(table, kind, [{column: values[column] for column in workload.TYPES[table]}]))
    return events


def peak_bytes(process):
    """The most that was resident, sampled until the process ends."""
    peak = 0

    def ended():
        nonlocal peak
        try:
            with open(f"/proc/{process.child.pid}/status", encoding="ascii") as file:
                found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
            peak = max(peak, int(found[1]) << 10) if found else peak
        except FileNotFoundError:
            pass
        return not process.running
    until(ended, "weir ends", seconds=HANG_S * MIB // 8)
    return peak


def run_small(case, config):
    """Runs with the small store; checks what it took against what it promised, returns the summary."""
    process = case.start("run", case.crowded(config, TASKS), "--until-end")
    peak = peak_bytes(process)
    result = process.result
    check_equal(result.code, 0, f"exit code; {result.stderr[-1500:]}")
    promise = PROMISE.search(result.stderr)
    check(promise, f"no promise: {result.stderr[:500]}")
    bound = (int(promise[1]) + int(promise[2])) << 20
    sanitized = b"__asan_init" in pathlib.Path(WEIR).read_bytes()  # its shadow memory is resident, too
    check(sanitized or MIB << 20 < peak <= bound, f"{peak >> 20} MiB were resident, {promise[0]}")
    summary = result.summary
    print("# " + json.dumps({"resident_mib": peak >> 20, "promised_mib": bound >> 20} | {
        name: summary[name] for name in ("events", "documents_written", "lookups", "states_read")}), flush=True)
    return summary


def check_evicted(summary, expected):
    check(summary["documents"] < len(expected) / 4, f"{summary['documents']} documents were never evicted")
    check(summary["states_read"] > len(expected), f"{summary['states_read']} states were read back")


def check_size(documents):
    size = sum(len(json.dumps(document)) for document in documents.values())
    check(size > 10 * (MIB << 20), f"only {size >> 20} MiB of documents")


@test(each={"sqlite": ("sqlite",), "elasticsearch": ("elasticsearch",)})
def store_ten_times_smaller_than_the_data_ends_in_the_same_documents(case, kind):
    # Most documents are evicted and read back several times over; their sizes shift all the time.
    events = large_events()
    expected = oracle.documents(events, MAPPING, "canal-json")
    check_size(expected)
    source = case.file_source(case.write("events.ndjson", events))
    summary = run_small(case, case.config(source, case.sink(kind), node={"memory": "64MiB", "cores": CORES}))
    check_documents(case.documents(kind), expected, kind)
    check_equal(case.letters(), [], "dead letters")
    check_evicted(summary, expected)


@test(needs="kafka elasticsearch hbase", each={"elasticsearch": ("search",), "hbase": ("detail",)})
def store_ten_times_smaller_than_a_topic_ends_in_the_same_documents_and_cells_by(case, hydrate):
    # From Kafka into both stores; what was evicted comes back from one of them.
    table, events = client(case), large_events()
    rows = oracle.replay(events, MAPPING, "canal-json")
    expected = rows.documents()
    check_size(expected)
    produce(case.servers.kafka, events, topic=lambda _: case.unique)
    summary = run_small(case, case.config(
        case.kafka_source(case.unique, kafka=KEYED), None, node={"memory": "64MiB", "cores": CORES}, hydrate=hydrate,
        sinks={"search": case.elasticsearch(), "detail": sink(case)}))
    check_documents(case.documents("elasticsearch"), expected, "elasticsearch")
    cells = table.scan(case.unique)
    hbase_oracle.check_cells(cells, rows, "hbase")
    hbase_oracle.check_rows(cells, rows, "hbase")
    check_equal(case.letters(), [], "dead letters")
    check_evicted(summary, expected)


@test()
def share_of_memory_that_is_too_small_is_refused(case):
    # 64 MiB make eight shares: of a task on a core.
    source = case.file_source(case.write("events.ndjson", []))
    config = case.crowded(case.config(source, case.sqlite(), node={"memory": "64MiB", "cores": CORES}), 9)
    result = case.weir("run", config, "--until-end", code=78)
    check("at least 72MiB" in result.stderr, f"no advice: {result.stderr[-500:]}")

"""Data much larger than the store: the same documents, in the memory that was promised."""
import json
import pathlib
import re

import oracle
import workload
from harness import MAPPING, WEIR, check, check_documents, check_equal, test, until

PROMISE = re.compile(r"memory: (\d+) MiB for documents \(node.memory\) and (\d+) MiB reserved at start")
TASKS = 4  # they share node.memory, whose least is 64 MiB: one alone has 16


def large_events(orders, count, remark_bytes):
    """Several rows and updates an order, in random order, some deleted, of all sizes up to `remark_bytes`."""
    log = workload.Workload(41, orders, "memory", partitions=4)
    pick, events = log.random, []
    for number in range(count):
        table, order = pick.choice(list(workload.TYPES)), pick.choice(log.orders)
        values = log.values(table, order) | {"id": f"1{order[-6:]}{pick.randrange(2)}",
                                             "remark": f"{number} " + "x" * pick.randrange(remark_bytes)}
        kind = "DELETE" if pick.random() < 0.05 else "INSERT"
        events.append(log.message(table, kind, [{column: values[column] for column in workload.TYPES[table]}]))
    return events


def shared_config(case, path, sink):
    """The task has a quarter of 64 MiB; the others read nothing."""
    config = case.config(case.file_source(path), sink, node={"memory": "64MiB"})
    spec = json.loads(config.read_text())
    for number in range(1, TASKS):
        spec["tasks"][f"idle{number}"] = spec["tasks"]["orders"] | {
            "source": case.file_source(case.write(f"idle{number}.ndjson", [])),
            "sinks": {"out": case.sqlite(f"idle{number}.db")},
            "dead_letter": {"file": str(case.dir / f"idle{number}.dlq")}}
    config.write_text(json.dumps(spec))
    return config


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
    until(ended, "weir ends", seconds=300)
    return peak


def run_small(case, path, kind):
    """Runs with the small store; checks what it took against what it promised, returns the summary."""
    process = case.start("run", shared_config(case, path, case.sink(kind)), "--until-end")
    peak = peak_bytes(process)
    result = process.result
    check_equal(result.code, 0, f"exit code; {result.stderr[-1500:]}")
    promise = PROMISE.search(result.stderr)
    check(promise, f"no promise: {result.stderr[:500]}")
    bound = (int(promise[1]) + int(promise[2])) << 20
    sanitized = b"__asan_init" in pathlib.Path(WEIR).read_bytes()  # its shadow memory is resident, too
    check(sanitized or 16 << 20 < peak <= bound, f"{peak >> 20} MiB were resident, {promise[0]}")
    return result.summary


@test(each={"sqlite": ("sqlite",), "elasticsearch": ("elasticsearch",)})
def store_ten_times_smaller_than_the_data_ends_in_the_same_documents(case, kind):
    # Most documents are evicted and read back several times over; their sizes shift all the time.
    events = large_events(orders=20000, count=80000, remark_bytes=28000)
    expected = oracle.documents(events, MAPPING, "canal-json")
    size = sum(len(json.dumps(document)) for document in expected.values())
    check(size > 10 * (64 << 20) // TASKS, f"only {size >> 20} MiB of documents")
    summary = run_small(case, case.write("events.ndjson", events), kind)
    check_documents(case.documents(kind), expected, kind)
    check_equal(case.letters(), [], "dead letters")
    check(summary["documents"] < len(expected) / 4, f"{summary['documents']} documents were never evicted")
    check(summary["states_read"] > len(expected), f"{summary['states_read']} states were read back")

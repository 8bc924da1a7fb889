"""The captures through the file source: the same documents whatever the form, the doubling and the order."""
import harness
import oracle
import workload
from harness import CANAL, CAPTURES, check_documents, check_equal, test

SINKS = ["sqlite", "elasticsearch"]
EACH = {f"{capture.name}_into_{sink}": (capture, sink) for capture in CAPTURES for sink in SINKS}
BY_CAPTURE = {capture.name: (capture,) for capture in CAPTURES}


def load(case, capture, path, sink="sqlite", expected=None, **options):
    """Runs one file to its end and checks the documents; returns the summary."""
    config = case.config(case.file_source(path, format=capture.format), case.sink(sink))
    summary = case.drain(config, **options)
    check_documents(case.documents(sink), expected or capture.documents(), sink)
    check_equal(case.letters(), [], "dead letters")
    return summary


@test(each=EACH)
def file_gives_the_expected_documents(case, capture, sink):
    # A capture as kcat wrote it, into each sink.
    summary = load(case, capture, capture.events, sink)
    check_equal(summary["events"], len(capture.load()), "events")


@test(each=EACH)
def events_delivered_twice_in_a_row_change_nothing(case, capture, sink):
    # A producer that retries, or a consumer that was not acknowledged: each line comes again at once.
    load(case, capture, case.write("twice.ndjson", capture.load(), repeat=2), sink)


@test(each=EACH)
def log_delivered_twice_changes_nothing(case, capture, sink):
    # The whole log comes again from its first offset, as after a lost commit.
    events = capture.load()
    load(case, capture, case.write("again.ndjson", events + events), sink)


@test(each={f"{capture.name}_into_{sink}_seed_{seed}": (capture, sink, seed)
            for capture in CAPTURES for sink in SINKS for seed in ((1, 2, 3, 4, 5) if sink == "sqlite" else (6,))})
def any_interleaving_of_partitions_gives_the_same_documents(case, capture, sink, seed):
    # Fetches bring the partitions in any order; each partition keeps its own.
    load(case, capture, case.write("mixed.ndjson", workload.interleave(capture.load(), seed)), sink)


@test(each={f"{capture.name}_in_{suffix[1:]}": (capture, suffix)
            for capture in CAPTURES for suffix in (".gz", ".zst", ".lz4")})
def compressed_file_gives_the_expected_documents(case, capture, suffix):
    # The suffix says which compression.
    copy = case.write("events.ndjson", capture.load())
    load(case, capture, harness.compress(copy, suffix))


@test(each=BY_CAPTURE)
def standard_input_gives_the_expected_documents(case, capture):
    # `kcat ... | weir run` is how people try it.
    load(case, capture, "-", stdin=capture.events)


@test()
def several_files_are_read_as_one_log(case):
    # An export split in two: the second goes on where the first ended.
    events = CANAL.load()
    paths = [case.write("1.ndjson", events[:200]), case.write("2.ndjson", events[200:])]
    config = case.config(case.file_source(*paths), case.sqlite())
    check_equal(case.drain(config)["events"], len(events), "events")
    check_documents(case.sqlite_documents(), CANAL.documents(), "sqlite")


@test(each=BY_CAPTURE)
def plain_event_lines_give_the_documents_of_their_partition(case, capture):
    # One event a line without kcat's wrapping. One file is one partition, so only a log in one order of time may
    # be given so: the capture sorted by capture time.
    events = [event for event in capture.load() if event["payload"]]
    events.sort(key=capture_time)
    one = [event | {"topic": "one", "partition": 0, "offset": i} for i, event in enumerate(events)]
    path = case.dir / "plain.ndjson"
    path.write_text("".join(event["payload"] + "\n" for event in events), encoding="utf-8")
    load(case, capture, path, expected=oracle.documents(one, harness.MAPPING, capture.format))


def capture_time(event):
    """When the change was read from the binlog, in microseconds, whatever the format."""
    message = oracle.parse(event["payload"])
    message = message.get("payload", message)
    us = oracle.plain(message.get("ts_us"))
    return int(us) if us else int(oracle.plain(message.get("ts_ms") or message.get("ts"))) * 1000


@test(each=[1, 2, 3])
def random_workload_gives_the_oracles_documents_seed(case, seed):
    # Inserts, updates, deletes, key changes and re-inserts of 300 orders over partitions by primary key; doubled
    # and interleaved anew.
    events = workload.Workload(seed, 300, "shop").events(20000)
    path = case.write("events.ndjson", workload.interleave(events, seed), repeat=seed)
    load(case, CANAL, path, expected=oracle.documents(events, harness.MAPPING, "canal-json"))


@test()
def second_run_into_the_same_table_changes_nothing(case):
    # A file has no commits: running again delivers it again, onto what is there.
    first = load(case, CANAL, CANAL.events)
    second = load(case, CANAL, CANAL.events)
    check_equal(second["events"], first["events"], "events")
    check_equal(second["documents_written"], 0, "documents written by the second run")


@test()
def each_of_two_sinks_is_brought_up_to_date(case):
    # One of two stores is lost, with half of the log in both: the next run fills it, and the other gets what is new.
    events = CANAL.load()
    for n, path in enumerate((case.write("half.ndjson", events[:200]), CANAL.events)):
        for name in ("b.db", "b.db-wal", "b.db-shm"):
            (case.dir / name).unlink(missing_ok=True)
        case.drain(case.config(case.file_source(path), None, name=f"run{n}",
                               sinks={"a": case.sqlite("a.db"), "b": case.sqlite("b.db")}))
    for name in ("a.db", "b.db"):
        check_documents(case.sqlite_documents(name), CANAL.documents(), name)

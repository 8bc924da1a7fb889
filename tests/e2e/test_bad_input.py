"""Every kind of bad input, in the middle of good events: it goes where it belongs, and delays nothing else."""
import contextlib
import json
import re
import sqlite3

import oracle
import workload
from harness import CANAL, MAPPING, check, check_documents, check_equal, compress, produce_bytes, test, until

RSS_MAX = 1 << 30  # bytes; generous, for the sanitizers' sake: the 100 MB line alone would pass it if it were kept


def good(case, n=2000):
    """Good events of one partition, and the documents that they make."""
    events = workload.Workload(21, 50, "bad", partitions=1).events(n)
    return events, oracle.documents(events, MAPPING, "canal-json")


def event(**changes):
    """A good event of an order of its own, with some members replaced."""
    row = {"order_no": "777", "tenant_id": "1"}
    message = {"data": [row], "database": "shop", "es": 1, "id": 1, "isDdl": False, "pkNames": ["order_no"],
               "mysqlType": {"order_no": "BIGINT", "tenant_id": "INT"}, "old": None, "sql": "", "sqlType": {},
               "table": "tc_order", "ts": workload.START_MS, "type": "INSERT"}
    return json.dumps(message | changes, ensure_ascii=False).encode()


def rows(**columns):
    return event(data=[columns], mysqlType={column: "VARCHAR(9999)" for column in columns})


# name: (bytes of the event, reason of its dead letter)
BAD = {
    "broken_json": (event()[:-7], "bad_json"),
    "text_after_the_event": (event() + b" x", "bad_json"),
    "invalid_utf8": (event().replace(b'"tenant_id": "1"', b'"tenant_id": "\xc3\x28"'), "bad_utf8"),
    "overlong_utf8": (event().replace(b'"tenant_id": "1"', b'"tenant_id": "\xc0\x80"'), "bad_utf8"),
    "surrogate_in_utf8": (event().replace(b'"tenant_id": "1"', b'"tenant_id": "\xed\xa0\x80"'), "bad_utf8"),
    "raw_control_character": (event().replace(b'"tenant_id": "1"', b'"tenant_id": "\x01"'), "control_character"),
    "nul_byte": (event().replace(b'"tenant_id": "1"', b'"tenant_id": "a\x00b"'), "control_character"),
    "nesting_10000_deep": (event().replace(b'"es": 1', b'"es": ' + b"[" * 10000 + b"]" * 10000), "too_deep"),
    "missing_key_column": (rows(tenant_id="1"), "no_key"),
    "null_key": (rows(order_no=None, tenant_id="1"), "no_key"),
    "empty_key": (rows(order_no="", tenant_id="1"), "empty_key"),
    "key_over_512_bytes": (rows(order_no="k" * 513), "long_key"),
    "missing_row_id": (event(table="tc_order_item", data=[{"order_no": "777"}]), "no_row_id"),
    "duplicate_json_keys": (event().replace(b'"tenant_id": "1"', b'"tenant_id": "1", "tenant_id": "2"', 1),
                            "duplicate_key"),
    "seqno_that_overflows": (event(ts=2 ** 63 - 1), "bad_seqno"),
    "seqno_beyond_64_bits": (event(ts=10 ** 25), "bad_seqno"),
    "array_instead_of_an_event": (b"[1, 2, 3]", "bad_shape"),
    "rows_that_are_no_array": (event(data={"order_no": "777"}), "bad_shape"),
}


def write_lines(case, lines, name="events.ndjson"):
    path = case.dir / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def payloads(events):
    return [item["payload"].encode() for item in events]


def check_letter(letter, reason, payload):
    check_equal(letter["reason"], reason, "reason")
    check_equal(letter["bytes"], payload, "original bytes")
    check_equal(letter["task"], "orders", "task")
    check(letter["detail"], "no detail")
    for name in ("topic", "partition", "offset"):
        check(letter.get(name) not in (None, ""), f"no {name}")


@test(each={name: (payload, reason) for name, (payload, reason) in BAD.items()})
def bad_event_in_a_file_is_a_dead_letter(case, payload, reason):
    # A file of plain lines with one bad line in its middle.
    events, expected = good(case)
    lines = payloads(events)
    path = write_lines(case, [*lines[:1000], payload, *lines[1000:]])
    result = case.weir("run", case.config(case.file_source(path), case.sqlite()), "--until-end")
    check_documents(case.sqlite_documents(), expected, "good events")
    letters = case.letters()
    check_equal(len(letters), 1, "dead letters")
    check_letter(letters[0], reason, payload)
    check_equal(result.summary["dead_letters"], 1, "dead letters of the summary")
    check(result.rss_bytes < RSS_MAX, f"took {result.rss_bytes} bytes")


@test(needs="kafka", each=["sqlite", "elasticsearch"])
def every_bad_event_of_a_topic_is_a_dead_letter_with(case, sink):
    # All kinds in one partition between good events: each letter names the message's own place.
    events, expected = good(case, 400)
    messages, places = payloads(events), {}
    for i, (name, (payload, _)) in enumerate(BAD.items()):
        places[20 * i + 7] = name
        messages.insert(20 * i + 7, payload)
    produce_bytes(case.servers.kafka, case.unique, 2, messages, case.dir)
    config = case.config(case.kafka_source(case.unique), case.sink(sink))
    summary = case.drain(config)
    check_documents(case.documents(sink), expected, "good events")
    letters = {letter["offset"]: letter for letter in case.letters()}
    check_equal(sorted(letters), sorted(places), "offsets of the dead letters")
    for offset, name in places.items():
        payload, reason = BAD[name]
        check_letter(letters[offset], reason, payload)
        check_equal((letters[offset]["topic"], letters[offset]["partition"]), (case.unique, 2), "place")
    check_equal(summary["dead_letters"], len(BAD), "dead letters of the summary")
    check_equal(case.drain(config)["events"], 0, "events of a second run")


@test()
def bad_row_does_not_take_the_good_rows_of_its_message(case):
    # One message of three rows, the second without its key.
    row = {"order_no": "1", "tenant_id": "5"}
    payload = event(data=[row, {"tenant_id": "6"}, row | {"order_no": "2"}])
    path = write_lines(case, [payload])
    case.drain(case.config(case.file_source(path), case.sqlite()))
    check_equal(sorted(case.sqlite_documents()), ["1", "2"], "documents")
    letters = case.letters()
    check_equal(len(letters), 1, "dead letters")
    check_letter(letters[0], "no_key", payload)


@test(each=[1, 100])
def line_too_long_is_a_dead_letter_megabytes(case, megabytes):
    # A line over `max_event` never fits memory's plan: its letter holds its beginning and says where it is.
    events, expected = good(case)
    lines = payloads(events)
    huge = event(sql="x" * (megabytes << 20))
    path = write_lines(case, [*lines[:1000], huge, *lines[1000:]])
    source = case.file_source(path, max_event="512KiB")
    result = case.weir("run", case.config(source, case.sqlite()), "--until-end")
    check_documents(case.sqlite_documents(), expected, "good events")
    letters = case.letters()
    check_equal([letter["reason"] for letter in letters], ["too_large"], "reasons")
    check(letters[0]["bytes"] and huge.startswith(letters[0]["bytes"]), "the letter is not the line's beginning")
    check(result.rss_bytes < RSS_MAX, f"took {result.rss_bytes} bytes")


@test(needs="kafka")
def message_longer_than_max_event_is_a_dead_letter(case):
    # Whether it could be decoded or not: the letter holds its first max_event bytes, for which letters have room.
    events, expected = good(case, 400)
    messages = payloads(events)
    large = [event(sql="x" * (800 << 10)), b"{" * (12 << 20)]
    produce_bytes(case.servers.kafka, case.unique, 2, [*messages[:200], *large, *messages[200:]], case.dir)
    source = case.kafka_source(case.unique, max_event="512KiB")
    case.drain(case.config(source, case.sqlite()))
    check_documents(case.sqlite_documents(), expected, "good events")
    letters = sorted(case.letters(), key=lambda letter: letter["offset"])
    check_equal([letter["reason"] for letter in letters], ["too_large"] * 2, "reasons")
    check_equal([letter["bytes"] for letter in letters], [bytes[:512 << 10] for bytes in large], "their beginnings")


@test()
def line_of_100_megabytes_does_not_stop_a_run_of_defaults(case):
    # The same with the bound that people get by default.
    events, expected = good(case)
    lines = payloads(events)
    path = write_lines(case, [*lines[:1000], event(sql="x" * (100 << 20)), *lines[1000:]])
    result = case.weir("run", case.config(case.file_source(path), case.sqlite()), "--until-end")
    documents = case.sqlite_documents()
    documents.pop("777", None)
    check_documents(documents, expected, "good events")
    check(result.rss_bytes < RSS_MAX, f"took {result.rss_bytes} bytes")


@test()
def event_of_an_unmapped_table_is_counted(case):
    # No error: the log carries more tables than the document.
    events, expected = good(case)
    lines = payloads(events)
    other = event(table="tc_unknown")
    path = write_lines(case, [*lines[:1000], other, *lines[1000:]])
    summary = case.drain(case.config(case.file_source(path), case.sqlite()))
    check_documents(case.sqlite_documents(), expected, "good events")
    check_equal(case.letters(), [], "dead letters")
    check_equal(summary["unmapped"], 1, "unmapped")


@test(each={"": ("",), "_of_blank_lines": ("\n\n\n",)}, name="empty_file{}_gives_nothing_and_exits_0")
def empty_file(case, content):
    # Nothing to do is no error.
    path = case.dir / "empty.ndjson"
    path.write_text(content)
    summary = case.drain(case.config(case.file_source(path), case.sqlite()))
    check_equal((summary["events"], summary["documents_written"]), (0, 0), "events and documents")


@test(each=[".gz", ".zst", ".lz4"], name="truncated_file{}_gives_what_can_be_read")
def truncated_file(case, suffix):
    # A copy that broke off: what is readable is applied, the run goes on, the break is told and counted.
    events, _ = good(case, 20000)
    whole = compress(write_lines(case, payloads(events)), suffix)
    cut = case.dir / ("cut" + suffix)
    cut.write_bytes(whole.read_bytes()[:whole.stat().st_size * 2 // 3])
    result = case.weir("run", case.config(case.file_source(cut), case.sqlite()), "--until-end")
    read = result.summary["events"] - result.summary["dead_letters"]
    check(0 < read < len(events), f"{read} of {len(events)} events were read")
    check_documents(case.sqlite_documents(), oracle.documents(events[:read], MAPPING, "canal-json"), "readable part")
    check_equal(result.summary["damaged_files"], 1, "damaged files")
    check("cut" + suffix in result.stderr, f"the break is not told: {result.stderr[-500:]}")


@test()
def dead_letters_that_cannot_be_written_stop_the_task(case):
    # /dev/full takes nothing: dropping the event instead would lose it.
    path = write_lines(case, [event(), BAD["broken_json"][0], event()])
    config = case.config(case.file_source(path), case.sqlite(), dead_letter="/dev/full")
    result = case.weir("run", config, "--until-end", code=74)
    check("/dev/full" in result.stderr, f"the message names no file: {result.stderr[-500:]}")


@test()
def full_store_pauses_the_source_and_says_which_sink_is_behind(case):
    # Another process has SQLite's lock: nothing is dropped, the node goes on answering, and says whom it waits for.
    lines = [rows(order_no=str(n), remark="x" * 8000) for n in range(20000)]
    config = case.config(case.file_source(write_lines(case, lines)), case.sqlite(), node={"memory": "64MiB"})
    with contextlib.closing(sqlite3.connect(case.dir / "out.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        node = case.node(config)
        until(lambda: b"admin: answering" in node.err.read_bytes(), "the node runs")
        until(lambda: "running" in case.weir("status", "--socket", node.socket).stdout, "the sink is prepared")
        other.execute("BEGIN IMMEDIATE")
        until(lambda: re.search(rb"the store is full: reading is paused: sink out is behind by [1-9]\d* documents",
                                node.err.read_bytes()), "the node says that its store is full")
        status = case.weir("status", "--socket", node.socket)
        check("orders" in status.stdout, f"no answer: {status.stdout}")
        other.execute("ROLLBACK")
    until(lambda: len(case.sqlite_documents()) == 20000, "all of it is written")
    check(node.running, "the node ended")


@test()
def file_that_is_not_there_is_told_in_one_line(case):
    # A typo in a path.
    config = case.config(case.file_source(case.dir / "absent.ndjson"), case.sqlite())
    result = case.start("run", config, "--until-end", "--wait", "1s").wait()
    check(result.code in (66, 69, 74), f"exit {result.code}")
    check("absent.ndjson" in result.stderr, f"the message names no file: {result.stderr[-500:]}")


@test(each={"kafka": ({"kafka": {"brokers": ["127.0.0.1:1"], "topics": ["t"], "group": "g"}}, None),
            "elasticsearch": (None, {"elasticsearch": {"urls": ["http://127.0.0.1:1"], "index": "i"}})},
      name="server_that_is_not_there_exits_69_{}")
def server_that_is_not_there(case, source, sink):
    # With --until-end weir waits for --wait, then says who does not answer.
    config = case.config(source | {"format": "canal-json"} if source else case.file_source(CANAL.events),
                         sink or case.sqlite())
    result = case.weir("run", config, "--until-end", "--wait", "3s", code=69)
    check("127.0.0.1:1" in result.stderr, f"the message names no server: {result.stderr[-500:]}")


BAD_CONFIG = """node:
  memry: 4GiB
tasks:
  orders:
    source:
      file: { paths: [events.ndjson] }
      format: canal-jsn
    document:
      key: order_no
      tables:
        shop.tc_order: {}
        shop.tc_order_item: { into: items, many: 7days }
    sinks:
      local:
        sqlite: { path: orders.db, table: orders }
        batch: { linger: fast }
"""


@test(each=["run", "check"])
def bad_config_exits_78_with_all_its_errors(case, command):
    # Every error at its line and column, with the nearest known key.
    path = case.dir / "bad.yaml"
    path.write_text(BAD_CONFIG)
    result = case.weir(command, path, code=78)
    errors = [line for line in result.stderr.splitlines() if "bad.yaml:" in line]
    places = [line.split("bad.yaml:", 1)[1] for line in errors]
    for place, words in (("2:3:", ("memry", "memory")), ("7:15:", ("canal-jsn", "canal-json")),
                         ("16:26:", ("fast",))):
        line = next((text for text in places if text.startswith(place)), None)
        check(line and all(word in line for word in words), f"no error at {place} with {words}: {result.stderr}")
    check_equal(len(errors), 3, "errors")


@test(each={"path": ("absent.yaml",), "folder": ("",)}, name="config_that_is_no_file_is_told_{}")
def config_that_cannot_be_read(case, name):
    # A wrong path, or a folder where a file should be.
    result = case.start("check", case.dir / name).wait()
    check(result.code in (66, 78), f"exit {result.code}")
    check(str(case.dir) in result.stderr, f"the message names no file: {result.stderr}")


@test()
def wrong_usage_exits_64(case):
    # An unknown command, and one without its argument.
    case.weir("rnu", "x.yaml", code=64)
    case.weir("run", code=64)
    case.weir("run", "--no-such-option", "x.yaml", code=64)


@test()
def help_and_version_go_to_stdout(case):
    # What was asked for is a result.
    for arguments in (["help"], ["help", "run"], ["version"]):
        result = case.weir(*arguments)
        check(result.stdout.strip() and not result.stderr.strip(), f"{arguments}: {result}")

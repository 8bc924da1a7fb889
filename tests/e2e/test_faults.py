"""Faults of the search server, as a script: every document arrives in the end, and nothing counts as written that
was not."""
import oracle
import workload
from harness import CANAL, MAPPING, Process, check, check_documents, check_equal, produce, test, until
from scripted_es import Fault, ScriptedElasticsearch

FEW = {"docs": 5, "bytes": "1MiB", "linger": "2ms", "in_flight": 2}


def server(case, **options):
    scripted = ScriptedElasticsearch(**options)
    case.cleanups.callback(scripted.close)
    return scripted


def sink(case, scripted, **options):
    return case.elasticsearch(urls=[scripted.url], batch=FEW, **options)


def load(case, scripted, **options):
    """The canal capture into a scripted server; returns the summary."""
    config = case.config(case.file_source(CANAL.events), sink(case, scripted, **options))
    summary = case.drain(config)
    check_documents(scripted.documents(case.unique), CANAL.documents(), "scripted server")
    check_equal(case.letters(), [], "dead letters")
    return summary


def first(n, fault, kind="_bulk"):
    """A script: the first n requests of a kind fail, the others do not."""
    return lambda asked, number: fault if asked == kind and number < n else None


FAULTS = {
    "no_fault": Fault(),
    "answer_in_chunks": Fault(chunked=True),
    "slow_answer": Fault(pieces=50),
    "all_items_429": Fault(items={0: 429}),
    "all_items_503": Fault(items={0: 503}),
    "some_items_429_and_503": Fault(items={0: 429, 1: 503}, every=3),
    "last_item_429": Fault(items={4: 429}, every=5),
    "whole_429": Fault(status=429),
    "whole_500": Fault(status=500),
    "whole_502": Fault(status=502),
    "whole_503": Fault(status=503),
    "reset_before_the_request": Fault(refuse=True),
    "reset_without_an_answer": Fault(reset_at=0),
    "end_without_an_answer": Fault(cut_at=0),
    "truncated_head": Fault(cut_at=30),
    "truncated_body": Fault(cut_at=-40),
    "truncated_last_byte": Fault(cut_at=-1),
    "truncated_chunks": Fault(chunked=True, cut_at=-20),
    "one_item_too_few": Fault(items_more=-1),
    "one_item_too_many": Fault(items_more=1),
    "empty_body": Fault(body=b""),
    "garbage": Fault(body=b"<html>502 Bad Gateway</html>"),
    "garbage_json": Fault(body=b'{"took":1,"errors":false,"items":17}'),
    "deep_json": Fault(body=b'{"items":' + b"[" * 20000 + b"]" * 20000 + b"}"),
    "unknown_status": Fault(items={0: 302, 1: 307}, every=4),
}


@test(each={name: (fault,) for name, fault in FAULTS.items()}, name="bulk_{}_ends_in_the_expected_documents")
def bulk_fault(case, fault):
    # The first requests go wrong, then the server recovers.
    scripted = server(case, script=first(4, fault))
    load(case, scripted)
    check(scripted.fired >= 4, f"only {scripted.fired} faults came")


@test()
def reset_at_any_byte_of_the_answer_loses_nothing(case):
    # Every other request is written and its answer cut by a reset, each time some bytes further; then from the end.
    points = [*range(0, 160, 4), *range(160, 900, 37), *range(-60, 0, 3)]

    def script(kind, number):
        if kind == "_bulk" and number % 2 == 0 and number // 2 < len(points):
            return Fault(reset_at=points[number // 2])
        return None
    scripted = server(case, script=script)
    events = workload.Workload(51, 400, "reset").events(6000)
    config = case.config(case.file_source(case.write("events.ndjson", events)), sink(case, scripted))
    case.drain(config)
    check_documents(scripted.documents(case.unique), oracle.documents(events, MAPPING, "canal-json"), "scripted server")
    check_equal(scripted.fired, len(points), "resets")


LOOKUP_FAULTS = {name: (FAULTS[name],) for name in (
    "answer_in_chunks", "slow_answer", "whole_429", "whole_503", "reset_before_the_request", "reset_without_an_answer",
    "truncated_head", "truncated_body", "truncated_last_byte", "one_item_too_few", "one_item_too_many", "empty_body",
    "garbage", "garbage_json", "deep_json")}


@test(each=LOOKUP_FAULTS, name="lookup_{}_ends_in_the_expected_documents")
def lookup_fault(case, fault):
    # Half the log is there; the other half reads the states back, and the first answers go wrong.
    # One lookup a shard may be all there is; what fails is asked again, so there it can be three.
    events = CANAL.load()
    times = 1 if fault in (FAULTS["answer_in_chunks"], FAULTS["slow_answer"]) else 3
    scripted = server(case, script=first(times, fault, "_mget"))
    half = case.write("half.ndjson", events[:200])
    case.drain(case.config(case.file_source(half), sink(case, scripted), name="half"))
    load(case, scripted)
    check(scripted.fired >= times, f"only {scripted.fired} faults came")


@test()
def silent_server_is_asked_again_after_the_timeout(case):
    # The writes were done and the answer never comes: sending them again is harmless.
    scripted = server(case, script=first(2, Fault(silent=True)))
    load(case, scripted, timeout="1s")
    check_equal(scripted.fired, 2, "silences")


@test()
def body_too_large_is_split(case):
    # 413 for more than 8 KiB: the batch is halved until it fits.
    scripted = server(case, limit=8 << 10)
    batch = {"docs": 1000, "bytes": "1MiB", "linger": "50ms"}
    config = case.config(case.file_source(CANAL.events), case.elasticsearch(urls=[scripted.url], batch=batch))
    case.drain(config)
    check_documents(scripted.documents(case.unique), CANAL.documents(), "scripted server")
    check_equal(case.letters(), [], "dead letters")


@test()
def document_too_large_alone_is_a_dead_letter(case):
    # 413 for a single document will be 413 for ever: it goes to the dead letters, all others arrive.
    log = workload.Workload(52, 20, "large", partitions=1)
    events = log.events(200)
    expected = oracle.documents(events, MAPPING, "canal-json")
    values = log.values("tc_order", "666") | {"remark": "x" * 20000}
    events.append(log.message("tc_order", "INSERT", [{c: values[c] for c in workload.TYPES["tc_order"]}]))
    scripted = server(case, limit=16 << 10)
    case.drain(case.config(case.file_source(case.write("events.ndjson", events)), sink(case, scripted)))
    check_documents(scripted.documents(case.unique), expected, "scripted server")
    check_equal([letter["reason"] for letter in case.letters()], ["refused_by_sink"], "reasons")


@test()
def refused_item_is_a_dead_letter_and_delays_nothing(case):
    # One id gets a mapping error among good ones, while others are told to come again.
    expected = CANAL.documents()
    refused = sorted(expected)[3]
    scripted = server(case, refused=[refused], script=first(6, Fault(items={1: 429}, every=2)))
    case.drain(case.config(case.file_source(CANAL.events), sink(case, scripted)))
    del expected[refused]
    check_documents(scripted.documents(case.unique), expected, "scripted server")
    letters = case.letters()
    check(letters and all(letter["reason"] == "refused_by_sink" for letter in letters), f"letters: {letters}")
    check(all("failed to parse field" in letter["detail"] for letter in letters), "not the server's words")


@test()
def compressed_requests_are_the_same(case):
    # The same faults with gzip on the way out.
    scripted = server(case, script=first(4, Fault(items={0: 429}, every=2)))
    load(case, scripted, compression="gzip")


TAKES_NOTHING = {
    "items_429": (Fault(items={0: 429}), Process.stop),
    "whole_503": (Fault(status=503), Process.hurry),
    "reset": (Fault(refuse=True), Process.hurry),
    "truncated": (Fault(cut_at=20), Process.hurry),
}


@test(needs="kafka", each=TAKES_NOTHING, name="nothing_unwritten_is_committed_{}")
def nothing_unwritten_is_committed(case, fault, stop):
    # The server takes nothing while a node runs; the node is stopped, and writes for as long as that may take, or is
    # told not to. With a server that works, the same group has the whole log before it. A truncated answer to a write
    # that was done comes again, too: that is harmless.
    events = workload.Workload(53, 100, case.unique).events(2000)
    produce(case.servers.kafka, events)
    broken = server(case, script=lambda kind, number: fault if kind == "_bulk" else None)
    node = case.node(case.config(case.kafka_source(case.unique), sink(case, broken)))
    until(lambda: broken.fired > 3, "the node tries to write")
    stop(node)
    good = server(case)
    summary = case.drain(case.config(case.kafka_source(case.unique), sink(case, good)))
    check_equal(summary["events"], len(events), "events of the next run")
    check_documents(good.documents(case.unique), oracle.documents(events, MAPPING, "canal-json"), "scripted server")

"""The captures through a real Kafka: same partitions, keys and headers, lz4."""
import contextlib
import json

import kafka_mock
import oracle
import workload
from harness import CANAL, CAPTURES, MAPPING, check, check_documents, check_equal, free_port, produce, test, until

EACH = {f"{capture.name}_into_{sink}": (capture, sink) for capture in CAPTURES for sink in ("sqlite", "elasticsearch")}


def put(case, capture, repeat=1):
    """Produces a capture under topics of this test alone; returns a regular expression for them and the count."""
    events = [event for event in capture.load() for _ in range(repeat)]
    produce(case.servers.kafka, events, topic=lambda name: f"{case.unique}.{name}")
    return f"^{case.unique}[.].*", len(events)


@test(needs="kafka", each=EACH)
def kafka_gives_the_expected_documents(case, capture, sink):
    # The capture as its producer wrote it. A second run of the group finds nothing new; a new group delivers the
    # whole log again onto the same index, and nothing changes.
    topics, count = put(case, capture)
    config = case.config(case.kafka_source(topics, format=capture.format), case.sink(sink))
    check_equal(case.drain(config)["events"], count, "events")
    check_documents(case.documents(sink), capture.documents(), sink)
    check_equal(case.drain(config)["events"], 0, "events of the group's second run")
    again = case.config(case.kafka_source(topics, format=capture.format, group=case.unique + "-again"),
                        case.sink(sink), name="again")
    check_equal(case.drain(again)["events"], count, "events of the new group")
    check_documents(case.documents(sink), capture.documents(), f"{sink} after the log came again")
    check_equal(case.letters() + case.letters("again"), [], "dead letters")


@test(needs="kafka", each=EACH)
def events_produced_twice_in_a_row_change_nothing(case, capture, sink):
    # A producer without idempotence that retried every event.
    topics, count = put(case, capture, repeat=2)
    config = case.config(case.kafka_source(topics, format=capture.format), case.sink(sink))
    check_equal(case.drain(config)["events"], count, "events")
    check_documents(case.documents(sink), capture.documents(), sink)


@test(needs="kafka", each=["none", "gzip", "snappy", "lz4", "zstd"])
def every_codec_is_read_codec(case, codec):
    # A topic holds batches of whatever its producers chose.
    produce(case.servers.kafka, CANAL.load(), topic=lambda _: case.unique, codec=codec)
    case.drain(case.config(case.kafka_source(case.unique), case.sqlite()))
    check_documents(case.sqlite_documents(), CANAL.documents(), "sqlite")


@test(needs="kafka elasticsearch")
def second_group_on_the_same_index_may_lag_behind(case):
    # An old log is read again while the index is ahead of it: half the log by one group, all by another, then the
    # first goes on. No version falls.
    log = workload.Workload(7, 200, case.unique)
    first, rest = log.events(4000), log.events(4000)
    expected = oracle.documents(first + rest, MAPPING, "canal-json")
    slow = case.config(case.kafka_source(case.unique, group=case.unique + "-slow"), case.elasticsearch(), name="slow")
    fast = case.config(case.kafka_source(case.unique, group=case.unique + "-fast"), case.elasticsearch(), name="fast")
    produce(case.servers.kafka, first)
    case.drain(slow)
    produce(case.servers.kafka, rest)
    case.drain(fast)
    check_documents(case.documents("elasticsearch"), expected, "after the fast group")
    check_equal(case.drain(slow)["events"], len(rest), "events left to the slow group")
    check_documents(case.documents("elasticsearch"), expected, "after the slow group")


@test(needs="kafka")
def until_end_waits_then_exits_69_without_a_topic(case):
    # A topic that is not there is like a server that is not there: one clear line.
    config = case.config(case.kafka_source(case.unique + "-absent", options={"allow.auto.create.topics": "false"}),
                         case.sqlite())
    result = case.weir("run", config, "--until-end", "--wait", "3s", code=69)
    check(case.unique + "-absent" in result.stderr, f"the message names no topic: {result.stderr[-500:]}")



@test()
def a_node_that_ends_before_its_first_assignment_ends_politely(case):
    # The group never gets as far as to deal anything out: its leader, weir, is told to join anew each time that it
    # tries. librdkafka before 2.3 would end the process by an assertion when such a consumer is freed.
    with contextlib.closing(kafka_mock.Cluster({case.unique: 2})) as kafka:
        kafka.refuse(kafka_mock.SYNC_GROUP, kafka_mock.REBALANCE_IN_PROGRESS, 1000)
        source = case.kafka_source(case.unique, brokers=kafka.brokers,
                                   options={"debug": "cgrp", "session.timeout.ms": "6000"})
        node = case.start("run", case.config(source, case.sqlite()), "--log-level", "debug")
        until(lambda: not node.running or "I am elected leader" in node.err.read_text(), "it is the group's leader")
        result = node.stop()
        check_equal(result.code, 0, f"exit code of a node that said {result.stderr[-800:]}")


@test()
def dead_letters_that_cannot_be_kept_are_not_done(case):
    # The topic for dead letters is on a broker that nobody reaches. All else is written, and a run that said 0 would
    # have lost the event that is no JSON.
    events = [CANAL.load()[0], {"topic": "t", "partition": 0, "offset": 0, "key": "", "payload": "no JSON"}]
    config = case.config(case.file_source(case.write("in.ndjson", events)), case.sqlite())
    spec = json.loads(config.read_text())
    spec["tasks"]["orders"]["dead_letter"] = {"kafka": {"brokers": [f"127.0.0.1:{free_port()}"], "topic": "letters"}}
    config.write_text(json.dumps(spec))
    result = case.weir("run", config, "--until-end", "--wait", "1s", code=69)
    check("its dead letters not be kept" in result.stderr, f"it said {result.stderr[-800:]}")

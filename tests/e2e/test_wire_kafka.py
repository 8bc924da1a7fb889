"""Kafka at the byte level, into SQLite: whatever a broker's answers look like, in the end every document is there and
the whole log committed, and at no moment more is committed than SQLite has.

The broker is librdkafka's mock, behind a proxy that spoils its answers (scripted_kafka.py). Each commit is held to
what the database has while the commit is on its way.
"""
import contextlib
import functools
import signal
import sqlite3
import struct

import oracle
import workload
from harness import Failed, LATE, MAPPING, check, check_documents, check_equal, test, until
from scripted_kafka import Broker, KafkaProxy, message_sets
from wire_faults import CUT, CUTS, NONSENSE, PATIENCE, RESET, SILENCE, Fault, lying, places, spoil, together

TOPIC, PARTITIONS = "wire", 3
OPTIONS = {
    # librdkafka before 2.3 may end by an assertion with cooperative-sticky (confluentinc/librdkafka#4312).
    "partition.assignment.strategy": "range",
    "session.timeout.ms": "5000", "heartbeat.interval.ms": "200", "reconnect.backoff.ms": "20",
    "max.poll.interval.ms": "15000",  # What bounds a join that is not answered, and nothing else does.
    "reconnect.backoff.max.ms": "100", "fetch.error.backoff.ms": "50", "fetch.wait.max.ms": "100",
    "socket.timeout.ms": "1100", "api.version.request.timeout.ms": "1000", "max.partition.fetch.bytes": "1000",
    "topic.metadata.refresh.interval.ms": "1000",
}
AT_ONCE = 20  # runs: each waits seconds for its group
# Which answers of each kind go wrong.
READING = {"versions": (0, 3), "metadata": (0, 2), "coordinator": (0,), "committed": (0,), "offsets": (0, 2),
           "fetch": (0, 2, 4), "commit": (0, 1)}
# Of these one in each run: after some of them the group waits anew for members.
MEMBER = ("join", "sync", "heartbeat", "leave")
# Where each costs a timeout.
SELDOM = {"committed": (0,), "offsets": (0,), "fetch": (0, 2), "commit": (0,)}


class World:
    """The log, what it comes to, and the broker that has it; made once."""

    @functools.cached_property
    def events(self):
        return workload.Workload(72, 40, TOPIC, partitions=PARTITIONS).events(400)

    @functools.cached_property
    def documents(self):
        return oracle.documents(self.events, MAPPING, "canal-json")

    @functools.cached_property
    def ends(self):
        return {number: sum(event["partition"] == number for event in self.events) for number in range(PARTITIONS)}

    def broker(self):
        broker = Broker(TOPIC, PARTITIONS)
        for at in range(0, len(self.events), 100):  # several sets of messages in each partition
            broker.produce(self.events[at:at + 100])
        check_equal(broker.ends(), self.ends, "messages that the mock broker has")
        return broker

    def versions(self, offsets):
        """Of the documents when each partition was read up to there."""
        read = [event for event in self.events if event["offset"] < offsets.get((TOPIC, event["partition"]), 0)]
        return oracle.replay(read, MAPPING, "canal-json").versions()


WORLD = World()


# ---- one run ----

def versions(path):
    """{key: version} of all documents that SQLite knows of, deleted ones too."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        rows = sorted(row for table in ("orders", "orders_weir")
                      for row in database.execute(f"SELECT key, version FROM {table}"))
    return dict(rows)


def config(case, name, proxy):
    """With the name as its group."""
    source = {"kafka": {"brokers": [proxy.address], "topics": [TOPIC], "group": name, "commit_interval": "100ms",
                        "options": OPTIONS}, "format": "canal-json"} | LATE
    sink = case.sqlite(f"{name}.db") | {"batch": {"docs": 5, "bytes": "1MiB", "linger": "1ms"}}
    return case.config(source, sink, name=name)


class BrokerDied(Exception):
    """The mock broker ended by an assertion of its own."""


def arrives(case, name, script=lambda kind, number: None, errors=()):
    """The log into SQLite through a proxy. `errors`: (request, error) that the broker answers once each.
    Returns the proxy and weir's stderr."""
    for attempt in range(3):
        with contextlib.closing(WORLD.broker()) as broker, contextlib.suppress(BrokerDied):
            for told in errors:
                broker.refuse(*told, 1)
            return arrives_once(case, broker, f"{name}-{attempt}", script)
    raise Failed("the mock broker died three times")


def proxy_of(case, broker, name, script):
    """A proxy that looks, whenever something is committed, whether SQLite has all of that."""
    def watch(offsets):
        there = versions(case.dir / f"{name}.db")
        behind = [key for key, version in WORLD.versions(offsets).items() if there.get(key, -1) < version]
        check(not behind, f"{offsets} is committed, and SQLite lacks changes of {behind[:5]} ({len(behind)})")
    return contextlib.closing(KafkaProxy(broker.brokers, script, watch))


def arrives_once(case, broker, name, script):
    with proxy_of(case, broker, name, script) as proxy:
        process = case.start("run", config(case, name, proxy), "--until-end", "--wait", PATIENCE)
        until(lambda: not (broker.alive and process.running), "weir ends")
        if not broker.alive:
            process.stop(signal.SIGKILL)
            raise BrokerDied
        try:
            check_arrived(case, broker, name, process.result, proxy)
        except Failed as trouble:
            raise Failed(f"{trouble}\nanswers {proxy.counts}, spoilt {proxy.fired}, commits {proxy.offsets}\n"
                         f"{process.result.stdout[:200]}\n{process.result.stderr[-3000:]}")
        return proxy, process.result.stderr


def check_arrived(case, broker, name, result, proxy):
    check_equal(result.code, 0, "exit")
    check_documents(case.sqlite_documents(f"{name}.db"), WORLD.documents, "SQLite")
    check_equal(case.letters(name), [], "dead letters")
    check_equal(proxy.wrong + proxy.listener.wrong, [], "commits ahead of SQLite, or wrong requests")
    committed = broker.committed(name)
    check(all(committed[number][0] <= end for number, end in WORLD.ends.items()), f"too far: {committed}")
    check_equal({number: offset for number, (offset, _) in committed.items()}, WORLD.ends, "committed offsets")
    check(all(metadata.startswith("weir1:") for _, metadata in committed.values()), f"clocks: {committed}")


def meets(case, name, fault, times):
    """A run that meets the fault in those answers."""
    proxy, _ = arrives(case, name, lambda kind, number: fault if number in times.get(kind, ()) else None)
    missed = times.keys() - proxy.fired.keys()
    check(not missed, f"faults came in {proxy.fired}, not in {missed}")


def reading_and(*kinds):
    return READING | {kind: (0,) for kind in kinds}


# ---- the tests ----

@test()
def wire_kafka_without_a_fault_ends_in_the_right_documents(case):
    # What the others are compared with: every kind of answer comes, and weir has nothing to say.
    proxy, told = arrives(case, "plain")
    check(proxy.counts.keys() >= READING.keys() | set(MEMBER), f"kinds of answers: {proxy.counts}")
    check(" warn " not in told, f"a warning: {told}")


def with_id(number):
    return lambda frame: frame[:4] + struct.pack(">i", number) + frame[8:]


def ends():
    """The broker did what it was asked, and its answer ends in the middle, with the connection."""
    return {f"end_{i}_at_{at:.3f}": (Fault(at=at, then=(CUT, RESET)[i % 2]), reading_and(MEMBER[i // 2 % 4]))
            for i, at in enumerate(places(CUTS))}


def slow():
    faults = {"byte_by_byte": Fault(pieces=1), "late": Fault(at=0, delay_s=0.1), "lost": Fault(lost=True),
              "late_in_its_middle": Fault(at=0.5, delay_s=0.1), "cut_late": Fault(at=0.5, delay_s=0.1, then=CUT)}
    return {name: (fault, reading_and(MEMBER[i % 4])) for i, (name, fault) in enumerate(faults.items())}


def spoilt():
    """Lengths that lie, and other texts instead."""
    lengths = {"of_2_GiB": 0x7fffffff, "of_minus_1": -1, "of_a_byte_less": lambda right: right - 1,
               "of_half": lambda right: right // 2}
    faults = {name: Fault(edit=lying(length)) for name, length in lengths.items()}
    faults |= {name: Fault(at=0, then=text) for name, text in NONSENSE.items() if name != "tls"}
    return {name: (fault, reading_and("heartbeat")) for name, fault in faults.items()}


def unanswered():
    """What waits until librdkafka gives up (socket.timeout.ms). It waits for a join as long as max.poll.interval.ms, so
    none of these comes to one. Nonsense within an answer begins with its id."""
    edits = {"of_a_byte_more": lying(lambda right: right + 1), "of_much_more": lying(lambda right: right + 5000),
             "of_0": lying(0), "id_of_nobody": with_id(1 << 30), "id_of_minus_1": with_id(-1),
             "noise_behind_the_length": functools.partial(spoil, at=4, text=NONSENSE["noise"])}
    faults = {name: Fault(edit=edit) for name, edit in edits.items()}
    faults |= {f"silent_at_{at}": Fault(at=at, then=SILENCE) for at in (0, 0.5)}
    return {name: (fault, SELDOM) for name, fault in faults.items()}


@test()
def wire_kafka_answers_that_are_cut_spoilt_slow_or_never_come_lose_nothing(case):
    # All at once, because each run waits seconds for its group, and some for timeouts.
    twice = {"twice": (Fault(twice=True), reading_and(*MEMBER))}
    runs = ends() | slow() | spoilt() | unanswered() | twice
    together({name: functools.partial(meets, case, name, *told) for name, told in runs.items()}, AT_ONCE)


# Kafka's errors; the broker answers a kind of requests with some, one after the other.
ERRORS = {
    "fetch": (1, [6, 3, 5, 7, 74, 75, 76, -1]), "offsets": (2, [6, 3, 5, 7, 13, -1]), "metadata": (3, [5, 7]),
    "commit": (8, [14, 15, 16, 7]), "committed": (9, [14, 16, 7]), "coordinator": (10, [15, 14, 7]),
    "join": (11, [14, 16]), "heartbeat": (12, [14, 16, 27]), "versions": (18, [35, 7]),
}
# After these weir is no member any more, or the group rebalances: it joins anew, reads again what it must, and ends
# when that is committed.
LOSING = {"a_rebalance": (8, [27]), "an_unknown_member": (12, [25]), "another_generation": (8, [22]),
          "a_commit_of_nobody": (8, [25])}


@test()
def wire_kafka_errors_of_the_broker_lose_nothing(case):
    def job(name, request, errors):
        arrives(case, name, errors=[(request, error) for error in errors])
    together({name: functools.partial(job, name, *told) for name, told in (ERRORS | LOSING).items()}, AT_ONCE)


def in_sets(at, text):
    """An edit of each set of messages in a Fetch answer."""
    def edit(frame):
        for start in message_sets(frame):
            frame = frame[:start + at] + text + frame[start + at + len(text):]
        return frame
    return edit


@test()
def wire_kafka_damaged_messages_are_not_taken(case):
    # A set of messages with a wrong checksum, or of a format that is unknown: librdkafka leaves it out and would go
    # on behind it. The run ends with 74 instead, and one that is not disturbed has all.
    edits = {"a_byte_of_a_message": in_sets(120, b"\x01"), "a_checksum": in_sets(17, b"\1\2\3\4"),
             "an_unknown_format": in_sets(16, b"\x09"),
             "noise": functools.partial(spoil, at=0.5, text=NONSENSE["noise"])}

    def job(name, fault):
        with contextlib.closing(WORLD.broker()) as broker:
            with proxy_of(case, broker, name, lambda kind, number: fault if kind == "fetch" else None) as proxy:
                told = case.weir("run", config(case, name, proxy), "--until-end", code=74).stderr
                check("the task ends: kafka: wire [" in told, f"it does not say why: {told}")
                check_equal(proxy.wrong + proxy.listener.wrong, [], "commits ahead of SQLite, or wrong requests")
            arrives_once(case, broker, name, lambda kind, number: None)
    together({name: functools.partial(job, name, Fault(edit=edit)) for name, edit in edits.items()}, AT_ONCE)

"""What weir does while calls fail: each scenario is one run of the binary, with what must be there in the end.

A scenario prepares a folder, names the command, and checks what came out. It is played with faults, and where that run
says that it failed, once more without: then all must be there. No real server is needed.

Most read to the log's end and end by themselves. A Story runs on: something happens around it, and then it is told to
end (SIGTERM).
"""
import contextlib
import itertools
import json
import pathlib
import re
import sqlite3
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402
import hbase_oracle  # noqa: E402
import kafka_mock  # noqa: E402
import oracle  # noqa: E402
import wire_faults  # noqa: E402
import workload  # noqa: E402
from scripted_es import Fault, ScriptedElasticsearch  # noqa: E402
from scripted_hbase import HADOOP, Refused, ScriptedHBase  # noqa: E402

BAD = "this is no JSON"
HANG_S = 120  # how long a run may take before it counts as hung; no loop asserts a time
PATIENCE_S = 20  # how long a story waits for what may never happen, because a call failed
RUNNING = set()  # children, which do not outlive the program


class Log:
    """Some eighty events of a dozen documents, one of them no event at all, and what they come to."""

    def __init__(self, **options):
        log = workload.Workload(97, 12, "fault", **options)
        good = log.events(80)
        bad = good[40] | {"payload": BAD, "offset": 0, "topic": "bad", "partition": 0}
        self.rows = oracle.replay(good, harness.MAPPING, "canal-json")
        self.documents = oracle.documents(good, harness.MAPPING, "canal-json")
        self.events = good[:41] + [bad] + good[41:]
        self.text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in self.events)
        self.refused = sorted(self.documents)[2]  # by the scripted Elasticsearch


LOG = Log(partitions=2)
KEYED = Log(partitions=4, keyed=True)
# One topic, and first what is no event, so that it is always the node with the faults that puts it aside.
KEYED.events = sorted((event | {"topic": "fault"} for event in KEYED.events), key=lambda event: event["payload"] != BAD)


class Scenario:
    """One run in a folder of its own."""
    codes = {0, 69, 70, 74, 78}
    # The kinds of calls that it makes, but for rename: nobody calls that yet.
    calls = ["allocate", "map", "open", "read", "write", "sync", "truncate", "rename", "thread", "ring", "submit",
             "poll"]
    reasons = {"bad_json"}  # of the dead letters that must be there
    waits = 1  # so many times longer than others a run waits for nothing but time: so many times fewer of them
    loops = 1  # so many at once, where a run mostly waits
    happened = True  # all that should happen around it
    trouble = None  # what was wrong around it
    cluster = None  # of mock brokers

    def __init__(self, folder):
        self.folder = folder
        (folder / "events.ndjson").write_text(LOG.text, encoding="utf-8")
        self.write_config("weir")

    def write_config(self, name):
        spec = {"node": {"state_dir": str(self.folder), "admin": str(self.folder / f"{name}.sock"), "memory": "64MiB",
                         "hugepages": "off", "cores": [0], "name": name},
                "tasks": {"orders": {
                    "source": self.source() | {"format": "canal-json"} | harness.LATE,
                    "document": {"key": harness.MAPPING.key, "tables": harness.MAPPING.tables},
                    "sinks": {"out": self.sink()},
                    "dead_letter": self.dead_letter(name)}}}
        (self.folder / f"{name}.yaml").write_text(json.dumps(spec, indent=1))

    def accompany(self, child, patience_s):
        """While it runs. Returns when it has ended; raises subprocess.TimeoutExpired where it does not."""
        child.wait(HANG_S)

    def close(self):
        pass

    def server_died(self):
        """A run in which a server ended by itself says nothing."""
        return self.cluster is not None and not self.cluster.alive

    def dead_letter(self, name):
        return {"file": str(self.folder / f"{name}.letters")}

    def letters(self):
        """The lines of the dead letters."""
        return [line for file in sorted(self.folder.glob("*.letters"))
                for line in self.whole(file.read_text(encoding="utf-8").splitlines())]

    @staticmethod
    def whole(lines):
        """Without those that were cut by a run that failed: their ends are there, and the letter came again."""
        found = []
        for number, line in enumerate(lines):
            try:
                found.append(json.loads(line))
            except ValueError:
                harness.check(number + 1 < len(lines), "the last dead letter is cut")
        return found

    def source(self):
        return {"file": {"paths": ["events.ndjson"]}}

    wait = "1s"  # for a server, where a fault may have taken it away

    def arguments(self, patient):
        return ["run", "weir.yaml", "--until-end", "--wait", "60s" if patient else self.wait]

    def documents(self):
        """{key: document} as the sink has them."""
        raise NotImplementedError

    def wanted(self):
        return LOG.documents

    def says_incomplete(self, stdout):
        """Files that could not be read to their end are told by the summary, not by the exit code."""
        return json.loads(stdout.splitlines()[-1])["damaged_files"] > 0

    def check(self, stdout):
        """Raises where a run that said 0 did not do all that it should."""
        harness.check_documents(self.documents(), self.wanted(), "the sink")
        self.check_letters(self.letters())

    def check_letters(self, letters):
        harness.check_equal({letter["reason"] for letter in letters}, self.reasons, "reasons of the dead letters")
        harness.check_equal({letter["payload"] for letter in letters if letter["reason"] == "bad_json"}, {BAD},
                            "payloads of the dead letters")


class SQLite(Scenario):
    """file_into_sqlite: start, merge, flush, a dead letter, drain, end"""

    def sink(self):
        return {"sqlite": {"path": "out.db", "table": "orders"}, "batch": {"docs": 5, "linger": "1ms"}}

    def documents(self):
        with contextlib.closing(sqlite3.connect(self.folder / "out.db")) as database:
            return {key: oracle.parse(doc) for key, doc in database.execute("SELECT key, doc FROM orders")}


class Elasticsearch(Scenario):
    """file_into_elasticsearch: the same over HTTP, with a connection that is reset, items told to come again, and a
    document that is refused"""
    calls = ["allocate", "map", "open", "read", "write", "sync", "rename", "thread", "connect", "send", "receive",
             "ring", "submit", "poll"]
    reasons = {"bad_json", "refused_by_sink"}

    def sink(self):
        def script(kind, number):
            if kind != "_bulk":
                return None
            return {0: Fault(reset_at=30), 2: Fault(items={1: 429}), 4: Fault(refuse=True)}.get(number)
        self.server = ScriptedElasticsearch(script=script, refused=[LOG.refused])
        return {"elasticsearch": {"urls": [self.server.url], "index": "orders", "timeout": "2s"},
                "batch": {"docs": 5, "bytes": "1MiB", "linger": "1ms", "in_flight": 2}}

    def close(self):
        self.server.close()

    def documents(self):
        return self.server.documents("orders")

    def wanted(self):
        return {key: document for key, document in LOG.documents.items() if key != LOG.refused}


class Check(SQLite):
    """check: reads and judges a config, and says so"""
    codes = {0, 70, 74, 78}
    calls = ["allocate", "open", "read"]

    def arguments(self, patient):
        return ["check", "weir.yaml"]

    def says_incomplete(self, stdout):
        return False

    def check(self, stdout):
        harness.check("weir.yaml is good: 1 task" in stdout, f"it said {stdout!r}")


class HBase(Scenario):
    """file_into_hbase: the same over HBase's RPC: a connection that is reset, a busy region, a region that moves"""
    calls = ["allocate", "map", "open", "read", "write", "sync", "rename", "thread", "connect", "send", "receive",
             "ring", "submit", "poll"]
    loops = 3
    wait = "5s"  # where a call got no answer it is repeated after two

    def sink(self):
        def busy(answer):
            answer.exception = Refused(HADOOP + "RegionTooBusyException", "too much is in its memory")

        def script(kind, number):
            if (kind, number) == ("put", 3):
                self.server.move(0)
            return {("get", 0): wire_faults.Fault(at=0.5, then=wire_faults.RESET),
                    ("put", 1): wire_faults.Fault(change=busy),
                    ("put", 2): wire_faults.Fault(lost=True)}.get((kind, number))
        self.server = ScriptedHBase(script)
        return {"hbase": {"table": self.server.table, "family": self.server.family, "timeout": "2s",
                          "zookeeper": [self.server.zookeeper.address]},
                "batch": {"docs": 5, "bytes": "1MiB", "linger": "1ms", "in_flight": 2}}

    def close(self):
        self.server.close()

    def check(self, stdout):
        hbase_oracle.check_cells(self.server.scan(), LOG.rows, "the table")
        self.check_letters(self.letters())


class Letters(SQLite):
    """letters_into_kafka: dead letters that mock brokers take"""
    calls = ["open", "connect", "send", "receive"]
    waits = loops = 4
    wait = "9s"
    lock, serial = threading.Lock(), itertools.count()

    def dead_letter(self, name):
        with self.lock:
            self.topic = f"letters{next(self.serial)}"
            if not Letters.cluster or not Letters.cluster.alive:
                Letters.cluster = kafka_mock.Cluster({})
        return {"kafka": {"brokers": [self.cluster.brokers], "topic": self.topic}}

    def letters(self):
        told = subprocess.run(["kcat", "-C", "-e", "-q", "-b", self.cluster.brokers, "-t", self.topic],
                              capture_output=True, text=True)
        harness.check_equal(told.returncode, 0, f"kcat, which said {told.stderr}")
        return [json.loads(line) for line in told.stdout.splitlines()]


class Kafka(SQLite):
    """kafka_into_sqlite: joins a group of mock brokers, is given its partitions, reads, commits, and leaves"""
    # Not allocations and threads: where librdkafka lacks one, an assertion of its own ends the process, or it waits
    # for ever for a thread that it could not start.
    calls = ["open", "write", "sync", "rename", "connect", "send", "receive", "submit", "poll"]
    options = {"session.timeout.ms": "5000", "heartbeat.interval.ms": "300"}
    waits = loops = 8  # each takes the three seconds that a group waits for more members
    wait = "9s"
    lock, serial = threading.Lock(), itertools.count()

    def source(self):
        with self.lock:
            if not Kafka.cluster or not Kafka.cluster.alive:
                Kafka.cluster = kafka_mock.Cluster({"fault": 2, "bad": 2})
                Kafka.cluster.produce(LOG.events)
        return {"kafka": {"brokers": [Kafka.cluster.brokers], "topics": ["fault", "bad"],
                          "group": f"g{next(self.serial)}", "commit_interval": "100ms", "options": self.options}}


class Over(Exception):
    """A story that does not go on."""


class Story(Kafka):
    """Runs on until all has happened that should, and is told to end; later, without faults, to the log's end."""
    cluster = None  # each has its own

    def arguments(self, patient):
        return super().arguments(patient) if patient else ["run", "weir.yaml"]

    def says_incomplete(self, stdout):
        """It was told to end before it could do all, maybe."""
        return not self.happened

    def accompany(self, child, patience_s):
        self.child, self.until_s, self.happened = child, time.monotonic() + patience_s, False
        try:
            self.tell()
            self.happened = True
        except (Over, OSError):  # OSError: a server ended
            pass
        except harness.Failed as trouble:
            self.trouble = trouble
        if child.poll() is None:
            child.terminate()
        child.wait(HANG_S)

    def wait_for(self, condition):
        while not condition():
            if self.child.poll() is not None or time.monotonic() > self.until_s:
                raise Over
            time.sleep(0.2)

    def said(self, pattern, file="stderr"):
        return re.search(pattern, (self.folder / file).read_text(encoding="utf-8", errors="replace"))

    def is_all_there(self):
        try:
            return self.documents() == self.wanted()
        except sqlite3.Error:  # It is not made yet, or was replaced.
            return False

    def tell(self):
        raise NotImplementedError


class Reconnect(Story):
    """kafka_reconnect: its broker hangs up in the middle, three times, and takes new connections"""
    lost = (kafka_mock.FETCH, kafka_mock.HEARTBEAT, kafka_mock.OFFSET_COMMIT)

    def source(self):
        self.cluster = kafka_mock.Cluster({"fault": 2, "bad": 1})
        self.cluster.produce(LOG.events[:45])
        return {"kafka": {"brokers": [self.cluster.brokers], "topics": ["fault", "bad"], "group": "g",
                          "commit_interval": "100ms", "options": self.options}}

    def tell(self):
        try:
            self.wait_for(lambda: self.said("partitions are ours now"))
            for request in self.lost:
                self.cluster.refuse(request, kafka_mock.HANG_UP, 1)
        finally:  # in any case: what is to be there in the end must not depend on what fails
            self.cluster.produce(LOG.events[45:])
        self.wait_for(self.is_all_there)
        self.wait_for(lambda: not any(map(self.cluster.refusals, self.lost)))

    def close(self):
        self.cluster.close()


class Rebalance(Story):
    """kafka_rebalance: another node joins its group, writes a part of the log, and leaves, while the log grows"""
    options = Kafka.options | {"session.timeout.ms": "4000"}
    strategy = {}

    def source(self):
        if not self.cluster:
            self.cluster, self.server = kafka_mock.Cluster({"fault": 4}), ScriptedElasticsearch()
            self.cluster.produce(KEYED.events[:25])
        return {"kafka": {"brokers": [self.cluster.brokers], "topics": ["fault"], "group": "g",
                          "partitioned_by_key": True, "commit_interval": "100ms",
                          "options": self.options | self.strategy}}

    def sink(self):
        return {"elasticsearch": {"urls": [self.server.url], "index": "orders", "timeout": "2s"},
                "batch": {"docs": 2, "bytes": "1MiB", "linger": "1ms", "in_flight": 2}}

    def documents(self):
        return self.server.documents("orders")

    def wanted(self):
        return KEYED.documents

    def tell(self):
        rest = iter([KEYED.events[at:at + 19] for at in (25, 44, 63)])
        try:
            self.wait_for(lambda: self.said("[1-9] of 4 partitions are ours now"))
            self.cluster.produce(next(rest))
            self.with_another_node(lambda: self.cluster.produce(next(rest)))
        finally:
            for events in rest:
                self.cluster.produce(events)
        self.wait_for(self.is_all_there)

    def with_another_node(self, meanwhile):
        """Starts it, and ends it when it has had partitions. Nothing fails within it."""
        self.write_config("another")
        with open(self.folder / "another.stderr", "wb") as err:
            other = subprocess.Popen([*self.child.args[:1], "run", "another.yaml"], cwd=self.folder, stderr=err,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        RUNNING.add(other)
        try:
            self.wait_for(lambda: self.said("[1-9] of 4 partitions are ours now", "another.stderr"))
            meanwhile()
        finally:
            other.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                other.wait(HANG_S)
            other.kill()
            other.wait()
            RUNNING.discard(other)
            said = (self.folder / "another.stderr").read_text()
            if said:  # else it was told to end before it could take that for more than a signal
                harness.check_equal(other.returncode, 0, f"exit code of the other node, which said {said[-300:]}")

    def close(self):
        self.cluster.close()
        self.server.close()


class Cooperative(Rebalance):
    """kafka_rebalance_cooperative: the same, where a node keeps what does not move"""
    strategy = {"partition.assignment.strategy": "cooperative-sticky"}


SCENARIOS = {"check": Check, "file_into_sqlite": SQLite, "file_into_elasticsearch": Elasticsearch,
             "file_into_hbase": HBase, "letters_into_kafka": Letters, "kafka_into_sqlite": Kafka,
             "kafka_reconnect": Reconnect, "kafka_rebalance": Rebalance, "kafka_rebalance_cooperative": Cooperative}

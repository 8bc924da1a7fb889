"""What weir does while calls fail: each scenario is one run of the binary, with what must be there in the end.

A scenario prepares a folder, names the command, and checks what came out. It is played with faults, and where that run
says that it failed, once more without: then all must be there. No real server is needed.
"""
import contextlib
import itertools
import json
import pathlib
import sqlite3
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
sys.path.insert(0, str(ROOT / "tests/fault"))

import harness  # noqa: E402
import kafka_mock  # noqa: E402
import oracle  # noqa: E402
import workload  # noqa: E402
from scripted_es import Fault, ScriptedElasticsearch  # noqa: E402

BAD = "this is no JSON"


class Log:
    """Some eighty events of a dozen documents, one of them no event at all, and what they come to."""

    def __init__(self):
        log = workload.Workload(97, 12, "fault", partitions=2)
        good = log.events(80)
        bad = good[40] | {"payload": BAD, "offset": 0, "topic": "bad"}
        self.documents = oracle.documents(good, harness.MAPPING, "canal-json")
        self.events = good[:41] + [bad] + good[41:]
        self.text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in self.events)
        self.refused = sorted(self.documents)[2]  # by the scripted Elasticsearch


LOG = Log()


class Scenario:
    """One run in a folder of its own."""
    codes = {0, 69, 70, 74, 78}
    calls = ["allocate", "map", "open", "read", "write", "sync", "truncate", "thread"]  # that it makes
    reasons = {"bad_json"}  # of the dead letters that must be there
    waits = 1  # so many times longer than others a run waits for nothing but time

    def __init__(self, folder):
        self.folder = folder
        (folder / "events.ndjson").write_text(LOG.text, encoding="utf-8")
        spec = {"node": {"state_dir": str(folder), "admin": str(folder / "a.sock"), "memory": "64MiB",
                         "hugepages": "off", "cores": [0]},
                "tasks": {"orders": {
                    "source": self.source() | {"format": "canal-json"} | harness.LATE,
                    "document": {"key": harness.MAPPING.key, "tables": harness.MAPPING.tables},
                    "sinks": {"out": self.sink()},
                    "dead_letter": {"file": str(folder / "letters")}}}}
        (folder / "weir.yaml").write_text(json.dumps(spec, indent=1))

    def close(self):
        pass

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
        return '"damaged_files":0' not in stdout

    def check(self, stdout):
        """Raises where a run that said 0 did not do all that it should."""
        json.loads(stdout.splitlines()[-1])
        harness.check_documents(self.documents(), self.wanted(), "the sink")
        lines = (self.folder / "letters").read_text(encoding="utf-8").splitlines()
        found = []
        for number, line in enumerate(lines):
            try:
                found.append(json.loads(line))
            except ValueError:  # cut by a run that failed: its end is there, and its letter comes again
                harness.check(number + 1 < len(lines), "the last dead letter is cut")
        harness.check_equal({letter["reason"] for letter in found}, self.reasons, "reasons of the dead letters")
        harness.check_equal({letter["payload"] for letter in found if letter["reason"] == "bad_json"}, {BAD},
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
    calls = ["allocate", "map", "open", "read", "write", "sync", "thread", "connect", "send", "receive"]
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


class Kafka(SQLite):
    """kafka_into_sqlite: joins a group of mock brokers, is given its partitions, reads, commits, and leaves"""
    # Not allocations and threads: where librdkafka lacks one, an assertion of its own ends the process, or it waits
    # for ever for a thread that it could not start.
    calls = ["open", "write", "sync", "connect", "send", "receive"]
    # cooperative-sticky, weir's choice, is not used: librdkafka before 2.3 ends by an assertion where a consumer is
    # closed after it became its group's leader and before its first assignment (confluentinc/librdkafka#4312).
    options = {"partition.assignment.strategy": "range", "session.timeout.ms": "5000", "heartbeat.interval.ms": "300"}
    waits = 8  # each takes the three seconds that a group waits for more members
    wait = "9s"
    cluster, lock, serial = None, threading.Lock(), itertools.count()

    def source(self):
        with self.lock:
            if not Kafka.cluster:
                Kafka.cluster = kafka_mock.Cluster({"fault": 2, "bad": 2})
                harness.produce(Kafka.cluster.brokers, LOG.events)
        return {"kafka": {"brokers": [Kafka.cluster.brokers], "topics": ["fault", "bad"],
                          "group": f"g{next(self.serial)}", "commit_interval": "100ms", "options": self.options}}


SCENARIOS = {"check": Check, "file_into_sqlite": SQLite, "file_into_elasticsearch": Elasticsearch,
             "kafka_into_sqlite": Kafka}

"""kill -9 of weir, of HBase's servers and of Elasticsearch at random moments, with a log that never ends meanwhile.

Nothing is lost, nothing is stale, nothing comes back after its delete: not at the end, not when the stores have
forgotten what was deleted, not when the log is read again. WEIR_E2E_ROUNDS is how often servers are killed (3),
WEIR_E2E_EVENTS how many events flow (20000). The full form is 30 rounds with 200000 events.
"""
import contextlib
import http.client
import json
import os
import random
import re
import socket

import hbase_oracle
import oracle
import workload
from harness import HANG_S, MAPPING, check, check_documents, check_equal, produce, test, until
from kafka_admin import set_offsets
from sampler import CellSampler, Sampler
from test_hbase import client, known_server, second_server, sink
from test_owners import KEYED, forget_deletes

ROUNDS = int(os.environ.get("WEIR_E2E_ROUNDS", "3"))
EVENTS = int(os.environ.get("WEIR_E2E_EVENTS", "20000"))
SMALL = {"docs": 200, "bytes": "1MiB", "linger": "5ms", "in_flight": 4}  # many steps, so that many moments differ
TASKS = 8         # they share 64 MiB: each has 8
LARGE = 2 * (64 << 20) // TASKS  # bytes of remarks in all documents, so that many are evicted
SAMPLED = 50      # documents that are watched all along
OF = {"regionserver": ["hbase-regionserver"], "hbase": ["hbase-regionserver", "hbase"]}  # what ends together
COUNTERS = {"retried": r'weir_sink_documents_total{.*task="orders".*result="retried".*}',
            "stale": r'weir_sink_documents_total{.*task="orders".*result="stale".*}',
            "lookups": r'weir_lookups_total{.*task="orders".*}',
            "states_found": r'weir_lookup_documents_total{.*task="orders".*result="found".*}',
            "evictions": r'weir_store_evicted_total{.*task="orders".*}'}


# ---- the log ----

class Orders(workload.Workload):
    """Remarks of all sizes; and one in ten statements deletes an order, or brings one back."""

    def __init__(self, seed, topic, orders):
        super().__init__(seed, orders, topic, keyed=True)
        self.large = 2 * LARGE // orders

    def events(self, n):
        """At least so many: what a statement says is not cut, so offsets are Kafka's."""
        made = []
        while len(made) < n:
            made.extend(self.statement())
        return made

    def values(self, table, order):
        return super().values(table, order) | {"remark": "x" * self.random.randrange(self.large)}

    def statement(self):
        order = self.random.choice(self.orders)
        if self.random.random() < 0.9:
            return super().statement()
        if order not in self.tables["tc_order"]:
            return [self.insert("tc_order", order)]
        rows = [(table, order) for table in workload.TYPES if order in self.tables[table]]
        return [self.delete(table, [pk]) for table, pk in rows]


def middle(events):
    """{partition: (offset, metadata)} of the log's middle: where a commit was made then, with its clock."""
    places, clocks = {}, {}
    for event in events[:len(events) // 2]:
        payload = json.loads(event["payload"])
        clock = max(clocks.get(event["partition"], 0) + 1, payload["ts"] * 1000) + len(payload["data"]) - 1
        clocks[event["partition"]] = clock
        places[event["partition"]] = (event["offset"] + 1, f"weir1:{clock}")
    return places


# ---- what is killed ----

class World:
    """weir, Elasticsearch and two region servers, how each ends and how it comes back. The first region server is
    one process with HBase's master and ZooKeeper; what is left of HBase then goes with it."""

    def __init__(self, case, seed):
        self.case, self.random = case, random.Random(seed)
        self.log, self.events = Orders(seed, case.unique, max(EVENTS // 5, 100)), []
        self.table, self.node, self.versions = client(case), None, None
        self.table.balancer(False)
        self.second = second_server(case, self.table)
        self.config = case.crowded(case.config(
            case.kafka_source(case.unique, kafka=KEYED, options={"group.instance.id": case.unique}), None,
            node={"memory": "64MiB", "cores": [min(os.sched_getaffinity(0))]}, hydrate="search",
            sinks={"search": case.elasticsearch(batch=SMALL), "detail": sink(case, batch=SMALL)}), TASKS)
        for kind in ("elasticsearch", "hbase"):  # whatever happens, other tests need them
            case.cleanups.callback(case.servers.revive, kind)
        self.kills = dict.fromkeys(("weir", "elasticsearch", "regionserver", "hbase"), 0)
        self.counted = dict.fromkeys(COUNTERS, 0)

    def feed(self, count):
        events = self.log.events(count)
        produce(self.case.servers.kafka, events)
        self.events += events

    # -- weir --

    def start(self):
        self.node = self.case.start("run", self.config)
        self.node.socket = self.case.dir / "weir.sock"

    def ask(self, path):
        """A page of the admin socket; None while nobody answers there."""
        check(self.node.running, f"the node ended: {self.node.result and self.node.result.stderr[-1500:]}")
        connection = http.client.HTTPConnection("weir", timeout=HANG_S)
        with contextlib.suppress(OSError, http.client.HTTPException), socket.socket(socket.AF_UNIX) as pipe:
            pipe.settimeout(HANG_S)
            connection.sock = pipe
            pipe.connect(str(self.node.socket))
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        return None

    def durable(self):
        """How many records of the log every sink has; a partition of which that is not known counts as none."""
        page = self.ask("/v1/tasks/orders/lag")
        return sum(p["durable"] or 0 for p in json.loads(page).get("partitions", ())) if page else 0

    def count(self):
        """Adds up what the node has counted: it dies with it."""
        page = self.ask("/metrics") or ""
        for name, pattern in COUNTERS.items():
            self.counted[name] += sum(int(value) for value in re.findall(rf"^{pattern} (\d+)", page, re.MULTILINE))

    # -- ends and beginnings --

    def kill(self, kind):
        self.kills[kind] += 1
        if kind == "weir":
            self.count()
            self.node.stop(9)
            return
        for name in OF.get(kind, [kind]):
            self.case.servers.kill(name)
        if kind == "elasticsearch":  # it shows a write to a get by key before that is in its log
            self.versions.forgive()

    def revive(self, kind):
        if kind == "weir":
            self.start()
            return
        for name in reversed(OF.get(kind, [kind])):
            self.case.servers.revive(name)
        if kind in OF:
            self.second = known_server(self.case, self.table, self.second)
            self.share()

    def share(self):
        """Two of the regions go to the second region server, whichever it is now."""
        for region in self.random.sample(self.table.online(self.case.unique), 2):
            self.table.move(self.case.unique, region, self.second)

    def strike(self, victims):
        """All of them are killed, and come back one by one in any order."""
        for kind in victims:
            self.kill(kind)
        for kind in self.random.sample(victims, len(victims)):
            self.revive(kind)


def victims(generator, number):
    """The first rounds have each kind once."""
    first = [["weir", "regionserver"], ["elasticsearch"], ["hbase", "weir"]]
    kinds = ["weir", "elasticsearch", generator.choice(["regionserver", "regionserver", "hbase"])]
    return first[number] if number < len(first) else generator.sample(kinds, generator.randrange(1, 4))


# ---- what must be there ----

def check_all(world, rows, where):
    """Every document, version and state beside the index; every cell with its timestamp."""
    case, search = world.case, world.case.servers.elasticsearch
    documents, versions = rows.documents(), rows.versions()
    check_documents(search.documents(case.unique), documents, where)
    gone = versions.keys() - documents.keys()
    for index, keys in ((case.unique, documents.keys()), (case.unique + "-weir", gone)):
        want = {key: versions[key] for key in keys}
        got = {key: version for key, version in versions_of(search, index).items() if key in keys}
        wrong = [(key, got.get(key), want[key]) for key in want if got.get(key) != want[key]]
        check(not wrong, f"{where}: {len(wrong)} of {len(want)} versions in {index} are wrong: {wrong[:3]}")
    cells = world.table.scan(case.unique)
    hbase_oracle.check_cells(cells, rows, where)
    hbase_oracle.check_rows(cells, rows, where)
    letters = [line for path in case.dir.glob("*.dlq") for line in path.read_text().splitlines()]
    check_equal(letters[:3], [], f"{where}: dead letters")


def versions_of(search, index):
    found = {}
    search.request("POST", f"/{index}/_refresh")
    _, page = search.request("POST", f"/{index}/_search?scroll=1m&size=5000&version=true",
                             {"sort": ["_doc"], "_source": False})
    while page["hits"]["hits"]:
        found |= {hit["_id"]: int(oracle.plain(hit["_version"])) for hit in page["hits"]["hits"]}
        _, page = search.request("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
    search.request("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]}, ok=False)
    return found


@test(needs="kafka elasticsearch hbase")
def kill_9_of_everything_at_random_moments_loses_nothing_and_brings_nothing_back(case):
    # Each round begins with a backlog, and kills one to three at a place in it. Then everything is drained and
    # compared; the stores forget what was deleted; half of the log comes again, and nothing may change by that.
    world, share = World(case, 41), EVENTS // (ROUNDS + 1)
    search, kafka = case.servers.elasticsearch, case.servers.kafka
    world.feed(EVENTS - ROUNDS * share)
    world.start()
    until(lambda: world.durable() > 0, "the node writes")
    sampled = world.random.sample(world.log.orders, min(SAMPLED, len(world.log.orders)))
    # Seldom: each look at a version that was not refreshed yet has Elasticsearch parse the document anew.
    with (Sampler(search, case.unique, sampled, patient=True, pause_s=0.2) as versions,
          CellSampler(case.servers.hbase, case.unique, sampled, patient=True) as cells):
        world.versions = versions
        world.share()
        for number in range(ROUNDS):
            goal = number * share + world.random.randrange(share)
            world.feed(share)
            until(lambda: world.durable() >= goal, f"round {number}: {goal} records are durable")
            world.strike(victims(world.random, number))
        until(lambda: world.durable() == len(world.events), "all is durable")
        world.count()
        check_equal(world.node.stop().code, 0, "exit")
        case.drain(world.config)
    versions.check()
    cells.check()
    rows = oracle.replay(world.events, MAPPING, "canal-json")
    check_all(world, rows, "after the drain")
    check(world.counted["evictions"] > 0, "nothing was evicted")

    world.table.major_compact(case.unique)
    forget_deletes(search, case.unique)
    check_all(world, rows, "after the stores have forgotten")
    before = world.table.scan(case.unique, raw=True)
    until(lambda: set_offsets(kafka, case.unique, case.unique, middle(world.events)), "the group has no member")
    summary = case.drain(world.config)
    check_equal(summary["events"], len(world.events) - len(world.events) // 2, "events that came again")
    hbase_oracle.check_unchanged(before, world.table.scan(case.unique, raw=True), "half of the log came again")
    check_all(world, rows, "half of the log came again")
    tell(world, versions, cells, summary)


def tell(world, versions, cells, summary):
    figures = {"rounds": ROUNDS, "events": len(world.events), "kills": world.kills} | world.counted | {
        "looks": (versions.passes, cells.passes), "written_again": summary["tasks"]["orders"]["written"]}
    print("# " + json.dumps(figures), flush=True)

"""Several nodes in one group: whoever has a partition, the documents and their versions come out the same.

Members join, leave, are killed and are stopped for longer than their session, while a workload flows and a sampler
reads every version all along. WEIR_E2E_MOVES is how often partitions are moved in each test (8).
"""
import json
import os
import random
import signal
import subprocess
import threading

import database
import hbase_oracle
import oracle
import workload
from harness import DATA, MAPPING, check, check_documents, check_equal, produce, test, until
from kafka_admin import add_partitions, create_topic
from sampler import CellSampler, Sampler
from test_crash import SMALL
from test_database import connector, topics
from test_hbase import client as hbase_client
from test_hbase import sink as hbase_sink

MOVES = int(os.environ.get("WEIR_E2E_MOVES", "8"))
KEYED = {"partitioned_by_key": True}
COOPERATIVE = {"partition.assignment.strategy": "cooperative-sticky"}


# ---- members ----

def said(node):
    return node.err.read_text(errors="replace")


def partitions(case, node):
    """What a member has: {(topic, number): lag}; a lag that is not known is None."""
    answer = case.ask(node, "lag")
    return {(p["topic"], p["partition"]): p["lag"] for task in answer["tasks"] for p in task["partitions"]}


class Group:
    """Nodes that share a log, and what may happen to them. `total` is how many partitions there are; `more`: what
    the task says beside its source, where it does not write to Elasticsearch alone."""

    def __init__(self, case, total, source, more=None):
        self.case, self.total, self.source = case, total, source
        self.more = more or {"sinks": {"search": case.elasticsearch(batch=SMALL)}}
        self.members, self.names = [], iter(range(1000))

    def config(self, name):
        return self.case.config(self.source, None, name=name, **self.more)

    def join(self):
        name = f"n{next(self.names)}"
        self.members.append(self.case.node(self.config(name), name))

    def pick(self, generator):
        """A member, taken out of the group."""
        return self.members.pop(generator.randrange(len(self.members)))

    def leave(self, generator):
        check_equal(self.pick(generator).stop().code, 0, "exit of a member that leaves")

    def kill(self, generator):
        self.pick(generator).stop(9)

    def rest_has_all(self):
        return self.held() == self.total

    def held(self):
        """How many partitions the members say that they have."""
        for member in self.members:
            check(member.running, f"a member ended: {member.result and member.result.stderr[-1500:]}")
        return sum(len(partitions(self.case, member)) for member in self.members)

    def stop_and_wake(self, generator):
        """A true zombie: it stands still until the others have its partitions, and goes on as if nothing was."""
        zombie = self.pick(generator)
        before, had = said(zombie).count("stood still"), partitions(self.case, zombie)
        zombie.child.send_signal(signal.SIGSTOP)
        try:
            until(self.rest_has_all, "the others have the partitions of one that is stopped")
        finally:
            zombie.child.send_signal(signal.SIGCONT)
        self.members.append(zombie)
        if had:
            until(lambda: said(zombie).count("stood still") > before, "the zombie notices that it stood still")

    def read_all(self):
        """Every partition has one owner, and each owner has read and written to its end."""
        held = [partitions(self.case, member) for member in self.members]
        return (sum(map(len, held)) == self.total and len(set().union(*held)) == self.total
                and all(lag == 0 for each in held for lag in each.values()))

    def finish(self):
        until(self.read_all, "all is read")
        for member in self.members:
            check_equal(member.stop().code, 0, "exit of a member")
        self.case.drain(self.config("last"))


def move(group, generator, writes):
    """Moves partitions MOVES times, each time when documents were written since the last one."""
    kinds = [group.stop_and_wake, group.kill, group.leave]
    for i in range(MOVES):
        goal = writes() + 200
        until(lambda: writes() >= goal, "documents are written between two moves")
        if len(group.members) < 3:
            group.join()
        else:
            kinds[(i // 2) % 3](generator)


class Feeder(threading.Thread):
    """Produces a workload bit by bit until it is told to stop."""

    def __init__(self, case, log):
        super().__init__(daemon=True)
        self.case, self.log, self.events, self.trouble = case, log, [], None
        self.stopped = threading.Event()

    def run(self):
        try:
            while not self.stopped.wait(0.2):
                events = self.log.events(300)
                produce(self.case.servers.kafka, events)
                self.events += events
        except Exception as trouble:
            self.trouble = trouble

    def stop(self):
        self.stopped.set()
        self.join()
        check(self.trouble is None, f"the feeder failed: {self.trouble}")


def both(case, batch):
    """A task's two sinks, as Group's `more`; the table has two regions."""
    sinks = {"search": case.elasticsearch(batch=batch), "detail": hbase_sink(case, batch=batch, regions=2)}
    return {"sinks": sinks, "hydrate": "search"}


def check_truth(case, rows, sampler, want=None):
    """Documents and versions are those of the log, no version ever fell, and nothing was put aside."""
    sampler.check()
    documents = rows.documents() if want is None else want
    check_documents(case.documents("elasticsearch"), documents, "after the drain")
    sampler.names = [(case.unique, key) for key in documents]
    sampler.look()
    last = {key: sampler.seen[case.unique, key] for key in documents}
    check_equal(last, {key: rows.versions()[key] for key in documents}, "versions")
    letters = [line for path in case.dir.glob("*.dlq") for line in path.read_text().splitlines()]
    check_equal(letters, [], "dead letters")


# ---- moving partitions ----

@test(needs="kafka elasticsearch", each={"eager": ("eager", {}), "cooperative": ("cooperative", COOPERATIVE)})
def partitions_that_move_all_the_time_end_in_the_same_documents(case, protocol, options):
    # Up to three nodes; they join, are stopped beyond their session and go on, are killed, leave.
    generator = random.Random(int.from_bytes(protocol.encode()[:4], "big"))
    log = workload.Workload(21, 150, case.unique, keyed=True)
    feeder, search = Feeder(case, log), case.servers.elasticsearch
    produce(case.servers.kafka, first := log.events(1000))
    group = Group(case, 4, case.kafka_source(case.unique, kafka=KEYED, options=options))
    group.join()
    until(lambda: search.operations(case.unique) > 0, "the first node writes")
    feeder.start()
    with Sampler(search, case.unique, log.orders) as sampler:
        move(group, generator, lambda: search.operations(case.unique))
        feeder.stop()
        group.finish()
    check_truth(case, oracle.replay(first + feeder.events, MAPPING, "canal-json"), sampler)


# ---- a zombie whose writes no version could refuse ----

def orders_made_and_deleted(case, n):
    """n orders, each in one event; and a second event for each that deletes it."""
    log = workload.Workload(25, n, case.unique, keyed=True)
    made = [log.insert("tc_order", order) for order in log.orders]
    return made, [log.delete("tc_order", [order]) for order in log.orders]


def forget_deletes(search, index):
    """Has Elasticsearch forget the versions of what was deleted so far, as it does after `gc_deletes`."""
    search.request("PUT", f"/{index}/_settings", {"index.gc_deletes": "1ms"})
    where = f"/{index}/_doc/probe?version_type=external&version="
    search.request("PUT", where + "8", {"_weir": {}})
    search.request("DELETE", where + "9")

    def forgotten():
        search.request("POST", f"/{index}/_refresh")
        return search.request("PUT", where + "1", {"_weir": {}}, ok=False)[0] == 201
    until(forgotten, "deleted versions are forgotten")
    search.request("DELETE", where + "2")


@test(needs="kafka elasticsearch hbase")
def zombie_brings_back_nothing_that_was_deleted_and_forgotten(case):
    # A node is stopped with documents that it has not written yet. Another one writes them, deletes them, and
    # Elasticsearch and HBase forget. Then the first goes on, with writes that are long due and that nothing would
    # refuse.
    made, deleted = orders_made_and_deleted(case, 200)
    search, table = case.servers.elasticsearch, hbase_client(case)
    a, b = (case.config(case.kafka_source(case.unique, kafka=KEYED), None, name=name, **both(case, batch))
            for name, batch in (("a", {"docs": 10000, "bytes": "64MiB", "linger": "2s"}), ("b", SMALL)))
    produce(case.servers.kafka, made[:1])
    zombie = case.node(a, "a")
    until(lambda: search.operations(case.unique) == 1, "the first document is written")
    produce(case.servers.kafka, made[1:])
    until(lambda: waiting(case, zombie), "documents wait to be written")
    zombie.child.send_signal(signal.SIGSTOP)
    try:
        other = case.node(b, "b")
        until(lambda: len(search.documents(case.unique)) == len(made) == living(case, table),
              "the other one has written all")
        produce(case.servers.kafka, deleted)
        until(lambda: len(search.documents(case.unique)) == 0 == living(case, table), "and deleted all")
        forget_deletes(search, case.unique)
        table.major_compact(case.unique)
        before, cells = search.operations(case.unique), table.scan(case.unique, raw=True)
    finally:
        zombie.child.send_signal(signal.SIGCONT)
    until(lambda: "partitions were somebody else's meanwhile" in said(zombie), "the zombie has seen what it is")
    for node in (zombie, other):
        check_equal(node.stop().code, 0, "exit")
    check_documents(search.documents(case.unique), {}, "what the zombie brought back")
    check_equal(search.operations(case.unique), before, "operations")
    hbase_oracle.check_unchanged(cells, table.scan(case.unique, raw=True), "what the zombie wrote")
    hbase_oracle.check_cells(cells, oracle.replay(made + deleted, MAPPING, "canal-json"), "all is deleted")


@test(needs="kafka", each={"dynamic": ({},), "static": ({"group.instance.id": "one"},)})
def member_that_stood_still_longer_than_it_may_wait_comes_back_and_reads_to_the_end(case, options):
    # Its partitions are lost when --wait, counted from the start, is long over: it waits for new ones from then on.
    events = workload.Workload(29, 100, case.unique, keyed=True).events(2000)
    slow = {"docs": 10, "linger": "50ms", "in_flight": 1}
    produce(case.servers.kafka, events)
    source = case.kafka_source(case.unique, kafka=KEYED, options=options)
    node = case.start("run", case.config(source, case.sqlite() | {"batch": slow}), "--until-end", "--wait", "3s")
    until(lambda: "partitions are ours now" in said(node), "it reads")
    node.child.send_signal(signal.SIGSTOP)
    try:
        subprocess.run(["sleep", "5"], check=True)  # its session is 2 s, and --wait is over
    finally:
        node.child.send_signal(signal.SIGCONT)
    ended = node.wait()
    check_equal(ended.code, 0, f"exit; {ended.stderr[-800:]}")
    check("partitions are lost" in ended.stderr, "it did not lose its partitions")
    check_documents(case.documents("sqlite"), oracle.documents(events, MAPPING, "canal-json"), "sqlite")


def living(case, table):
    """How many documents have a row in HBase."""
    return len(hbase_oracle.rows_of(table.scan(case.unique)))


def waiting(case, node):
    """Most of what the node read is not in the sink."""
    task = case.ask(node, "lag")["tasks"][0]
    return sum((p["read"] or 0) - (p["durable"] or 0) for p in task["partitions"]) > 100


# ---- static members ----

@test(needs="kafka elasticsearch", each={"eager": ({},), "cooperative": (COOPERATIVE,)})
def static_member_that_restarts_within_its_session_keeps_its_partitions(case, options):
    # No rebalance: the other member hears nothing. A second process under the same name takes its place, and the
    # first ends and says why.
    def start(name, identity):
        source = case.kafka_source(case.unique, kafka=KEYED, options=options | {
            "group.instance.id": identity, "session.timeout.ms": "60000"})
        return case.node(case.config(source, case.elasticsearch(batch=SMALL), name=name), name)

    def share():
        ours, theirs = set(partitions(case, a)), set(partitions(case, b))
        return (ours, theirs) if len(ours) == len(theirs) == 2 else None

    def assignments():
        return said(b).count("partitions are")

    log = workload.Workload(22, 200, case.unique, keyed=True)
    thirds = [log.events(2000) for _ in range(3)]
    produce(case.servers.kafka, thirds[0])
    a, b = start("a", "one"), start("b", "two")
    ours, theirs = until(share, "each has two partitions")
    before = assignments()
    check_equal(a.stop().code, 0, "exit of the static member")
    produce(case.servers.kafka, thirds[1])
    a = start("a", "one")
    until(lambda: set(partitions(case, a)) == ours, "the same partitions as before")
    produce(case.servers.kafka, thirds[2])
    c = start("c", "one")
    fenced = a.wait()
    check_equal(fenced.code, 78, "exit of the one that was replaced")
    check("group.instance.id `one`" in fenced.stderr, f"does not say why: {fenced.stderr[-800:]}")
    until(lambda: all(lag == 0 for node in (b, c) for lag in partitions(case, node).values()), "all is read")
    check_equal((set(partitions(case, c)), set(partitions(case, b))), (ours, theirs), "partitions")
    check_equal(assignments(), before, "assignments that the other member heard of")
    for node in (b, c):
        check_equal(node.stop().code, 0, "exit")
    check_documents(case.documents("elasticsearch"), oracle.documents(sum(thirds, []), MAPPING, "canal-json"),
                    "after the restarts")


# ---- several topics ----

def by_table(case, events, offsets):
    """A log in two topics: the items apart from the rest, each order under one number."""
    made = []
    for event in events:
        items = json.loads(event["payload"])["table"] == "tc_order_item"
        place = (f"{case.unique}.{'items' if items else 'rest'}", event["partition"])
        made.append(event | {"topic": place[0], "offset": offsets.setdefault(place, 0)})
        offsets[place] += 1
    return made


@test(needs="kafka elasticsearch")
def co_partitioned_topics_are_dealt_out_together(case):
    # An order's items are in another topic than its other rows, under the same number: one node has both.
    log, offsets = workload.Workload(23, 200, case.unique, keyed=True), {}
    halves = [by_table(case, log.events(4000), offsets) for _ in range(2)]
    source = case.kafka_source(f"{case.unique}.items", f"{case.unique}.rest", kafka=KEYED)
    group = Group(case, 8, source)
    produce(case.servers.kafka, halves[0])
    group.join()
    group.join()

    def shared():
        held = [set(partitions(case, member)) for member in group.members]
        return held if [len(each) for each in held] == [4, 4] else None
    with Sampler(case.servers.elasticsearch, case.unique, log.orders) as sampler:
        for each in until(shared, "each has four partitions"):
            numbers = [{number for topic, number in each if topic.endswith(name)} for name in ("items", "rest")]
            check_equal(numbers[0], numbers[1], "numbers of the two topics on one node")
        produce(case.servers.kafka, halves[1])
        until(group.read_all, "all is read")
        group.leave(random.Random(1))
        until(group.rest_has_all, "the one that is left has everything")
        group.finish()
    check_truth(case, oracle.replay(sum(halves, []), MAPPING, "canal-json"), sampler)


@test(needs="kafka")
def topics_with_unequal_partitions_are_not_read_together(case):
    # At start weir refuses. Later it says which topic changed and reads nothing more; it goes on when the other
    # topic has as many, and ends when that does not come.
    brokers, (one, two) = case.servers.kafka, (f"{case.unique}.one", f"{case.unique}.two")
    create_topic(brokers, one, 2)
    create_topic(brokers, two, 3)
    source = case.kafka_source(one, two, kafka=KEYED, options={"topic.metadata.refresh.interval.ms": "300"})
    config = case.config(source, case.sqlite())
    check_counts(case.weir("run", config, code=78), f"{one} has 2", f"{two} has 3")
    add_partitions(brokers, one, 3)
    node = case.node(config)
    until(lambda: len(partitions(case, node)) == 6, "all partitions are the node's")
    add_partitions(brokers, two, 5)
    until(lambda: f"topic {two} has now 5 partitions, it had 3" in said(node), "the alert")
    until(lambda: "nothing is read until they have" in said(node), "the pause")
    add_partitions(brokers, one, 5)
    until(lambda: len(partitions(case, node)) == 10, "all partitions are the node's")
    add_partitions(brokers, one, 6)
    ended = node.wait()
    check_equal(ended.code, 78, "exit when the counts stay apart")
    check_counts(ended, f"{one} has 6", f"{two} has 5")


def check_counts(ended, *texts):
    for text in texts:
        check(text in ended.stderr, f"does not say \"{text}\": {ended.stderr[-800:]}")


# ---- the real database ----

class Pump:
    """Debezium with all tables in one topic, keyed by order."""

    def __init__(self, case):
        self.database = database.Database(case.servers.mariadb)
        self.database.run("DROP DATABASE IF EXISTS shop")
        for name in ("01-schema-seed.sql", "02-workload.sql"):
            self.database.run((DATA / name).read_text(), "--force")
        self.case, self.topic = case, f"{case.unique}.orders"
        tables = list(MAPPING.tables)
        # The snapshot does not say that an order was deleted whose other rows are still there.
        for table in tables[1:]:
            self.database.run(f"DELETE FROM {table} WHERE order_no NOT IN (SELECT order_no FROM {tables[0]})")
        connector(case, **{
            "table.include.list": ",".join(tables),
            "message.key.columns": ";".join(f"{table}:{MAPPING.key}" for table in tables),
            "key.converter.schemas.enable": "false", "transforms": "route",
            "transforms.route.type": "io.debezium.transforms.ByLogicalTableRouter",
            "transforms.route.topic.regex": r".*\.shop\.tc_.*", "transforms.route.topic.replacement": self.topic,
            "transforms.route.key.enforce.uniqueness": "false"})
        until(lambda: self.topic in topics(case), "the snapshot has made the topic")

    def log(self):
        """The whole topic, as the oracle takes it."""
        listing = subprocess.run(["kcat", "-C", "-J", "-e", "-q", "-b", self.case.servers.kafka, "-t", self.topic],
                                 capture_output=True, check=True)
        return [json.loads(line) for line in listing.stdout.decode().splitlines()]

    def settled(self):
        """The log holds what SELECT says: documents, once all has come."""
        want = self.database.documents()
        rows = oracle.replay(self.log(), MAPPING, "debezium-json")
        return (rows, want) if rows.documents() == want else None


class Sessions:
    """Random transactions of two sessions, until they are told to stop."""

    def __init__(self, target):
        self.database, self.stopped = target, threading.Event()
        self.orders = [str(order) for order in database.Transactions(0).orders]
        self.threads = [threading.Thread(target=self.run, args=(seed,), daemon=True) for seed in (100, 200)]

    def run(self, seed):
        while not self.stopped.is_set():
            database.Transactions(seed).run(self.database, 2)
            seed += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


@test(needs="mariadb connect kafka elasticsearch hbase")
def index_and_cells_equal_select_while_partitions_move(case):
    # The same with transactions on a real database, captured into one topic that is keyed by order, and with HBase
    # beside Elasticsearch.
    pump, search, table = Pump(case), case.servers.elasticsearch, hbase_client(case)
    group = Group(case, 4, case.kafka_source(pump.topic, format="debezium-json", kafka=KEYED), both(case, SMALL))
    group.join()
    until(lambda: search.operations(case.unique) > 0, "the first node writes")
    sessions = Sessions(pump.database)
    watched = sessions.orders[:30]  # HBase is asked for one at a time
    with Sampler(search, case.unique, sessions.orders) as sampler, \
            CellSampler(case.servers.hbase, case.unique, watched) as stamps:
        with sessions:
            move(group, random.Random(24), lambda: search.operations(case.unique))
        rows, want = until(pump.settled, "the log holds what SELECT says")
        group.finish()
    check(len(want) > 40, f"the transactions left {len(want)} orders")
    check_truth(case, rows, sampler, want)
    stamps.check()
    cells = table.scan(case.unique)
    hbase_oracle.check_cells(cells, rows, "hbase, by the log")
    hbase_oracle.check_rows(cells, pump.database.merged(), "hbase, by SELECT", seqnos=False)

"""kill -9, restarts and other members: the documents end the same."""
import random

import oracle
import workload
from harness import MAPPING, check, check_documents, check_equal, produce, test, until

SMALL = {"docs": 100, "bytes": "1MiB", "linger": "5ms", "in_flight": 2}  # many steps, so that many moments differ


def expected(events):
    return oracle.documents(events, MAPPING, "canal-json")


@test(needs="kafka elasticsearch", each=["keyed", "by_primary_key"])
def kill_9_at_ten_moments_ends_in_the_same_documents(case, layout):
    # A node is killed after a random number of bulk operations, ten times, and started again each time: with half
    # a batch sent, between a state and its document, before a commit. A static member takes its own place at once.
    log = workload.Workload(11, 2000, case.unique, keyed=layout == "keyed")
    events = log.events(40000)
    produce(case.servers.kafka, events)
    source = case.kafka_source(case.unique, options={"group.instance.id": case.unique})
    config = case.config(source, case.elasticsearch(batch=SMALL))
    generator = random.Random(int.from_bytes(layout.encode()[:4], "big"))
    search, kills = case.servers.elasticsearch, 0
    for _ in range(10):
        node = case.node(config)
        goal = search.operations(case.unique) + generator.randrange(1, 2000)
        until(lambda: not node.running or search.operations(case.unique) >= goal or drained(case, node),
              "the node writes")
        check(node.running, f"the node ended by itself: {node.result and node.result.stderr[-1000:]}")
        node.stop(9)
        kills += 1
    case.drain(config)
    check_equal(kills, 10, "kills")
    check_documents(case.documents("elasticsearch"), expected(events), "after ten kills")
    check_equal(case.letters(), [], "dead letters")


def lag(case, node):
    """Records that the node has still to read, or None while it cannot say; and how many partitions it has."""
    answer = case.ask(node, "lag")
    partitions = [p for task in answer["tasks"] for p in task["partitions"]]
    lags = [p["lag"] for p in partitions]
    return (None if not lags or None in lags or min(lags) < 0 else sum(lags)), len(partitions)


def drained(case, node):
    return lag(case, node)[0] == 0


@test(needs="kafka elasticsearch")
def second_member_joining_and_leaving_ends_in_the_same_documents(case):
    # A log that is keyed by order: one node, then two that share its partitions, then one again, with events coming
    # all the while. What a node still holds from an earlier assignment is read back before it writes.
    log = workload.Workload(12, 1000, case.unique, keyed=True)
    thirds = [log.events(8000) for _ in range(3)]
    keyed = {"kafka": {"partitioned_by_key": True}}
    first, second = (case.config(case.kafka_source(case.unique, **keyed), case.elasticsearch(batch=SMALL), name=name)
                     for name in ("a", "b"))
    produce(case.servers.kafka, thirds[0])
    a = case.node(first, "a")
    until(lambda: case.servers.elasticsearch.operations(case.unique) > 500, "the first node writes")
    b = case.node(second, "b")
    until(lambda: lag(case, b)[1] > 0, "the second node has partitions")
    produce(case.servers.kafka, thirds[1])
    until(lambda: drained(case, a) and drained(case, b), "both have read their share")
    check_equal(lag(case, a)[1] + lag(case, b)[1], 4, "partitions of both")
    check_equal(b.stop().code, 0, "exit of the second member")
    produce(case.servers.kafka, thirds[2])
    until(lambda: lag(case, a) == (0, 4), "the first node has read everything")
    check_equal(a.stop().code, 0, "exit of the first member")
    case.drain(first)
    check_documents(case.documents("elasticsearch"), expected(sum(thirds, [])), "after both")
    check_equal(case.letters("a") + case.letters("b"), [], "dead letters")


@test(needs="kafka elasticsearch")
def second_member_on_a_log_that_is_not_keyed_refuses(case):
    # Two nodes that each see some of an order's rows would erase each other's (R7): the second says what to change
    # and goes; the first goes on.
    log = workload.Workload(13, 500, case.unique)
    halves = [log.events(4000) for _ in range(2)]
    first, second = (case.config(case.kafka_source(case.unique), case.elasticsearch(), name=name) for name in "ab")
    produce(case.servers.kafka, halves[0])
    a = case.node(first, "a")
    until(lambda: drained(case, a), "the first node has read everything")
    refused = case.weir("run", second, code=78)
    check("partitioned_by_key" in refused.stderr, f"does not say what to change: {refused.stderr[-800:]}")
    produce(case.servers.kafka, halves[1])
    until(lambda: lag(case, a) == (0, 4), "the first node has read the rest")
    check_equal(a.stop().code, 0, "exit of the first member")
    case.drain(first)
    check_documents(case.documents("elasticsearch"), expected(sum(halves, [])), "after the refusal")


@test(needs="kafka elasticsearch")
def node_that_is_stopped_politely_has_committed_what_it_wrote(case):
    # SIGTERM drains and commits: the next run of the group has only what came after.
    log = workload.Workload(14, 300, case.unique)
    halves = [log.events(3000) for _ in range(2)]
    config = case.config(case.kafka_source(case.unique), case.elasticsearch())
    produce(case.servers.kafka, halves[0])
    node = case.node(config)
    until(lambda: drained(case, node), "the node has read everything")
    check_equal(node.stop().code, 0, "exit")
    produce(case.servers.kafka, halves[1])
    check_equal(case.drain(config)["events"], len(halves[1]), "events of the next run")
    check_documents(case.documents("elasticsearch"), expected(sum(halves, [])), "after both")

"""`weir check --live`: what real servers say, which guarantee it endangers, and that a look changes nothing."""
import contextlib
import json
import socket
import struct

import hbase_wire
from harness import CANAL, check, check_equal, produce, test, until
from hbase import Client, family_schema, table_name
from kafka_admin import create_topic, request, text
from kafka_group import Reader

DESCRIBE_CONFIGS, ALTER_CONFIGS, TOPIC = 32, 33, 2
SINK = "sink"


# ---- what is looked at ----

def look(case, config, code=0):
    """The findings, each with the place it is about; and the exit code is as wanted."""
    result = case.weir("check", config, "--live", "--json", code=code)
    answer = json.loads(result.stdout)
    levels = [finding["level"] for finding in answer["findings"]]
    check_equal((answer["errors"], answer["warnings"], answer["away"]),
                tuple(levels.count(level) for level in ("error", "warn", "away")), "the counts at the end")
    return answer["findings"]


def about(findings, words, level, guarantees=()):
    """The one finding of that level whose text has the words; it names its guarantees and says what to do."""
    found = [item for item in findings if item["level"] == level and words in item["what"]]
    check_equal(len(found), 1, f"findings of level {level} with {words!r} among {findings}")
    check_equal(tuple(found[0]["guarantees"]), tuple(guarantees), f"guarantees of {found[0]['what']!r}")
    check(level in ("ok", "away") or found[0]["advice"], f"no advice: {found[0]}")
    return found[0]


def quiet(findings):
    check_equal([item for item in findings if item["level"] != "ok"], [], "findings that are not ok")


def topic_settings(brokers, topic, names):
    """What the broker says of them (DescribeConfigs)."""
    body = struct.pack(">ib", 1, TOPIC) + text(topic) + struct.pack(">i", len(names)) + b"".join(map(text, names))
    reader = Reader(request(brokers, DESCRIBE_CONFIGS, 0, body))
    reader.take("i")  # throttle time

    def setting():
        name, value = reader.text(), reader.text()
        reader.take("3s")  # three flags
        return name.decode(), value.decode()

    def resource():
        check_equal(reader.take("h"), 0, f"settings of {topic}")
        reader.text(), reader.take("b"), reader.text()  # message, type, name
        return dict(reader.list(setting))
    return reader.list(resource)[0]


def set_topic(brokers, topic, **settings):
    """Sets a topic's settings (AlterConfigs), and waits until the broker has them; underscores are dots."""
    wanted = {name.replace("_", "."): str(value) for name, value in settings.items()}
    pairs = [text(name) + text(value) for name, value in wanted.items()]
    body = struct.pack(">ib", 1, TOPIC) + text(topic) + struct.pack(">i", len(pairs)) + b"".join(pairs)
    answer = request(brokers, ALTER_CONFIGS, 0, body + struct.pack(">?", False))
    error, = struct.unpack(">h", answer[8:10])
    check_equal(error, 0, f"settings of {topic}")
    until(lambda: topic_settings(brokers, topic, list(wanted)) == wanted, f"the broker has the settings of {topic}")


def topic(case, name=None, partitions=2, **settings):
    """A topic that keeps its log for three days, or as it is told."""
    name = name or case.unique
    create_topic(case.servers.kafka, name, partitions)
    set_topic(case.servers.kafka, name, **({"retention_ms": 3 * 86400000} | settings))
    return name


def closed_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- Kafka and Elasticsearch ----

@test(needs="kafka elasticsearch")
def check_live_changes_nothing(case):
    # Before the first start: all is well, the index will be made, and after the look there still is none, nor a group,
    # nor a folder for the embedded store.
    config = case.config(case.kafka_source(topic(case)), None, sinks={
        "search": case.elasticsearch(), "local": {"sqlite": {"path": str(case.dir / "new/out.db"), "table": "orders"}}})
    findings = look(case, config)
    quiet(findings)
    about(findings, f"the topic {case.unique} is there, with 2 partitions", "ok")
    check_equal(about(findings, f"no index {case.unique}: ", "ok")[SINK], "search", "where")
    check_equal(about(findings, "can be created", "ok")[SINK], "local", "where")
    check_equal(case.servers.elasticsearch.request("GET", f"/{case.unique}", ok=False)[0], 404, "the index")
    check_equal(case.servers.elasticsearch.request("GET", f"/{case.unique}-weir", ok=False)[0], 404, "the side index")
    check(not (case.dir / "new").exists(), "the look made a folder")


@test(needs="kafka elasticsearch")
def check_live_finds_a_working_task_in_order(case):
    # After a run nothing is to be said against what weir made itself, and people get one line a finding.
    name = topic(case, partitions=4)
    produce(case.servers.kafka, CANAL.load(), topic=lambda _: name)
    config = case.config(case.kafka_source(name), case.elasticsearch())
    case.drain(config)
    findings = look(case, config)
    quiet(findings)
    about(findings, f"the index {case.unique} is there, and keeps `_weir`", "ok")
    lines = case.weir("check", config, "--live").stdout.splitlines()
    check_equal(len(lines), len(findings) + 1, "lines")
    check(all(line.startswith("ok     orders, ") for line in lines[:-1]), f"lines: {lines}")
    check_equal(lines[-1], "0 errors, 0 warnings, 0 could not be asked", "the last line")


@test(needs="elasticsearch")
def check_live_warns_of_index_settings(case):
    # An index that others made: it forgets deletions before a request can be late, and acknowledges what is not yet
    # durable. A warning is no reason to fail.
    elastic = case.servers.elasticsearch
    elastic.request("PUT", f"/{case.unique}", {"settings": {"index.gc_deletes": "5s",
                                                            "index.translog.durability": "async"}})
    elastic.request("PUT", f"/{case.unique}-weir", {"settings": {"index.translog.durability": "async"}})
    findings = look(case, case.config(case.file_source(CANAL.events), case.elasticsearch(timeout="10s")))
    about(findings, "index.gc_deletes: 5s", "warn", (1, 2))
    about(findings, f"{case.unique} has index.translog.durability: async", "warn", (3,))
    about(findings, f"{case.unique}-weir has index.translog.durability: async", "warn", (3,))
    about(findings, "weir will add `_weir`", "ok")
    elastic.request("PUT", f"/{case.unique}/_settings", {"index.gc_deletes": "10s"})
    findings = look(case, case.config(case.file_source(CANAL.events), case.elasticsearch(timeout="10s")))
    check(not any("gc_deletes" in item["what"] for item in findings), f"as long as a request takes: {findings}")


@test(needs="elasticsearch")
def check_live_refuses_an_index_that_run_would_refuse(case):
    # `_weir` is indexed as a text: that can't be changed. check says what run would say.
    case.servers.elasticsearch.request("PUT", f"/{case.unique}", {
        "mappings": {"properties": {"_weir": {"type": "keyword"}}}})
    config = case.config(case.file_source(CANAL.events), case.elasticsearch())
    about(look(case, config, code=78), "maps `_weir` as a field that is indexed", "error")
    case.weir("run", config, "--until-end", code=78)


@test(needs="kafka")
def check_live_warns_of_logs_that_forget_or_remember_too_much(case):
    # Retention against an outage, and against the tombstones; compaction.
    def findings(**task):
        return look(case, case.config(case.kafka_source(case.unique), case.sqlite(), **task))
    topic(case, retention_ms=7200000)
    about(findings(), "keeps its log for 7200 s only", "warn", (3,))
    set_topic(case.servers.kafka, case.unique, retention_ms=8 * 86400000)
    about(findings(), "reaches back further (retention.ms 691200000)", "warn", (1,))
    quiet(findings(tombstone_retention="8d"))
    set_topic(case.servers.kafka, case.unique, retention_ms=-1, cleanup_policy="compact")
    compacted = findings(tombstone_retention="3650d")
    about(compacted, "is compacted", "warn", (1,))
    about(compacted, "reaches back further (retention.ms -1)", "warn", (1,))


@test(needs="kafka")
def check_live_counts_partitions_and_finds_missing_topics(case):
    # Co-partitioned topics need equally many partitions (R7); one that isn't there is no topic at all.
    first, second = topic(case, f"{case.unique}.a", 2), topic(case, f"{case.unique}.b", 3)

    def config(*topics, **more):
        return case.config(case.kafka_source(*topics, kafka=more), case.sqlite())
    about(look(case, config(first, second, partitioned_by_key=True), code=78),
          f"{first} has 2 and {second} has 3", "error", (1, 2))
    quiet(look(case, config(first, second)))
    quiet(look(case, config(f"^{case.unique}[.]b", partitioned_by_key=True)))
    about(look(case, config(first, f"{case.unique}.c"), code=78), f"no topic {case.unique}.c", "error")
    about(look(case, config("^no-such-topic-.*"), code=78), "no topic matches", "error")


@test(needs="kafka")
def check_live_warns_of_a_start_at_the_end(case):
    # `latest` skips what was there before the first start, unless the group has commits already.
    topic(case)
    produce(case.servers.kafka, CANAL.load()[:10], topic=lambda _: case.unique)
    late = case.config(case.kafka_source(case.unique, kafka={"start": "latest"}), case.sqlite(), name="late")
    about(look(case, late), "no commit of 2 partitions", "warn", (1,))
    case.drain(case.config(case.kafka_source(case.unique), case.sqlite()))
    # A partition without any record is committed like the others, or not; the one with records surely is.
    again = look(case, late)
    check(not any("no commit of 2 partitions" in item["what"] for item in again), f"after commits: {again}")


@test(needs="kafka elasticsearch")
def check_live_goes_on_after_a_server_that_is_away(case):
    # One server down, another one looked at all the same; an error elsewhere counts more than an absence.
    away = case.elasticsearch(urls=[f"http://127.0.0.1:{closed_port()}"])
    sinks = {"search": away, "other": case.elasticsearch(), "local": case.sqlite()}
    findings = look(case, case.config(case.kafka_source(topic(case)), None, sinks=sinks), code=69)
    check_equal([item[SINK] for item in findings if item["level"] == "away"], ["search"], "who is away")
    about(findings, f"no index {case.unique}: ", "ok")
    look(case, case.config(case.kafka_source("no-such-topic"), None, sinks=sinks), code=78)


@test()
def check_live_looks_at_files_and_folders(case):
    # Without any server: an input that isn't there, a store where a file stands in place of the folder.
    (case.dir / "plain").write_text("")
    store = {"sqlite": {"path": str(case.dir / "plain/out.db"), "table": "orders"}}
    findings = look(case, case.config(case.file_source(case.dir / "absent"), store), code=78)
    about(findings, "absent cannot be read: No such file", "error")
    about(findings, "plain, for", "error")
    quiet(look(case, case.config(case.file_source(CANAL.events), case.sqlite())))


# ---- HBase ----

def hbase_client(case):
    client = Client(case.servers.hbase)
    case.cleanups.callback(client.close)
    case.cleanups.callback(client.drop, case.unique)
    return client


def hbase(case, **more):
    return {"hbase": {"zookeeper": [case.servers.hbase], "table": case.unique} | more}


def task(case, sink, name="weir"):
    return case.config(case.file_source(CANAL.events), sink, name=name)


def create_with(client, table, attributes, **family):
    """A table with attributes of its own."""
    pairs = [hbase_wire.message((1, key), (2, value)) for key, value in attributes.items()]
    schema = hbase_wire.message((1, table_name(table)), (2, pairs), (3, family_schema("d", family)))
    client.procedure("CreateTable", hbase_wire.message((1, schema)))


def refused(case, config, words):
    """`check --live` says it in these words, and `run` refuses it."""
    found = about(look(case, config, code=78), words, "error", ())
    return found, case.weir("run", config, "--until-end", code=78)


@test(needs="hbase")
def check_live_says_what_becomes_of_a_missing_table(case):
    # With `create` it will be made; without, nothing can work, and run says so at once.
    client = hbase_client(case)
    findings = look(case, task(case, hbase(case, create={"regions": 16})))
    about(findings, f"no table {case.unique}: weir will create it with 16 regions", "ok")
    check(case.unique not in client.tables(), "the look created the table")
    found, run = refused(case, task(case, hbase(case)), f"no table {case.unique}")
    check("create: { regions: N }" in found["advice"] and "create: { regions: N }" in run.stderr, "no advice")


@test(needs="hbase")
def hbase_table_is_created_as_asked(case):
    # Evenly split, one family, one version; then it's there for everybody, and a second run finds it.
    client = hbase_client(case)
    config = task(case, hbase(case, family="cells", create={"regions": 6}))
    case.drain(config)
    check_equal([region.start for region in client.regions(case.unique)],
                ["", "2aaaaaaa", "55555555", "80000000", "aaaaaaaa", "d5555555"], "regions")
    check_equal(list(client.describe(case.unique)), ["cells"], "families")
    check_equal(client.describe(case.unique)["cells"].get("VERSIONS", "1"), "1", "versions")
    findings = look(case, config)
    quiet(findings)
    about(findings, "is there and enabled, with the family cells", "ok")
    check_equal(case.drain(config)["dead_letters"], 0, "dead letters of the second run")


@test(needs="hbase")
def hbase_table_that_two_nodes_create_is_one(case):
    # Both start at once and find no table. One creates it, for the other it's there.
    client = hbase_client(case)
    nodes = [case.start("run", task(case, hbase(case, create={"regions": 32}), name=name), "--until-end")
             for name in ("a", "b")]
    for node in nodes:
        result = node.wait()
        check_equal(result.code, 0, f"exit code; stderr: {result.stderr[-800:]}")
    check_equal(len(client.regions(case.unique)), 32, "regions")
    created = sum("created the table" in node.result.stderr for node in nodes)
    check_equal(created, 1, "nodes that created it")


@test(needs="hbase", each={"ttl": ({}, {"TTL": 86400}, "has a TTL of 86400 s", (1, 2, 3)),
                           "other_family": ({}, {}, "has no family cells", ()),
                           "read_only": ({"READONLY": "true"}, {}, "is read-only", ())})
def hbase_table_is_refused_for_its(case, attributes, family, words, guarantees):
    # Each would break a guarantee, or let nothing be written: check says it, and run refuses before it reads anything.
    create_with(hbase_client(case), case.unique, attributes, **family)
    more = {"family": "cells"} if "cells" in words else {}
    config = task(case, hbase(case, create={"regions": 4}, **more))
    about(look(case, config, code=78), words, "error", guarantees)
    run = case.weir("run", config, "--until-end", code=78)
    check(words in run.stderr, f"run says: {run.stderr[-500:]}")


@test(needs="hbase")
def hbase_table_that_is_disabled_is_refused(case):
    client = hbase_client(case)
    client.create(case.unique)
    client.disable(case.unique)
    _, run = refused(case, task(case, hbase(case)), "is disabled")
    check("enable it" in run.stderr, f"run says: {run.stderr[-500:]}")
    client.enable(case.unique)
    case.drain(task(case, hbase(case)))


@test(needs="hbase")
def hbase_table_settings_that_endanger_a_guarantee_are_warned_of(case):
    # weir runs with them; the log has each once.
    create_with(hbase_client(case), case.unique, {"DURABILITY": "SKIP_WAL"}, NEW_VERSION_BEHAVIOR="true", VERSIONS=3)
    config = task(case, hbase(case))
    findings = look(case, config)
    about(findings, "DURABILITY SKIP_WAL", "warn", (3,))
    about(findings, "NEW_VERSION_BEHAVIOR", "warn", (1, 2))
    about(findings, "keeps 3 versions", "ok")
    run = case.weir("run", config, "--until-end")
    for words in ("DURABILITY SKIP_WAL", "NEW_VERSION_BEHAVIOR"):
        check_equal(run.stderr.count(words), 1, f"lines with {words}")
    check("keeps 3 versions" not in run.stderr, "what is only space is not logged")


@test(needs="hbase")
def hbase_is_found_by_its_masters_too(case):
    # Without ZooKeeper: each named server is asked who is active; one that's away is passed over.
    client = hbase_client(case)
    active = client.zookeeper.server("/hbase/master")
    sink = {"hbase": {"masters": [f"127.0.0.1:{closed_port()}", active], "table": case.unique,
                      "create": {"regions": 2}}}
    case.drain(task(case, sink))
    quiet(look(case, task(case, sink)))


@test(each={"zookeeper": ("zookeeper", "ZooKeeper"), "masters": ("masters", "tried")})
def hbase_that_is_away_says_who_was_asked_by(case, key, words):
    # Nobody there: the line names the server, check ends with 69, and so does run when --wait is over.
    address = f"127.0.0.1:{closed_port()}"
    config = task(case, {"hbase": {key: [address], "table": "t"}})
    away, = [item for item in look(case, config, code=69) if item["level"] == "away"]
    check(address in away["what"] and words in away["what"], f"it says: {away['what']}")
    run = case.weir("run", config, "--until-end", "--wait", "1s", code=69)
    check(address in run.stderr, f"run says: {run.stderr[-500:]}")


@test(needs="hbase")
def hbase_without_that_znode_is_said_to_be_so(case):
    # ZooKeeper answers, and knows no HBase under the parent that the config names.
    sink = hbase(case, znode_parent="/no-such-parent")
    away, = [item for item in look(case, task(case, sink), code=69) if item["level"] == "away"]
    check("/no-such-parent/master" in away["what"] and "zookeeper.znode.parent" in away["what"], away["what"])

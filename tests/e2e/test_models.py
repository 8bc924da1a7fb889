"""The simulator's models held to the real servers: the same few hundred operations, the same answers.

weir-held (tests/sim/held.c) is the models with a line a request; faults are off. Each seed's operations go to it and to
the server, one by one, and the answers must be equal in all that weir reads of them: status and type of an error, what
a version conflict says, `_source` byte for byte; the cells of a row with their timestamps; generations and errors of a
group.

Where the models are not like the servers, and need not be:

- Elasticsearch: an empty `_id` is a whole bulk's error in the model (the server refuses that item alone), so is a line
  behind which no document follows (the server leaves it out); a version of 20 digits has another type of error. weir
  sends none of these. Answers are as with the driver's `filter_path`.
- Elasticsearch forgets deletes some time after index.gc_deletes, with the next refresh; the model when it is told to.
- HBase: of a Multi with both, the model does mutations first and gets after; weir sends one kind at a time. A region is
  found by the last part of its name; the model wants all of it. A scan of a table is not modelled: rows are read with
  gets, as weir does. Any compaction may turn out to be a major one; the model's are when it is told to.
- Kafka: a first join without a member's id is answered with an id alone (79), and comes again; the model takes it at
  once. A commit of a generation to a group that never was is an illegal generation; here it is an unknown member's.
  Assignments are the model's own work, and the leader's on the server.
"""
import contextlib
import http.client
import json
import random
import struct
import subprocess
import sys
import urllib.parse

import kafka_admin
from harness import ROOT, check, check_equal, test, until
from hbase import Cell, Client, DELETE_COLUMN, RemoteError
from hbase_wire import Connection, encode_cell, message, name_and_bytes, one, parse, region, to_bytes
from kafka_group import KafkaGroup
from test_hbase import client, forget

sys.path.append(str(ROOT / "tests/sim"))
from building import build  # noqa: E402

OPERATIONS = 250


class Held:
    """The models, in a process of its own."""

    def __init__(self, case):
        binary, trouble = build(ROOT, ROOT / "build-sim", target="weir-held")
        check(binary, f"weir-held does not build: {trouble}")
        self.child = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        case.cleanups.callback(self.close)

    def ask(self, *words):
        print(*words, file=self.child.stdin, flush=True)
        answer = self.child.stdout.readline()
        check(answer.endswith("\n"), f"weir-held ended at {' '.join(map(str, words))[:300]}")
        return answer[:-1]

    def close(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()


def to_hex(data):
    return data.hex() or "-"


def from_hex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def check_same(operation, model, real):
    check(model == real, f"{str(operation)[:1500]}: the model answers {model!r:.1500}, the server {real!r:.1500}")


# ---- Elasticsearch ----

BULK = "_bulk?filter_path=error,items.*.status,items.*.error.type,items.*.error.reason"
MAPPED = "_mapping?filter_path=error,*.mappings._source,*.mappings.properties._weir"
SETTINGS = ("_settings/index.gc_deletes,index.translog.durability,index.blocks.*"
            "?flat_settings=true&include_defaults=true")
WEIR_MAPPING = b'{"properties":{"_weir":{"type":"object","enabled":false}}}'
SHOWN_INDEX = b'{"settings":{"index.gc_deletes":"1h"},"mappings":%s}' % WEIR_MAPPING
SIDE_INDEX = b'{"settings":{"index.gc_deletes":"1h"},"mappings":{"enabled":false}}'
IDS = ["a", "b", 'c"\\', "d\u00e9\u4e2d", "e/ f", "\u0001g", "h", "i", "j", "k" * 512]
VERSION_MAX = (1 << 63) - 1


class BothSearches:
    def __init__(self, case):
        self.held = Held(case)
        self.address = urllib.parse.urlsplit(case.servers.elasticsearch.url).netloc

    def model(self, method, path, body):
        status, answer = self.held.ask("search", method, path, to_hex(body)).split()
        return int(status), from_hex(answer)

    def real(self, method, path, body):
        kind = "application/x-ndjson" if "/_bulk" in path else "application/json"
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            connection.request(method, path, body or None, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ask(self, method, path, body=b"", seen=None):
        """Sends it to both; `seen` makes what is compared of an answer."""
        seen = seen or search_seen
        (status, text), (real_status, real_text) = (send(method, path, body) for send in (self.model, self.real))
        check_same((method, path, body), (status, seen(text)), (real_status, seen(real_text)))
        return status, text


def search_seen(text):
    """An answer without what weir never reads."""
    answer = json.loads(text)
    if "error" in answer:
        return answer["error"]["type"]
    if "items" in answer:
        return [(kind, item["status"], item_error(item)) for entry in answer["items"] for kind, item in entry.items()]
    if "docs" in answer:
        return [(doc["_index"], doc["_id"], doc.get("_version"), doc.get("found"),
                 doc["error"]["type"] if "error" in doc else None) for doc in answer["docs"]], sources(text.decode())
    return answer


def item_error(item):
    """Of a conflict also what it says: which version is there is in it."""
    if "error" not in item:
        return None
    return item["error"]["type"], item["error"]["reason"] if item["status"] == 409 else ""


def sources(text):
    """Every `_source` as it stands there."""
    decoder, mark = json.JSONDecoder(), '"_source":'
    found, at = [], text.find(mark)
    while at >= 0:
        begin = at + len(mark)
        _, end = decoder.raw_decode(text, begin)
        found.append(text[begin:end])
        at = text.find(mark, end)
    return found


def settings_seen(text):
    """What is asked for, by default or not."""
    answer = json.loads(text)
    if "error" in answer:
        return answer["error"]["type"]
    names = ("index.gc_deletes", "index.translog.durability")
    return {(index, name): found["settings"].get(name) or found["defaults"].get(name)
            for index, found in answer.items() for name in names}


def indexes_are_made(both, index):
    """As prepare.c does it, and once more."""
    for name, body in ((index, SHOWN_INDEX), (index + "-weir", SIDE_INDEX)):
        for _ in range(2):
            both.ask("GET", f"/{name}/{MAPPED}")
            both.ask("GET", f"/{name}/{SETTINGS}", seen=settings_seen)
            both.ask("PUT", f"/{name}", body)
    both.ask("PUT", f"/{index}/_mapping", WEIR_MAPPING)
    both.ask("PUT", f"/{index}-own", b"{}")
    both.ask("GET", f"/{index}-own/{MAPPED}")
    both.ask("PUT", f"/{index}-own/_mapping", WEIR_MAPPING)
    both.ask("GET", f"/{index}-own/{MAPPED}")


def document(dice, version):
    """A document, or something that is none."""
    if dice.random() < 0.1:
        return dice.choice((b"not json", b"[1]", b'{"a":', b"7"))
    return dice.choice((b'{"a":949.00,"b":[1,2, 3],"_weir":{"images":"full","r":%d}}' % version,
                        b'{ "a" : 1.50 , "_weir":{"x":1e3}}', b"{}", b'{"s":"\\u00e9\\n\xc3\xa9"}'))


def bulk_item(dice, index):
    version = dice.choice((0, 1, 2, 3, 5, 8, *(dice.randint(0, 60) for _ in range(12))))
    if dice.random() < 0.01:
        version = VERSION_MAX
    meta = {"_id": dice.choice(IDS), "version": version, "version_type": "external"}
    if dice.random() < 0.4:
        meta = {"_index": index + "-weir"} | meta
    deletes = dice.random() < 0.4
    line = json.dumps({"delete" if deletes else "index": meta}, ensure_ascii=dice.random() < 0.5).encode() + b"\n"
    return line if deletes else line + document(dice, version) + b"\n"


def action(**meta):
    return json.dumps({"index": meta}).encode() + b'\n{"a":1}\n'


def bodies_that_are_no_bulk():
    first = action(_id="first", version=1, version_type="external")
    good = {"_id": "a", "version": 1, "version_type": "external"}
    return (b"", action(**good)[:-1], first + action(**good | {"_id": "k" * 513}), first + b"[]\n",
            first + action(**good | {"version": -1}), first + b'{"indx":{"_id":"a"}}\n{"a":1}\n',
            first + action(**good, what=1))


@test(needs="elasticsearch", each=(1, 2, 3), name="modelled_elasticsearch_answers_as_the_real_one_seed_{}")
def modelled_elasticsearch(case, seed):
    # Documents and deletes of few ids with few versions, so that most meet an older or a newer one. Some documents
    # are none. After each five requests both are asked for what they have.
    both, dice, index = BothSearches(case), random.Random(seed), f"{case.unique}-s{seed}"
    indexes_are_made(both, index)
    for body in bodies_that_are_no_bulk():
        both.ask("POST", f"/{index}/{BULK}", body)
    for number in range(OPERATIONS // 2):
        body = b"".join(bulk_item(dice, index) for _ in range(dice.randint(1, 12)))
        both.ask("POST", f"/{index}/{BULK}", body)
        if number % 5 == 0:
            asked = [meta for key in dice.sample(IDS, 6) for meta in ({"_id": key},
                                                                     {"_index": index + "-weir", "_id": key})]
            both.ask("POST", f"/{index}/_mget", json.dumps({"docs": asked}).encode())


@test(needs="elasticsearch")
def modelled_elasticsearch_makes_indexes_and_misses_documents_as_the_real_one(case):
    # A bulk makes the index that it names; an index that nobody made is an error of its document alone.
    both, index = BothSearches(case), case.unique
    made = action(_id="a", version=1, version_type="external")
    both.ask("POST", f"/{index}-made/{BULK}", made)
    both.ask("POST", f"/{index}-deleted/{BULK}", b'{"delete":{"_id":"a","version":1,"version_type":"external"}}\n')
    both.ask("POST", f"/{index}-made/_mget", b'{"docs":[{"_id":"a"},{"_id":"b"},{"_index":"nobody","_id":"a"}]}')
    both.ask("POST", f"/{index}-made/_mget", b'{"docs":[]}')
    both.ask("POST", "/nobody/_mget", b'{"docs":[{"_id":"a"}]}')
    both.ask("GET", f"/nobody/{MAPPED}")
    both.ask("GET", "/nobody/" + SETTINGS, seen=settings_seen)


@test(needs="elasticsearch")
def modelled_elasticsearch_takes_any_version_once_a_delete_is_forgotten(case):
    # That a delete is forgotten at all is what weir keeps its side index for. The server does it soon here.
    both, index = BothSearches(case), case.unique
    for send in (both.model, both.real):
        send("PUT", f"/{index}", b'{"settings":{"index.gc_deletes":"1h"}}')
    write, delete = ({"_id": "a", "version": version, "version_type": "external"} for version in (5, 9))
    both.ask("POST", f"/{index}/{BULK}", json.dumps({"delete": delete}).encode() + b"\n")
    both.ask("POST", f"/{index}/{BULK}", action(**write))
    both.real("PUT", f"/{index}/_settings", b'{"index.gc_deletes":"1ms"}')

    def taken():
        both.real("POST", f"/{index}/_refresh", b"")
        return search_seen(both.real("POST", f"/{index}/{BULK}", action(**write))[1])[0][1] == 201
    until(taken, "the server forgets a delete")
    both.held.ask("later", 61_000_000)
    check_equal(both.held.ask("forget"), "1", "deletes that the model forgot")
    _, answer = both.model("POST", f"/{index}/{BULK}", action(**write))
    check_equal(search_seen(answer)[0][1], 201, "the model's answer")
    both.ask("POST", f"/{index}/_mget", b'{"docs":[{"_id":"a"}]}')


# ---- HBase ----

TABLE = "orders"  # the model's only one
SERVICES = {"ClientService": 0, "MasterService": 2}
ROWS = ["a", "b", "b\0", "k7", "m", "z", "\u00e9\u4e2d", "q" * 300]
COLUMNS = ["", "!weir", "id", "status", "\0\x7f"]
SPLITS = ["k"]
# A compaction that happens to take all files of a store is a major one: the third flush would be the end of markers.
NO_COMPACTIONS = {"hbase.hstore.compaction.min": 1000, "hbase.hstore.blockingStoreFiles": 1000}


class HeldSocket:
    """What Connection takes for a socket: frames go to weir-held."""

    def __init__(self, held, address, service):
        self.held, self.address, self.service, self.answer = held, address, service, b""

    def sendall(self, frame):
        got = from_hex(self.held.ask("table", self.address, SERVICES[self.service], to_hex(frame)))
        self.answer = struct.pack(">I", len(got)) + got

    def recv(self, size):
        piece, self.answer = self.answer[:size], self.answer[size:]
        return piece

    def close(self):
        pass


class HeldConnection(Connection):
    def __init__(self, held, address, service):
        self.socket, self.calls = HeldSocket(held, address, service), 0


class HeldClient(Client):
    """The tests' own client over the model; it has no scanners to close."""

    def __init__(self, held):
        super().__init__("")
        self.held, self.zookeeper.ask = held, self.znode

    def znode(self, kind, path):
        found = from_hex(self.held.ask("znode", path))
        check_equal(found[:1], b"\1", f"znode {path} is there")
        return struct.pack(">i", len(found) - 1) + found[1:]

    def call(self, address, service, method, parameter=b"", cells=b""):
        if (address, service) not in self.connections:
            self.connections[address, service] = HeldConnection(self.held, address, service)
        return self.connections[address, service].call(method, parameter, cells)

    def scan_region(self, server, name, start, end, family=None, raw=False):
        request = message((1, region(name)), (2, message((3, to_bytes(start)), (4, to_bytes(end)))))
        return self.call(server, "ClientService", "Scan", request)[1]

    def flush(self, table):
        pass

    def major_compact(self, table, family="d"):
        self.held.ask("compact")


def mutation(dice, row):
    """Puts and column markers at few timestamps, so that many meet; some cells come twice at once."""
    made = []
    for qualifier in sorted(dice.sample(COLUMNS, dice.randint(1, 3))):
        time = dice.randint(1, 30) if dice.random() < 0.95 else (1 << 62) + dice.randint(0, 3)
        for at in [time, dice.choice((max(time - 1, 1), time, time + 1))][:2 if dice.random() < 0.2 else 1]:
            if dice.random() < 0.3:
                made.append(Cell(row, qualifier, at, type=DELETE_COLUMN))
            else:
                made.append(Cell(row, qualifier, at, str(dice.randint(0, 999))))
    return made


def table_operations(seed):
    """(verb, what) for one of the methods of TableSide each."""
    dice = random.Random(seed)
    for _ in range(OPERATIONS):
        chance = dice.random()
        if chance < 0.04:
            yield "flush", None
        elif chance < 0.07:
            yield "compact", None
        elif chance < 0.10:
            yield dice.choice(("write_elsewhere", "write_out_of_range")), [mutation(dice, "a")]
        else:
            yield "write", [mutation(dice, dice.choice(ROWS)) for _ in range(dice.randint(1, 5))]
        yield "read", dice.sample(ROWS + ["none"], dice.randint(1, 6))


class TableSide:
    """One of the two: requests for whole regions, as weir makes them, and what came back."""

    def __init__(self, made):
        self.client = made
        made.create(TABLE, splits=SPLITS, **NO_COMPACTIONS)
        self.regions = made.online(TABLE)

    def multi(self, item, name, mutations=(), rows=()):
        actions = [message((1, number), (2, message((2, 2), (8, len(cells)))))
                   for number, cells in enumerate(mutations)]
        actions += [message((1, number), (3, message((1, to_bytes(row))))) for number, row in enumerate(rows)]
        request = message((1, message((1, region(name)), (3, actions))))
        cells = b"".join(encode_cell(cell) for cells in mutations for cell in cells)
        return multi_answer(*self.client.call(item.server, "ClientService", "Multi", request, cells))

    def by_region(self, things, row_of):
        for item in self.regions:
            mine = [thing for thing in things
                    if item.start <= row_of(thing) and (not item.end or row_of(thing) < item.end)]
            if mine:
                yield item, mine

    def write(self, mutations):
        return [self.multi(item, item.name, mine) for item, mine in self.by_region(mutations, lambda made: made[0].row)]

    def write_elsewhere(self, mutations):
        item = self.regions[0]  # a server goes by the name's last part
        other = b"1." if item.name.endswith(b"0.") else b"0."
        return self.multi(item, item.name[:-2] + other, mutations)

    def write_out_of_range(self, mutations):
        return self.multi(self.regions[-1], self.regions[-1].name, mutations)

    def read(self, rows):
        return [self.multi(item, item.name, rows=mine) for item, mine in self.by_region(rows, lambda row: row)]

    def flush(self, _):
        self.client.flush(TABLE)

    def compact(self, _):
        self.client.major_compact(TABLE)


def multi_answer(result, cells):
    """What came for a region: an exception's class, or for each action one or its cells."""
    group, cells = parse(one(result, 1)), iter(cells)
    if 2 in group:
        return name_and_bytes(one(group, 2)).kind
    items = {}
    for item in map(parse, group.get(1, [])):
        count = one(parse(one(item, 2, b"")), 2, 0)
        found = [next(cells) for _ in range(count)]
        items[one(item, 1, 0)] = name_and_bytes(one(item, 3)).kind if 3 in item else found
    return [items[number] for number in sorted(items)]


@test(needs="hbase", each=(1, 2), name="modelled_hbase_answers_as_the_real_one_seed_{}")
def modelled_hbase(case, seed):
    # Puts and delete markers of few cells with few timestamps, in requests for two regions; between them flushes,
    # major compactions, and requests for a region that is not there and for a row that is another region's.
    real = client(case)
    case.cleanups.callback(forget, real, TABLE)
    real.balancer(False)
    sides = [TableSide(HeldClient(Held(case))), TableSide(real)]
    for verb, what in table_operations(seed):
        check_same((verb, what), *(getattr(side, verb)(what) for side in sides))


@test(needs="hbase")
def modelled_hbase_refuses_a_table_that_exists_as_the_real_one(case):
    # And describes the one that is there: what weir looks at before it starts.
    real = client(case)
    case.cleanups.callback(forget, real, TABLE)
    told = []
    for made in (HeldClient(Held(case)), real):
        described = [made.describe(TABLE)]
        made.create(TABLE, splits=SPLITS)
        try:
            made.create(TABLE)
        except RemoteError as trouble:
            described.append(trouble.kind)
        families = made.describe(TABLE)
        described.append({family: {name: attributes.get(name) for name in ("TTL", "VERSIONS", "KEEP_DELETED_CELLS")}
                          for family, attributes in families.items()})
        told.append(described)
    check_same("create twice", *told)


# ---- Kafka's groups ----

TOPIC_PARTITIONS = 8
INSTANCES = ["-", "-", "s1", "s2", "s1"]  # of each slot: two take each other's place
ROUNDS = 25
REBALANCING = "the group is rebalancing"


class HeldGroup:
    """The model's group, asked as KafkaGroup is."""

    def __init__(self, held):
        self.held = held

    def __getattr__(self, verb):
        return lambda *words: self.held.ask(verb, *words)

    def joined(self, slot):
        while (answer := self.held.ask("joined", slot)) == "pending":
            self.held.ask("later", 1_000_000)  # a group that was empty waits for more members
        return answer


class BothGroups:
    """What one seed does to a group. `inside`: the slots that are members."""

    def __init__(self, model, real, seed):
        self.model, self.real, self.dice = model, real, random.Random(seed)
        self.inside, self.generation = set(), 0

    def tell(self, verb, *words):
        """Of a request whose answer comes later, or says nothing."""
        getattr(self.model, verb)(*words)
        getattr(self.real, verb)(*words)

    def ask(self, verb, *words):
        model, real = (getattr(side, verb)(*words) for side in (self.model, self.real))
        check_same((verb, *words), model, real)
        return real

    def join(self, slot, whose="own"):
        self.tell("join", slot, whose, INSTANCES[slot])

    def all_rejoin(self, new=()):
        """The group is preparing; members hear of it by their heartbeats. What they have may still be committed."""
        for slot in sorted(self.inside):
            me = slot, "own", INSTANCES[slot], self.generation
            until(lambda: self.real.heartbeat(*me) == REBALANCING, f"the server begins a rebalance for slot {slot}")
            check_equal(self.ask("heartbeat", *me), REBALANCING, "heartbeat")
            self.commit(slot, "own", self.generation)
            self.join(slot)
        self.inside.update(new)
        for slot in sorted(self.inside):
            code, _, generation = self.ask("joined", slot).partition(", ")
            check_equal(code, "taken", "a join")
            self.generation = int(generation)
        self.everyone_pokes()  # nobody may commit before the leader has dealt
        for slot in sorted(self.inside):
            self.tell("sync", slot, "own", INSTANCES[slot], self.generation)
        for slot in sorted(self.inside):
            self.ask("synced", slot)

    def enter(self, slot):
        if slot in self.real.ids and self.dice.random() < 0.5:
            self.join(slot)  # by an id that is no member's any more
            self.ask("joined", slot)
        if any(INSTANCES[other] == INSTANCES[slot] != "-" for other in self.inside):
            self.take_place(slot)
            return
        self.join(slot, "none")
        self.all_rejoin({slot})

    def take_place(self, slot):
        """Of a member with the same instance, which may be this one before it was started anew."""
        self.join(slot, "none")
        self.ask("joined", slot)
        self.inside = {other for other in self.inside if INSTANCES[other] != INSTANCES[slot]} | {slot}
        self.tell("sync", slot, "own", INSTANCES[slot], self.generation)
        self.ask("synced", slot)

    def leave(self, slot):
        self.tell("leave", slot, "own", INSTANCES[slot])
        self.inside.remove(slot)
        if self.inside:
            self.all_rejoin()

    def commit(self, slot, whose, generation):
        partition = self.dice.randrange(TOPIC_PARTITIONS)
        self.ask("commit", slot, whose, INSTANCES[slot], generation, partition, self.dice.randint(0, 1 << 40),
                 self.dice.randint(1, 1 << 62))
        self.ask("committed", partition)

    def everyone_pokes(self):
        """Heartbeats and commits of members, of who is none, and of generations that are not the present one."""
        for slot in self.dice.sample(range(len(INSTANCES)), 3):
            whose = self.dice.choice(("own", "own", "own", "none", "wrong"))
            generation = self.dice.choice((self.generation,) * 3 + (self.generation - 1, self.generation + 1, -1))
            self.commit(slot, whose, generation)
            self.ask("heartbeat", slot, whose, INSTANCES[slot], generation)


@test(needs="kafka", each=(1, 2), name="modelled_group_answers_as_a_real_one_seed_{}")
def modelled_group(case, seed):
    # Members come, leave, take each other's place and are started anew within their session, with and without a
    # group.instance.id; in between, and in the middle of each rebalance, members and others commit and beat.
    brokers, topic = case.servers.kafka, f"{case.unique}-s{seed}"
    kafka_admin.create_topic(brokers, topic, TOPIC_PARTITIONS)
    both = BothGroups(HeldGroup(Held(case)), KafkaGroup(brokers, topic, topic), seed)
    both.commit(0, "none", -1)
    for _ in range(ROUNDS):
        slot = both.dice.randrange(len(INSTANCES))
        if slot not in both.inside:
            both.enter(slot)
        elif INSTANCES[slot] != "-" and both.dice.random() < 0.5:
            both.take_place(slot)
        else:
            both.leave(slot)
        both.everyone_pokes()
    for slot in sorted(both.inside):
        both.leave(slot)
        both.everyone_pokes()

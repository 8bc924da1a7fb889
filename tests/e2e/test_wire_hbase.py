"""HBase at the byte level: whatever its servers' answers look like, in the end every cell is what the log says.

The server is a scripted one (scripted_hbase.py); half of the log is in its table before, so that states are read back.
Each run of weir meets its fault at every stage: ZooKeeper's session and znode, the master, hbase:meta, the reading of
states, the writing of cells. What is checked is what the table holds, with its timestamps, that weir said 0, and that
nothing became a dead letter. A server that never comes to its senses ends weir with 69, and is named.
"""
import functools
import random
import re
import struct

import hbase_oracle
import oracle
import workload
from harness import MAPPING, check, check_equal, test
from hbase_wire import message, one, parse
from scripted_hbase import HADOOP, KINDS, Refused, ScriptedHBase
from wire_faults import CUT, CUTS, NONSENSE, PATIENCE, RESET, SILENCE, Fault, lying, noise, places, spoil, together

FEW = {"docs": 6, "bytes": "1MiB", "linger": "1ms", "in_flight": 4}
RPC, MULTI = ("master", "meta", "get", "put"), ("get", "put")
SOON = "400ms"  # the timeout where answers never come


# ---- one run ----

class World:
    """A log, what it comes to, and the table when half of it was written."""
    made = None

    @functools.cached_property
    def events(self):
        return workload.Workload(71, 60, "wire").events(400)

    @functools.cached_property
    def rows(self):
        return oracle.replay(self.events, MAPPING, "canal-json")

    def half(self, case):
        """The rows of the table when half of the log was written; made once."""
        if not self.made:
            server, events = ScriptedHBase(), self.events[:200]
            case.drain(config(case, server, "half", case.write("half.ndjson", events)))
            hbase_oracle.check_cells(server.scan(), oracle.replay(events, MAPPING, "canal-json"), "half of it")
            server.close()
            self.made = server.rows()
        return self.made


WORLD = World()


def config(case, server, name, events, timeout="5s", way=None, **more):
    way = way or {"zookeeper": [server.zookeeper.address]}
    sink = {"hbase": {"table": server.table, "family": server.family, "timeout": timeout} | way, "batch": FEW} | more
    return case.config(case.file_source(events), sink, name=name)


def scripted(case, script=lambda kind, number: None):
    return ScriptedHBase(script, rows=WORLD.half(case))


def arrives(case, name, server, **options):
    """The log into the server: all its cells are there. Returns weir's stderr."""
    # A row's changes come in several orders, so that many of them are late.
    events = case.write(f"{name}.ndjson", workload.interleave(WORLD.events, name))
    result = case.weir("run", config(case, server, name, events, **options), "--until-end", "--wait", PATIENCE)
    check_equal(case.letters(name), [], "dead letters")
    hbase_oracle.check_cells(server.scan(), WORLD.rows, "the table")
    server.close()
    return result.stderr


# Which answers of each kind go wrong. A few of those that the start waits for, because it waits longer each time.
TIMES = {"session": (0, 3), "znode": (2,), "master": (0,), "meta": (0, 2), "get": (0, 2), "put": (0, 2, 5)}


def each_arrives(case, faults, kinds=KINDS, **options):
    """A run for each of {name: Fault}, which comes to some answers of each kind."""
    def job(name, fault):
        server = scripted(case, lambda kind, number: fault if kind in kinds and number in TIMES[kind] else None)
        arrives(case, name, server, **options)
        check(server.fired.keys() >= set(kinds), f"faults came in {server.fired}")
    WORLD.half(case)
    together({name: functools.partial(job, name, fault) for name, fault in faults.items()})


# ---- where the answer ends ----

@test()
def wire_hbase_without_a_fault_ends_in_the_right_cells(case):
    # What the others are compared with: every kind of answer comes, and weir has nothing to say.
    server = scripted(case)
    told = arrives(case, "plain", server)
    check(server.counts.keys() >= set(KINDS), f"kinds of answers: {server.counts}")
    check(" warn " not in told, f"a warning: {told}")


@test(each={"cut": (CUT,), "reset": (RESET,)}, name="wire_hbase_answers_{}_at_many_bytes_lose_nothing")
def cut_at_many_bytes(case, how):
    # All that was asked for was done, and the answer ends in the middle: it is asked again.
    each_arrives(case, {f"{how}_at_{at:.3f}": Fault(at=at, then=how) for at in places(CUTS)})


@test()
def wire_hbase_slow_answers_are_waited_for(case):
    # In pieces, with a pause, before and behind others, and twice: nothing is wrong with that.
    faults = {"byte_by_byte": Fault(pieces=1), "odd_pieces": Fault(pieces=7), "late": Fault(at=0, delay_s=0.05),
              "late_in_its_middle": Fault(at=0.5, delay_s=0.05), "late_in_its_length": Fault(at=2, delay_s=0.05),
              "behind_the_next": Fault(behind=1), "behind_the_next_two": Fault(behind=2)}
    each_arrives(case, faults)


@test()
def wire_hbase_silence_is_ended_by_the_timeout(case):
    # The connection stays open, and nothing comes any more: from the first byte, or in the middle of an answer.
    faults = {f"silent_at_{at}": Fault(at=at, then=SILENCE) for at in (0, 3, 0.5, -1)}
    each_arrives(case, faults | {"left_out": Fault(skipped=True)}, timeout=SOON)


@test()
def wire_hbase_connections_that_end_at_once_are_opened_again(case):
    # The server takes a request, does nothing, and resets.
    each_arrives(case, {"lost": Fault(lost=True)})


# ---- what the answer is ----

LENGTHS = {"of_2_GiB": 0x7fffffff, "of_minus_1": -1, "of_minus_2_GiB": -1 << 31, "of_257_MiB": 257 << 20, "of_0": 0,
           "of_a_byte_less": lambda right: right - 1, "of_a_byte_more": lambda right: right + 1,
           "of_much_more": lambda right: right + 5000, "of_half": lambda right: right // 2}


@test()
def wire_hbase_lengths_that_lie_are_seen(case):
    # The length before an answer is another one: what follows it is no answer any more, or never comes.
    each_arrives(case, {name: Fault(edit=lying(length)) for name, length in LENGTHS.items()}, timeout=SOON)


@test()
def wire_hbase_nonsense_is_no_answer(case):
    # In an answer's place, and in its middle, where the rest of it should be.
    whole = {name: Fault(at=0, then=text) for name, text in NONSENSE.items()}
    middle = {f"{name}_at_{at}": Fault(edit=functools.partial(spoil, at=at, text=NONSENSE[name]))
              for name in ("zeros", "ones") for at in (4, 6, 0.3, 0.6)}
    each_arrives(case, whole | middle, timeout=SOON)


# ---- whose answer it is ----

def set_id(number):
    def change(answer):
        answer.id = number(answer.id) if callable(number) else number
    return change


class Earlier:
    """Answers that say they are of the call that was answered before."""

    def __init__(self):
        self.last = 0

    def __call__(self, answer):
        self.last, answer.id = answer.id, self.last


@test()
def wire_hbase_answers_to_other_calls_are_not_taken(case):
    # An id that nobody waits for: the call's own answer never comes then. An answer that comes twice is taken once.
    others = {"nobodys": 1 << 30, "zero": 0, "of_65_bits": 1 << 64, "negative": (1 << 64) - 5, "answered": Earlier()}
    faults = {name: Fault(change=number if callable(number) else set_id(number)) for name, number in others.items()}
    each_arrives(case, faults | {"twice": Fault(twice=True)}, kinds=RPC, timeout=SOON)
    # The answer to one reading as that to the next one, which may wait for it on the same connection.
    each_arrives(case, {"the_nexts": Fault(change=set_id(lambda number: number + 1))}, kinds=("get",), timeout=SOON)
    # ZooKeeper's is passed over as a notice.
    each_arrives(case, {"xid": Fault(edit=lambda frame: frame[:4] + struct.pack(">i", -1) + frame[8:])},
                 kinds=("znode",), timeout=SOON)


# ---- exceptions ----

def throws(kind, text="as the script says", final=False, number=None):
    """The whole call is answered with an exception; `number`: the id, where it is not the call's."""
    def change(answer):
        answer.exception = Refused(kind, text, final)
        answer.id = answer.id if number is None else number
    return Fault(change=change)


def in_results(edit):
    """A change of a Multi's answer by edit(results, answer): [[(index, fields of its result)]], a list a region."""
    def change(answer):
        results = [[parse(entry) for entry in parse(region).get(1, [])] for region in parse(answer.result).get(1, [])]
        answer.result = message((1, edit(results, answer)), (3, b""))
    return Fault(change=change)


def entries(*fields):
    """A region's results from dicts of fields."""
    return message((1, [message(*[(n, value) for n, values in sorted(one_of.items()) for value in values])
                        for one_of in fields]))


def thrown(kind, text="as the script says"):
    return message((1, kind), (2, f"{kind}: {text}"))


def each_throws(kind):
    """Every action's result is an exception, and its cells are not there."""
    def edit(results, answer):
        answer.cells = []
        return [entries(*[{1: entry[1], 3: [thrown(kind)]} for entry in region if 1 in entry]) for region in results]
    return in_results(edit)


def regions_throw(kind):
    def edit(results, answer):
        answer.cells = []
        return [message((2, thrown(kind))) for _ in results]
    return in_results(edit)


UNKNOWN = "com.example.NobodyKnowsThisException"


@test()
def wire_hbase_exceptions_of_any_name_are_tried_again(case):
    # Of a call: names that no list has, none, no text, names of servers that move or are busy.
    calls = {"unknown": throws(UNKNOWN), "no_name": throws("", ""),
             "no_text": throws(HADOOP + "CallTimeoutException", ""),
             "a_long_story": throws(UNKNOWN, "x" * 200_000), "no_utf8": throws("\udcff\udcfe.\udcfd", "\udcff"),
             "moved": throws(HADOOP + "exceptions.RegionMovedException"),
             "busy": throws(HADOOP + "CallQueueTooBigException"),
             "of_the_connection": throws(HADOOP + "ipc.FatalConnectionException", number=(1 << 32) - 1)}
    each_arrives(case, calls, kinds=RPC)
    # What is final for a call with many actions is not for each of them.
    final = {"final": throws(UNKNOWN, final=True), "final_dead": throws(HADOOP + "DoNotRetryIOException", final=True)}
    inner = {"of_each_action": each_throws(UNKNOWN), "of_each_region": regions_throw(UNKNOWN),
             "of_moved_regions": regions_throw(HADOOP + "NotServingRegionException"),
             "dead_regions": regions_throw(HADOOP + "DoNotRetryIOException"),
             "busy_actions": each_throws(HADOOP + "RegionTooBusyException")}
    each_arrives(case, final | inner, kinds=MULTI)


# ---- answers that do not fit what was asked ----

def first_entry(**changed):
    """The first result of each region, its fields replaced: index, result, thrown."""
    numbers = {"index": 1, "result": 2, "thrown": 3}

    def edit(results, answer):
        for region in filter(None, results):
            region[0].update({numbers[name]: value for name, value in changed.items()})
        return [entries(*region) for region in results]
    return in_results(edit)


def every(edit):
    """Fault of the cells of an answer, by edit(list of their bytes)."""
    def change(answer):
        if answer.cells:
            answer.cells = edit(answer.cells)
    return Fault(change=change)


def cells_told(length):
    def change(answer):
        answer.cells_length = length(sum(map(len, answer.cells))) if callable(length) else length
    return Fault(change=change)


def overwritten(at, text):
    """Bytes within the last cell: 0 its length, 4 its key's, 8 its value's, 12 its row's."""
    return every(lambda cells: cells[:-1] + [cells[-1][:at] + text + cells[-1][at + len(text):]])


RESULTS = {
    "a_region_less": in_results(lambda results, answer: [entries(*region) for region in results[1:]]),
    "a_region_more": in_results(lambda results, answer: [entries(*region) for region in results + results[:1]]),
    "no_region": in_results(lambda results, answer: []),
    "a_result_less": in_results(lambda results, answer: [entries(*region[1:]) for region in results]),
    "a_result_twice": in_results(lambda results, answer: [entries(*region, *region[:1]) for region in results]),
    "an_index_too_great": first_entry(index=[1 << 20]), "an_index_of_64_bits": first_entry(index=[(1 << 64) - 1]),
    "neither_result_nor_exception": first_entry(result=[]), "both": first_entry(thrown=[thrown(UNKNOWN)]),
}
CELLS = {
    "a_byte_less_is_told": cells_told(lambda right: right - 1),
    "a_byte_more_is_told": cells_told(lambda right: right + 1), "of_64_bits_are_told": cells_told((1 << 64) - 1),
    "the_last_is_cut": every(lambda cells: cells[:-1] + [cells[-1][:-3]]),
    "the_last_is_not_there": every(lambda cells: cells[:-1]), "none_are_there": every(lambda cells: []),
    "one_is_there_twice": every(lambda cells: cells + cells[-1:]),
    "of_4_GiB": overwritten(0, b"\xff" * 4), "of_0_bytes": overwritten(0, bytes(4)),
    "a_key_of_4_GiB": overwritten(4, b"\xff" * 4), "a_key_of_0_bytes": overwritten(4, bytes(4)),
    "a_value_of_4_GiB": overwritten(8, b"\xff" * 4), "a_value_of_2_GiB": overwritten(8, b"\x7f" + b"\xff" * 3),
    "a_row_of_64_KiB": overwritten(12, b"\xff\xff"), "a_row_of_0_bytes": overwritten(12, bytes(2)),
}


@test()
def wire_hbase_results_that_do_not_fit_say_nothing(case):
    # Too few, too many, of an action that was not there: what was written is written again.
    each_arrives(case, RESULTS, kinds=MULTI)


@test()
def wire_hbase_cells_that_do_not_fit_are_no_state(case):
    # A block that is cut, lengths that lie: no state is made of it, and nothing becomes a dead letter.
    each_arrives(case, CELLS, kinds=("get",))


@test()
def wire_hbase_cells_of_hbase_meta_that_do_not_fit_are_no_regions(case):
    # The same for what says where the regions are.
    few = {name: fault for name, fault in CELLS.items() if name != "one_is_there_twice"}
    each_arrives(case, few, kinds=("meta",))


# ---- what ZooKeeper says ----

def znode(edit):
    """A fault of the znode's bytes."""
    def change(frame):
        length, = struct.unpack_from(">i", frame, 20)
        data = edit(frame[24:24 + length])
        frame = frame[4:20] + struct.pack(">i", len(data)) + data + bytes(68)
        return struct.pack(">I", len(frame)) + frame
    return Fault(edit=change)


def within(at, text):
    return Fault(edit=lambda frame: frame[:at] + text + frame[at + len(text):])


@test()
def wire_hbase_znodes_that_make_no_sense_are_asked_again(case):
    # Errors, lengths that lie, a node of something else, no node: the next one is right.
    znodes = {"lost_connection": within(16, struct.pack(">i", -4)), "no_such_node": within(16, struct.pack(">i", -101)),
              "no_right": within(16, struct.pack(">i", -102)), "of_2_GiB": within(20, b"\x7f\xff\xff\xff"),
              "of_minus_2": within(20, b"\xff\xff\xff\xfe"), "without_data": within(20, b"\xff" * 4),
              "empty": znode(lambda data: b""), "an_id_of_4_GiB": znode(lambda data: data[:1] + b"\xff" * 4 + data[5:]),
              "no_magic": znode(lambda data: data.replace(b"PBUF", b"JSON")), "cut": znode(lambda data: data[:-9]),
              "cut_in_its_id": znode(lambda data: data[:7]), "text": znode(lambda data: b"rs1.lan:16020")}
    each_arrives(case, znodes, kinds=("znode",))
    sessions = {"refused": within(8, bytes(4)), "of_minus_1_ms": within(8, b"\xff" * 4),
                "short": Fault(edit=lambda frame: struct.pack(">I", 4) + frame[4:8])}
    each_arrives(case, sessions, kinds=("session",))


@test()
def wire_hbase_masters_in_zookeepers_place_are_asked_the_same_way(case):
    # Without ZooKeeper: who is the active master, and where is hbase:meta.
    faults = {"cut": Fault(at=0.5, then=CUT), "silent": Fault(at=-1, then=SILENCE),
              "nonsense": Fault(at=0, then=noise(3)),
              "no_answer": Fault(skipped=True), "unknown": throws(UNKNOWN),
              "of_nobody": Fault(change=lambda answer: setattr(answer, "result", b"")),
              "no_message": Fault(change=lambda answer: setattr(answer, "result", b"\x0a\x7f\x0a"))}

    def job(name, fault):
        server = scripted(case, lambda kind, number: fault if kind == "registry" and number in (0, 3) else None)
        arrives(case, name, server, way={"masters": [server.master.address]}, timeout=SOON)
        check(server.fired, "no fault came")
    WORLD.half(case)
    together({name: functools.partial(job, name, fault) for name, fault in faults.items()})


# ---- servers that stay as they are ----

# What weir says of each kind of answer that never comes; {}: the server's address.
NAMED = {"session": "ZooKeeper {}: ", "znode": "ZooKeeper {}: ", "master": "the master {}: ",
         "meta": "hbase:meta: {}: ", "get": "a read got no answer: {}: ", "put": "a write got no answer: {}: "}
STAYS = {"silent": Fault(at=0, then=SILENCE), "silent_in_the_middle": Fault(at=0.5, then=SILENCE),
         "hung_up": Fault(at=0, then=CUT), "reset": Fault(lost=True), "nonsense": Fault(at=0, then=NONSENSE["http"]),
         "half": Fault(at=0.5, then=b"")}


@test()
def wire_hbase_server_that_stays_wrong_ends_the_run_and_is_named(case):
    # Such an answer of a kind, always: after --wait weir ends with 69 and has said who did not answer, and why.
    WORLD.half(case)

    def named(kind, name, fault, timeout, wait):
        """(does weir's stderr say who was wrong, that stderr)"""
        server = scripted(case, lambda asked, number: fault if asked == kind else None)
        events = case.write(f"{name}.ndjson", WORLD.events)
        told = case.weir("run", config(case, server, name, events, timeout=timeout), "--until-end", "--wait", wait,
                         code=69).stderr
        # The rows are on both servers, and either may be the one that is named.
        servers = [server.address(kind)] + ([one.address for one in server.servers] if kind in MULTI else [])
        server.close()
        return any(re.search(re.escape(NAMED[kind].format(address)) + ".*[a-z]", told) for address in servers), told

    def job(kind, name, fault):
        # On a machine that does much else another answer may be late too: then once more, with more patience.
        if not named(kind, f"{kind}-{name}", fault, "1s", "2s")[0]:
            good, told = named(kind, f"{kind}-{name}-2", fault, "5s", "30s")
            check(good, f"weir does not say what is wrong: {told}")
    together({f"{kind}, {name}": functools.partial(job, kind, name, fault)
              for kind in KINDS for name, fault in STAYS.items()}, at_once=24)


@test()
def wire_hbase_exceptions_that_stay_are_told(case):
    # A master that refuses for good ends the run with 78, one that may change its mind after --wait with 69; for
    # tables it is the servers' word that is told, and nothing is dropped.
    WORLD.half(case)
    expected = {"master": (69, 78), "meta": (69, 69), "get": (69, 69), "put": (69, 69)}

    def job(kind, final):
        name, fault = f"{kind}-{final}", throws(UNKNOWN, "of its own mind", final)
        server = scripted(case, lambda asked, number: fault if asked == kind else None)
        events = case.write(f"{name}.ndjson", WORLD.events)
        told = case.weir("run", config(case, server, name, events), "--until-end", "--wait", "1s",
                         code=expected[kind][final]).stderr
        check("NobodyKnowsThisException" in told and "of its own mind" in told, f"not the server's words: {told}")
        check_equal(case.letters(name), [], "dead letters")
        server.close()
    together({f"{kind}, final {final}": functools.partial(job, kind, final)
              for kind in RPC for final in (False, True)})


@test()
def wire_hbase_port_that_nobody_listens_on_is_named(case):
    # Every server in its turn is not there at all.
    WORLD.half(case)

    def job(kind):
        server = scripted(case)
        {"session": server.zookeeper, "master": server.master, "meta": server.servers[0]}[kind].close()
        told = case.weir("run", config(case, server, kind, case.write(f"{kind}.ndjson", WORLD.events)), "--until-end",
                         "--wait", "1s", code=69).stderr
        wanted = re.escape(NAMED[kind].format(server.address(kind))) + ".*cannot connect: Connection refused"
        check(re.search(wanted, told), f"it does not say {wanted}: {told}")
        server.close()
    together({kind: functools.partial(job, kind) for kind in ("session", "master", "meta")})


# ---- all of it ----

class Storm:
    """A script: a part of the answers goes wrong in any of these ways, and regions move, until there were enough."""
    ways = [Fault(at=0, then=CUT), Fault(at=0.5, then=RESET), Fault(at=-1, then=CUT), Fault(lost=True),
            Fault(at=0.5, delay_s=0.03), Fault(pieces=5), Fault(twice=True), Fault(behind=1), Fault(behind=3),
            Fault(at=0, then=NONSENSE["noise"]), Fault(edit=lying(lambda right: right - 1)), Fault(skipped=True)]
    of_calls = [throws(UNKNOWN), throws(HADOOP + "CallQueueTooBigException"), Fault(change=set_id(1 << 30))]
    of_multi = [each_throws(HADOOP + "RegionTooBusyException"), regions_throw(HADOOP + "NotServingRegionException"),
                *RESULTS.values()]

    def __init__(self, seed):
        self.random, self.server, self.left = random.Random(seed), None, 60

    def __call__(self, kind, number):
        if kind == "master" or self.left == 0 or self.random.random() > 0.4:
            return None
        self.left -= 1
        if kind in MULTI and self.random.random() < 0.1:
            self.server.move(self.random.randrange(len(self.server.regions)))
        return self.random.choice(self.ways + self.of_calls * (kind in RPC) + self.of_multi * (kind in MULTI))


@test()
def wire_hbase_any_faults_together_end_in_the_right_cells(case):
    # Seeds of random faults, six regions that move between two servers, small batches.
    WORLD.half(case)

    def job(name, seed):
        script = Storm(seed)
        script.server = ScriptedHBase(script, rows=WORLD.half(case), splits=("2", "5", "8", "a", "d"))
        arrives(case, name, script.server, timeout=SOON)
        check(script.left < 57, f"only {60 - script.left} faults came")
    together({f"seed{seed}": functools.partial(job, f"seed{seed}", seed) for seed in range(max(CUTS // 2, 1))})

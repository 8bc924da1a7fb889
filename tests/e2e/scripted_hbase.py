"""An HBase that follows a script: ZooKeeper, a master, region servers, and faults that real ones have not on demand.

    ZooKeeper    session, znode      where hbase:meta and the master are
    master       master              is there a table, and is it enabled; with `masters`: registry
    servers      meta                the table's regions, on the first server
                 get, put            a Multi of the one or the other

These are the kinds of answers that a script knows: `script(kind, number)` gives the Fault of the number-th answer of a
kind, or None. What is written is kept as HBase keeps it: each cell's puts by timestamp, and its delete marker, which
hides what is not newer. A request that HBase would not take is remembered and told by scan().

Written from HBase's .proto files and ZooKeeper's record format, by hbase_wire.py, apart from weir's client.
"""
import copy
import dataclasses
import hashlib
import struct
import threading

from hbase_wire import (Cell, DELETE_COLUMN, PUT, decode_cells, delimited, encode_cell, message, one, parse, to_bytes,
                        to_text, varint)
from wire_faults import Fault, Listener, Sender, receive, receive_frame, reset

HADOOP = "org.apache.hadoop.hbase."
META = b"hbase:meta,,1"
ENABLED = 0
KINDS = ("session", "znode", "master", "meta", "get", "put")
MASTER_METHODS = {"GetTableDescriptors", "GetTableState"}
REGISTRY_METHODS = {"GetActiveMaster", "GetMetaRegionLocations"}


class Refused(Exception):
    """An exception that HBase answers with."""

    def __init__(self, kind, text, final=False):
        self.kind, self.text, self.final = kind, text, final
        super().__init__(f"{kind}: {text}")


@dataclasses.dataclass
class Answer:
    """A response before it is a frame."""
    id: int
    result: bytes = b""
    cells: list = dataclasses.field(default_factory=list)  # each as its bytes
    cells_length: int = None  # what is said of them, where it is not true
    exception: Refused = None

    def frame(self):
        block, thrown = b"".join(self.cells), None
        if self.exception:
            story = to_bytes(f"{self.exception.kind}: {self.exception.text}\n\tat it")
            thrown = message((1, to_bytes(self.exception.kind)), (2, story), (5, self.exception.final))
        length = len(block) if self.cells_length is None else self.cells_length
        header = message((1, self.id), (2, thrown), (3, message((1, length)) if length and not thrown else None))
        body = varint(len(header)) + header
        if not thrown:
            body += varint(len(self.result)) + self.result + block
        return struct.pack(">I", len(body)) + body


@dataclasses.dataclass
class Kept:
    """One cell of the table."""
    puts: dict = dataclasses.field(default_factory=dict)  # timestamp -> value
    deleted: int = -1                                     # greatest timestamp of a delete marker

    def newest(self):
        """(timestamp, value), or None."""
        return max(((at, value) for at, value in self.puts.items() if at > self.deleted), default=None)


class ScriptedHBase:
    """`splits`: first rows of all regions but the first; they lie on the two servers in turns. `rows`: what rows()
    of another one gave."""

    def __init__(self, script=lambda kind, number: None, table="orders", family="d", splits=("8",), rows=None):
        self.script, self.table, self.family = script, table, family
        self.lock, self.fired, self.counts, self.wrong = threading.RLock(), {}, {}, []
        self.cells = copy.deepcopy(rows or {})  # row -> qualifier -> Kept
        self.zookeeper = Listener(self.serve_zookeeper)
        self.master = Listener(lambda connection: self.serve(connection, None))
        self.servers = [Listener(lambda connection, s=s: self.serve(connection, s)) for s in (0, 1)]
        starts = ["", *splits]
        self.regions = [[f"{table},{start},17000000000{i:02d}.{hashlib.md5(start.encode()).hexdigest()}.", start, end,
                         i % 2] for i, (start, end) in enumerate(zip(starts, [*splits, ""]))]

    def close(self):
        for listener in (self.zookeeper, self.master, *self.servers):
            listener.close()

    def address(self, kind):
        """Who gives the answers of a kind; of get and put, the second server does as well."""
        return {"session": self.zookeeper, "znode": self.zookeeper, "master": self.master,
                "registry": self.master}.get(kind, self.servers[0]).address

    def rows(self):
        with self.lock:
            return copy.deepcopy(self.cells)

    def move(self, region):
        """To the other server."""
        with self.lock:
            self.regions[region][3] ^= 1

    def scan(self):
        """The newest cells; raises where a request was not one that HBase takes."""
        wrong = self.wrong + [text for listener in (self.zookeeper, self.master, *self.servers)
                              for text in listener.wrong]
        if wrong:
            raise ValueError(f"a wrong request: {wrong[0]} ({len(wrong)} in all)")
        with self.lock:
            return [cell for row in sorted(self.cells) for cell in self.read(row)]

    def read(self, row):
        found = []
        for qualifier, kept in sorted(self.cells.get(row, {}).items(), key=lambda item: to_bytes(item[0])):
            if newest := kept.newest():
                found.append(Cell(row, qualifier, newest[0], newest[1], family=self.family))
        return found

    def fault(self, kind):
        with self.lock:
            number = self.counts.get(kind, 0)
            self.counts[kind] = number + 1
            fault = self.script(kind, number)
            if fault:
                self.fired[kind] = self.fired.get(kind, 0) + 1
            return fault or Fault()

    def refuse(self, why):
        """Something that HBase would not take."""
        self.wrong.append(why)
        raise ConnectionResetError(why)

    # ---- ZooKeeper ----

    def serve_zookeeper(self, connection):
        sender, greeted = Sender(connection), False
        while sender.rest():
            request = receive_frame(connection)
            if not greeted:
                kind, answer = "session", struct.pack(">iiqi", 0, 30000, 0x17, 16) + bytes(16) + b"\0"
                greeted = True
            else:
                xid, operation = struct.unpack_from(">ii", request)
                if operation == -11:  # the session's end
                    return
                kind, answer = "znode", self.znode(xid, request[12:-1].decode())
            fault = self.fault(kind)
            if fault.lost:
                return reset(connection)
            if not sender.send(struct.pack(">i", len(answer)) + answer, fault):
                return

    def znode(self, xid, path):
        found = {"/hbase/master": self.master, "/hbase/meta-region-server": self.servers[0]}.get(path)
        if not found:
            return struct.pack(">iqi", xid, 1, -101)
        by = b"master:16000"
        data = (b"\xff" + struct.pack(">I", len(by)) + by + b"PBUF"
                + message((1, self.server_name(found)), (2, 0), (3, 3 if found != self.master else 16010)))
        return struct.pack(">iqii", xid, 1, 0, len(data)) + data + bytes(68)

    @staticmethod
    def server_name(listener):
        return message((1, "127.0.0.1"), (2, listener.port), (3, 1700000000000))

    # ---- calls ----

    def serve(self, connection, server):
        """`server`: the number of a region server; None: the master."""
        if receive(connection, 6) != b"HBas\0P":
            self.refuse("no greeting of HBase's")
        service = one(parse(receive_frame(connection)), 2)
        sender = Sender(connection)
        while sender.rest():
            answer, fault = self.call(receive_frame(connection), service, server)
            if answer is None:
                return reset(connection)
            if fault.change:
                fault.change(answer)
            if not sender.send(answer.frame(), fault):
                return

    def call(self, request, service, server):
        """(the answer or None, its fault) of a request, after doing what it asks."""
        raw, at = delimited(request)
        header = parse(raw)
        raw, at = delimited(request, at)
        method, block = one(header, 3).decode(), request[at:]
        meta = parse(one(header, 5, b""))
        if one(meta, 1, 0) != len(block):
            self.refuse(f"{method} with {len(block)} bytes of cells, and {one(meta, 1, 0)} are told")
        parameter = parse(raw)
        fault = self.fault(self.kind(method, parameter, service, server))
        if fault.lost:
            return None, fault
        answer = Answer(one(header, 1))
        with self.lock:
            try:
                self.answer(answer, method, parameter, block, server)
            except Refused as thrown:
                answer.exception = thrown
        return answer, fault

    def kind(self, method, parameter, service, server):
        if server is None:
            wanted = b"MasterService" if method in MASTER_METHODS else b"ClientMetaService"
            if service != wanted or method not in MASTER_METHODS | REGISTRY_METHODS:
                self.refuse(f"{method} of {service}")
            return "master" if method in MASTER_METHODS else "registry"
        if service != b"ClientService" or method not in ("Scan", "Multi"):
            self.refuse(f"{method} of {service}")
        if method == "Scan":
            return "meta"
        kinds = {"put" if 2 in parse(action) else "get" for group in parameter.get(1, [])
                 for action in parse(group).get(3, [])}
        if len(kinds) != 1:
            self.refuse(f"a Multi of {kinds}")
        return kinds.pop()

    def answer(self, answer, method, parameter, block, server):
        if method == "GetTableDescriptors":
            attributes = [message((1, "TTL"), (2, "2147483647")), message((1, "VERSIONS"), (2, "1"))]
            answer.result = message((1, message((1, message((1, "default"), (2, self.table))),
                                                (3, message((1, self.family), (2, attributes))))))
        elif method == "GetTableState":
            answer.result = message((1, message((1, ENABLED))))
        elif method == "GetActiveMaster":
            answer.result = message((1, self.server_name(self.master)))
        elif method == "GetMetaRegionLocations":
            info = message((1, 1), (2, message((1, "hbase"), (2, "meta"))), (5, False), (6, False), (7, 0))
            answer.result = message((1, message((1, info), (2, self.server_name(self.servers[0])))))
        elif method == "Scan":
            self.scan_meta(answer, parameter, server)
        else:
            self.multi(answer, parameter, block, server)

    def scan_meta(self, answer, parameter, server):
        name = one(parse(one(parameter, 1)), 2)
        if name != META or server != 0:
            raise Refused(HADOOP + "NotServingRegionException", f"{to_text(name)} is not online")
        start = to_text(one(parse(one(parameter, 2)), 3, b""))
        regions = [region for region in self.regions if region[0] >= start]
        for name, first, end, place in regions:
            info = message((1, int(name.rsplit(",", 1)[1].split(".")[0])),
                           (2, message((1, "default"), (2, self.table))), (3, first), (4, end), (5, False), (6, False),
                           (7, 0))
            values = {"regioninfo": b"PBUF" + info, "server": self.servers[place].address.encode()}
            answer.cells += [encode_cell(Cell(name, qualifier, 1700000000000, to_text(value), family="info"))
                             for qualifier, value in values.items()]
        answer.result = message((1, [2] * len(regions)), (8, False))

    # ---- Multi ----

    def multi(self, answer, parameter, block, server):
        """Regions in their order, the actions of each in another one than they came."""
        cells, results = decode_cells(block), []
        if b"".join(map(encode_cell, cells)) != block:
            self.refuse("cells that do not end where they say")
        for group in map(parse, parameter.get(1, [])):
            actions = [self.action(parse(action), cells) for action in group.get(3, [])]
            results.append(self.region(to_text(one(parse(one(group, 1)), 2)), actions, server, answer))
        if cells:
            self.refuse(f"{len(cells)} cells that belong to no action")
        answer.result = message((1, results), (3, b""))

    def action(self, action, cells):
        """(index, row, cells to write, or None where the row is to be read)"""
        index = one(action, 1, 0)
        if 3 in action:
            get = parse(one(action, 3))
            if [one(parse(column), 1) for column in get.get(2, [])] != [self.family.encode()]:
                self.refuse("a get of other columns than the family's")
            return index, to_text(one(get, 1)), None
        mutation = parse(one(action, 2))
        mine = [cells.pop(0) for _ in range(one(mutation, 8, 0))]
        if one(mutation, 2) != 2 or len({cell.row for cell in mine}) != 1 or {cell.family for cell in mine} != {
                self.family} or not {cell.type for cell in mine} <= {PUT, DELETE_COLUMN}:
            self.refuse(f"a mutation of {mine[:3]}")
        return index, mine[0].row, mine

    def region(self, name, actions, server, answer):
        found = next((region for region in self.regions if region[0] == name), None)
        if not found or found[3] != server:
            thrown = HADOOP + "NotServingRegionException"
            return message((2, message((1, thrown), (2, f"{thrown}: {name[:100]} is not online"))))
        entries = []
        for index, row, mine in reversed(actions):
            if to_bytes(row) < to_bytes(found[1]) or found[2] and to_bytes(row) >= to_bytes(found[2]):
                thrown = HADOOP + "exceptions.FailedSanityCheckException"
                text = f"{thrown}: Requested row out of range for doMiniBatchMutation on HRegion {name}, row='{row}'"
                entries.append(message((1, index), (3, message((1, thrown), (2, text)))))
            elif mine is None:
                there = self.read(row)
                answer.cells += map(encode_cell, there)
                entries.append(message((1, index), (2, message((2, len(there))))))
            else:
                self.write(row, mine)
                entries.append(message((1, index), (2, b"")))
        return message((1, entries))

    def write(self, row, cells):
        kept = self.cells.setdefault(row, {})
        for cell in cells:
            at = kept.setdefault(cell.qualifier, Kept())
            if cell.type == DELETE_COLUMN:
                at.deleted = max(at.deleted, cell.timestamp)
            else:
                at.puts[cell.timestamp] = cell.value

"""An HBase client of the tests' own: what weir wrote is read, disturbed and rearranged with it.

    client = Client("127.0.0.1:2181")                 ZooKeeper's address
    client.create("orders", splits=["4", "8", "c"])
    client.write("orders", [Cell("r", "q", 5, "v"), Cell("r", "q", 4, type=DELETE_COLUMN)])
    client.scan("orders")                             newest cells; raw=True: all versions and delete markers

Every call waits out a server that starts, moves a region or fails over, for HANG_S at most.
"""
import dataclasses
import time

from hbase_wire import (Cell, Connection, DELETE, DELETE_COLUMN, DELETE_FAMILY, DELETE_FAMILY_VERSION, PUT,
                        RemoteError, ZooKeeper, encode_cell, message, name_and_bytes, one, parse, region, to_bytes,
                        to_text)

__all__ = ["Cell", "Client", "DELETE", "DELETE_COLUMN", "DELETE_FAMILY", "DELETE_FAMILY_VERSION", "PUT",
           "RemoteError", "Region"]

HANG_S = 180
META = "hbase:meta"
META_REGION = b"hbase:meta,,1"
VERSIONS_ALL = 0x7fffffff
BATCH = 2000
PASSING = {"NotServingRegionException", "RegionMovedException", "RegionOpeningException", "RegionTooBusyException",
           "ServerNotRunningYetException", "PleaseHoldException", "RegionServerStoppedException",
           "RegionServerAbortedException", "CallQueueTooBigException", "CallTimeoutException",
           "MasterNotRunningException", "UnknownScannerException", "WrongRegionException"}


@dataclasses.dataclass
class Region:
    name: bytes      # table,start,id.encoded.
    start: str       # first row; the end's row is not in it; "" is open
    end: str
    server: str      # host:port, "" while it has none
    state: str       # OPEN, CLOSING, ...
    info: bytes      # RegionInfo

    @property
    def encoded(self):
        return b"1588230740" if self.name == META_REGION else self.name.split(b".")[-2]


def table_name(name):
    space, _, qualifier = name.rpartition(":")
    return message((1, space or "default"), (2, qualifier))


def family_schema(name, attributes):
    pairs = [message((1, key), (2, str(value))) for key, value in attributes.items()]
    return message((1, name), (2, pairs))


def attributes_of(pairs):
    return {to_text(one(pair, 1)): to_text(one(pair, 2)) for pair in map(parse, pairs)}


class Client:
    def __init__(self, zookeeper):
        self.zookeeper, self.connections, self.known = ZooKeeper(zookeeper), {}, {}

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()
        self.known.clear()

    # ---- calls ----

    def call(self, address, service, method, parameter=b"", cells=b""):
        if (address, service) not in self.connections:
            self.connections[address, service] = Connection(address, service)
        return self.connections[address, service].call(method, parameter, cells)

    def patiently(self, action):
        """Repeats an action while what stops it passes by itself."""
        end = time.monotonic() + HANG_S
        while True:
            try:
                return action()
            except (OSError, RemoteError) as trouble:
                self.close()
                if time.monotonic() > end or isinstance(trouble, RemoteError) and trouble.kind not in PASSING:
                    raise
                time.sleep(0.1)

    def until(self, condition, what):
        end = time.monotonic() + HANG_S
        while not (value := self.patiently(condition)):
            if time.monotonic() > end:
                raise TimeoutError(f"HBase never did: {what}")
            time.sleep(0.05)
        return value

    def master(self, method, parameter):
        return self.patiently(lambda: self.call(self.zookeeper.server("/hbase/master"), "MasterService", method,
                                                parameter)[0])

    def procedure(self, method, parameter):
        """Starts a procedure of the master and waits for its end."""
        number = one(self.master(method, parameter), 1)

        def ended():
            answer = self.master("getProcedureResult", message((1, number)))
            if one(answer, 1) == 1:
                return False
            if 5 in answer:
                generic = parse(one(parse(one(answer, 5)), 2))
                raise RemoteError(one(generic, 1).decode(), one(generic, 2, b"").decode(errors="replace"))
            return True
        self.until(ended, f"end {method}")

    # ---- the cluster ----

    def servers(self):
        """Live region servers as host,port,startcode."""
        return self.patiently(lambda: sorted(self.zookeeper.children("/hbase/rs")))

    def balancer(self, on):
        self.master("SetBalancerRunning", message((1, on), (2, True)))

    # ---- tables ----

    def tables(self):
        answer = self.master("GetTableNames", message((2, False)))
        return sorted(to_text(one(parse(name), 2)) for name in answer.get(1, []))

    def create(self, table, family="d", splits=(), **attributes):
        schema = message((1, table_name(table)), (3, family_schema(family, attributes)))
        self.procedure("CreateTable", message((1, schema), (2, [to_bytes(key) for key in splits])))

    def disable(self, table):
        self.procedure("DisableTable", message((1, table_name(table))))

    def enable(self, table):
        self.procedure("EnableTable", message((1, table_name(table))))

    def drop(self, table):
        if table not in self.tables():
            return
        try:
            self.disable(table)
        except RemoteError as trouble:
            if trouble.kind != "TableNotEnabledException":
                raise
        self.procedure("DeleteTable", message((1, table_name(table))))

    def describe(self, table):
        """{family: {attribute: value}}; None where there is no such table."""
        answer = self.master("GetTableDescriptors", message((1, table_name(table))))
        for schema in map(parse, answer.get(1, [])):
            families = map(parse, schema.get(3, []))
            return {to_text(one(family, 1)): attributes_of(family.get(2, [])) for family in families}
        return None

    def alter(self, table, family="d", **attributes):
        """Changes attributes of a family, the others stay."""
        attributes = self.describe(table)[family] | attributes
        self.procedure("ModifyColumn", message((1, table_name(table)), (2, family_schema(family, attributes))))

    # ---- regions ----

    def regions(self, table):
        """The regions that hold a table now, in the order of their rows; those of a split or merge are left out."""
        def look():
            meta = self.zookeeper.server("/hbase/meta-region-server")
            if table == META:
                return [Region(META_REGION, "", "", meta, "OPEN", b"")]
            rows = {}
            for cell in self.scan_region(meta, META_REGION, f"{table},,", f"{table}-", "info"):
                rows.setdefault(cell.row, {})[cell.qualifier] = to_bytes(cell.value)
            return [found for found in (self.region(name, row) for name, row in rows.items()) if found]
        return self.patiently(look)

    @staticmethod
    def region(name, row):
        info = row.get("regioninfo", b"").removeprefix(b"PBUF")
        fields = parse(info)
        if not info or one(fields, 5) or one(fields, 6) or "mergeQualifier" in row:
            return None
        return Region(to_bytes(name), to_text(one(fields, 3, b"")), to_text(one(fields, 4, b"")),
                      row.get("server", b"").decode(), row.get("state", b"").decode(), info)

    def online(self, table):
        """The table's regions once every row has an open one."""
        def complete():
            found = self.regions(table)
            ends = [""] + [item.end for item in found]
            whole = found and found[-1].end == "" and all(item.start == end for item, end in zip(found, ends))
            return found if whole and all(item.state == "OPEN" and item.server for item in found) else None
        return self.until(complete, f"open all regions of {table}")

    def region_of(self, table, row):
        if table not in self.known:
            self.known[table] = self.online(table)
        return next(item for item in self.known[table] if not item.end or to_bytes(row) < to_bytes(item.end))

    def split(self, table, key):
        parent = self.region_of(table, key)
        self.procedure("SplitRegion", message((1, parent.info), (2, to_bytes(key))))
        self.settled(table)

    def merge(self, table, first, second):
        """Two regions that lie side by side."""
        names = [region(first.encoded), region(second.encoded)]
        self.procedure("MergeTableRegions", message((1, names), (3, True)))
        self.settled(table)

    def move(self, table, item, server):
        """A region to a server (host,port,startcode), and waits until it is open there."""
        host, port, code = server.split(",")
        order = message((1, region(item.encoded)), (2, message((1, host), (2, int(port)), (3, int(code)))))

        def there():
            # The master may choose another server while it does not know this one long enough: it is told again.
            if any(now.encoded == item.encoded and now.server == f"{host}:{port}" for now in self.online(table)):
                return True
            self.master("MoveRegion", order)
            return False
        self.until(there, f"move {item.encoded}")
        self.known.clear()

    def settled(self, table):
        self.known.clear()
        return self.online(table)

    def each_region(self, table, method, *fields):
        """An AdminService call for every region; {encoded name: answer}."""
        def run():
            return {item.encoded: self.call(item.server, "AdminService", method,
                                            message((1, region(item.name)), *fields))[0]
                    for item in self.settled(table)}
        return self.patiently(run)

    def flush(self, table):
        self.each_region(table, "FlushRegion")

    def files(self, table, family="d"):
        """{encoded name of a region: its store files}."""
        return {name: sorted(answer.get(1, []))
                for name, answer in self.each_region(table, "GetStoreFile", (2, family)).items()}

    def major_compact(self, table, family="d"):
        """Flushes, compacts and waits: what deletes hide is gone then, and so are the deletes."""
        self.flush(table)
        before = self.files(table, family)
        self.each_region(table, "CompactRegion", (2, True))

        def done():
            states = self.each_region(table, "GetRegionInfo", (2, True))
            now = self.files(table, family)
            return (not any(one(state, 2, 0) for state in states.values())
                    and all(len(files) <= 1 and (not files or files != before.get(name))
                            for name, files in now.items()))
        self.until(done, f"compact {table}")

    # ---- cells ----

    def write(self, table, cells):
        """Puts and deletes, by each cell's type; their timestamps are kept."""
        cells = list(cells)
        for at in range(0, len(cells), BATCH):
            self.patiently(lambda: self.write_batch(table, cells[at:at + BATCH]))

    def write_batch(self, table, cells):
        """Cells that stand beside each other with the same row and kind make one action."""
        actions = {}
        for number, cell in enumerate(cells):
            actions.setdefault(self.region_of(table, cell.row).name, []).append((number, cell))
        for name, mine in actions.items():
            server = next(item.server for item in self.known[table] if item.name == name)
            made = [message((1, number), (2, message((2, 2 if cell.type == PUT else 3), (8, 1))))
                    for number, cell in mine]
            request = message((1, message((1, region(name)), (3, made))))
            answer, _ = self.call(server, "ClientService", "Multi", request,
                                  b"".join(encode_cell(cell) for _, cell in mine))
            self.check_multi(answer, len(mine))

    @staticmethod
    def check_multi(answer, wanted):
        result = parse(one(answer, 1))
        if 2 in result:
            raise name_and_bytes(one(result, 2))
        items = [parse(item) for item in result.get(1, [])]
        for item in items:
            if 3 in item:
                raise name_and_bytes(one(item, 3))
        if len(items) != wanted:
            raise RemoteError("Multi", f"{len(items)} results for {wanted} actions")

    def get(self, table, row):
        """A row's newest cells."""
        def run():
            item = self.region_of(table, row)
            return self.scan_region(item.server, item.name, row, row + "\0")
        return self.patiently(run)

    def scan(self, table, raw=False):
        """All cells in HBase's order. Starts anew when a region moves meanwhile."""
        def run():
            return [cell for item in self.settled(table)
                    for cell in self.scan_region(item.server, item.name, item.start, item.end, raw=raw)]
        return self.patiently(run)

    def scan_region(self, server, name, start, end, family=None, raw=False):
        columns = message((1, family)) if family else None
        scan = message((1, columns), (2, message((1, "_raw_"), (2, b"\xff")) if raw else None),
                       (3, to_bytes(start)), (4, to_bytes(end)), (7, VERSIONS_ALL if raw else 1))
        request = message((1, region(name)), (2, scan), (4, BATCH), (5, False))
        cells = []
        while True:
            answer, more = self.call(server, "ClientService", "Scan", request)
            cells += more
            if not one(answer, 8, 0):
                break
            request = message((3, one(answer, 2)), (4, BATCH))
        self.call(server, "ClientService", "Scan", message((3, one(answer, 2)), (4, 0), (5, True)))
        return cells

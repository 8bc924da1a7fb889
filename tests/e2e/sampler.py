"""Reads versions and cells' timestamps all along, and remembers each one that fell or came back.

    with Sampler(search, index, keys) as versions, CellSampler(zookeeper, table, keys) as cells:
        ...
    versions.check(); cells.check()
"""
import threading

import hbase_oracle
import oracle
from harness import Failed, check, check_equal
from hbase import Client, RemoteError

AWAY = (OSError, EOFError, Failed, RemoteError)  # how a server that was killed, or that starts, answers


class Rising:
    """A thread that looks again and again at numbers that may only rise. `patient`: servers may be away meanwhile."""

    def __init__(self, patient=False, pause_s=0.02):
        self.patient, self.pause_s = patient, pause_s
        self.wrong, self.passes, self.trouble = [], 0, None
        self.seen, self.gone, self.lost, self.lock = {}, set(), set(), threading.Lock()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def run(self):
        while not self.stopped.wait(self.pause_s):
            try:
                with self.lock:
                    self.look()
                self.passes += 1
            except Exception as trouble:  # told by check(): a thread's exception goes nowhere
                if not (self.patient and isinstance(trouble, AWAY)):
                    self.trouble = trouble
                    return

    def forgive(self):
        """The server was killed, and what it showed before it was durable may be lost, once."""
        with self.lock:
            self.lost = set(self.seen)

    def take(self, name, number):
        """`number` is None where there is nothing under that name now."""
        if name in self.lost:
            self.lost.discard(name)
            if number is None or number < self.seen[name]:
                del self.seen[name]
                self.gone.discard(name)
        last = self.seen.get(name)
        if number is None:
            if last is not None:
                self.gone.add(name)
            return
        if last is not None and number < last:
            self.wrong.append(f"{name} fell from {last} to {number}")
        elif number == last and name in self.gone:
            self.wrong.append(f"{name} was gone and is back with {number}")
        self.gone.discard(name)
        self.seen[name] = max(number, last or 0)

    def check(self):
        check(self.trouble is None, f"the sampler failed: {type(self.trouble).__name__}: {self.trouble}")
        check(self.passes > 0 and self.seen, "the sampler saw nothing")
        check_equal(self.wrong[:5], [], f"numbers that fell ({len(self.wrong)})")


class Sampler(Rising):
    """Documents' versions in Elasticsearch, as they are at that moment. A document that was gone may only be there
    again with a greater one. The states beside the index (`-weir`) are held to the same."""

    def __init__(self, search, index, keys, **options):
        super().__init__(**options)
        self.search = search
        self.names = [(name, key) for name in (index, index + "-weir") for key in keys]

    def look(self):
        body = {"docs": [{"_index": index, "_id": key, "_source": False} for index, key in self.names]}
        _, answer = self.search.request("POST", "/_mget", body)
        for name, found in zip(self.names, answer["docs"]):
            if "error" not in found:
                self.take(name, int(oracle.plain(found["_version"])) if found["found"] else None)


class CellSampler(Rising):
    """Timestamps of the markers of documents' rows in HBase: each is its row's seqno, and none goes away."""

    def __init__(self, zookeeper, table, keys, **options):
        super().__init__(**options)
        self.client, self.table = Client(zookeeper), table
        self.rows, self.turn = [hbase_oracle.row_key(key) for key in keys], 0

    def __exit__(self, *_):
        super().__exit__()
        self.client.close()

    def look(self):
        """One row each time: a cell that is read by itself is read soon after it was written."""
        row, self.turn = self.rows[self.turn % len(self.rows)], self.turn + 1
        markers = {(row, cell.qualifier): cell.timestamp for cell in self.client.get(self.table, row)
                   if not hbase_oracle.own(cell) and not hbase_oracle.names(cell.qualifier)[1]}
        for name in markers.keys() | {name for name in self.seen if name[0] == row}:
            self.take(name, markers.get(name))
        gone = [name for name in self.gone if name[0] == row]
        self.wrong += [f"{name} went away" for name in gone]
        self.gone.difference_update(gone)

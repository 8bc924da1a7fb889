"""A bulk server that follows a script: Elasticsearch's answers, and faults that a real one has not on demand.

It knows indices, mappings, `_bulk` with external versions and `_mget`; each connection is a thread on plain sockets,
so that an answer can end at any byte. What it keeps of a document is the bytes that came.
"""
import dataclasses
import gzip
import json
import socket
import struct
import threading
import time
import urllib.parse

import oracle

REASONS = {200: "OK", 404: "Not Found", 413: "Request Entity Too Large", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 400: "Bad Request"}


@dataclasses.dataclass
class Fault:
    """What goes wrong with one request. All faults but `status` and `refuse` come after the writes were done."""
    status: int = 0            # the whole request is answered so, and nothing is written
    items: dict = None         # item number modulo `every` -> status: those items are not written
    every: int = 1
    reset_at: int = None       # the answer ends after so many bytes (negative: before its end) with a reset
    cut_at: int = None         # the same, with an orderly end of the connection
    refuse: bool = False       # the connection is reset before anything is read or written
    silent: bool = False       # no answer ever
    pieces: int = 0            # the answer comes in pieces of so many bytes, slowly
    chunked: bool = False      # with Transfer-Encoding: chunked
    items_more: int = 0        # the answer has so many items more (or fewer) than the request
    body: bytes = None         # the answer's body is this


@dataclasses.dataclass
class Stored:
    version: int
    source: bytes = None  # None: deleted


class ScriptedElasticsearch:
    """`script(kind, number)` gives the Fault of the number-th `_bulk` or `_mget` request, or None. `refused`: ids
    that get a mapping error. `limit`: the greatest body in bytes before 413."""

    def __init__(self, script=lambda kind, number: None, refused=(), limit=100 << 20):
        self.script, self.refused, self.limit = script, set(refused), limit
        self.indices, self.lock, self.fired = {}, threading.RLock(), 0
        self.counts = {"_bulk": 0, "_mget": 0}
        self.connections, self.wrong = set(), []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                connection.close()

    def documents(self, index):
        """What the index holds, without `_weir`; raises where a request was not one that Elasticsearch takes."""
        if self.wrong:
            raise ValueError(f"a wrong request: {self.wrong[0]}")
        found = {}
        for key, stored in self.indices.get(index, {}).items():
            if stored.source is not None:
                document = oracle.parse(stored.source)
                document.pop("_weir")
                found[key] = document
        return found

    # ---- connections ----

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            reader = connection.makefile("rb")
            while self.exchange(connection, reader):
                pass
        except OSError:
            pass
        except (ValueError, KeyError, TypeError) as wrong:
            self.wrong.append(f"{type(wrong).__name__}: {wrong}")  # told by documents()
        finally:
            connection.close()
            with self.lock:
                self.connections.discard(connection)

    def exchange(self, connection, reader):
        """One request and its answer; False where the connection ends."""
        first = reader.readline().split()
        if len(first) < 3:
            return False
        method, target = first[0].decode(), first[1].decode()
        headers = {}
        while (line := reader.readline().strip()):
            name, _, text = line.decode().partition(":")
            headers[name.lower()] = text.strip()
        fault = self.fault(target)
        if fault and fault.refuse:
            return reset(connection)
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = reader.read(int(headers.get("content-length", 0)))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        status, answer = self.answer(method, target, body, fault)
        return self.send(connection, method, status, answer, fault)

    def fault(self, target):
        path = urllib.parse.urlsplit(target).path
        kind = path.rpartition("/")[2]
        if kind not in self.counts:
            return None
        with self.lock:
            number = self.counts[kind]
            self.counts[kind] += 1
            fault = self.script(kind, number)
            self.fired += fault is not None
        return fault

    def send(self, connection, method, status, body, fault):
        fault = fault or Fault()
        if fault.silent:
            connection.recv(1)  # until the client gives up
            return False
        if fault.body is not None:
            body = fault.body
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\ncontent-type: application/json\r\n"
        if fault.chunked:
            parts = [body[i:i + 1000] for i in range(0, len(body), 1000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
            head += "transfer-encoding: chunked\r\n\r\n"
        else:
            head += f"content-length: {len(body)}\r\n\r\n"
        whole = head.encode() + (b"" if method == "HEAD" else body)
        for end, cut in ((fault.reset_at, reset), (fault.cut_at, lambda _: False)):
            if end is not None:
                connection.sendall(whole[:end])
                return cut(connection)
        if fault.pieces:
            for i in range(0, len(whole), fault.pieces):
                connection.sendall(whole[i:i + fault.pieces])
                time.sleep(0.002)
        else:
            connection.sendall(whole)
        return True

    # ---- what a search server does ----

    def answer(self, method, target, body, fault):
        """(status, body) of a request, after doing what it asks."""
        if len(body) > self.limit:
            return 413, b""
        if fault and fault.status:
            return fault.status, b"" if fault.status == 413 else error("scripted", "as the script says")[1]
        path = urllib.parse.urlsplit(target).path.strip("/").split("/")
        with self.lock:
            if path[-1] == "_bulk":
                return self.bulk(path[0] if len(path) > 1 else None, body, fault or Fault())
            if path[-1] == "_mget":
                return self.mget(path[0] if len(path) > 1 else None, json.loads(body), fault or Fault())
            return self.index(method, path)

    def index(self, method, path):
        name = path[0]
        if name == "":
            return done({"version": {"number": "8.19.0"}, "tagline": "You Know, for Search"})
        if name.startswith("_"):
            return done({"status": "green"})
        if method == "PUT" and len(path) == 1:
            if name in self.indices:
                return error("resource_already_exists_exception", f"index [{name}] already exists", 400)
            self.indices[name] = {}
            return done({"acknowledged": True, "shards_acknowledged": True, "index": name})
        if name not in self.indices:
            return error("index_not_found_exception", f"no such index [{name}]", 404)
        if method == "PUT":
            return done({"acknowledged": True})
        mappings = {"properties": {"_weir": {"type": "object", "enabled": False}}}
        return done({name: {"aliases": {}, "mappings": mappings, "settings": {"index": {"gc_deletes": "1h"}}}})

    def bulk(self, default, body, fault):
        if not body.endswith(b"\n"):
            return error("illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]", 400)
        lines, items = iter(body.split(b"\n")[:-1]), []
        for line in lines:
            (operation, meta), = json.loads(line).items()
            source = next(lines) if operation == "index" else None
            scripted = (fault.items or {}).get(len(items) % fault.every)
            items.append({operation: self.write(default, meta, source, scripted)})
        if fault.items_more < 0:
            items = items[:fault.items_more]
        items += items[:1] * fault.items_more
        errors = any("error" in next(iter(item.values())) for item in items)
        return done({"took": 1, "errors": errors, "items": items})

    def write(self, default, meta, source, scripted):
        index, key, version = meta.get("_index", default), meta["_id"], meta["version"]
        item = {"_index": index, "_id": key}
        if meta["version_type"] != "external" or not 0 < version < 1 << 63:
            raise ValueError(f"not an external version: {meta}")
        if scripted:
            kind = "es_rejected_execution_exception" if scripted == 429 else "scripted_exception"
            return item | {"status": scripted, "error": {"type": kind, "reason": "as the script says"}}
        if source is not None:
            json.loads(source)
            if key in self.refused and not index.endswith("-weir"):
                reason = "failed to parse field [x] of type [long]"
                return item | {"status": 400, "error": {"type": "document_parsing_exception", "reason": reason}}
        rows = self.indices.setdefault(index, {})
        was = rows.get(key)
        if was and version <= was.version:
            reason = f"[{key}]: version conflict, current version [{was.version}] is higher or equal to [{version}]"
            return item | {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": reason}}
        rows[key] = Stored(version, source)
        there = was is not None and was.source is not None
        if source is None:
            return item | {"_version": version, "result": "deleted" if there else "not_found",
                           "status": 200 if there else 404}
        return item | {"_version": version, "result": "updated" if there else "created",
                       "status": 200 if there else 201}

    def mget(self, default, request, fault):
        wanted = request.get("docs") or [{"_id": key} for key in request["ids"]]
        parts = []
        for want in wanted:
            index, key = want.get("_index", default), want["_id"]
            stored = self.indices.get(index, {}).get(key)
            head = {"_index": index, "_id": key}
            if index not in self.indices:
                error = {"type": "index_not_found_exception", "reason": index}
                parts.append(json.dumps(head | {"error": error}).encode())
            elif stored is None or stored.source is None:
                parts.append(json.dumps(head | {"found": False}).encode())
            else:
                # Spliced, so that the source stays as it came.
                head |= {"_version": stored.version, "_seq_no": 1, "_primary_term": 1, "found": True}
                parts.append(json.dumps(head).encode()[:-1] + b',"_source":' + stored.source + b"}")
        if fault.items_more < 0:
            parts = parts[:fault.items_more]
        parts += parts[:1] * fault.items_more
        return 200, b'{"docs":[' + b",".join(parts) + b"]}"


def done(answer):
    return 200, json.dumps(answer).encode()


def error(kind, reason, status=500):
    body = {"type": kind, "reason": reason}
    return status, json.dumps({"error": {"root_cause": [body], **body}, "status": status}).encode()


def reset(connection):
    """Ends a connection with RST, so that what is on its way is lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False

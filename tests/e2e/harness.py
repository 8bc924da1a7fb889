"""What the end-to-end tests share: registration, servers, weir itself, and the documents on both sides.

A test is a function with @test; its name is the behaviour, its first comment the story. It gets a `Case` with a
folder of its own and ends quietly or raises. Servers start when the first test asks for them and are shared by all;
tests keep apart by the names of their topics, indices and groups.
"""
import base64
import contextlib
import dataclasses
import gzip
import http.client
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.parse

import oracle

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DATA = HERE.parent / "data"
WEIR = os.environ.get("WEIR", str(ROOT / "build" / "weir"))
CORES = sorted(os.sched_getaffinity(0))[:2]  # what a node has: enough for two shards to meet
HANG_S = 300  # how long anything may take before it counts as hung; no test asserts a time

# The captures are of one day; a machine whose clock is behind it must not cut their times.
LATE = {"max_clock_skew": "365d"}

MAPPING = oracle.Mapping.load(DATA / "mapping.json")


@dataclasses.dataclass
class Capture:
    name: str
    events: pathlib.Path
    expected: pathlib.Path
    format: str

    def load(self):
        return oracle.load_events(self.events)

    def documents(self):
        return oracle.load_expected(self.expected)


CAPTURES = [
    Capture("canal", ROOT / "config/samples/canal-orders.ndjson", DATA / "canal-orders.expected.ndjson", "canal-json"),
    Capture("debezium", DATA / "debezium-orders.ndjson", DATA / "debezium-orders.expected.ndjson", "debezium-json"),
    Capture("debezium_schema", DATA / "debezium-orders-schema.ndjson", DATA / "debezium-orders-schema.expected.ndjson",
            "debezium-json"),
]
CANAL = CAPTURES[0]


# ---- registration ----

@dataclasses.dataclass
class Test:
    name: str
    run: object
    needs: frozenset


TESTS = []


def test(needs="", each=None, name=None):
    """Registers a test. `needs`: the servers it uses. `each`: a dict of name suffix -> arguments after the case, or
    a list of values that are suffix and argument at once. `name`: a pattern with {} for the suffix."""
    def register(function):
        base = name or (function.__name__ + "_{}" if each is not None else function.__name__)
        variants = {None: ()} if each is None else each if isinstance(each, dict) else {v: (v,) for v in each}
        for suffix, arguments in variants.items():
            servers = set(needs.split())
            servers |= {a for a in arguments if a in ("kafka", "elasticsearch", "opensearch")}
            TESTS.append(Test(base.format(suffix), lambda case, f=function, a=arguments: f(case, *a),
                              frozenset(servers)))
        return function
    return register


class Failed(AssertionError):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def check_equal(got, want, what):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def check_documents(got, want, where):
    """Every key and every digit of every number."""
    missing, extra = sorted(want.keys() - got.keys()), sorted(got.keys() - want.keys())
    different = sorted(key for key in want.keys() & got.keys() if want[key] != got[key])
    if not missing and not extra and not different:
        return
    text = (f"{where}: {len(want)} documents wanted, {len(got)} there; missing {missing[:5]} ({len(missing)}), "
            f"extra {extra[:5]} ({len(extra)}), different {different[:5]} ({len(different)})")
    for key in different[:1]:
        text += f"; {key}: " + first_difference(got[key], want[key])
    raise Failed(text)


def first_difference(got, want, path=""):
    if isinstance(got, dict) and isinstance(want, dict):
        for name in sorted(got.keys() | want.keys()):
            if got.get(name, "(absent)") != want.get(name, "(absent)"):
                return first_difference(got.get(name, "(absent)"), want.get(name, "(absent)"), f"{path}.{name}")
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        for i, (mine, theirs) in enumerate(zip(got, want)):
            if mine != theirs:
                return first_difference(mine, theirs, f"{path}[{i}]")
    return f"{path or '.'} is {got!r:.300}, want {want!r:.300}"


def until(condition, what, seconds=HANG_S):
    """Waits for a condition and returns its value; fails with `what` when it never comes."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f"never happened: {what}")
        time.sleep(0.05)


# ---- servers ----

def free_port():
    """A port whose two successors are free too, below the range that outgoing connections take theirs from."""
    for _ in range(1000):
        port = random.randrange(20000, 30000, 4)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for number in (port, port + 1, port + 2):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port
    raise Failed("no free port")


class Servers:
    """Starts real servers by tests/servers/server, each once, and ends them all."""

    def __init__(self, folder):
        self.folder, self.ports, self.told = pathlib.Path(folder), {}, {}

    def command(self, *arguments, **environment):
        result = subprocess.run([HERE.parent / "servers/server", *map(str, arguments)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                env=os.environ | {"WEIR_SERVERS_OWNER": str(os.getpid())} | environment)
        check(result.returncode == 0, f"server {' '.join(map(str, arguments))}: {result.stdout.strip()}")

    def port(self, kind, *arguments, **environment):
        if kind not in self.ports:
            port = free_port()
            self.command("up", kind, port, self.folder / kind, *arguments, **environment)
            self.ports[kind], self.told[kind] = port, (arguments, environment)
        return self.ports[kind]

    def kill(self, kind):
        """kill -9 of a server that runs."""
        self.command("down", self.folder / kind, "-9")

    def revive(self, kind):
        """The same server, on its port and with what it has kept."""
        arguments, environment = self.told[kind]
        self.command("up", kind, self.ports[kind], self.folder / kind, *arguments, **environment)

    @property
    def kafka(self):
        return f"127.0.0.1:{self.port('kafka', 'group.min.session.timeout.ms=1000', HEAP='384m')}"

    @property
    def elasticsearch(self):
        return Search(f"http://127.0.0.1:{self.port('elasticsearch', HEAP='768m')}")

    @property
    def opensearch(self):
        return Search(f"http://127.0.0.1:{self.port('opensearch', HEAP='512m')}")

    @property
    def mariadb(self):
        self.port("mariadb")
        return self.folder / "mariadb/my.sock"

    @property
    def hbase(self):
        """ZooKeeper's address."""
        heap = os.environ.get("WEIR_E2E_HEAP", "512m")
        return f"127.0.0.1:{self.port('hbase', HEAP=heap, WEIR_SERVERS_WAIT=str(HANG_S))}"

    @property
    def connect(self):
        bootstrap = f"bootstrap.servers={self.kafka}"
        return f"http://127.0.0.1:{self.port('connect', bootstrap, HEAP='384m')}"

    def wipe(self):
        for kind in list(self.ports):
            self.command("wipe", self.folder / kind)
            del self.ports[kind]


class Search:
    """Elasticsearch or OpenSearch, or anything that answers like them."""

    def __init__(self, url):
        self.url = url

    def request(self, method, path, body=None, ok=True):
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        text = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        kind = "application/x-ndjson" if path.endswith("_bulk") else "application/json"
        connection.request(method, path, text, {"Content-Type": kind})
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        check(not ok or answer.status < 300, f"{method} {path}: {answer.status} {content[:300]}")
        return answer.status, oracle.parse(content) if content.startswith(("{", "[")) else content

    def documents(self, index):
        """Every document of an index without its `_weir`, numbers as digits."""
        self.request("POST", f"/{index}/_refresh")
        found = {}
        _, page = self.request("POST", f"/{index}/_search?scroll=1m&size=1000", {"sort": ["_doc"]})
        while page["hits"]["hits"]:
            for hit in page["hits"]["hits"]:
                check("_weir" in hit["_source"], f"{index}/{hit['_id']} carries no _weir")
                found[hit["_id"]] = {name: v for name, v in hit["_source"].items() if name != "_weir"}
            _, page = self.request("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
        self.request("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]}, ok=False)
        return found

    def operations(self, index):
        """How many index and delete operations the index has seen; 0 where it does not exist yet."""
        status, stats = self.request("GET", f"/{index}/_stats/indexing", ok=False)
        if status != 200:
            return 0
        indexing = stats["_all"]["primaries"].get("indexing", {})
        return sum(int(oracle.plain(indexing.get(name, oracle.number(0)))) for name in ("index_total", "delete_total"))


# ---- Kafka ----

def produce(brokers, events, topic=lambda name: name, codec="lz4"):
    """Produces events with their partitions, keys, headers and null payloads, each partition in its order."""
    logs = {}
    for event in events:
        logs.setdefault((event["topic"], event["partition"]), []).append(event)
    for (name, partition), log in logs.items():
        for headers, run in itertools.groupby(log, key=lambda e: tuple(e.get("headers") or ())):
            produce_run(brokers, topic(name), partition, headers, list(run), codec)


def produce_run(brokers, topic, partition, headers, events, codec):
    """One kcat call: it takes its headers once. An empty key or payload is sent as null (-Z)."""
    command = ["kcat", "-P", "-b", brokers, "-t", topic, "-p", str(partition), "-z", codec, "-Z", "-K", "\x01",
               "-X", "enable.idempotence=true",  # without it a retry on a new topic comes behind later messages
               "-X", "topic.metadata.refresh.interval.ms=200", "-X", "message.max.bytes=100000000"]
    for i in range(0, len(headers), 2):
        command += ["-H", f"{headers[i]}={headers[i + 1]}"]
    lines = "".join(f'{event["key"] or ""}\x01{event["payload"] or ""}\n' for event in events)
    result = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, f"kcat: {result.stdout.decode()}")


def produce_bytes(brokers, topic, partition, payloads, folder):
    """Produces messages of any bytes: each payload is a file, and kcat sends the files in order."""
    files = []
    for i, payload in enumerate(payloads):
        path = pathlib.Path(folder) / f"message-{i}"
        path.write_bytes(payload)
        files.append(str(path))
    result = subprocess.run(["kcat", "-P", "-b", brokers, "-t", topic, "-p", str(partition), "-z", "lz4",
                             "-X", "message.max.bytes=100000000", *files],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, f"kcat: {result.stdout.decode()}")


# ---- weir ----

@dataclasses.dataclass
class Result:
    """How a run of weir ended."""
    code: int
    stdout: str
    stderr: str
    rss_bytes: int

    @property
    def summary(self):
        """The JSON object on the last line of `run --until-end`."""
        lines = self.stdout.strip().splitlines()
        check(lines, f"nothing on stdout; stderr: {self.stderr[-800:]}")
        return json.loads(lines[-1])


class Process:
    """A running weir; its output goes to files, so that no pipe can fill."""
    serial = itertools.count()

    def __init__(self, folder, arguments, stdin=None, environment=None):
        stem = folder / f"weir-{next(self.serial)}"
        self.out, self.err = stem.with_suffix(".out"), stem.with_suffix(".err")
        self.arguments, self.result = list(map(str, arguments)), None
        source = open(stdin, "rb") if stdin else subprocess.DEVNULL
        with open(self.out, "wb") as out, open(self.err, "wb") as err, contextlib.ExitStack() as stack:
            if stdin:
                stack.enter_context(source)
            self.child = subprocess.Popen([WEIR, *self.arguments], stdin=source, stdout=out, stderr=err,
                                          cwd=folder, env=os.environ | (environment or {}))

    def wait(self, seconds=HANG_S):
        end = time.monotonic() + seconds
        while self.result is None:
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            if pid:
                self.child.returncode = os.waitstatus_to_exitcode(status)
                self.result = Result(self.child.returncode, self.out.read_text(errors="replace"),
                                     self.err.read_text(errors="replace"), usage.ru_maxrss * 1024)
            elif time.monotonic() > end:
                self.child.send_signal(signal.SIGABRT)
                os.waitpid(self.child.pid, 0)
                raise Failed(f"weir {' '.join(self.arguments)} hung: {self.err.read_text(errors='replace')[-1500:]}")
            else:
                time.sleep(0.01)
        check("Sanitizer" not in self.result.stderr, f"a sanitizer spoke: {self.result.stderr[-3000:]}")
        return self.result

    @property
    def running(self):
        """Still there; where it ended, its result is known."""
        if self.result is None and os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            self.wait()
        return self.result is None

    def stop(self, number=signal.SIGTERM):
        if self.running:
            self.child.send_signal(number)
        return self.wait()

    def hurry(self):
        """Two signals: it does not wait for what cannot be written."""
        self.child.send_signal(signal.SIGTERM)
        until(lambda: "a second signal" in self.err.read_text(errors="replace"), "the node begins to end")
        return self.stop()


class Case:
    """One test's world: a folder, unique names, the servers, and everything it started."""
    serial = itertools.count(1)

    def __init__(self, servers, folder):
        self.servers, self.number = servers, next(self.serial)
        self.unique = f"t{self.number}"
        self.dir = pathlib.Path(folder) / self.unique
        self.dir.mkdir()
        self.processes, self.cleanups = [], contextlib.ExitStack()

    def close(self):
        for process in self.processes:
            if process.result is None and process.running:
                process.child.kill()
                os.waitpid(process.child.pid, 0)
        self.cleanups.close()
        shutil.rmtree(self.dir)

    # -- configs: JSON is YAML --

    def file_source(self, *paths, format="canal-json", **more):
        return {"file": {"paths": [str(path) for path in paths]}, "format": format} | LATE | more

    def kafka_source(self, *topics, format="canal-json", group=None, options=None, kafka=None, brokers=None, **more):
        return {"kafka": {"brokers": [brokers or self.servers.kafka], "topics": list(topics),
                          "group": group or self.unique, "commit_interval": "100ms",
                          "options": {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300"} | (options or {})}
                | (kafka or {}), "format": format} | LATE | more

    def sqlite(self, name="out.db"):
        return {"sqlite": {"path": str(self.dir / name), "table": "orders"}}

    def elasticsearch(self, index=None, urls=None, batch=None, **more):
        return {"elasticsearch": {"urls": urls or [self.servers.elasticsearch.url], "index": index or self.unique}
                | more} | ({"batch": batch} if batch else {})

    def config(self, source, sink, name="weir", dead_letter=None, node=None, **task):
        """Writes a config with one task `orders` and returns its path."""
        spec = {"node": {"state_dir": str(self.dir), "admin": str(self.dir / f"{name}.sock"), "memory": "256MiB",
                         "cores": CORES, "hugepages": "off"} | (node or {}),
                "tasks": {"orders": {"source": source,
                                     "document": {"key": MAPPING.key, "tables": MAPPING.tables},
                                     "sinks": {"out": sink},
                                     "dead_letter": {"file": str(dead_letter or self.dir / f"{name}.dlq")}} | task}}
        path = self.dir / f"{name}.yaml"
        path.write_text(json.dumps(spec, indent=1, ensure_ascii=False))
        return path

    def crowded(self, config, tasks):
        """The same config with tasks beside `orders` that read nothing and take their share of node.memory, whose
        least is 64 MiB."""
        spec = json.loads(config.read_text())
        for number in range(1, tasks):
            spec["tasks"][f"idle{number}"] = spec["tasks"]["orders"] | {
                "source": self.file_source(self.write(f"idle{number}.ndjson", [])),
                "sinks": {"out": self.sqlite(f"idle{number}.db")}, "hydrate": "out",
                "dead_letter": {"file": str(self.dir / f"idle{number}.dlq")}}
        config.write_text(json.dumps(spec))
        return config

    # -- running --

    def start(self, *arguments, **options):
        process = Process(self.dir, arguments, **options)
        self.processes.append(process)
        return process

    def weir(self, *arguments, code=0, **options):
        """Runs weir to its end and checks its exit code."""
        result = self.start(*arguments, **options).wait()
        check(result.code == code, f"weir {' '.join(map(str, arguments))}: exit {result.code}, want {code}; "
                                   f"stderr: {result.stderr[-1500:]}")
        return result

    def drain(self, config, *arguments, **options):
        """`run --until-end`; returns its summary."""
        return self.weir("run", config, "--until-end", *arguments, **options).summary

    def node(self, config, name="weir"):
        """Starts a node and waits until its admin socket answers."""
        process = self.start("run", config)
        process.socket = self.dir / f"{name}.sock"

        def answers():
            check(process.running, f"the node ended: {process.result and process.result.stderr[-1500:]}")
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(process.socket))
                return True
        until(answers, "the admin socket answers")
        return process

    def ask(self, process, *arguments, code=0):
        """A command to a running node, answered in JSON."""
        result = self.weir(*arguments, "--socket", process.socket, "--json", code=code)
        return json.loads(result.stdout) if code == 0 else result

    # -- what came out --

    def sqlite_documents(self, name="out.db"):
        with contextlib.closing(sqlite3.connect(self.dir / name)) as database:
            return {key: oracle.parse(doc) for key, doc in database.execute("SELECT key, doc FROM orders")}

    def documents(self, sink):
        return self.sqlite_documents() if sink == "sqlite" else getattr(self.servers, sink).documents(self.unique)

    def sink(self, kind):
        if kind == "sqlite":
            return self.sqlite()
        return self.elasticsearch(urls=[getattr(self.servers, kind).url])

    def letters(self, name="weir"):
        """The dead letters, each with its original bytes under `bytes`."""
        path, found = self.dir / f"{name}.dlq", []
        if not path.exists():
            return found
        for line in path.read_text(encoding="utf-8").splitlines():
            letter = json.loads(line)
            letter["bytes"] = (base64.b64decode(letter["payload_base64"]) if "payload_base64" in letter
                               else (letter.get("payload") or "").encode())
            found.append(letter)
        return found

    def write(self, name, events, repeat=1):
        """Events as `kcat -J` lines, each `repeat` times in a row."""
        path = self.dir / name
        with open(path, "w", encoding="utf-8") as file:
            for event in events:
                file.write((json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n") * repeat)
        return path


def compress(path, suffix):
    """A compressed copy beside a file, made by the tool that people use."""
    target = path.with_name(path.name + suffix)
    if suffix == ".gz":
        target.write_bytes(gzip.compress(path.read_bytes()))
    else:
        with open(path, "rb") as source, open(target, "wb") as out:
            subprocess.run([{".zst": "zstd", ".lz4": "lz4"}[suffix], "-q", "-c"], stdin=source, stdout=out, check=True)
    return target


# ---- the runner ----

def run(selected):
    """Runs tests in order; returns how many failed."""
    passed = failed = 0
    # A short path: Unix sockets lie in it.
    with tempfile.TemporaryDirectory(prefix="weir-e2e-", dir=os.environ.get("TMPDIR", "/tmp")) as folder:
        servers = Servers(folder)
        signal.signal(signal.SIGTERM, lambda *_: exit(143))
        try:
            for item in selected:
                case = Case(servers, folder)
                try:
                    item.run(case)
                    passed += 1
                    print(f"ok {item.name}", flush=True)
                except KeyboardInterrupt:
                    raise
                except Exception as trouble:
                    failed += 1
                    reason = str(trouble) if isinstance(trouble, Failed) else f"{type(trouble).__name__}: {trouble}"
                    print(f"not ok {item.name}\n    " + reason.strip().replace("\n", "\n    "), flush=True)
                finally:
                    case.close()
        finally:
            servers.wipe()
    print(f"{passed} passed, {failed} failed")
    return failed

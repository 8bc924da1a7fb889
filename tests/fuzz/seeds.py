"""What fuzzing begins with, by target: inputs made from the captures that the project carries, and a few by hand."""
import gzip
import json
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EPOCH = 1704067200000000  # microseconds: no seqno is at or below it
LINE_BYTES_MAX = 20000
HADOOP = b"org.apache.hadoop.hbase."


def lines(name):
    """Lines of a capture, one of each length in hundreds of bytes: hundreds of like ones teach nothing."""
    seen = set()
    with open(ROOT / name, encoding="utf-8") as file:
        for line in file:
            if len(line) <= LINE_BYTES_MAX and len(line) // 100 not in seen:
                seen.add(len(line) // 100)
                yield line.rstrip("\n")


def payloads(name):
    for line in lines(name):
        payload = json.loads(line)["payload"]
        if isinstance(payload, str):
            yield payload


CANAL = "config/samples/canal-orders.ndjson"
DEBEZIUM = "tests/data/debezium-orders.ndjson"
DEBEZIUM_SCHEMA = "tests/data/debezium-orders-schema.ndjson"


def debezium():
    return [*payloads(DEBEZIUM), *payloads(DEBEZIUM_SCHEMA)]


def kcat():
    odd = '{"topic":"t","partition":0,"offset":7,"ts":-1,"headers":["a","1","b",null],"key":"k\\u00e9","payload":"\\n"}'
    bare = ['{"topic":"t","partition":0,"offset":1,"payload":%s}' % value
            for value in ("null", "false", "7", '{"a":[]}')]
    return [*lines(CANAL), *lines(DEBEZIUM), odd, *bare]


# ---- documents and Elasticsearch ----

def full(shown=True):
    rows = {"shop.tc_order": {"": EPOCH + 5 if shown else -(EPOCH + 20)},
            "shop.tc_order_buyer": {"": EPOCH + 6},
            "shop.tc_order_item": {"4": EPOCH + 7, "10": EPOCH + 8, "5": -(EPOCH + 9)}}
    document = {"order_no": "a", "amount": 1.5, "buyer": {"name": "A"}, "items": [{"id": 4, "sku": "x"}, {"id": 10}]}
    if not shown:
        rows, document = {"shop.tc_order": rows["shop.tc_order"]}, {}
    return json.dumps({**document, "_weir": {"images": "full", "rows": rows}})


def partial():
    rows = {"shop.tc_order": {"": [EPOCH + 5, 0, {"amount": EPOCH + 9}]},
            "shop.tc_order_item": {"4": [EPOCH + 7, EPOCH + 6, {"sku": EPOCH + 8, "hid": EPOCH + 3}],
                                   "5": [EPOCH + 9, -(EPOCH + 9)]}}
    return json.dumps({"order_no": "a", "amount": 1.5, "items": [{"id": 4, "sku": "x"}],
                       "_weir": {"images": "partial", "residual": 77, "p": 3, "rows": rows}})


def document():
    apart = '{"order_no":1}\0' + json.dumps({"images": "full", "rows": {"shop.tc_order": {"": EPOCH + 1}}})
    old = json.dumps({"_weir": {"images": "full", "residual": 5, "rows": {"shop.old": {"1": EPOCH + 4}}}})
    return [full(), full(shown=False), partial(), apart, old, *lines("tests/data/debezium-orders.expected.ndjson")]


def lookup():
    def answer(*sources):
        ids = ["a", "a", 'b/"c', 'b/"c']
        return json.dumps({"docs": [
            {"_id": i, "_version": 5, "found": True, "_source": json.loads(s)} if s else {"_id": i, "found": False}
            for i, s in zip(ids, sources)]})
    error = '{"docs":[{"_id":"a","found":true,"error":{"type":"t","reason":"r"}}]}'
    return [answer(full(), None, None, full(shown=False)), answer(partial(), None, partial(), full()),
            answer('{"x":1}', full(shown=False), None, None), error, '!400{"error":"no"}', "!413", "!long"]


def bulk():
    def answer(kind, *items):
        return json.dumps({"items": [{kind: {"status": s, **({"error": e} if e else {})}} for s, e in items]})
    stale = {"type": "version_conflict_engine_exception", "reason": "[a]: current version"}
    bad = {"type": "mapper_parsing_exception", "reason": 'failed to parse "\u00e9"'}
    deleted = answer("delete", (200, None))
    return [answer("index", (201, None), (200, None), (201, None)) + "\0" + deleted,
            answer("index", (409, stale), (429, {"type": "es_rejected_execution_exception", "reason": "q"}),
                   (409, stale)) + "\0" + answer("delete", (404, None)),
            "!413\0" + answer("index", (400, bad)) + '\0!400{"error":{"type":"t","reason":"r"}}\0!413',
            answer("index", (404, {"type": "index_not_found_exception", "reason": "orders"}), (400, bad), (201, None)),
            "!429", "!503", "!long"]


def http():
    packed = gzip.compress(b'{"items":[]}', mtime=0)
    return [b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"items":[]}',
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ite\r\n7\r\nms\":[]}\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed,
            b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 413 X\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 503 X\r\nContent-Length: 47\r\n\r\n" + b'{"error":{"type":"t","reason":"r"},"status":503}',
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 X\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}"]


# ---- HBase ----

def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def number(field, value):
    return varint(field << 3) + varint(value)


def nested(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def frame(content):
    return struct.pack(">I", len(content)) + content


def cell_bytes(row, family, qualifier, timestamp, value):
    key = struct.pack(">H", len(row)) + row + bytes([len(family)]) + family + qualifier
    key += struct.pack(">QB", timestamp, 4)
    return frame(struct.pack(">II", len(key), len(value)) + key + value)


def server(name, port):
    return nested(1, name) + number(2, port) + number(3, 5)


def region_cells():
    row, info = b"orders,,1.a.", b"PBUF" + number(1, 1) + nested(2, nested(1, b"default") + nested(2, b"orders"))
    info += nested(3, b"") + nested(4, b"5") + number(5, 0) + number(6, 0) + number(7, 0)
    return b"".join(cell_bytes(row, b"info", q, 1, v)
                    for q, v in [(b"regioninfo", info), (b"server", b"rs1:16020"), (b"state", b"OPEN")])


def cell():
    return [region_cells(), cell_bytes(b"r", b"d", b"q", EPOCH + 1, b"v") * 3]


def locate():
    def part(kind, content):
        return bytes([kind]) + struct.pack(">H", len(content)) + content
    other = region_cells().replace(b"orders,,1.a.", b"orders,5,1.b").replace(b"rs1", b"rs2")
    registry = nested(1, nested(1, number(1, 1)) + nested(2, server(b"rs1", 16020)) + number(3, 0))
    return [part(0, region_cells()), part(4, region_cells()) + part(0, other), part(0, region_cells() + other),
            part(3, b"x") + part(1, registry) + part(0, region_cells()), part(2, b"x") + part(1, registry)]


def done(index, cells=0):
    return nested(1, number(1, index) + nested(2, number(2, cells) if cells else b""))


def thrown(index, name, text):
    return nested(1, number(1, index) + nested(3, nested(1, HADOOP + name) + nested(2, text)))


def region_answers():
    return [nested(1, done(0) + done(1)),
            nested(1, thrown(0, b"NotServingRegionException", b"x") + thrown(1, b"RegionTooBusyException", b"x\n\tat")),
            nested(1, thrown(0, b"DoNotRetryIOException", b"bad") + thrown(1, b"DoNotRetryIOException", b"bad"))]


def cells(*given):
    """As cells_fuzz.h reads them: (qualifier, value, timestamp), and the row where it is not the first."""
    return b"".join(bytes([len(q), len(v)]) + struct.pack(">HB", t, 6 * sum(row)) + q + v for q, v, t, *row in given)


def get():
    answers = [struct.pack(">H", len(a)) + a for a in region_answers()]
    both = nested(1, done(0, 3) + done(1, 1))
    of_both = cells((b"shop.orders:", b"u", 5), (b"shop.orders:a", b"1", 5), (b"shop.orders:b", b"x", 5),
                    (b"shop.orders:", b"d", 7, 1))
    broken = nested(1, done(0, 1) + done(1))
    return [*answers, struct.pack(">H", len(both)) + both + of_both,
            struct.pack(">H", len(broken)) + broken + cells((b"shop.orders:", b"?", 5))]


def put():
    def part(kind, content):
        return bytes([kind]) + struct.pack(">H", len(content)) + content
    works, moved, bad = region_answers()
    rest = part(3, b"x")
    return [part(0, works) + rest, part(0, moved) + rest, part(0, bad) + part(0, nested(1, done(0))) * 2 + part(0, bad),
            part(1, HADOOP + b"RequestTooBigException\0too big") + rest * 6,
            part(1, HADOOP + b"CallQueueTooBigException\0busy") + part(2, b"x")]


def rows():
    full_images = cells((b"shop.order:no", b"1", 5), (b"shop.order:name", b"x", 5), (b"shop.order:", b"u", 5),
                        (b"shop.item:id:4", b"4", 6), (b"shop.item::4", b"u", 6), (b"shop.item::5", b"d", 7),
                        (b"_weir:shop.order:", b'{"null":["remark"],"text":["no"]}', 5))
    partial_images = cells((b"shop.order:no", b"1", 5), (b"shop.order:name", b"x", 9), (b"shop.order:", b"u", 9),
                           (b"_cell:shop.order:name", b"text", 9), (b"_cell:shop.order:", b"partial", 9),
                           (b"_tomb:shop.order:", b"d", 3), (b"shop.item::5", b"d", 7),
                           (b"_cell:shop.item::5", b"partial", 7), (b"_tomb:shop.item::5", b"d", 7))
    gone = cells((b"shop.order:", b"d", 5), (b"_weir:residual", b'12 ["shop.old","shop.item:colour"]', 65012))
    return [b"\0" + full_images, b"\1" + partial_images, b"\0" + gone, b"\1" + full_images]


def rpc():
    def answer(call, result, cells=b""):
        head = number(1, call) + (nested(3, number(1, len(cells))) if cells else b"")
        return frame(varint(len(head)) + head + varint(len(result)) + result + cells)

    def refusal(call, name, text):
        head = number(1, call) + nested(2, nested(1, name) + nested(2, text) + number(5, 1))
        return frame(varint(len(head)) + head)
    return [answer(1, b"one") + answer(3, b"three", b"cells") + answer(2, b""),
            refusal(2, HADOOP + b"X", b"X: text\n\tat a") + answer(1, b"x" * 200),
            refusal(0xffffffff, HADOOP + b"security.AccessDeniedException", b"Authentication is required"),
            b"\x15\x03\x01\x00\x02\x02\x28"]


def meta_node():
    location = nested(1, server(b"rs1", 16020)) + number(2, 1) + number(3, 3)
    return b"\xff" + struct.pack(">I", 5) + b"abcde" + b"PBUF" + location


def zookeeper():
    session = frame(struct.pack(">iiqi", 0, 30000, 7, 16) + b"p" * 16 + b"\0")

    def answer(xid, error, data=b""):
        return frame(struct.pack(">iqi", xid, 5, error)
                     + (struct.pack(">i", len(data)) + data + b"\0" * 68 if error == 0 else b""))
    return [session + answer(1, 0, meta_node()), session + answer(1, -101), session + answer(1, -102),
            session + answer(-1, 0) + answer(1, 0, b"\xff\0\0\0\0PBUF" + nested(1, server(b"m1", 16000))),
            frame(struct.pack(">iiq", 0, 0, 0))]


def message():
    family = nested(1, b"d") + nested(2, nested(1, b"VERSIONS") + nested(2, b"1"))
    table = nested(1, nested(1, b"default") + nested(2, b"orders"))
    table += nested(2, nested(1, b"DURABILITY") + nested(2, b"SKIP_WAL")) + nested(3, family)
    return [nested(1, nested(1, number(1, 1)) + nested(2, server(b"rs1", 16020)) + number(3, 0)),
            nested(1, HADOOP + b"DoNotRetryIOException") + nested(2, b"text\n\tat x"), nested(1, table),
            number(1, 1) + nested(5, nested(2, nested(1, b"TableExistsException") + nested(2, b"orders"))),
            nested(1, number(1, 1)), b"rs1:16020", b"[::1]:16020", meta_node(), *region_answers()]


# ---- files, config, the rest ----

def file_lines():
    text = "\n".join(lines(DEBEZIUM)).encode()[:3000]
    return [b"\1" + gzip.compress(text, mtime=0), b"\1" + gzip.compress(b"a\n", mtime=0) * 2, b"\0\1\2\3\x85\x86\x87",
            b"\0" + bytes([0xdc, 0xff, 0xff, 0xdf, 0x80, 0x00, 5, 6, 7]) * 4]


def config():
    names = sorted((ROOT / "config/samples").glob("*.yaml"))
    small = "tasks: {t: {source: {file: {paths: [a]}, format: canal-json}, document: {key: k, tables: {a.b: {}}}," \
            " sinks: {s: {sqlite: {path: p, table: t}}}}}\n"
    return [*(name.read_bytes() for name in names), small]


def admin():
    paths = ["/livez", "/readyz", "/metrics", "/v1/status", "/v1/lag", "/v1/tasks", "/v1/tasks/orders",
             "/v1/tasks/orders/lag", "/v1/tasks/orders/documents/a%2Fb%20c", "/v1/tasks/none"]
    return [*paths, "POST /v1/lag", "HEAD /livez", "1001", "a/b c", "gone"]


def letter():
    return [bytes([1]) + struct.pack(">QQHB", 1, 7, 0, 2) + b"\2a\2b\2c\0" + b"\4key" + b"\5text" + b"\0" + tail
            for tail in (b"\1plain", b"\1\xff\xfe", b"\1\1\2\n" * 9, b"\x1f" + b"\1\xff" * 1500)]


def operations():
    """For the stateful targets: bytes of all kinds, in three orders."""
    return [bytes(i * step % 256 for i in range(300)) for step in (1, 7, 101)]


SEEDS = {
    "admin": admin, "bulk": bulk, "canal": lambda: list(payloads(CANAL)), "cell": cell,
    "clock": lambda: [f"weir1:{EPOCH}", f"weir1:{EPOCH + 2**62}", "weir1:", "weir2:1"], "config": config,
    "debezium": debezium, "document": document, "get": get, "http": http,
    "json": lambda: [*payloads(CANAL), *debezium(), '[1.5e-3,"\\ud83d\\ude00",null,{"a":[]}]'], "kcat": kcat,
    "letter": letter, "lines": file_lines, "locate": locate, "lookup": lookup, "message": message, "put": put,
    "rows": rows, "rpc": rpc, "store": operations, "watermark": operations, "zookeeper": zookeeper,
}


def write(target, folder):
    """Writes the target's seeds into the folder, over what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(SEEDS[target]() if target in SEEDS else []):
        (folder / f"seed-{i:03}").write_bytes(seed.encode() if isinstance(seed, str) else seed)

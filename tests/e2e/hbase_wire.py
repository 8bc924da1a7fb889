"""HBase's wire, as far as the tests need it: protobuf by hand, the RPC's framing, cells, and ZooKeeper's three calls.

Written apart from weir's own client, from HBase's .proto files and ZooKeeper's record format, and slow on purpose: one
call at a time, every answer read whole.

    request    int32 length | varint, RequestHeader | varint, parameter | cells
    response   int32 length | varint, ResponseHeader | varint, result | cells
"""
import contextlib
import socket
import struct
from typing import NamedTuple

PUT, DELETE, DELETE_FAMILY_VERSION, DELETE_COLUMN, DELETE_FAMILY = 4, 8, 10, 12, 14
CODEC = "org.apache.hadoop.hbase.codec.KeyValueCodec"
TIMEOUT_S = 60


# ---- protobuf: a message is (field number, value) pairs out, {number: [values]} in ----

def varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def message(*fields):
    """Integers and booleans as varints, texts and bytes with their length; a list repeats; None is left out."""
    out = b""
    for number, value in fields:
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            if isinstance(item, int):
                out += varint(number << 3) + varint(int(item))
            else:
                item = item.encode() if isinstance(item, str) else item
                out += varint(number << 3 | 2) + varint(len(item)) + item
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def delimited(data, at=0):
    """(the bytes whose length stands before them, the place after them)."""
    length, at = read_varint(data, at)
    return data[at:at + length], at + length


def parse(data):
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        match tag & 7:
            case 0:
                value, at = read_varint(data, at)
            case 1:
                value, at = data[at:at + 8], at + 8
            case 2:
                value, at = delimited(data, at)
            case 5:
                value, at = data[at:at + 4], at + 4
            case kind:
                raise ValueError(f"protobuf wire type {kind}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def one(fields, number, default=None):
    return fields.get(number, [default])[-1]


def region(name):
    """RegionSpecifier: a whole name where it has commas, else an encoded one."""
    return message((1, 1 if b"," in name else 2), (2, name))


# ---- cells ----

class Cell(NamedTuple):
    """One cell. Bytes that are no UTF-8 are kept as surrogates."""
    row: str
    qualifier: str
    timestamp: int
    value: str = ""
    type: int = PUT
    family: str = "d"


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


def to_text(data):
    return data.decode("utf-8", "surrogateescape")


def encode_cell(cell):
    row, family, value = to_bytes(cell.row), to_bytes(cell.family), to_bytes(cell.value)
    key = (struct.pack(">H", len(row)) + row + bytes([len(family)]) + family + to_bytes(cell.qualifier)
           + struct.pack(">QB", cell.timestamp, cell.type))
    body = struct.pack(">II", len(key), len(value)) + key + value
    return struct.pack(">I", len(body)) + body


def decode_cells(block):
    cells, at = [], 0
    while at < len(block):
        length, key_length, value_length = struct.unpack_from(">III", block, at)
        key = block[at + 12:at + 12 + key_length]
        value = block[at + 12 + key_length:at + 12 + key_length + value_length]
        end = 2 + struct.unpack_from(">H", key)[0]
        family_end = end + 1 + key[end]
        timestamp, kind = struct.unpack_from(">QB", key, key_length - 9)
        cells.append(Cell(to_text(key[2:end]), to_text(key[family_end:-9]), timestamp, to_text(value), kind,
                          to_text(key[end + 1:family_end])))
        at += 4 + length
    return cells


# ---- connections ----

class RemoteError(Exception):
    """What a server threw; `kind` is the class without its package."""

    def __init__(self, name, text, final=False):
        self.kind, self.final = name.rpartition(".")[2], final
        super().__init__(f"{self.kind}: {text.partition(chr(10))[0]}")


def name_and_bytes(data):
    """NameBytesPair as an exception carries it."""
    fields = parse(data)
    return RemoteError(one(fields, 1, b"").decode(), one(fields, 2, b"").decode(errors="replace"))


def receive(connection, n):
    data = bytearray()
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            raise ConnectionResetError("the server hung up")
        data += piece
    return bytes(data)


def dial(address):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)


class Connection:
    """One service of one server."""

    def __init__(self, address, service):
        self.socket, self.calls = dial(address), 0
        header = message((1, message((1, "weir-test"))), (2, service), (3, CODEC))
        self.socket.sendall(b"HBas\0P" + struct.pack(">I", len(header)) + header)

    def call(self, method, parameter=b"", cells=b""):
        """(the result's fields, its cells)."""
        self.calls += 1
        header = message((1, self.calls), (3, method), (4, True),
                         (5, message((1, len(cells))) if cells else None), (7, TIMEOUT_S * 1000))
        body = varint(len(header)) + header + varint(len(parameter)) + parameter + cells
        self.socket.sendall(struct.pack(">I", len(body)) + body)
        answer = receive(self.socket, struct.unpack(">I", receive(self.socket, 4))[0])
        raw, at = delimited(answer)
        header = parse(raw)
        if one(header, 1) != self.calls:
            raise ConnectionResetError("an answer to another call")
        if 2 in header:
            trouble = parse(one(header, 2))
            raise RemoteError(one(trouble, 1, b"").decode(), one(trouble, 2, b"").decode(errors="replace"),
                              bool(one(trouble, 5, 0)))
        result, at = delimited(answer, at)
        return parse(result), decode_cells(answer[at:])

    def close(self):
        self.socket.close()


class ZooKeeper:
    """One session for one question."""
    GET_DATA, GET_CHILDREN, CLOSE = 4, 8, -11

    def __init__(self, address):
        self.address = address

    def ask(self, kind, path):
        with contextlib.closing(dial(self.address)) as connection:
            hello = struct.pack(">iqiqi", 0, 0, 10000, 0, 16) + bytes(16)
            self.send(connection, hello)
            self.take(connection)
            self.send(connection, struct.pack(">iii", 1, kind, len(path)) + path.encode() + b"\0")
            answer = self.take(connection)
            self.send(connection, struct.pack(">ii", 2, self.CLOSE))
        error, = struct.unpack_from(">i", answer, 12)
        if error:
            raise ConnectionError(f"ZooKeeper has no {path}: error {error}")
        return answer[16:]

    @staticmethod
    def send(connection, data):
        connection.sendall(struct.pack(">i", len(data)) + data)

    @staticmethod
    def take(connection):
        return receive(connection, struct.unpack(">i", receive(connection, 4))[0])

    def server(self, path):
        """The ServerName that a node of HBase's names, as host:port."""
        answer = self.ask(self.GET_DATA, path)
        data = answer[4:4 + struct.unpack_from(">i", answer)[0]]
        written_by, = struct.unpack_from(">I", data, 1)
        name = parse(one(parse(data[5 + written_by:].removeprefix(b"PBUF")), 1))
        return f"{one(name, 1).decode()}:{one(name, 2)}"

    def children(self, path):
        answer = self.ask(self.GET_CHILDREN, path)
        names, at = [], 4
        for _ in range(struct.unpack_from(">i", answer)[0]):
            length, = struct.unpack_from(">i", answer, at)
            names.append(answer[at + 4:at + 4 + length].decode())
            at += 4 + length
        return names

"""The documents that a log of events makes, by the book and nothing else.

Written apart from weir, from docs/ORDERING.md and docs/CONFIGURATION.md: rule R1's clock, full images merged by
(table, row id), key changes as a delete and an upsert, the value rules of canal and Debezium. It keeps everything in
dictionaries and thinks of no speed. Numbers are kept as their digits, `{"$n": "365.30"}`, so that comparing two
documents compares every digit.
"""
import base64
import datetime
import json
import re

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
EPOCH_US = 1704067200_000000
CANAL_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "float", "double", "real", "decimal",
                 "numeric", "bit", "year"}
CANAL_BYTES = {"blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary"}
UNAVAILABLE = "__debezium_unavailable_value"


def number(digits):
    return {"$n": str(digits)}


def parse(text):
    """JSON with every number as its digits."""
    return json.loads(text, parse_int=number, parse_float=number)


def plain(value):
    """A value as text, for keys and row ids: a number's digits, a text itself; None stays None."""
    return value["$n"] if isinstance(value, dict) and "$n" in value else value


class Mapping:
    def __init__(self, key, tables):
        self.key, self.tables = key, tables

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)
        return cls(spec["key"], spec["tables"])

    def name(self, table, row):
        """(document key, row id) of a row image; None where it has no key."""
        many = self.tables[table].get("many")
        key = plain(row.get(self.key))
        return None if key in (None, "") else (key, plain(row.get(many)) if many else "")

    def fields(self, table, row):
        columns = self.tables[table].get("columns")
        return {new: row[old] for old, new in columns.items() if old in row} if columns else row


# ---- canal-json ----

def canal_value(text, mysql_type):
    if text is None:
        return None
    base = re.match(r"[a-z]*", mysql_type.lower())[0]
    if base in CANAL_NUMBERS and NUMBER.fullmatch(text):
        return number(text)
    if base in CANAL_BYTES:
        return base64.b64encode(text.encode("latin-1")).decode()
    if base == "json":
        try:
            return parse(text)
        except ValueError:
            return text
    return text


def canal_changes(message):
    """(table, capture µs, image before or None, image after or None) of each row."""
    kind = message.get("type")
    if kind not in ("INSERT", "UPDATE", "DELETE") or message.get("isDdl"):
        return
    types = message["mysqlType"] or {}
    table = f'{message["database"]}.{message["table"]}'
    capture = int(plain(message["ts"])) * 1000
    for i, data in enumerate(message["data"] or ()):
        row = {column: canal_value(text, types.get(column, "")) for column, text in data.items()}
        if kind == "DELETE":
            yield table, capture, row, None
        elif kind == "INSERT":
            yield table, capture, None, row
        else:
            old = (message["old"] or [])[i] or {}
            was = {column: canal_value(text, types.get(column, "")) for column, text in old.items()}
            yield table, capture, row | was, row


# ---- debezium-json ----

def fraction(units, per_second, digits):
    return f".{units % per_second:0{digits}d}" if units % per_second else ""


def timestamp(units, per_second, digits):
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=units // per_second)
    return when.isoformat(sep=" ") + fraction(units, per_second, digits)


def time_of_day(units, per_second, digits):
    sign, units = ("-", -units) if units < 0 else ("", units)
    seconds = units // per_second
    return (f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
            + fraction(units, per_second, digits))


def decimal(unscaled, scale):
    sign, digits = ("-", str(-unscaled)) if unscaled < 0 else ("", str(unscaled))
    if scale <= 0:
        return number(sign + digits + "0" * -scale if unscaled else "0")
    digits = digits.rjust(scale + 1, "0")
    return number(f"{sign}{digits[:-scale]}.{digits[-scale:]}")


def signed(text):
    return int.from_bytes(base64.b64decode(text), "big", signed=True)


def debezium_value(value, schema):
    name = (schema or {}).get("name")
    if value is None or not name:
        return value
    prefix, _, kind = name.rpartition(".")
    integer = int(plain(value)) if prefix == "io.debezium.time" and isinstance(value, dict) else None
    match kind:
        case "Decimal":
            return decimal(signed(value), int(plain(schema["parameters"]["scale"])))
        case "VariableScaleDecimal":
            return decimal(signed(value["value"]), int(plain(value["scale"])))
        case "Date" if prefix == "io.debezium.time":
            return (datetime.date(1970, 1, 1) + datetime.timedelta(days=integer)).isoformat()
        case "Timestamp" | "MicroTimestamp" | "NanoTimestamp" | "Time" | "MicroTime" | "NanoTime":
            digits = 6 if kind.startswith("Micro") else 9 if kind.startswith("Nano") else 3
            form = timestamp if kind.endswith("Timestamp") else time_of_day
            return form(integer, 10 ** digits, digits)
        case "Bits":
            return number(int.from_bytes(base64.b64decode(value), "little"))
        case "Json":
            return parse(value)
    return value


def debezium_changes(message):
    image_schemas = {}
    if set(message) == {"schema", "payload"}:
        for field in (message["schema"] or {}).get("fields", ()):
            image_schemas[field["field"]] = {c["field"]: c for c in field.get("fields", ())}
        message = message["payload"]
    if (message or {}).get("op") not in ("c", "r", "u", "d"):
        return
    source = message["source"]
    us = plain(message.get("ts_us"))
    capture = int(us) if us else int(plain(message["ts_ms"])) * 1000

    def image(side):
        row = message.get(side)
        return row and {column: debezium_value(value, image_schemas.get(side, {}).get(column))
                        for column, value in row.items() if value != UNAVAILABLE}
    before, after = image("before"), image("after")
    yield f'{source["db"]}.{source["table"]}', capture, before, None if message["op"] == "d" else after


CHANGES = {"canal-json": canal_changes, "debezium-json": debezium_changes}


# ---- the merge ----

class Rows:
    """Every row that was ever named, with its greatest seqno; None instead of fields is a tombstone."""

    def __init__(self, mapping):
        self.mapping, self.rows = mapping, {}

    def put(self, key, table, row_id, seqno, fields):
        rows = self.rows.setdefault(key, {})
        if seqno > rows.get((table, row_id), (0, None))[0]:
            rows[table, row_id] = (seqno, fields)

    def apply(self, table, seqno, before, after):
        old = before and self.mapping.name(table, before)
        new = after and self.mapping.name(table, after)
        if old and old != new:
            self.put(old[0], table, old[1], seqno, None)
        if new:
            self.put(new[0], table, new[1], seqno, self.mapping.fields(table, after))

    def document(self, rows):
        """None where the root row is deleted or no row lives."""
        document, live = {}, False
        for table, spec in self.mapping.tables.items():
            mine = {row_id: fields for (name, row_id), (_, fields) in rows.items() if name == table}
            alive = {row_id: fields for row_id, fields in mine.items() if fields is not None}
            if "into" not in spec and mine and not alive:
                return None
            live |= bool(alive)
            if not alive:
                continue
            if "into" not in spec:
                document |= alive[""]
            elif "many" in spec:
                document[spec["into"]] = [alive[row_id] for row_id in sorted(alive, key=row_id_order)]
            else:
                document[spec["into"]] = alive[""]
        return document if live else None

    def documents(self):
        made = {key: self.document(rows) for key, rows in self.rows.items()}
        return {key: document for key, document in made.items() if document is not None}

    def versions(self):
        """{key: version} by rule R2, of documents that are not shown too."""
        return {key: sum(seqno - EPOCH_US for seqno, _ in rows.values()) for key, rows in self.rows.items()}


def row_id_order(row_id):
    whole = re.fullmatch(r"-?\d+", row_id)
    return (0, int(row_id), b"") if whole else (1, 0, row_id.encode())


def replay(events, mapping, form):
    """events: dicts as `kcat -J` prints them, each partition in its order. A repeated (topic, partition, offset) is a
    redelivery and changes nothing. Returns Rows."""
    rows, clocks, seen = Rows(mapping), {}, {}
    for event in events:
        log = event["topic"], event["partition"]
        if event["offset"] <= seen.get(log, -1) or event["payload"] is None:
            continue
        seen[log] = event["offset"]
        for table, capture, before, after in CHANGES[form](parse(event["payload"])):
            seqno = clocks[log] = max(clocks.get(log, EPOCH_US) + 1, capture)
            if table in mapping.tables:
                rows.apply(table, seqno, before, after)
    return rows


def documents(events, mapping, form):
    """{key: document} of a log, see replay()."""
    return replay(events, mapping, form).documents()


def load_events(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def load_expected(path):
    with open(path, encoding="utf-8") as file:
        return {entry["key"]: entry["doc"] for entry in map(json.loads, file)}

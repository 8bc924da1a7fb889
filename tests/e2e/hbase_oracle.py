"""The cells that a log must end in, and documents read out of cells.

Written from docs/ORDERING.md alone. One row of a mapped table is, in the HBase row `hash8:key`,

    table:column[:rowid]     a column's text at the row's seqno; no cell for NULL
    table:[:rowid]           `u` or `d` at the row's seqno

with `:` and `%` of table and column names as %3A and %25. What begins with `_weir:` is weir's own and not looked at.
Two views of a table: check_cells() takes every cell at its word; rows_of() reads as a reader must that cannot know
what a compaction brought back: only the cells at their marker's timestamp count.
"""
import ctypes
import json

import oracle
from hbase import PUT
from harness import Failed, check

XXHASH = ctypes.CDLL("libxxhash.so.0")
XXHASH.XXH3_64bits.restype = ctypes.c_uint64
XXHASH.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
assert XXHASH.XXH3_64bits(b"", 0) == 0x2d06800538d394c2, "the hash of nothing, as its authors give it"


def row_key(key):
    data = key.encode()
    return f"{XXHASH.XXH3_64bits(data, len(data)) >> 32:08x}:{key}"


def escape(name):
    return name.replace("%", "%25").replace(":", "%3A")


def unescape(name):
    return name.replace("%3A", ":").replace("%25", "%")


def qualifier(table, column, row_id):
    return f"{escape(table)}:{escape(column)}" + (f":{row_id}" if row_id else "")


def names(text):
    """(table, column or "", row id) of a qualifier."""
    table, _, rest = text.partition(":")
    column, _, row_id = rest.partition(":")
    return unescape(table), unescape(column), row_id


def is_json(value):
    """Values of which a cell holds JSON and not a text."""
    return isinstance(value, (list, bool)) or isinstance(value, dict) and "$n" not in value


def same(text, value):
    """Does a cell's text stand for a value? JSON may be written in more than one way, everything else in one."""
    if not is_json(value):
        return text == oracle.plain(value)
    try:
        return oracle.parse(text) == value
    except ValueError:
        return False


# ---- every cell ----

def expected_cells(rows):
    """{(row key, qualifier): (timestamp, value)} of oracle.Rows; a marker's value is its letter."""
    cells = {}
    for key, entity in rows.rows.items():
        name = row_key(key)
        for (table, row_id), (seqno, fields) in entity.items():
            cells[name, qualifier(table, "", row_id)] = (seqno, "d" if fields is None else "u")
            for column, value in (fields or {}).items():
                if value is not None:
                    cells[name, qualifier(table, column, row_id)] = (seqno, value)
    return cells


def own(cell):
    return cell.qualifier.startswith("_weir:")


def check_cells(scanned, rows, where):
    """Every cell of a table (a scan without `raw`), with its timestamp and every byte of its value."""
    want = expected_cells(rows)
    got = {(cell.row, cell.qualifier): (cell.timestamp, cell.value) for cell in scanned if not own(cell)}
    wrong = [f"{name}: absent, want {want[name]!r:.200}" for name in sorted(want.keys() - got.keys())]
    wrong += [f"{name}: {got[name]!r:.200}, want no cell" for name in sorted(got.keys() - want.keys())]
    wrong += [f"{name}: {got[name]!r:.200}, want {want[name]!r:.200}" for name in sorted(want.keys() & got.keys())
              if got[name][0] != want[name][0] or not same(got[name][1], want[name][1])]
    if wrong:
        raise Failed(f"{where}: {len(want)} cells wanted, {len(got)} there, {len(wrong)} wrong:\n"
                     + "\n".join(wrong[:8]))


def check_same_values(before, after, where):
    """Two scans show the same cells; timestamps may have risen."""
    then, now = ({(cell.row, cell.qualifier): cell for cell in scan if not own(cell)} for scan in (before, after))
    check(then.keys() == now.keys(), f"{where}: cells came or went: {sorted(then.keys() ^ now.keys())[:5]}")
    wrong = [(then[name], now[name]) for name in then
             if then[name].value != now[name].value or now[name].timestamp < then[name].timestamp]
    check(not wrong, f"{where}: {len(wrong)} cells changed: {wrong[:2]}")


def check_unchanged(before, after, where):
    """Two scans (raw or not) are the same, timestamps, delete markers and weir's own cells included. Of equal cells
    that are stored twice HBase may show one or both until it compacts."""
    came, went = sorted(set(after) - set(before)), sorted(set(before) - set(after))
    check(not came and not went, f"{where}: {len(came)} cells came, {len(went)} went: {came[:3]} {went[:3]}")


# ---- as a reader of markers ----

def rows_of(scanned):
    """{key: {(table, row id): (seqno, {column: text})}} of the rows that live, from newest or raw cells."""
    markers, cells = {}, []
    for cell in scanned:
        if cell.type != PUT or own(cell):
            continue
        table, column, row_id = names(cell.qualifier)
        name = cell.row, table, row_id
        if column:
            cells.append((name, column, cell))
        elif cell.timestamp > markers.get(name, (0, ""))[0]:
            markers[name] = (cell.timestamp, cell.value)
    live = {name: (seqno, {}) for name, (seqno, letter) in markers.items() if letter == "u"}
    for name, column, cell in cells:
        if name in live and live[name][0] == cell.timestamp:
            live[name][1][column] = cell.value
    entities = {}
    for (row, table, row_id), state in live.items():
        entities.setdefault(row.partition(":")[2], {})[table, row_id] = state
    return entities


def check_rows(scanned, rows, where, seqnos=True):
    """Living rows as a reader of markers sees them equal those of oracle.Rows. `seqnos` false: where those were not
    made from the log (a database that was read) only the values count."""
    got = {(key, *name): state for key, entity in rows_of(scanned).items() for name, state in entity.items()}
    want = {(key, *name): (seqno, {column: value for column, value in fields.items() if value is not None})
            for key, entity in rows.rows.items() for name, (seqno, fields) in entity.items() if fields is not None}
    wrong = [f"{name}: absent" for name in sorted(want.keys() - got.keys())]
    wrong += [f"{name}: should not be there" for name in sorted(got.keys() - want.keys())]
    for name in sorted(want.keys() & got.keys()):
        (seqno, texts), (seqno_wanted, fields) = got[name], want[name]
        if seqnos and seqno != seqno_wanted:
            wrong.append(f"{name}: at {seqno}, want {seqno_wanted}")
        wrong += [f"{name}.{column}: {texts.get(column)!r}, want {json.dumps(fields.get(column), ensure_ascii=False)}"
                  for column in sorted(texts.keys() | fields.keys())
                  if column not in texts or column not in fields or not same(texts[column], fields[column])]
    if wrong:
        raise Failed(f"{where}: {len(want)} rows wanted, {len(got)} there, {len(wrong)} wrong:\n"
                     + "\n".join(wrong[:8]))

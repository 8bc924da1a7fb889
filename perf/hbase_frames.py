"""Prepared multi-puts for bare_multi: what a table holds, as whole request frames.

    frames = Frames(client, table, docs=1000)     reads the table once
    frames.write(path)                            for the table as it is now: made anew, with the same splits
"""
import struct

from hbase_wire import encode_cell, message, region, varint

HEADER_CELLS = 5


class Frames:
    """A request has `docs` rows over all regions, in a random order, as a writer of changes would send them."""

    def __init__(self, client, table, docs, random):
        self.client, self.table = client, table
        rows, newest = {}, set()
        for cell in client.scan(table, raw=True):  # delete markers too: a NULL costs a writer as much as a value
            if (cell.row, cell.qualifier) not in newest:
                newest.add((cell.row, cell.qualifier))
                rows.setdefault(cell.row, []).append(cell)
        self.rows, self.cells = len(rows), sum(len(cells) for cells in rows.values())
        self.names = self.region_names()
        order = list(rows)
        random.shuffle(order)
        self.frames = [self.frame(number, {row: rows[row] for row in order[at:at + docs]})
                       for number, at in enumerate(range(0, len(order), docs))]

    def region_names(self):
        return {item.start: item.name for item in self.client.settled(self.table)}

    def frame(self, number, rows):
        groups, block = {}, []
        for row in rows:
            groups.setdefault(max(start for start in self.names if start <= row), []).append(row)
        actions = []
        for start, mine in groups.items():
            puts = []
            for index, row in enumerate(mine):
                block += [encode_cell(cell) for cell in rows[row]]
                puts.append(message((1, index), (2, message((2, 2), (8, len(rows[row]))))))
            actions.append(message((1, region(self.names[start])), (3, puts)))
        cells = b"".join(block)
        head = message((1, number + 1), (3, "Multi"), (4, True), (HEADER_CELLS, message((1, len(cells)))))
        param = message((1, actions))
        body = varint(len(head)) + head + varint(len(param)) + param + cells
        return struct.pack(">I", len(body)) + body

    def write(self, path):
        """A region's name has the same length each time: only its number and hash differ."""
        renamed = [(old, self.region_names()[start]) for start, old in self.names.items()]
        with open(path, "wb") as file:
            for frame in self.frames:
                for old, new in renamed:
                    assert len(old) == len(new)
                    frame = frame.replace(old, new)
                file.write(b"%d\n" % len(frame) + frame)
        return path

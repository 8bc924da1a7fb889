"""Random canal events over the four shop tables, from a small simulated database, the same for the same seed.

Capture times rise by a millisecond an event, so the log has one order whatever the partitions; they lie in the past,
so no machine's clock cuts them.
"""
import json
import random

START_MS = 1767225600_000
TYPES = {
    "tc_order": {"order_no": "BIGINT unsigned", "tenant_id": "INT", "order_status": "TINYINT",
                 "total_amount": "DECIMAL(18,4)", "remark": "VARCHAR(500)", "update_time": "DATETIME(3)"},
    "tc_order_buyer": {"order_no": "BIGINT unsigned", "buyer_id": "BIGINT", "buyer_name": "VARCHAR(64)",
                       "avatar": "BLOB"},
    "tc_order_item": {"id": "BIGINT", "order_no": "BIGINT unsigned", "sku_name": "VARCHAR(200)", "quantity": "INT",
                      "price": "DECIMAL(12,2)"},
    "tc_order_pay": {"order_no": "BIGINT unsigned", "pay_channel": "VARCHAR(16)", "pay_amount": "DECIMAL(18,4)"},
}
WORDS = ["急", "it's", 'quote "x"', "back\\slash", "tab\there", "line\nbreak", "😀", "", "plain"]


class Workload:
    """`keyed`: an order's rows are in one partition, and no row changes its order."""

    def __init__(self, seed, orders, topic, partitions=4, keyed=False):
        self.random, self.topic, self.partitions, self.keyed = random.Random(seed), topic, partitions, keyed
        self.orders = [str(202601010000000000 + i) for i in range(orders)]
        self.tables = {table: {} for table in TYPES}  # primary key -> row
        self.offsets, self.ms, self.next_item = [0] * partitions, START_MS, 1

    def events(self, n):
        made = []
        while len(made) < n:
            made.extend(self.statement())
        return made[:n]

    def statement(self):
        order = self.random.choice(self.orders)
        table = self.random.choice(["tc_order", "tc_order", "tc_order_buyer", "tc_order_item", "tc_order_item",
                                    "tc_order_pay"])
        rows = self.tables[table]
        mine = [pk for pk in ([order] if table != "tc_order_item" else list(rows)[-400:])
                if pk in rows and rows[pk]["order_no"] == order]
        dice = self.random.random()
        if not mine or (table == "tc_order_item" and dice < 0.3):
            return [self.insert(table, order)]
        if dice < 0.80:
            return [self.update(table, mine, order)]
        if dice < 0.93 or self.keyed:
            return [self.delete(table, mine)]
        return [self.move(table, mine[0])]

    def values(self, table, order):
        pick, digits = self.random.choice, self.random.randrange
        return {"order_no": order, "tenant_id": str(digits(9)), "order_status": str(digits(5)),
                "total_amount": f"{digits(10 ** 9)}.{digits(10000):04d}", "remark": pick([None, *WORDS]),
                "update_time": f"2026-01-01 00:00:00.{digits(1000):03d}", "buyer_id": str(digits(10 ** 12)),
                "buyer_name": pick(WORDS), "avatar": pick([None, "\x00ÿ\x10é"]), "sku_name": pick(WORDS) * 4,
                "quantity": str(digits(9)), "price": f"{digits(999)}.{digits(100):02d}",
                "pay_channel": pick([None, "ali", "wx"]), "pay_amount": pick([None, f"{digits(999)}.0"])}

    def insert(self, table, order):
        made = []
        for _ in range(self.random.randrange(1, 4) if table == "tc_order_item" else 1):
            values = self.values(table, order) | {"id": str(self.next_item)}
            row = {column: values[column] for column in TYPES[table]}
            self.next_item += table == "tc_order_item"
            self.tables[table][row.get("id", order)] = row
            made.append(row)
        return self.message(table, "INSERT", made)

    def update(self, table, keys, order):
        old = []
        for pk in keys:
            row, values = self.tables[table][pk], self.values(table, order)
            column = self.random.choice([c for c in TYPES[table] if c not in ("id", "order_no")])
            old.append({column: row[column]})
            self.tables[table][pk] = row | {column: values[column]}
        return self.message(table, "UPDATE", [self.tables[table][pk] for pk in keys], old)

    def delete(self, table, keys):
        return self.message(table, "DELETE", [self.tables[table].pop(pk) for pk in keys])

    def move(self, table, pk):
        """A key change: the row goes to another order that has no such row."""
        rows, order = self.tables[table], self.random.choice(self.orders)
        if order in rows or rows[pk]["order_no"] == order:
            return self.delete(table, [pk])
        row = rows.pop(pk)
        moved = row | {"order_no": order}
        rows[pk if table == "tc_order_item" else order] = moved
        return self.message(table, "UPDATE", [moved], [{"order_no": row["order_no"]}])

    def message(self, table, kind, rows, old=None):
        self.ms += 1
        order = rows[0]["order_no"]
        name = order if self.keyed else rows[0].get("id", order) + table
        partition = sum(name.encode()) % self.partitions
        offset = self.offsets[partition]
        self.offsets[partition] += 1
        payload = {"data": rows, "database": "shop", "es": self.ms // 1000 * 1000, "gtid": "", "id": self.ms,
                   "isDdl": False, "mysqlType": TYPES[table], "old": old, "pkNames": list(TYPES[table])[:1],
                   "sql": "", "sqlType": {}, "table": table, "ts": self.ms, "type": kind}
        return {"topic": self.topic, "partition": partition, "offset": offset, "key": order,
                "payload": json.dumps(payload, ensure_ascii=False, separators=(",", ":"))}


def interleave(events, seed):
    """The same log with its partitions read in a random order, each partition in its own."""
    logs = {}
    for event in events:
        logs.setdefault((event["topic"], event["partition"]), []).append(event)
    generator, queues = random.Random(seed), [iter(log) for log in logs.values()]
    mixed = []
    while queues:
        queue = generator.choice(queues)
        # Bursts of random length: fetches bring runs, not single events.
        for _ in range(generator.choice([1, 1, 5, 50])):
            event = next(queue, None)
            if event is None:
                queues.remove(queue)
                break
            mixed.append(event)
    return mixed

"""MariaDB's side of the comparison: runs SQL, reads tables back as documents, makes random transactions."""
import base64
import random
import subprocess
import time

import oracle
from harness import MAPPING, check

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"}
BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}


class Database:
    def __init__(self, socket):
        self.command = ["mariadb", "--no-defaults", "-S", str(socket), "-uroot", "--default-character-set=utf8mb4",
                        "--batch", "--skip-column-names"]

    def run(self, sql, *options):
        """Runs SQL; returns its rows as lists of texts, None for NULL."""
        result = subprocess.run([*self.command, *options], input=sql.encode(), capture_output=True)
        check(result.returncode == 0, f"mariadb: {result.stderr.decode()}")
        lines = result.stdout.decode().splitlines()
        return [[None if text == "NULL" else text for text in line.split("\t")] for line in lines]

    def rows(self, table):
        """Every row of shop.TABLE as Debezium with schema should have it: {column: value}."""
        columns = self.run("SELECT column_name, data_type, column_type, coalesce(datetime_precision, 0) "
                           "FROM information_schema.columns "
                           f"WHERE table_schema='shop' AND table_name='{table}' ORDER BY ordinal_position")
        # Hexadecimal, so that no byte of a value can be taken for the client's own.
        picked = ", ".join(f"HEX({self.as_bytes(name, kind)})" for name, kind, _, _ in columns)
        rows = self.run(f"SET time_zone='+00:00'; SELECT {picked} FROM shop.{table}")
        return [{name: value(None if cell is None else bytes.fromhex(cell), kind, spec, int(precision))
                 for (name, kind, spec, precision), cell in zip(columns, row)} for row in rows]

    @staticmethod
    def as_bytes(name, kind):
        if kind in BYTES:
            return f"`{name}`"
        return f"CONVERT(CONCAT(`{name}`{'+0' if kind == 'bit' else ''}) USING utf8mb4)"

    def merged(self):
        """All rows of MAPPING's tables as oracle.Rows; SELECT knows no seqnos, all have 1."""
        rows = oracle.Rows(MAPPING)
        for table in MAPPING.tables:
            for row in self.rows(table.partition(".")[2]):
                rows.apply(table, 1, None, row)
        return rows

    def documents(self):
        """The documents of MAPPING from what SELECT says: those of every order whose root row is there."""
        rows = self.merged()
        root = next(table for table, spec in MAPPING.tables.items() if "into" not in spec)
        return {key: document for key, document in rows.documents().items() if (root, "") in rows.rows[key]}


def value(raw, kind, spec, precision):
    if raw is None:
        return None
    if kind in BYTES:
        return base64.b64encode(raw).decode()
    text = raw.decode()
    if kind == "year" and text == "0000":
        return oracle.number(1900)  # so Debezium has it
    if kind in INTEGERS:
        return oracle.number(text)
    if kind in ("float", "double"):
        return float(text)
    if kind == "bit":
        return text == "1" if spec == "bit(1)" else oracle.number(text)
    if kind in ("date", "datetime") and text.startswith("0000-00-00"):
        return None
    if kind in ("datetime", "time", "timestamp"):
        return moment(text, kind, precision)
    return text


def moment(text, kind, precision):
    """Fractions come in 3, 6 or 9 digits, and only where they are not zero; a timestamp is ISO in UTC."""
    whole, _, part = text.partition(".")
    digits = 3 if kind != "time" and precision <= 3 else 6
    part = part.ljust(digits, "0") if part.strip("0") else ""
    if kind == "timestamp":
        part = part.rstrip("0")
        return whole.replace(" ", "T") + (f".{part}" if part else "") + "Z"
    return whole + (f".{part}" if part else "")


class Transactions:
    """Random transactions on the schema as it is after tests/data's DDL."""

    def __init__(self, seed, orders=200):
        self.random, self.serial = random.Random(seed), 0
        self.orders = [202701010000000000 + i for i in range(orders)]

    def order(self):
        return self.random.choice(self.orders)

    def amount(self, places):
        return f"{self.random.randrange(10 ** 6)}.{self.random.randrange(10 ** places):0{places}d}"

    def text(self):
        self.serial += 1
        return self.random.choice(["NULL", "''", "'it''s'", "'急 😀'", r"'a\\b\tc'", f"'v{self.serial}'"])

    def insert(self):
        n, r = self.order(), self.random
        sql = (f"INSERT INTO tc_order (order_no,tenant_id,shop_id,total_amount,remark,create_time) VALUES "
               f"({n},{r.randrange(9)},1,{self.amount(4)},{self.text()},'2026-11-21 08:00:00');")
        sql += (f"INSERT INTO tc_order_buyer (order_no,buyer_id,buyer_name,avatar) VALUES "
                f"({n},{r.randrange(10 ** 9)},{self.text()},0x00FF{r.randrange(256):02X});")
        for _ in range(r.randrange(3)):
            sql += (f"INSERT INTO tc_order_item (order_no,sku_id,sku_name,quantity,price) VALUES "
                    f"({n},{r.randrange(99)},'s',1,{self.amount(6)}),({n},{r.randrange(99)},'t',2,{self.amount(6)});")
        return sql + (f"INSERT INTO tc_order_pay (order_no,pay_no,pay_amount) VALUES "
                      f"({n},{self.text()},{self.amount(4)});")

    def update(self):
        n, low = self.order(), self.order()
        return self.random.choice([
            f"UPDATE tc_order SET remark={self.text()},version=version+1 WHERE order_no={n};",
            f"UPDATE tc_order SET order_status=order_status+1 "
            f"WHERE order_status<100 AND order_no BETWEEN {low} AND {low + 9};",
            f"UPDATE tc_order_item SET quantity=quantity+1,price={self.amount(6)} WHERE order_no={n};",
            f"UPDATE tc_order_buyer SET buyer_name={self.text()} WHERE order_no={n};",
            f"UPDATE tc_order_pay SET pay_amount={self.amount(4)},pay_time=NOW() WHERE order_no={n};",
            f"REPLACE INTO tc_order_pay (order_no,pay_no,pay_status) "
            f"SELECT order_no,'r',2 FROM tc_order WHERE order_no={n};"])

    def delete(self):
        n = self.order()
        if self.random.random() < 0.5:
            return f"DELETE FROM tc_order_item WHERE order_no={n} LIMIT 1;"
        return "".join(f"DELETE FROM {t} WHERE order_no={n};"
                       for t in ("tc_order_item", "tc_order_pay", "tc_order_buyer", "tc_order"))

    def move(self):
        """A key change: of a whole order, or of its items to another order that is there."""
        n, to = self.order(), self.order()
        if self.random.random() < 0.5:
            return (f"UPDATE tc_order_item SET order_no={to} WHERE order_no={n} "
                    f"AND EXISTS (SELECT 1 FROM tc_order WHERE order_no={to});")
        free = (f"SELECT COUNT(*) INTO @taken FROM tc_order o LEFT JOIN tc_order_buyer b USING (order_no) "
                f"LEFT JOIN tc_order_pay p USING (order_no) WHERE order_no={to};")
        return free + "".join(f"UPDATE IGNORE {t} SET order_no={to} WHERE order_no={n} AND @taken=0;"
                              for t in ("tc_order", "tc_order_buyer", "tc_order_item", "tc_order_pay"))

    def transaction(self):
        kinds = self.random.choices([self.insert, self.update, self.delete, self.move], [5, 6, 2, 2],
                                    k=self.random.randrange(1, 4))
        body = "".join(kind() for kind in kinds)
        end = self.random.choices(["COMMIT;", "ROLLBACK;"], [9, 1])[0]
        if self.random.random() < 0.1:
            body += f"SAVEPOINT s;{self.delete()}ROLLBACK TO s;"
        return f"START TRANSACTION;{body}{end}\n"

    def run(self, database, seconds):
        """Runs transactions for so long, some forty a second; a statement that fails is passed over, as by people."""
        client = subprocess.Popen([*database.command, "--force", "--unbuffered", "shop"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        client.stdin.write("SET sql_mode='NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout=1;\n")
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            client.stdin.write(self.transaction() + "DO SLEEP(0.02);\n")
            client.stdin.flush()
            count += 1
        client.stdin.close()
        client.wait()
        return count


def without_ddl(documents):
    """The documents without the columns that the SQL's DDL changed: rows that were not written since still have
    their old image in the log."""
    changed = {"channel", "priority", "buyer_nick", "nick_name", "city", "price"}

    def strip(item):
        if isinstance(item, dict):
            return {name: strip(v) for name, v in item.items() if name not in changed}
        return [strip(v) for v in item] if isinstance(item, list) else item
    return {key: strip(document) for key, document in documents.items()}


def floats(document, names):
    """Approximate numbers have many texts for one value."""
    return {name: float(v["$n"]) if name in names and v else v for name, v in document.items()}

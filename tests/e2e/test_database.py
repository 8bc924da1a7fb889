"""Change capture end to end: MariaDB -> Debezium -> Kafka -> weir -> Elasticsearch equals what SELECT says."""
import http.client
import json
import os
import subprocess
import threading
import urllib.parse

import database
from harness import DATA, check, check_documents, check_equal, test, until

SECONDS = float(os.environ.get("WEIR_E2E_SECONDS", "60"))


def connector(case, **more):
    """Debezium on the shop database, with schema and exact decimals; `more` of its options."""
    port = case.servers.ports["mariadb"]
    config = {
        "connector.class": "io.debezium.connector.mariadb.MariaDbConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": str(port), "database.user": "app",
        "database.password": "app", "database.server.id": "5401", "topic.prefix": case.unique,
        "database.include.list": "shop", "snapshot.mode": "initial",
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(case.dir / "history"),
        "decimal.handling.mode": "precise", "bigint.unsigned.handling.mode": "precise",
        "message.key.columns": "shop.tc_order_item:order_no", "producer.override.compression.type": "lz4",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "true"}
    config |= more
    rest(case, "PUT", f"/connectors/{case.unique}/config", config)
    case.cleanups.callback(rest, case, "DELETE", f"/connectors/{case.unique}")
    until(lambda: running(case), "the connector runs")


def rest(case, method, path, body=None):
    where = urllib.parse.urlsplit(case.servers.connect)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if text else None


def running(case):
    status, answer = rest(case, "GET", f"/connectors/{case.unique}/status")
    states = [task["state"] for task in answer["tasks"]] if status == 200 else []
    check("FAILED" not in states, f"Debezium failed: {answer}")
    return states == ["RUNNING"]


def topics(case):
    listing = subprocess.run(["kcat", "-L", "-J", "-b", case.servers.kafka], capture_output=True, check=True)
    return {topic["topic"] for topic in json.loads(listing.stdout)["topics"]}


class Pipeline:
    """The whole way, with markers: a marked row that has arrived says that everything before it has."""

    def __init__(self, case):
        self.case, self.marks = case, 0
        self.database = database.Database(case.servers.mariadb)
        self.database.run("DROP DATABASE IF EXISTS shop")
        self.database.run((DATA / "01-schema-seed.sql").read_text())
        connector(case)
        self.names = [f"{case.unique}.{table}" for table in database.MAPPING.tables]
        until(lambda: topics(case) >= set(self.names), "the snapshot has made the topics")
        source = case.kafka_source(*self.names, format="debezium-json")
        self.config = case.config(source, case.elasticsearch())
        self.start()

    def start(self):
        self.node = self.case.node(self.config)

    def settle(self):
        """Waits for a marker in the index, then drains what is left of all partitions."""
        self.marks += 1
        mark, search = f"mark-{self.marks}", self.case.servers.elasticsearch
        self.database.run(f"UPDATE shop.tc_order SET remark='{mark}' WHERE order_no=9001")

        def arrived():
            check(self.node.running, f"the node ended: {self.node.result and self.node.result.stderr[-1000:]}")
            status, found = search.request("GET", f"/{self.case.unique}/_doc/9001", ok=False)
            return status == 200 and found["_source"].get("remark") == mark
        until(arrived, f"{mark} has arrived")
        check_equal(self.node.stop().code, 0, "exit of the node")
        self.case.drain(self.config)

    def compare(self, where, form=lambda documents: documents):
        self.settle()
        got, want = self.case.documents("elasticsearch"), self.database.documents()
        check_documents(form(got), form(want), where)
        check_equal(self.case.letters(), [], "dead letters")
        self.start()


@test(needs="mariadb connect kafka elasticsearch")
def index_equals_select_after_change_capture(case):
    # The SQL of tests/data with its DDL; then every row is written once more, so that no image is older than its
    # table; then random transactions of two sessions while weir runs. Every value of every row is compared.
    pipeline = Pipeline(case)
    pipeline.database.run((DATA / "02-workload.sql").read_text(), "--force")
    pipeline.compare("after the SQL, columns that DDL changed aside", database.without_ddl)
    pipeline.database.run("USE shop; UPDATE tc_order SET version=version+1; "
                          "UPDATE tc_order_buyer SET buyer_id=buyer_id+1; "
                          "UPDATE tc_order_item SET quantity=quantity+1; "
                          "UPDATE tc_order_pay SET pay_status=pay_status+1 WHERE pay_status<100;")
    pipeline.compare("after every row was written")
    sessions = [threading.Thread(target=database.Transactions(seed).run, args=(pipeline.database, SECONDS))
                for seed in (1, 2)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    count = len(pipeline.database.rows("tc_order"))
    check(count > 40, f"the random transactions left {count} orders")
    pipeline.compare("after the random transactions")
    types_equal_select(pipeline)


def types_equal_select(pipeline):
    """All column types, as documents of their own: tc_types under its id."""
    case = pipeline.case
    source = case.kafka_source(f"{case.unique}.shop.tc_types", format="debezium-json", group=case.unique + "-types")
    config = case.config(source, case.sqlite(), name="types",
                         document={"key": "id", "tables": {"shop.tc_types": {}}})
    case.drain(config)
    got = {key: database.floats(row, ("f", "d")) for key, row in case.sqlite_documents().items()}
    want = {row["id"]["$n"]: row for row in pipeline.database.rows("tc_types")}
    check_equal(len(want), 2, "rows of tc_types")
    check_documents(got, want, "column types")

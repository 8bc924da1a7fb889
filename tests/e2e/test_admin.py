"""The admin socket and the commands that talk to it."""
import http.client
import json
import socket
import sqlite3
import threading

import oracle
import workload
from harness import CANAL, MAPPING, check, check_equal, produce, test, until


def loaded(case):
    """A node that has loaded the canal capture and stays."""
    node = case.node(case.config(case.file_source(CANAL.events), case.sqlite()))
    want = len(CANAL.documents())
    until(lambda: (case.dir / "out.db").exists() and count(case) == want, "the capture is loaded")
    return node


def count(case):
    try:
        return len(case.sqlite_documents())
    except sqlite3.OperationalError:  # no table yet
        return 0


@test()
def get_answers_with_the_document_and_its_state(case):
    # The document as the sink has it, its version, and each row's seqno.
    node = loaded(case)
    for key, document in list(CANAL.documents().items())[:5]:
        text = case.weir("get", key, "--socket", node.socket, "--json").stdout
        answer = oracle.parse(text)
        check_equal(answer["document"], document, f"document {key}")
        check(int(answer["version"]["$n"]) > 0, f"version: {answer['version']}")
    plain = case.weir("get", key, "--socket", node.socket)
    check(key in plain.stdout, f"the plain answer lacks the key: {plain.stdout[:300]}")
    check_equal(node.stop().code, 0, "exit")


@test()
def get_of_an_unknown_key_says_so(case):
    # No document is an answer for people, and a code for scripts.
    node = loaded(case)
    result = case.start("get", "no-such-order", "--socket", node.socket).wait()
    check(result.code != 0, "exit 0 for an unknown key")
    check("no-such-order" in result.stderr, f"the message names no key: {result.stderr}")


@test(each=["status", "lag"])
def command_answers_for_people_and_for_scripts(case, command):
    # Text by default, one JSON object with --json.
    node = loaded(case)
    check("orders" in case.weir(command, "--socket", node.socket).stdout, "the task is not named")
    check(isinstance(case.ask(node, command), dict), "no JSON object")


@test(each=["status", "lag", "get"])
def no_node_at_the_socket_exits_69(case, command):
    # A wrong path, or a node that is gone: one line that names it.
    where = case.dir / "nobody.sock"
    arguments = [command, "1"] if command == "get" else [command]
    result = case.weir(*arguments, "--socket", where, code=69)
    check(str(where) in result.stderr, f"the message names no socket: {result.stderr}")
    check_equal(len(result.stderr.strip().splitlines()), 1, "lines of the message")


@test()
def socket_is_named_by_the_environment(case):
    # $WEIR_SOCKET spares the option.
    node = loaded(case)
    case.weir("status", environment={"WEIR_SOCKET": str(node.socket)})


@test(needs="kafka elasticsearch")
def get_answers_while_the_node_loads(case):
    # Readers on another core never wait for the shard: every answer during a load is a document of the right key.
    log = workload.Workload(41, 500, case.unique)
    events = log.events(30000)
    node = case.node(case.config(case.kafka_source(case.unique), case.elasticsearch()))
    producer = threading.Thread(target=produce, args=(case.servers.kafka, events))
    producer.start()
    answers = 0
    while producer.is_alive():
        key = log.orders[answers % len(log.orders)]
        status, answer = http_get(node, f"/v1/tasks/orders/documents/{key}")
        check(status in (200, 404), f"{status}: {answer}")
        if status == 200:
            check(key in json.dumps(answer), f"another's document: {answer}")
        answers += 1
    producer.join()
    check(answers > 10, f"{answers} answers")
    check_equal(node.stop().code, 0, "exit")
    case.drain(case.dir / "weir.yaml")
    check_equal(case.documents("elasticsearch").keys(), oracle.documents(events, MAPPING, "canal-json").keys(), "keys")


def http_get(node, path):
    """One request on the socket itself, as `curl --unix-socket` makes it: (status, object)."""
    connection = http.client.HTTPConnection("weir", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(60)
    connection.sock.connect(str(node.socket))
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


@test(each={"status": ("/v1/status", 200), "tasks": ("/v1/tasks", 200), "task": ("/v1/tasks/orders", 200),
            "lag": ("/v1/tasks/orders/lag", 200), "unknown_task": ("/v1/tasks/nothing", 404),
            "unknown_path": ("/v2/x", 404)}, name="admin_socket_answers_http_{}")
def admin_socket_answers_http(case, path, status):
    # The paths that the docs name, asked as with curl --unix-socket; an error is an object with `error`.
    node = loaded(case)
    got, body = http_get(node, path)
    check_equal(got, status, "status")
    check(status == 200 or "error" in body, f"no error in {body}")

"""Kafka without Kafka: the cluster of mock brokers that librdkafka brings for its own tests, on 127.0.0.1.

Each cluster is one broker, in a process of its own: an assertion ends it now and then, where a member of a group speaks
on two connections. It serves logs, groups with rebalances, and commits, and fails as told. A group's first member waits
three seconds for others, which no setting makes shorter.
"""
import ctypes
import json
import subprocess
import sys
import threading

PRODUCER = 0
COPY = 2  # librdkafka's RD_KAFKA_MSG_F_COPY
FLUSH_MS = 30000
FETCH, OFFSET_COMMIT, HEARTBEAT, SYNC_GROUP = 1, 8, 12, 14  # Kafka's numbers of requests
REBALANCE_IN_PROGRESS = 27
HANG_UP = -195  # librdkafka's error number for a connection that is lost

POINTER, INT, TEXT, SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
FUNCTIONS = {  # name: result, arguments
    "rd_kafka_conf_new": (POINTER,),
    "rd_kafka_conf_set": (INT, POINTER, TEXT, TEXT, TEXT, SIZE),
    "rd_kafka_new": (POINTER, INT, POINTER, TEXT, SIZE),
    "rd_kafka_destroy": (None, POINTER),
    "rd_kafka_handle_mock_cluster": (POINTER, POINTER),
    "rd_kafka_mock_cluster_bootstraps": (TEXT, POINTER),
    "rd_kafka_mock_topic_create": (INT, POINTER, TEXT, INT, INT),
    "rd_kafka_topic_new": (POINTER, POINTER, TEXT, POINTER),
    "rd_kafka_produce": (INT, POINTER, ctypes.c_int32, INT, TEXT, SIZE, TEXT, SIZE, POINTER),
    "rd_kafka_flush": (INT, POINTER, INT),
    "rd_kafka_topic_destroy": (None, POINTER),
    "rd_kafka_mock_broker_push_request_error_rtts": (INT, POINTER, ctypes.c_int32, ctypes.c_int16, SIZE),  # ...
    "rd_kafka_mock_broker_error_stack_cnt": (INT, POINTER, ctypes.c_int32, ctypes.c_int16, ctypes.POINTER(SIZE)),
}


class Cluster:
    """`topics`: {name: partitions}. `brokers` is its address. Raises OSError where the process has ended."""

    def __init__(self, topics):
        self.lock = threading.Lock()
        self.child = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True)
        self.brokers = self.ask("open", topics)

    def ask(self, *request):
        with self.lock:
            self.child.stdin.write(json.dumps(request) + "\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline()
        if not answer:
            raise OSError("the mock broker has ended")
        return json.loads(answer)

    @property
    def alive(self):
        return self.child.poll() is None

    def produce(self, events):
        """In their order, each to its partition."""
        self.ask("produce", [[event[name] for name in ("topic", "partition", "key", "payload")] for event in events])

    def refuse(self, request, error, times):
        """The next so many requests of this kind are answered with an error, or (HANG_UP) end their connection."""
        self.ask("refuse", request, error, times)

    def refusals(self, request):
        """How many of them are still to come."""
        return self.ask("refusals", request)

    def close(self):
        self.child.kill()  # It keeps nothing.
        self.child.wait()
        self.child.stdout.close()
        try:
            self.child.stdin.close()
        except OSError:
            pass


class Server:
    """What runs in the other process."""

    def open(self, topics):
        self.library = ctypes.CDLL("librdkafka.so.1")
        for name, (result, *arguments) in FUNCTIONS.items():
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments
        why = ctypes.create_string_buffer(300)
        conf = self.library.rd_kafka_conf_new()
        # One request at a time: whatever is sent again, the log has the events in their order.
        for name, value in ((b"log_level", b"0"), (b"test.mock.num.brokers", b"1"), (b"max.in.flight", b"1")):
            self.library.rd_kafka_conf_set(conf, name, value, why, len(why))
        self.client = self.library.rd_kafka_new(PRODUCER, conf, why, len(why))
        self.cluster = self.client and self.library.rd_kafka_handle_mock_cluster(self.client)
        if not self.cluster:
            raise OSError(f"no cluster of mock brokers: {why.value.decode()}")
        brokers = self.library.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        for name, partitions in topics.items():
            if self.library.rd_kafka_mock_topic_create(self.cluster, name.encode(), partitions, 1):
                raise OSError(f"the mock topic {name} cannot be made")

        return brokers

    def produce(self, events):
        for name, partition, key, payload in events:
            topic = self.library.rd_kafka_topic_new(self.client, name.encode(), None)
            key, payload = key.encode(), payload.encode()
            if self.library.rd_kafka_produce(topic, partition, COPY, payload, len(payload), key, len(key), None):
                raise OSError("the mock brokers take no more")
            self.library.rd_kafka_topic_destroy(topic)
        if self.library.rd_kafka_flush(self.client, FLUSH_MS):
            raise OSError("the mock brokers do not take what was produced")

    def refuse(self, request, error, times):
        for _ in range(times):
            if self.library.rd_kafka_mock_broker_push_request_error_rtts(self.cluster, 1, request, 1, INT(error),
                                                                         INT(0)):  # without a delay
                raise OSError("the mock broker takes no errors")

    def refusals(self, request):
        left = SIZE()
        self.library.rd_kafka_mock_broker_error_stack_cnt(self.cluster, 1, request, ctypes.byref(left))
        return left.value


def main():
    server = Server()
    for line in sys.stdin:  # to the end of whoever started it
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(server, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()

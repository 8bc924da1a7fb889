"""A Kafka that follows a script: a proxy before librdkafka's mock brokers, which changes their answers byte by byte.

    weir ──► proxy ──► a mock broker (kafka_mock.py)        kcat and the test's own requests go there directly
         ◄── Fault ◄──  with the proxy's port in the broker's place

`script(kind, number)` gives the Fault of the answer to the number-th request of a kind, or None; kinds are the names
in KINDS. What weir commits is read on its way: watch(group's offsets so far) is called before the broker has it.
"""
import contextlib
import socket
import struct
import threading

import kafka_admin
import kafka_mock
from kafka_group import Reader
from wire_faults import RESET, SILENCE, Fault, Listener, Sender, receive_frame, reset

KINDS = {1: "fetch", 2: "offsets", 3: "metadata", 8: "commit", 9: "committed", 10: "coordinator", 11: "join",
         12: "heartbeat", 13: "leave", 14: "sync", 18: "versions"}
OFFSETS, COMMIT, COMMITTED = 2, 8, 9


class Broker(kafka_mock.Cluster):
    """One mock broker with a topic."""

    def __init__(self, topic, partitions):
        self.topic, self.partitions = topic, partitions
        super().__init__({topic: partitions})

    def ends(self):
        """{partition: how many messages it has}"""
        body = struct.pack(">ii", -1, 1) + kafka_admin.text(self.topic) + struct.pack(">i", self.partitions)
        body += b"".join(struct.pack(">iq", number, -1) for number in range(self.partitions))
        reader = Reader(kafka_admin.request(self.brokers, OFFSETS, 1, body))
        topics = reader.list(lambda: (reader.text(), reader.list(lambda: (
            reader.take("i"), reader.take("h"), reader.take("q"), reader.take("q")))))
        return {number: offset for number, _, _, offset in topics[0][1]}

    def committed(self, group):
        """{partition: (offset, metadata)}"""
        body = kafka_admin.text(group) + struct.pack(">i", 1) + kafka_admin.text(self.topic)
        body += struct.pack(f">i{self.partitions}i", self.partitions, *range(self.partitions))
        reader = Reader(kafka_admin.request(self.brokers, COMMITTED, 1, body))
        topics = reader.list(lambda: (reader.text(), reader.list(lambda: (
            reader.take("i"), reader.take("q"), reader.text(), reader.take("h")))))
        return {number: (offset, (metadata or b"").decode()) for number, offset, metadata, _ in topics[0][1]}


class ProxySender(Sender):
    """Another thread reads the requests: silence lasts until it sees the end, and a reset takes its hands off too."""

    def __init__(self, connection):
        super().__init__(connection)
        self.ended, self.resets = threading.Event(), False

    def end(self, how):
        if how == SILENCE:
            self.ended.wait()
        self.resets = how == RESET
        return False


class KafkaProxy:
    def __init__(self, broker, script=lambda kind, number: None, watch=lambda offsets: None):
        self.broker, self.script, self.watch = broker, script, watch
        host, _, port = broker.rpartition(":")
        self.upstream = host, int(port)
        self.lock, self.counts, self.fired, self.offsets, self.wrong = threading.RLock(), {}, {}, {}, []
        self.listener = Listener(self.serve)
        self.address = self.listener.address
        self.there = host.encode() + struct.pack(">i", int(port))
        self.here = host.encode() + struct.pack(">i", self.listener.port)

    def close(self):
        self.listener.close()

    def serve(self, connection):
        """Requests in this thread, answers in another."""
        with contextlib.closing(socket.create_connection(self.upstream)) as upstream:
            sender, asked = ProxySender(connection), {}
            answers = threading.Thread(target=self.answers, args=(upstream, sender, asked), daemon=True)
            answers.start()
            try:
                while True:
                    request = receive_frame(connection)
                    api, version, number = struct.unpack_from(">hhi", request)
                    fault = self.fault(KINDS.get(api, str(api)))
                    if fault.lost:
                        sender.resets = True
                        return
                    if api == COMMIT:
                        self.commit(version, Reader(request[8:]))
                    asked[number] = fault
                    upstream.sendall(struct.pack(">i", len(request)) + request)
            finally:
                sender.ended.set()
                with contextlib.suppress(OSError):
                    upstream.shutdown(socket.SHUT_WR)
                answers.join()
                if sender.resets:
                    reset(connection)

    def answers(self, upstream, sender, asked):
        with contextlib.suppress(OSError):
            while sender.rest(upstream):
                answer = receive_frame(upstream)
                fault = asked.pop(struct.unpack_from(">i", answer)[0])
                answer = answer.replace(self.there, self.here)
                if not sender.send(struct.pack(">i", len(answer)) + answer, fault):
                    break
        with contextlib.suppress(OSError):
            # The broker first: it ends by an assertion where a member speaks on two connections at once.
            upstream.shutdown(socket.SHUT_WR)
            while upstream.recv(65536):
                pass
        with contextlib.suppress(OSError):
            # The requests end with the answers; what is reset says nothing before.
            sender.connection.shutdown(socket.SHUT_RD if sender.resets else socket.SHUT_RDWR)

    def fault(self, kind):
        with self.lock:
            number = self.counts.get(kind, 0)
            self.counts[kind] = number + 1
            fault = self.script(kind, number)
            if fault:
                self.fired[kind] = self.fired.get(kind, 0) + 1
            return fault or Fault()

    def commit(self, version, reader):
        """OffsetCommit, versions 2 to 7."""
        reader.text()  # client
        reader.text()  # group
        reader.take("i")
        reader.text()  # member
        if version >= 7:
            reader.text()
        if version <= 4:
            reader.take("q")
        with self.lock:
            for _ in range(reader.take("i")):
                topic = reader.text().decode()
                for _ in range(reader.take("i")):
                    partition, offset = reader.take("i"), reader.take("q")
                    if version >= 6:
                        reader.take("i")
                    reader.text()
                    self.offsets[topic, partition] = offset
            try:
                self.watch(dict(self.offsets))
            except Exception as trouble:
                self.wrong.append(f"{type(trouble).__name__}: {trouble}")


def message_sets(frame):
    """Where the sets of messages of a Fetch answer begin (version 11)."""
    reader, found = Reader(frame), []
    for form in "iiihi":  # length, id, throttle time, error, session
        reader.take(form)
    for _ in range(reader.take("i")):
        reader.text()
        for _ in range(reader.take("i")):
            for form in "ihqqq":  # partition, error, three offsets
                reader.take(form)
            for _ in range(max(0, 2 * reader.take("i"))):  # aborted transactions
                reader.take("q")
            reader.take("i")
            size = reader.take("i")
            found += [reader.at] * (size > 0)
            reader.at += max(0, size)
    return found

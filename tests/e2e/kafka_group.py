"""Members of a consumer group by hand: Kafka's requests of the classic protocol, each on a connection of its own, so
that a join can wait for its answer while others speak."""
import contextlib
import socket
import struct

from harness import check, until
from kafka_admin import receive, text

OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, JOIN, HEARTBEAT, LEAVE, SYNC = 8, 9, 10, 11, 12, 13, 14
VERSIONS = {OFFSET_COMMIT: 7, OFFSET_FETCH: 5, FIND_COORDINATOR: 1, JOIN: 5, HEARTBEAT: 3, LEAVE: 3, SYNC: 3}
MEMBER_ID_REQUIRED = 79
NOT_YET = {14, 15, 16, 3}  # the coordinator is loading, is not there yet, is another one; the topic is not there yet
CODES = {0: "taken", 22: "illegal generation", 25: "unknown member", 27: "the group is rebalancing",
         82: "fenced instance"}
SESSION_MS = 60000


class Reader:
    """An answer, piece by piece."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def text(self, length="h"):
        size = self.take(length)
        self.at += max(size, 0)
        return None if size < 0 else self.data[self.at - size:self.at]

    def list(self, item):
        return [item() for _ in range(self.take("i"))]


def maybe(value):
    return struct.pack(">h", -1) if value is None else text(value)


def blob(value):
    return struct.pack(">i", len(value)) + value


def code(number):
    return CODES.get(number, f"error {number}")


class KafkaGroup:
    """One group. Slots are whom the caller tells apart; what ids they have is kept here. `whose`: the id that is
    said: own, none, or wrong. `instance`: group.instance.id, or "-"."""

    def __init__(self, brokers, group, topic):
        self.brokers, self.group, self.topic = brokers, group, topic
        self.ids, self.waiting, self.leads = {}, {}, {}
        until(lambda: self.request(FIND_COORDINATOR, text(group) + b"\0", "ih") == 0, "the group has a coordinator")
        until(lambda: self.fetch(0)[1] not in NOT_YET, "the coordinator answers")

    # ---- requests ----

    def send(self, api, body):
        host, _, port = self.brokers.partition(":")
        head = struct.pack(">hhi", api, VERSIONS[api], 1) + text("tests")
        connection = socket.create_connection((host, int(port)), timeout=120)
        connection.sendall(blob(head + body))
        return connection

    def answer(self, connection):
        with contextlib.closing(connection):
            size, = struct.unpack(">i", receive(connection, 4))
            return Reader(receive(connection, size)[4:])

    def request(self, api, body, forms):
        """The last of the numbers that the answer begins with."""
        reader = self.answer(self.send(api, body))
        return [reader.take(form) for form in forms][-1]

    def self_named(self, slot, whose, instance):
        name = {"own": self.ids.get(slot, ""), "none": "", "wrong": "nobody"}[whose]
        return text(name), maybe(None if instance == "-" else instance)

    # ---- joining ----

    def send_join(self, slot, member, instance):
        body = text(self.group) + struct.pack(">ii", SESSION_MS, SESSION_MS) + member + instance
        return self.send(JOIN, body + text("tests") + struct.pack(">i", 1) + text("range") + blob(b""))

    def join(self, slot, whose, instance):
        """A member that has no id yet is told one first."""
        member, name = self.self_named(slot, whose, instance)
        if whose == "none" and instance == "-":
            error, _, _, given = self.read_join(self.answer(self.send_join(slot, member, name)))
            check(error == MEMBER_ID_REQUIRED, f"a first join is answered with {error}")
            member = text(given)
        self.waiting[slot] = self.send_join(slot, member, name)

    @staticmethod
    def read_join(reader):
        """error, generation, the members' ids if it leads, its own id"""
        reader.take("i")
        error, generation = reader.take("h"), reader.take("i")
        reader.text()
        leader, own = reader.text(), reader.text()
        members = reader.list(lambda: (reader.text(), reader.text(), reader.text("i"))[0])
        return error, generation, members if leader == own else [], own.decode()

    def joined(self, slot):
        error, generation, members, own = self.read_join(self.answer(self.waiting.pop(slot)))
        if error == 0:
            self.ids[slot], self.leads[slot] = own, members
        return f"{code(error)}, {generation}"

    def sync(self, slot, whose, instance, generation):
        member, name = self.self_named(slot, whose, instance)
        deals = [struct.pack(">h", len(one)) + one + blob(b"some") for one in self.leads.pop(slot, [])]
        body = text(self.group) + struct.pack(">i", generation) + member + name
        self.waiting[slot] = self.send(SYNC, body + struct.pack(">i", len(deals)) + b"".join(deals))

    def synced(self, slot):
        reader = self.answer(self.waiting.pop(slot))
        reader.take("i")
        return code(reader.take("h"))

    # ---- being one ----

    def heartbeat(self, slot, whose, instance, generation):
        member, name = self.self_named(slot, whose, instance)
        return code(self.request(HEARTBEAT, text(self.group) + struct.pack(">i", generation) + member + name, "ih"))

    def leave(self, slot, whose, instance):
        member, name = self.self_named(slot, whose, instance)
        self.request(LEAVE, text(self.group) + struct.pack(">i", 1) + member + name, "ih")

    def commit(self, *words):
        error = until(lambda: self.try_commit(*words), "the topic's partitions are known")
        return code(error[0])

    def try_commit(self, slot, whose, instance, generation, partition, offset, clock):
        """The error in a tuple; None where it is none of a group's."""
        member, name = self.self_named(slot, whose, instance)
        body = text(self.group) + struct.pack(">i", generation) + member + name
        body += struct.pack(">i", 1) + text(self.topic) + struct.pack(">i", 1)
        reader = self.answer(self.send(OFFSET_COMMIT, body + struct.pack(">iqi", partition, offset, -1)
                                       + text(str(clock))))
        reader.take("i")
        topics = reader.list(lambda: (reader.text(), reader.list(lambda: (reader.take("i"), reader.take("h")))))
        error = topics[0][1][0][1]
        return None if error in NOT_YET else (error,)

    def fetch(self, partition):
        """offset, error, metadata"""
        body = text(self.group) + struct.pack(">i", 1) + text(self.topic) + struct.pack(">ii", 1, partition)
        reader = self.answer(self.send(OFFSET_FETCH, body))
        reader.take("i")
        found = []
        for _ in range(reader.take("i")):
            reader.text()
            for _ in range(reader.take("i")):
                reader.take("i")
                offset = reader.take("q")
                reader.take("i")
                metadata = reader.text()
                found.append((offset, reader.take("h"), metadata))
        whole = reader.take("h")
        return (found[0][0], found[0][1] or whole, found[0][2]) if found else (-1, whole, b"")

    def committed(self, partition):
        offset, error, metadata = self.fetch(partition)
        check(error == 0, f"offsets of {self.group}: Kafka's error {error}")
        return "none" if offset < 0 else f"{offset} {metadata.decode()}"

"""Topics with a chosen number of partitions, more later, and a group set back: three requests of Kafka's protocol."""
import socket
import struct

from harness import check

OFFSET_COMMIT, CREATE_TOPICS, CREATE_PARTITIONS = 8, 19, 37
UNKNOWN_MEMBER = 25  # the error of a commit from outside while members are there
TIMEOUT_MS = 30000


def text(value):
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        check(piece, "Kafka closed the connection")
        data += piece
    return data


def request(brokers, api, version, body):
    """Sends one request and returns its answer without the header."""
    host, _, port = brokers.partition(":")
    message = struct.pack(">hhi", api, version, 1) + text("tests") + body
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        size, = struct.unpack(">i", receive(connection, 4))
        return receive(connection, size)[4:]


def check_answer(answer, topic):
    """Throttle time, then an array of one: name, error, message."""
    at = 8 + 2 + len(topic.encode())
    error, = struct.unpack(">h", answer[at:at + 2])
    check(error == 0, f"topic {topic}: Kafka's error {error}: {answer[at + 4:].decode(errors='replace')}")


def create_topic(brokers, topic, partitions):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, 0)
    check_answer(request(brokers, CREATE_TOPICS, 2, body + struct.pack(">i?", TIMEOUT_MS, False)), topic)


def add_partitions(brokers, topic, partitions):
    """`partitions`: how many it shall have then."""
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ii", partitions, -1)
    check_answer(request(brokers, CREATE_PARTITIONS, 0, body + struct.pack(">i?", TIMEOUT_MS, False)), topic)


def set_offsets(brokers, group, topic, places):
    """Commits for a group without members: {partition: (offset, metadata)}. True once Kafka took it; false while the
    group still has members."""
    listing = b"".join(struct.pack(">iq", number, offset) + text(metadata)
                       for number, (offset, metadata) in places.items())
    body = text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) + text(topic)
    answer = request(brokers, OFFSET_COMMIT, 2, body + struct.pack(">i", len(places)) + listing)
    at = 4 + 2 + len(topic.encode())
    count, = struct.unpack(">i", answer[at:at + 4])
    errors = {error for _, error in struct.iter_unpack(">ih", answer[at + 4:at + 4 + 6 * count])}
    check(errors <= {0, UNKNOWN_MEMBER}, f"offsets of {group}: Kafka's errors {errors}")
    return errors == {0}

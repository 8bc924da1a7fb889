"""Kafka without Kafka: the cluster of mock brokers that librdkafka brings for its own tests, on 127.0.0.1.

One broker in this process serves logs, groups with rebalances, and commits. A group's first member waits three seconds
for others, which no setting makes shorter.
"""
import ctypes

PRODUCER = 0


class Cluster:
    def __init__(self, topics):
        """`topics`: {name: partitions}. `brokers` is its address."""
        self.library = ctypes.CDLL("librdkafka.so.1")
        for name, result, arguments in (
                ("rd_kafka_conf_new", ctypes.c_void_p, []),
                ("rd_kafka_conf_set", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p,
                                                     ctypes.c_char_p, ctypes.c_size_t]),
                ("rd_kafka_new", ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
                ("rd_kafka_mock_cluster_new", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
                ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, [ctypes.c_void_p]),
                ("rd_kafka_mock_topic_create", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int,
                                                              ctypes.c_int])):
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments
        why = ctypes.create_string_buffer(300)
        conf = self.library.rd_kafka_conf_new()
        self.library.rd_kafka_conf_set(conf, b"log_level", b"0", why, len(why))
        self.client = self.library.rd_kafka_new(PRODUCER, conf, why, len(why))
        cluster = self.client and self.library.rd_kafka_mock_cluster_new(self.client, 1)
        if not cluster:
            raise OSError(f"no cluster of mock brokers: {why.value.decode()}")
        self.brokers = self.library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
        for name, partitions in topics.items():
            if self.library.rd_kafka_mock_topic_create(cluster, name.encode(), partitions, 1):
                raise OSError(f"the mock topic {name} cannot be made")

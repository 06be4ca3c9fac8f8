"""confluent-kafka: records come back as they were sent, in every form that a record can have."""
import time

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TopicPartition

from checks import CODECS, check, equal, name, run
from librdkafka import consumer, create, numbers, producer, send, take, values


def read(topic, count, offset=0, **extra):
    client = consumer(**extra)
    client.assign([TopicPartition(topic, 0, offset)])
    messages = take(client, count)
    client.close()
    return messages


def every_codec():
    for codec in CODECS:
        topic = create(name(f"codec-{codec}"))
        sent = [f"{n} of {codec} ".encode() * 40 for n in range(500)]
        reports = send(producer(compression_type=codec), topic, sent, key=b"k", headers=[("codec", codec.encode())])
        equal(f"{codec}: offsets are dense", [m.offset() for m in reports], list(range(500)))
        messages = read(topic, 500)
        equal(f"{codec}: values", values(messages), sent)
        equal(f"{codec}: keys", {m.key() for m in messages}, {b"k"})
        equal(f"{codec}: headers", messages[499].headers(), [("codec", codec.encode())])
        equal(f"{codec}: a read from within a batch", values(read(topic, 3, 251)), sent[251:254])


def codecs_in_one_log():
    topic = create(name("mixed"))
    for number, codec in enumerate(CODECS):
        send(producer(compression_type=codec), topic, numbers(100, number * 100))
    equal("all codecs in one log", values(read(topic, 500)), numbers(500))


def compression_by_the_topic():
    for codec in ("gzip", "snappy", "lz4", "zstd", "uncompressed"):
        topic = create(name(f"topic-{codec}"), compression_type=codec)
        for client_codec in ("none", "lz4"):
            send(producer(compression_type=client_codec), topic, numbers(50))
        equal(f"compression.type={codec}", values(read(topic, 100)), numbers(50) * 2)


def nulls_and_headers():
    topic = create(name("nulls"))
    client = producer()
    headers = [("a", b"1"), ("b", None), ("a", b"2"), ("empty", b""), ("é", b"\x00\xff")]
    client.produce(topic, b"value", b"key", headers=headers)
    client.produce(topic, None, b"key")
    client.produce(topic, b"value")
    client.produce(topic, b"", b"")
    client.produce(topic, b"\x00\xff" * 1000, b"\xff\x00")
    equal("all are sent", client.flush(20), 0)
    both, tombstone, no_key, empty, binary = read(topic, 5)
    equal("headers: order, duplicates, nulls", both.headers(), headers)
    equal("a null value", (tombstone.key(), tombstone.value()), (b"key", None))
    equal("a null key", (no_key.key(), no_key.value()), (None, b"value"))
    equal("empty is not null", (empty.key(), empty.value()), (b"", b""))
    equal("binary", (binary.key(), binary.value()), (b"\xff\x00", b"\x00\xff" * 1000))


def timestamps():
    topic = create(name("create-time"))
    before = int(time.time() * 1000)
    client = producer()
    send(client, topic, [b"old"], timestamp=1_600_000_000_123)
    send(client, topic, [b"now"])
    old, now = read(topic, 2)
    equal("CreateTime is the client's", old.timestamp(), (TIMESTAMP_CREATE_TIME, 1_600_000_000_123))
    check("CreateTime defaults to now", before <= now.timestamp()[1] <= time.time() * 1000, now.timestamp())

    topic = create(name("append-time"), message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    report = send(producer(compression_type="lz4"), topic, numbers(3), timestamp=1_600_000_000_123)[2]
    stored = read(topic, 3)
    equal("LogAppendTime: type", {m.timestamp()[0] for m in stored}, {TIMESTAMP_LOG_APPEND_TIME})
    check("LogAppendTime is the broker's", all(before - 1000 <= m.timestamp()[1] <= time.time() * 1000 + 1000 for m in stored))
    equal("LogAppendTime is in the answer", report.timestamp(), stored[2].timestamp())


def acknowledgements():
    topic = create(name("acks"))
    for acks in ("0", "1", "all"):
        send(producer(acks=acks), topic, numbers(10))
    equal("acks 0, 1 and all are stored", values(read(topic, 30)), numbers(10) * 3)


def partitions():
    topic = create(name("partitions"), 8)
    client = producer()
    for partition in range(8):
        send(client, topic, numbers(5), partition=partition)
    reader = consumer()
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(8)])
    messages = take(reader, 40)
    reader.close()
    for partition in range(8):
        mine = [m for m in messages if m.partition() == partition]
        equal(f"partition {partition}: offsets", [m.offset() for m in mine], list(range(5)))


def large_records():
    topic = create(name("large"), max_message_bytes=8_000_000)
    large = b"x" * 5_000_000
    client = producer(message_max_bytes=8_000_000)
    send(client, topic, [b"before", large, b"after"])
    small = {"fetch_message_max_bytes": 1000, "fetch_max_bytes": 1000, "message_max_bytes": 1000}
    messages = read(topic, 3, **small)
    equal("a record that is larger than a fetch comes through", [len(m.value()) for m in messages], [6, 5_000_000, 5])


def long_polls():
    topic = create(name("poll"))
    reader = consumer(fetch_wait_max_ms=10_000, fetch_min_bytes=1)
    reader.assign([TopicPartition(topic, 0, 0)])
    take(reader, 1, 1.0)
    client = producer(linger_ms=0)
    waits = []
    for number in numbers(5):
        began = time.monotonic()
        client.produce(topic, number)
        client.poll(0)
        check(f"record {number} comes", values(take(reader, 1)) == [number])
        waits.append(time.monotonic() - began)
    reader.close()
    check("a waiting fetch is answered at once", max(waits) < 5.0, waits)


run(every_codec, codecs_in_one_log, compression_by_the_topic, nulls_and_headers, timestamps, acknowledgements, partitions, large_records,
    long_polls)

"""confluent-kafka: what is refused, and as what."""
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic

from checks import PATIENCE, check, equal, name, refused, run
from librdkafka import ADMIN, code, consumer, create, producer, send, take, values


def sent(topic, value, key=None, **extra):
    """The code with which a record is refused; None if it is taken."""
    return code(refused(send, producer(message_timeout_ms=5000, **extra), topic, [value], key=key))


def unknown_topics():
    reader = consumer(allow_auto_create_topics=False)
    reader.subscribe([name("nowhere")])
    error = refused(take, reader, 1)
    equal("a consumer of no topic", code(error), KafkaError.UNKNOWN_TOPIC_OR_PART)
    reader.close()
    topic = create(name("one-partition"))
    error = refused(send, producer(message_timeout_ms=5000), topic, [b"x"], partition=7)
    check("no such partition", code(error) in (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART), error)
    reader = consumer()
    error = refused(reader.get_watermark_offsets, TopicPartition(topic, 7), timeout=10)
    check("offsets of no partition", code(error) in (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART), error)
    reader.close()


def large_records():
    topic = create(name("small"), max_message_bytes=10_000)
    equal("larger than max.message.bytes", sent(topic, b"x" * 20_000), KafkaError.MSG_SIZE_TOO_LARGE)
    equal("compressed it is not", sent(topic, b"x" * 20_000, compression_type="zstd"), None)
    equal("others are taken", sent(topic, b"small"), None)
    reader = consumer()
    reader.assign([TopicPartition(topic, 0, 0)])
    equal("what was refused is not stored", [len(value) for value in values(take(reader, 3, 2.0))], [20_000, 5])
    reader.close()


def compacted_topics():
    topic = create(name("compacted"), cleanup_policy="compact")
    equal("a record without a key", sent(topic, b"x"), KafkaError.INVALID_RECORD)
    equal("one with a key", sent(topic, b"x", key=b"k"), None)
    equal("a tombstone", sent(topic, None, key=b"k"), None)
    both = create(name("both"), cleanup_policy="compact,delete")
    equal("compact,delete: without a key", sent(both, b"x"), KafkaError.INVALID_RECORD)


def timestamps():
    topic = create(name("stamps"), message_timestamp_before_max_ms=3_600_000, message_timestamp_after_max_ms=3_600_000)
    equal("a time long ago", code(refused(send, producer(), topic, [b"x"], timestamp=1000)), KafkaError.INVALID_TIMESTAMP)
    far = 4_000_000_000_000
    equal("a time far ahead", code(refused(send, producer(), topic, [b"x"], timestamp=far)), KafkaError.INVALID_TIMESTAMP)
    equal("offsets without holes", send(producer(), topic, [b"now"])[0].offset(), 0)
    default = create(name("stamps-default"))
    equal("far ahead by default", code(refused(send, producer(), default, [b"x"], timestamp=far)), KafkaError.INVALID_TIMESTAMP)


def created(topic, partitions=1, replicas=1, **extra):
    future = ADMIN.create_topics([NewTopic(topic, partitions, replicas, **extra)], request_timeout=10)[topic]
    return code(refused(future.result, PATIENCE))


def names_and_numbers():
    for bad in ("", ".", "..", "a b", "a/b", "ä", "x" * 250):
        error = created(bad)
        check(f"the name {bad[:5]!r}", error in (KafkaError.TOPIC_EXCEPTION, KafkaError._INVALID_ARG), error)
    equal("the longest name", created("x" * 241 + RUN_SUFFIX), None)
    topic = create(name("taken"))
    equal("a name that is taken", created(topic), KafkaError.TOPIC_ALREADY_EXISTS)
    equal("a.b and a_b collide", (created(name("a.b")), created(name("a_b"))), (None, KafkaError.TOPIC_EXCEPTION))
    equal("no partitions", created(name("zero"), 0), KafkaError.INVALID_PARTITIONS)
    equal("more replicas than brokers", created(name("replicas"), 1, 9), KafkaError.INVALID_REPLICATION_FACTOR)
    equal("an unknown key", created(name("key"), config={"no.such.key": "1"}), KafkaError.INVALID_CONFIG)
    equal("a bad value", created(name("value"), config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG)
    equal("a bad policy", created(name("policy"), config={"cleanup.policy": "shred"}), KafkaError.INVALID_CONFIG)


def changes():
    nowhere = name("nowhere")
    future = ADMIN.delete_topics([nowhere])[nowhere]
    equal("deleting no topic", code(refused(future.result, PATIENCE)), KafkaError.UNKNOWN_TOPIC_OR_PART)
    future = ADMIN.create_partitions([NewPartitions(nowhere, 3)])[nowhere]
    equal("partitions for no topic", code(refused(future.result, PATIENCE)), KafkaError.UNKNOWN_TOPIC_OR_PART)
    topic = create(name("three"), 3)
    for count in (2, 3):
        future = ADMIN.create_partitions([NewPartitions(topic, count)])[topic]
        equal(f"from 3 partitions to {count}", code(refused(future.result, PATIENCE)), KafkaError.INVALID_PARTITIONS)
    resource = ConfigResource(ConfigResource.Type.TOPIC, nowhere)
    future = ADMIN.describe_configs([resource])[resource]
    equal("the configuration of no topic", code(refused(future.result, PATIENCE)), KafkaError.UNKNOWN_TOPIC_OR_PART)
    entry = ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    future = ADMIN.incremental_alter_configs([resource])[resource]
    equal("a bad value in a change", code(refused(future.result, PATIENCE)), KafkaError.INVALID_CONFIG)


def one_bad_record():
    topic = create(name("goes-on"), max_message_bytes=10_000)
    client = producer()
    results = []
    for value in (b"1", b"x" * 20_000, b"2"):
        client.produce(topic, value, on_delivery=lambda error, message: results.append(error.code() if error else message.value()))
        client.flush(PATIENCE)
    equal("a refusal harms no other record", results, [b"1", KafkaError.MSG_SIZE_TOO_LARGE, b"2"])
    equal("numbers go on", values_of(topic), [b"1", b"2"])


def values_of(topic):
    reader = consumer()
    reader.assign([TopicPartition(topic, 0, 0)])
    messages = take(reader, 3, 1.0)
    reader.close()
    return values(messages)


RUN_SUFFIX = name("")[-8:]
run(unknown_topics, large_records, compacted_topics, timestamps, names_and_numbers, changes, one_bad_record)

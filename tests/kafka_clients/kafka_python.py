"""kafka-python: records, groups, transactions and administration through a client that is written in Python alone."""
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic, OffsetSpec
from kafka.errors import (InvalidTopicError, KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError,
                          UnknownTopicOrPartitionError)

from checks import BOOTSTRAP, CODECS, PATIENCE, Process, becomes, check, equal, name, refused, role, run, until

ADMIN = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def create(topic, partitions=1, **config):
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    ADMIN.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
    return topic


def producer(**options):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **{"linger_ms": 5, **options})


def consumer(group=None, **options):
    defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500}
    return KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group, **{**defaults, **options})


def send(client, topic, values, **options):
    futures = [client.send(topic, value, **options) for value in values]
    client.flush(PATIENCE)
    return [future.get(PATIENCE) for future in futures]


def take(client, count, patience=PATIENCE):
    records = []
    until(lambda: records.extend(r for part in client.poll(100).values() for r in part) or len(records) >= count, patience, 0)
    return records


def values(records):
    return [record.value for record in records]


def numbers(count, first=0):
    return [str(number).encode() for number in range(first, first + count)]


def reader(topic, **options):
    client = consumer(**options)
    client.assign([TopicPartition(topic, 0)])
    client.seek_to_beginning()
    return client


def records_with_every_codec():
    for codec in CODECS:
        topic = create(name(codec))
        headers = [("a", b"1"), ("b", b""), ("a", b"2")]
        client = producer(compression_type=None if codec == "none" else codec)
        stored = send(client, topic, numbers(300), key=b"key", headers=headers, timestamp_ms=1_700_000_000_000)
        equal(f"{codec}: offsets", [record.offset for record in stored], list(range(300)))
        records = take(reader(topic), 300)
        equal(f"{codec}: values", values(records), numbers(300))
        last = records[-1]
        equal(f"{codec}: the rest", (last.key, list(last.headers), last.timestamp, last.offset), (b"key", headers, 1_700_000_000_000, 299))
    topic = create(name("nulls"))
    client = producer()
    send(client, topic, [None], key=b"key")
    send(client, topic, [b"value"])
    equal("nulls", [(r.key, r.value) for r in take(reader(topic), 2)], [(b"key", None), (None, b"value")])
    topic = create(name("append-time"), message_timestamp_type="LogAppendTime")
    send(client, topic, [b"x"], timestamp_ms=1)
    record = take(reader(topic), 1)[0]
    check("LogAppendTime", record.timestamp_type == 1 and record.timestamp > 1_700_000_000_000, record)


def replay():
    topic = create(name("replay"))
    client, place = producer(linger_ms=0), TopicPartition(topic, 0)
    for number in range(30):
        client.send(topic, str(number).encode(), timestamp_ms=1_700_000_000_000 + number * 1000)
    client.flush(PATIENCE)
    one = reader(topic)
    one.seek(place, 17)
    equal("from an offset", values(take(one, 3))[:3], numbers(3, 17))
    equal("an offset for a time", one.offsets_for_times({place: 1_700_000_009_500})[place].offset, 10)
    equal("no offset for a later time", one.offsets_for_times({place: 1_900_000_000_000})[place], None)
    equal("beginning and end", (one.beginning_offsets([place])[place], one.end_offsets([place])[place]), (0, 30))
    one.seek_to_end(place)
    equal("nothing is at the end", take(one, 1, 1.0), [])
    one.close()
    offsets = ADMIN.list_partition_offsets({place: OffsetSpec.LATEST})
    equal("the administrator sees the same end", offsets[place].offset, 30)


def groups():
    topic, group = create(name("groups"), 4), name("groups")
    client = producer()
    for partition in range(4):
        send(client, topic, numbers(10), partition=partition)
    one = consumer(group)
    one.subscribe([topic])
    records = take(one, 40)
    equal("a group of one reads all", len(records), 40)
    places = {TopicPartition(topic, partition): OffsetAndMetadata(partition, "note", -1) for partition in range(4)}
    one.commit(places)
    victim = Process("member", group, topic)
    until(lambda: one.poll(50) and False or len(one.assignment()) == 2, pause=0)
    equal("a process takes half", (len(one.assignment()), victim.line()), (2, "owns 2"))
    victim.kill()
    until(lambda: one.poll(50) and False or len(one.assignment()) == 4, pause=0)
    equal("after its death its half comes back", len(one.assignment()), 4)
    found = [one.committed(place, metadata=True) for place in places]
    equal("what was committed stays", [(f.offset, f.metadata) for f in found], [(p, "note") for p in range(4)])
    one.close()
    two = consumer(group, enable_auto_commit=True, auto_commit_interval_ms=200)
    two.subscribe([topic])
    equal("the next member starts there", len(take(two, 34)), 34)
    two.close()
    offsets = ADMIN.list_group_offsets({group: None})[group]
    equal("closing has committed", sorted(found.offset for found in offsets.values()), [10] * 4)


def idempotence_and_transactions():
    topic, identity = create(name("transactions")), name("identity")
    stored = send(producer(enable_idempotence=True), topic, numbers(100))
    equal("an idempotent producer", [record.offset for record in stored], list(range(100)))
    old = producer(transactional_id=identity)
    old.init_transactions()
    for number in range(4):
        old.begin_transaction()
        old.send(topic, f"transaction {number}".encode())
        old.flush()
        old.commit_transaction() if number % 2 else old.abort_transaction()
    strict, loose = reader(topic, isolation_level="read_committed"), reader(topic)
    equal("read_committed", values(take(strict, 102))[100:], [b"transaction 1", b"transaction 3"])
    equal("read_uncommitted", len(take(loose, 104)), 104)
    old.begin_transaction()
    old.send(topic, b"of the old one")
    old.flush()
    new = producer(transactional_id=identity)
    new.init_transactions()
    check("the older producer is fenced", isinstance(refused(old.commit_transaction), KafkaError))
    source, group = create(name("source")), name("mover")
    new.begin_transaction()
    new.send_offsets_to_transaction({TopicPartition(source, 0): OffsetAndMetadata(7, "", -1)}, group)
    new.commit_transaction()
    one = consumer(group)
    equal("offsets commit with a transaction", one.committed(TopicPartition(source, 0)), 7)
    equal("nothing of the fenced one is seen", take(strict, 1, 1.0), [])
    for client in (strict, loose, one, new):
        client.close()


def administration():
    topic = create(name("administered"), 2, retention_ms=5000)
    equal("a name that is taken", type(refused(create, topic)), TopicAlreadyExistsError)
    equal("an invalid name", type(refused(create, "not valid")), InvalidTopicError)
    equal("no such topic", type(refused(ADMIN.delete_topics, [name("nowhere")])), UnknownTopicOrPartitionError)
    ADMIN.create_partitions({topic: 3})
    becomes("three partitions", lambda: len(ADMIN.describe_topics([topic])[0]["partitions"]), 3)
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    def retention():
        return ADMIN.describe_configs([resource], config_filter="all")

    check("retention.ms is told", "5000" in str(retention()), retention())
    small = create(name("small"), max_message_bytes=2000)
    error = refused(send, producer(), small, [b"x" * 10_000])
    equal("a record that is too large", type(error), MessageSizeTooLargeError)
    place = TopicPartition(topic, 0)
    send(producer(), topic, numbers(10), partition=0)
    ADMIN.delete_records({place: 4})
    equal("deleted records", reader(topic).beginning_offsets([place])[place], 4)
    group = name("administered")
    member = consumer(group)
    member.subscribe([topic])
    take(member, 6)
    member.commit()
    equal("the group is described", str(ADMIN.describe_groups([group])[group]["group_state"]), "Stable")
    check("and listed", group in {found["group_id"] for found in ADMIN.list_groups()})
    equal("with a member it is not deleted", ADMIN.delete_groups([group])[group], "NonEmptyGroupError")
    member.close()
    equal("without it is", ADMIN.delete_groups([group])[group], "OK")
    equal("then there is none", ADMIN.delete_groups([group])[group], "GroupIdNotFoundError")
    ADMIN.delete_topics([topic])
    check("a deleted topic is not listed", until(lambda: topic not in ADMIN.list_topics()))


def play_member(group, topic):
    one = consumer(group)
    one.subscribe([topic])
    until(lambda: one.poll(50) and False or len(one.assignment()) == 2, pause=0)
    print("owns", len(one.assignment()), flush=True)
    while True:
        one.poll(1000)


if role():
    play_member(*role()[1:])
else:
    run(records_with_every_codec, replay, groups, idempotence_and_transactions, administration)

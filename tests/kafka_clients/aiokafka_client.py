"""aiokafka: records, groups and transactions through a client on asyncio, which asks for the oldest versions of all."""
import asyncio
import signal
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced

from checks import BOOTSTRAP, CODECS, PATIENCE, Process, check, equal, name, role


async def create(topic, partitions=1, **config):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
    await admin.close()
    equal(f"topic {topic[:-9]}", [error[1] for error in answer.topic_errors], [0])
    return topic


def producer(**options):
    return AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **{"linger_ms": 5, **options})


def consumer(*topics, group=None, **options):
    defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500}
    return AIOKafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, group_id=group, **{**defaults, **options})


async def take(client, count, patience=PATIENCE):
    records, deadline = [], time.monotonic() + patience
    while len(records) < count and time.monotonic() < deadline:
        for part in (await client.getmany(timeout_ms=100)).values():
            records += part
    return records


async def until(condition, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return condition()


async def refused(awaited):
    try:
        await awaited
    except KafkaError as error:
        return error
    return None


def values(records):
    return [record.value for record in records]


def numbers(count, first=0):
    return [str(number).encode() for number in range(first, first + count)]


async def send(client, topic, sent, **options):
    futures = [await client.send(topic, value, **options) for value in sent]
    return [await future for future in futures]


async def records_with_every_codec():
    headers = [("a", b"1"), ("a", b"2")]
    for codec in CODECS:
        topic = await create(name(codec))
        async with producer(compression_type=None if codec == "none" else codec) as client:
            stored = await send(client, topic, numbers(300), key=b"key", headers=headers, timestamp_ms=1_700_000_000_000)
        equal(f"{codec}: offsets", [record.offset for record in stored], list(range(300)))
        async with consumer(topic) as reader:
            records = await take(reader, 300)
        equal(f"{codec}: values", values(records), numbers(300))
        last = records[-1]
        equal(f"{codec}: the rest", (last.key, list(last.headers), last.timestamp, last.offset), (b"key", headers, 1_700_000_000_000, 299))
    topic = await create(name("append-time"), message_timestamp_type="LogAppendTime")
    async with producer() as client, consumer(topic) as reader:
        sent = await client.send_and_wait(topic, None, key=b"key", timestamp_ms=1)
        record = (await take(reader, 1))[0]
    check("LogAppendTime", record.timestamp_type == 1 and record.timestamp > 1_700_000_000_000, record)
    equal("is in the answer", sent.timestamp, record.timestamp)
    equal("a null value", (record.key, record.value), (b"key", None))


async def replay():
    topic = await create(name("replay"))
    place = TopicPartition(topic, 0)
    async with producer(linger_ms=0) as client:
        for number in range(30):
            await client.send_and_wait(topic, str(number).encode(), timestamp_ms=1_700_000_000_000 + number * 1000)
    async with consumer(topic) as reader:
        equal("it starts at the beginning", await reader.position(place), 0)
        reader.seek(place, 17)
        equal("from an offset", values(await take(reader, 13)), numbers(13, 17))
        found = await reader.offsets_for_times({place: 1_700_000_009_500})
        equal("an offset for a time", found[place].offset, 10)
        ends = (await reader.beginning_offsets([place]), await reader.end_offsets([place]))
        equal("beginning and end", [offsets[place] for offsets in ends], [0, 30])
        await reader.seek_to_end(place)
        equal("nothing is at the end", await take(reader, 1, 1.0), [])


class Listener(ConsumerRebalanceListener):
    def __init__(self):
        self.seen = []

    async def on_partitions_revoked(self, revoked):
        self.seen.append(("revoked", len(revoked)))

    async def on_partitions_assigned(self, assigned):
        self.seen.append(("assigned", len(assigned)))


async def groups():
    topic, group = await create(name("groups"), 4), name("groups")
    async with producer() as client:
        for partition in range(4):
            await send(client, topic, numbers(10), partition=partition)
    one, listener = consumer(group=group), Listener()
    one.subscribe([topic], listener=listener)
    await one.start()
    equal("a group of one reads all", len(await take(one, 40)), 40)
    await one.commit({TopicPartition(topic, partition): OffsetAndMetadata(partition, "note") for partition in range(4)})
    victim = Process("member", group, topic)
    check("a process takes half", await until(lambda: len(one.assignment()) == 2))
    equal("and says so", victim.line(), "owns 2")
    victim.kill()
    check("after its death its half comes back", await until(lambda: len(one.assignment()) == 4))
    equal("the rebalances were told", listener.seen[-2:], [("revoked", 2), ("assigned", 4)])
    await one.stop()
    two = consumer(topic, group=group, enable_auto_commit=True, auto_commit_interval_ms=200)
    await two.start()
    equal("what was committed", [await two.committed(place) for place in sorted(two.assignment())], [0, 1, 2, 3])
    equal("the next member starts there", len(await take(two, 34)), 34)
    await two.stop()
    async with consumer(topic, group=group) as three:
        equal("stopping has committed", [await three.committed(place) for place in three.assignment()], [10] * 4)


async def transactions():
    topic, source, identity, group = await create(name("transactions")), await create(name("source")), name("identity"), name("mover")
    async with producer(enable_idempotence=True) as client:
        equal("an idempotent producer", [r.offset for r in await send(client, topic, numbers(100))], list(range(100)))
    old = producer(transactional_id=identity)
    await old.start()
    for number in range(4):
        await old.begin_transaction()
        await old.send(topic, f"transaction {number}".encode())
        await (old.commit_transaction() if number % 2 else old.abort_transaction())
    strict, loose = consumer(topic, isolation_level="read_committed"), consumer(topic)
    await strict.start()
    await loose.start()
    equal("read_committed", values(await take(strict, 102))[100:], [b"transaction 1", b"transaction 3"])
    equal("read_uncommitted", len(await take(loose, 104)), 104)
    await old.begin_transaction()
    await old.send(topic, b"of the old one")
    await old.flush()
    new = producer(transactional_id=identity)
    await new.start()
    error = await refused(old.commit_transaction())
    check("the older producer is fenced", isinstance(error, ProducerFenced), error)
    async with new.transaction():
        await new.send_offsets_to_transaction({TopicPartition(source, 0): 7}, group)
    one = consumer(group=group)
    await one.start()
    equal("offsets commit with a transaction", await one.committed(TopicPartition(source, 0)), 7)
    equal("nothing of the fenced one is seen", await take(strict, 1, 1.0), [])
    for client in (one, strict, loose, new):
        await client.stop()
    # It cannot end its transaction, and says so when it is stopped.
    await refused(old.stop())


async def zombies():
    topic, identity = await create(name("zombie")), name("zombie")
    zombie = Process("zombie", identity, topic)
    equal("a process has a transaction open", zombie.line(), "open")
    zombie.process.send_signal(signal.SIGSTOP)
    async with producer(transactional_id=identity) as heir, consumer(topic, isolation_level="read_committed") as strict:
        async with heir.transaction():
            await heir.send(topic, b"heir")
        equal("its heir goes on at once", values(await take(strict, 1)), [b"heir"])
        zombie.process.send_signal(signal.SIGCONT)
        equal("the zombie that wakes up is fenced", zombie.line(), "fenced")
        equal("and has added nothing", await take(strict, 1, 1.0), [])
    zombie.kill()


async def errors():
    topic = await create(name("small"), max_message_bytes=2000)
    async with producer() as client:
        error = await refused(client.send_and_wait(topic, b"x" * 10_000))
        equal("a record that is too large", type(error), MessageSizeTooLargeError)
        equal("others go on", (await client.send_and_wait(topic, b"small")).offset, 0)


async def play_member(group, topic):
    one = consumer(topic, group=group)
    await one.start()
    await until(lambda: len(one.assignment()) == 2)
    print("owns", len(one.assignment()), flush=True)
    await asyncio.sleep(600)


async def play_zombie(identity, topic):
    client = producer(transactional_id=identity)
    await client.start()
    await client.begin_transaction()
    await client.send_and_wait(topic, b"zombie")
    print("open", flush=True)
    # The process is stopped here and goes on when another one has its name.
    time.sleep(1)
    error = await refused(client.commit_transaction())
    print("fenced" if isinstance(error, ProducerFenced) else f"not fenced: {error!r}", flush=True)


async def main():
    for scenario in (records_with_every_codec, replay, groups, transactions, zombies, errors):
        began = time.monotonic()
        print("--", scenario.__name__, flush=True)
        await scenario()
        print(f"   {time.monotonic() - began:.1f} s", flush=True)


if role():
    asyncio.run({"member": play_member, "zombie": play_zombie}[role()[0]](*role()[1:]))
else:
    asyncio.run(main())

"""confluent-kafka: transactions are seen whole or not at all, and only their newest producer may go on."""
import signal
import time

from confluent_kafka import IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import OffsetSpec

from checks import PATIENCE, Process, becomes, check, equal, name, refused, role, run
from librdkafka import ADMIN, code, consumer, create, numbers, producer, take, values

FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)


def transactional(identity, **extra):
    client = producer(transactional_id=identity, **extra)
    client.init_transactions(PATIENCE)
    return client


def put(client, topic, sent, **extra):
    """Produces in the open transaction."""
    for value in sent:
        client.produce(topic, value, **extra)
    client.flush(PATIENCE)


def committed(client, topic, sent, **extra):
    client.begin_transaction()
    put(client, topic, sent, **extra)
    client.commit_transaction(PATIENCE)


def reader(topic, isolation="read_committed", partitions=1):
    client = consumer(isolation_level=isolation)
    client.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    return client


def all_or_nothing():
    topic = create(name("whole"), 3)
    client = transactional(name("whole"))
    strict = reader(topic, partitions=3)
    client.begin_transaction()
    for partition in range(3):
        put(client, topic, numbers(10, partition * 10), partition=partition)
    equal("nothing is seen before the commit", values(take(strict, 1, 1.0)), [])
    client.commit_transaction(PATIENCE)
    equal("all is seen after it", sorted(values(take(strict, 30))), sorted(numbers(30)))
    client.begin_transaction()
    put(client, topic, [b"aborted"] * 5, partition=0)
    client.abort_transaction(PATIENCE)
    committed(client, topic, [b"after"], partition=0)
    equal("what was aborted is never seen", values(take(strict, 1)), [b"after"])
    loose = reader(topic, "read_uncommitted", 3)
    equal("read_uncommitted sees it", values(take(loose, 36)).count(b"aborted"), 5)
    check("markers take offsets, and are no records", not take(loose, 1, 0.5))
    low, high = loose.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    equal("the offsets of partition 0", (low, high), (0, 10 + 1 + 5 + 1 + 1 + 1))
    strict.close()
    loose.close()


def every_codec():
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        topic = create(name(f"codec-{codec}"))
        client = transactional(name(codec), compression_type=codec)
        for number in range(4):
            client.begin_transaction()
            put(client, topic, numbers(20, number * 20))
            (client.commit_transaction if number % 2 else client.abort_transaction)(PATIENCE)
        strict = reader(topic)
        equal(f"{codec}: committed ones alone", values(take(strict, 40)), numbers(20, 20) + numbers(20, 60))
        strict.close()


def interleaved():
    topic = create(name("interleaved"))
    one, two = transactional(name("one")), transactional(name("two"))
    one.begin_transaction()
    put(one, topic, [b"1"])
    two.begin_transaction()
    put(two, topic, [b"2"])
    put(one, topic, [b"3"])
    two.commit_transaction(PATIENCE)
    strict = reader(topic)
    equal("an open transaction holds back what comes behind it", values(take(strict, 1, 1.0)), [])
    place = TopicPartition(topic, 0)

    def end(level):
        return ADMIN.list_offsets({place: OffsetSpec.latest()}, isolation_level=level)[place].result(PATIENCE).offset

    equal("the last stable offset", (end(IsolationLevel.READ_COMMITTED), end(IsolationLevel.READ_UNCOMMITTED)), (0, 4))
    put(one, topic, [b"4"])
    one.abort_transaction(PATIENCE)
    equal("then the committed one is seen", values(take(strict, 1)), [b"2"])
    becomes("the stable offset is the end", lambda: end(IsolationLevel.READ_COMMITTED), 6)
    committed(one, topic, [b"5"])
    equal("and what follows", values(take(strict, 2, 2.0)), [b"5"])
    strict.close()


def offsets():
    source, sink, group = create(name("source")), create(name("sink")), name("offsets")
    committed(transactional(name("feeder")), source, numbers(20))
    client = transactional(name("mover"))
    member = consumer(group, isolation_level="read_committed")
    member.subscribe([source])
    moved = values(take(member, 10))

    def move(end):
        client.begin_transaction()
        put(client, sink, moved)
        client.send_offsets_to_transaction([TopicPartition(source, 0, 10)], member.consumer_group_metadata(), PATIENCE)
        end(PATIENCE)

    def committed_offset():
        return member.committed([TopicPartition(source, 0)], timeout=20)[0].offset

    move(client.abort_transaction)
    equal("aborted offsets do not count", committed_offset(), -1001)
    move(client.commit_transaction)
    equal("committed ones do", committed_offset(), 10)
    strict = reader(sink)
    equal("with their records", values(take(strict, 11, 2.0)), numbers(10))
    member.close()
    heir = consumer(group, isolation_level="read_committed")
    heir.subscribe([source])
    equal("the group goes on there", values(take(heir, 10)), numbers(10, 10))
    heir.close()
    strict.close()


def fencing():
    topic, identity = create(name("fenced")), name("fenced")
    old = transactional(identity)
    old.begin_transaction()
    put(old, topic, [b"old"])
    new = transactional(identity)
    error = refused(old.commit_transaction, PATIENCE)
    check("the older producer's commit is refused", code(error) in FENCED, error)
    committed(new, topic, [b"new"])
    strict = reader(topic)
    equal("its transaction was aborted", values(take(strict, 2, 2.0)), [b"new"])
    strict.close()
    check("the older one can begin no further one", refused(old.begin_transaction) is not None)


def zombies():
    topic, identity = create(name("zombie")), name("zombie")
    zombie = Process("zombie", identity, topic)
    equal("a process has a transaction open", zombie.line(), "open")
    zombie.process.send_signal(signal.SIGSTOP)
    heir = transactional(identity)
    committed(heir, topic, [b"heir"])
    strict = reader(topic)
    equal("its heir aborts that at once", values(take(strict, 1)), [b"heir"])
    zombie.process.send_signal(signal.SIGCONT)
    line = zombie.line()
    check("the zombie that wakes up is fenced", line.startswith("fenced "), line)
    committed(heir, topic, [b"heir again"])
    equal("and has added nothing", values(take(strict, 2, 2.0)), [b"heir again"])
    strict.close()
    zombie.kill()


def killed():
    topic, identity = create(name("killed")), name("killed")
    victim = Process("victim", identity, topic)
    equal("a process has a transaction open", victim.line(), "open")
    victim.kill()
    strict = reader(topic)
    client = transactional(name("other"))
    committed(client, topic, [b"other"])
    equal("after its death others are held back", values(take(strict, 1, 0.5)), [])
    began = time.monotonic()
    equal("until the transaction times out", values(take(strict, 1)), [b"other"])
    check("which takes about its timeout", time.monotonic() - began < 25)
    strict.close()


def timeouts():
    error = refused(transactional, name("patient"), transaction_timeout_ms=2_000_000_000)
    equal("a timeout over the broker's maximum", code(error), KafkaError.INVALID_TRANSACTION_TIMEOUT)


def play(part, identity, topic):
    client = transactional(identity, transaction_timeout_ms=3000 if part == "victim" else 60_000)
    client.begin_transaction()
    put(client, topic, [part.encode()])
    print("open", flush=True)
    if part == "victim":
        time.sleep(60)
    # The process is stopped here and goes on when another one has its name.
    time.sleep(1)
    client.produce(topic, b"late")
    error = refused(client.commit_transaction, PATIENCE)
    print("fenced" if code(error) in FENCED else "not fenced", error, flush=True)


if role():
    play(*role())
else:
    run(all_or_nothing, every_codec, interleaved, offsets, fencing, zombies, killed, timeouts)

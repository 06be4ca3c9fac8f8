"""confluent-kafka: clients that stay while the broker is killed (kill -9) and started anew, and what has survived."""
from confluent_kafka import TopicPartition

from checks import PATIENCE, equal, kill_broker, name, run
from librdkafka import consumer, create, numbers, producer, send, take, values


def read(topic, count, **extra):
    client = consumer(**extra)
    client.assign([TopicPartition(topic, 0, 0)])
    messages = take(client, count) + take(client, 1, 1.0)
    client.close()
    return values(messages)


def idempotent_producers():
    topic = create(name("idempotent"))
    client, stored = producer(enable_idempotence=True), []
    for number in range(6000):
        client.produce(topic, str(number).encode(), on_delivery=lambda error, message: stored.append(error or message.offset()))
        client.poll(0.0005)
        if number in (2000, 4000):
            kill_broker()
    equal("all is delivered", client.flush(3 * PATIENCE), 0)
    equal("acknowledged once each, in order", stored, list(range(6000)))
    equal("stored once each, in order", read(topic, 6000), numbers(6000))


def acknowledged_records():
    topic = create(name("acknowledged"))
    acknowledged = []
    client = producer(enable_idempotence=False, max_in_flight=1, message_timeout_ms=300_000)
    for number in range(3000):
        client.produce(topic, str(number).encode(),
                       on_delivery=lambda error, message: error or acknowledged.append((message.offset(), message.value())))
        client.poll(0.0005)
        if number == 1500:
            kill_broker()
    equal("all is delivered", client.flush(3 * PATIENCE), 0)
    # A producer that is not idempotent may send a record twice whose answer was lost.
    observer = consumer()
    end = observer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    observer.close()
    stored = dict(enumerate(read(topic, end)))
    lost = [pair for pair in acknowledged if stored.get(pair[0]) != pair[1]]
    equal("each is at the offset that was acknowledged", (len(acknowledged), lost), (3000, []))


def committed_offsets():
    topic, group = create(name("offsets")), name("offsets")
    send(producer(), topic, numbers(100))
    member = consumer(group)
    member.subscribe([topic])
    messages = take(member, 100)
    member.commit(messages[41], asynchronous=False)
    kill_broker()
    equal("a committed offset survives", member.committed([TopicPartition(topic, 0)], timeout=PATIENCE)[0].offset, 42)
    send(producer(), topic, [b"new"])
    equal("the member goes on", values(take(member, 1)), [b"new"])
    member.commit(asynchronous=False)
    member.close()
    heir = consumer(group)
    heir.subscribe([topic])
    equal("and what it commits counts", take(heir, 1, 2.0), [])
    heir.close()


def open_transactions():
    topic = create(name("transactions"))
    client = producer(transactional_id=name("transactions"))
    client.init_transactions(PATIENCE)
    client.begin_transaction()
    for value in numbers(10):
        client.produce(topic, value)
    client.flush(PATIENCE)
    kill_broker()
    for value in numbers(10, 10):
        client.produce(topic, value)
    client.commit_transaction(PATIENCE)
    equal("one that was open can be committed", read(topic, 20, isolation_level="read_committed"), numbers(20))
    client.begin_transaction()
    client.produce(topic, b"aborted")
    client.flush(PATIENCE)
    kill_broker()
    client.abort_transaction(PATIENCE)
    equal("and another one aborted", read(topic, 20, isolation_level="read_committed"), numbers(20))
    kill_broker()
    equal("what was committed stays so", read(topic, 20, isolation_level="read_committed"), numbers(20))


run(idempotent_producers, acknowledged_records, committed_offsets, open_transactions)

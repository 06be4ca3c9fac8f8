"""confluent-kafka: reading from offsets and times, seeking, and what a consumer does where it has no offset."""
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from checks import PATIENCE, check, equal, name, refused, run
from librdkafka import ADMIN, code, consumer, create, numbers, producer, send, take, values

FIRST = 1_700_000_000_000


def history(topic, count=100):
    """Records a second apart, in several batches."""
    client = producer(linger_ms=0)
    for number in range(count):
        client.produce(topic, str(number).encode(), timestamp=FIRST + number * 1000)
        if number % 7 == 0:
            client.flush(PATIENCE)
    client.flush(PATIENCE)


def by_offset():
    topic = create(name("by-offset"))
    history(topic)
    reader = consumer()
    for offset, expected in ((42, 42), (0, 0), (99, 99), (OFFSET_BEGINNING, 0)):
        reader.assign([TopicPartition(topic, 0, offset)])
        equal(f"from offset {offset}", values(take(reader, 1)), [str(expected).encode()])
    reader.seek(TopicPartition(topic, 0, 77))
    equal("seek", values(take(reader, 3)), numbers(3, 77))
    reader.pause([TopicPartition(topic, 0)])
    equal("a paused partition gives nothing", values(take(reader, 1, 0.5)), [])
    reader.resume([TopicPartition(topic, 0)])
    equal("resumed, it goes on", values(take(reader, 2)), numbers(2, 80))
    reader.assign([TopicPartition(topic, 0, OFFSET_END)])
    equal("nothing is at the end", values(take(reader, 1, 1.0)), [])
    send(producer(), topic, [b"new"])
    equal("what comes at the end", values(take(reader, 1)), [b"new"])
    equal("watermarks", reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10), (0, 101))
    reader.close()


def by_time():
    topic = create(name("by-time"))
    history(topic)
    reader = consumer()

    def at(time):
        return reader.offsets_for_times([TopicPartition(topic, 0, time)], timeout=10)[0].offset

    equal("the time of a record", at(FIRST + 70_000), 70)
    equal("a time between records", at(FIRST + 69_500), 70)
    equal("before all", at(1), 0)
    equal("after all", at(FIRST + 1_000_000), OFFSET_END)
    reader.assign([TopicPartition(topic, 0, at(FIRST + 33_000))])
    equal("replay from a time", values(take(reader, 2)), numbers(2, 33))
    reader.close()


def listed_offsets():
    topic = create(name("listed"))
    client = producer(linger_ms=0)
    for stamp in (5, 9, 9, 3):
        send(client, topic, [b"x"], timestamp=FIRST + stamp)

    def listed(spec):
        place = TopicPartition(topic, 0)
        found = ADMIN.list_offsets({place: spec})[place].result(PATIENCE)
        return found.offset, found.timestamp

    equal("earliest", listed(OffsetSpec.earliest())[0], 0)
    equal("latest", listed(OffsetSpec.latest())[0], 4)
    equal("the first of the greatest time", listed(OffsetSpec.max_timestamp()), (1, FIRST + 9))
    equal("at a time", listed(OffsetSpec.for_timestamp(FIRST + 6)), (1, FIRST + 9))
    empty = TopicPartition(create(name("empty")), 0)
    found = ADMIN.list_offsets({empty: OffsetSpec.max_timestamp()})[empty].result(PATIENCE)
    equal("the greatest time of nothing", found.offset, -1)


def end_of_partition():
    topic = create(name("end"))
    send(producer(), topic, numbers(3))
    reader = consumer(enable_partition_eof=True)
    reader.assign([TopicPartition(topic, 0, 0)])
    seen = []
    while len(seen) < 4:
        message = reader.poll(PATIENCE)
        check("something comes", message is not None)
        seen.append(message.error().code() if message.error() else message.value())
    equal("the end is told after the last record", seen, [*numbers(3), KafkaError._PARTITION_EOF])
    reader.close()


def out_of_range():
    topic = create(name("range"))
    send(producer(), topic, numbers(10))
    for reset, expected in (("earliest", b"0"), ("latest", b"new")):
        reader = consumer(auto_offset_reset=reset, enable_partition_eof=True)
        reader.assign([TopicPartition(topic, 0, 5000)])
        message = reader.poll(PATIENCE)
        if reset == "latest":
            check("latest: at the end", message.error() and message.error().code() == KafkaError._PARTITION_EOF)
            send(producer(), topic, [b"new"])
            message = reader.poll(PATIENCE)
        equal(f"past the end, {reset}", message.value(), expected)
        reader.close()
    reader = consumer(auto_offset_reset="error")
    reader.assign([TopicPartition(topic, 0, 5000)])
    error = refused(take, reader, 1)
    check("past the end, error", isinstance(error, KafkaException) and code(error) == KafkaError._AUTO_OFFSET_RESET, error)
    reader.close()


def deleted_records():
    topic = create(name("deleted"))
    history(topic, 20)
    deleted = ADMIN.delete_records([TopicPartition(topic, 0, 12)])
    equal("the new beginning", [f.result(PATIENCE).low_watermark for f in deleted.values()], [12])
    reader = consumer()
    equal("watermarks follow", reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10), (12, 20))
    reader.assign([TopicPartition(topic, 0, 3)])
    equal("reading goes on behind it", values(take(reader, 8)), numbers(8, 12))
    reader.close()
    everything = ADMIN.delete_records([TopicPartition(topic, 0, OFFSET_END)])
    equal("up to the end", [f.result(PATIENCE).low_watermark for f in everything.values()], [20])
    beyond = refused(list(ADMIN.delete_records([TopicPartition(topic, 0, 21)]).values())[0].result, PATIENCE)
    equal("past the end", code(beyond), KafkaError.OFFSET_OUT_OF_RANGE)
    equal("offsets go on", send(producer(), topic, [b"x"])[0].offset(), 20)


run(by_offset, by_time, listed_offsets, end_of_partition, out_of_range, deleted_records)

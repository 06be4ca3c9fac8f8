"""What the programs for confluent-kafka share: clients with the options of tests, and ways to use them."""
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from checks import BOOTSTRAP, PATIENCE

# What goes wrong is checked, not logged; librdkafka tells of each connection that a killed broker refuses, and waits for up to 10 s
# before it tries again if it is not told otherwise.
BASE = {"bootstrap.servers": BOOTSTRAP, "log_level": 2, "reconnect.backoff.max.ms": 500}
ADMIN = AdminClient(BASE)


def create(topic, partitions=1, **config):
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    ADMIN.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(PATIENCE)
    return topic


def options(**extra):
    """Options as Python names: `fetch_min_bytes=1` is `fetch.min.bytes`."""
    return {key.replace("_", "."): value for key, value in extra.items()}


def producer(**extra):
    return Producer({**BASE, "linger.ms": 5, **options(**extra)})


def consumer(group="unused", **extra):
    defaults = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500}
    if extra.get("group_protocol") == "consumer":
        del defaults["session.timeout.ms"], defaults["heartbeat.interval.ms"]
    return Consumer({**BASE, **defaults, **options(**extra)})


def send(client, topic, values, **extra):
    """Produces and waits for all; gives the reports: messages with offsets."""
    reports, errors = [], []

    def report(error, message):
        (errors if error else reports).append(error or message)

    for value in values:
        client.produce(topic, value, on_delivery=report, **extra)
        client.poll(0)
    left = client.flush(PATIENCE)
    if errors or left:
        raise KafkaException(errors[0] if errors else KafkaError(KafkaError._TIMED_OUT))
    return reports


def take(client, count, patience=PATIENCE):
    """So many messages, or as many as come in time."""
    messages, deadline = [], time.monotonic() + patience
    while len(messages) < count and time.monotonic() < deadline:
        message = client.poll(0.1)
        if message is None:
            continue
        if message.error() is None:
            messages.append(message)
        elif message.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(message.error())
    return messages


def values(messages):
    return [message.value() for message in messages]


def numbers(count, first=0):
    return [str(number).encode() for number in range(first, first + count)]


def code(error):
    """The code of an exception of confluent-kafka; None if there is none."""
    return error.args[0].code() if isinstance(error, KafkaException) else error

"""Two workers read, transform and write in transactions; they, or the broker, are killed again and again. Each input has one output.

Usage: exactly_once.py BROKER workers|broker. KILLS in the environment says how often (default 4).
"""
import os
import random
import sys
import time

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from checks import PATIENCE, Process, check, equal, kill_broker, name, role, until
from librdkafka import consumer, create, producer, take

PARTITIONS = 4
# Worker a is a static member: when it comes back it has its partitions at once. Worker b's go to a, until b is back.
WORKERS = ("a", "b")
BATCH = 50
# How often a worker repeats a step, of 5 s each, before it ends and leaves the rest to its successor.
TRIES = 6
# What a consumer's requests meet while a broker starts; librdkafka marks as retriable only what concerns transactions.
PASSING = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE,
           KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._WAIT_COORD)


def work(worker, source, sink, group):
    """What a worker does until it is killed. It ends itself where only a new start helps."""
    instance = {"group_instance_id": worker} if worker == "a" else {}
    reader = consumer(group, isolation_level="read_committed", fetch_wait_max_ms=100, **instance)
    # When all brokers are gone librdkafka begins anew with those that it was given; 2.16 may then send a group's offsets to a handle
    # that it has given up, and wait for ever.
    writer = producer(transactional_id=f"{group}-{worker}", transaction_timeout_ms=20_000, metadata_recovery_strategy="none")
    retried(writer.init_transactions)
    reader.subscribe([source])
    works = False
    while True:
        messages = reader.consume(BATCH, 0.1)
        if any(message.error() and message.error().fatal() for message in messages):
            sys.exit("worker: its place in the group is another's")
        messages = [message for message in messages if message.error() is None]
        if not messages:
            continue
        try:
            transform(reader, writer, sink, messages)
        except KafkaException as error:
            start_over(reader, writer, error)
            continue
        if not works:
            works = True
            print("works", flush=True)


def transform(reader, writer, sink, messages):
    writer.begin_transaction()
    for message in messages:
        writer.produce(sink, message.value() + b"'", message.key(), partition=message.partition())
        writer.poll(0)
    ends = {}
    for message in messages:
        ends[message.partition()] = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
    retried(writer.send_offsets_to_transaction, list(ends.values()), reader.consumer_group_metadata())
    retried(writer.commit_transaction)


def retried(step, *arguments):
    """Repeats what fails only for now, for a while; the last argument of all steps is a timeout."""
    for _ in range(TRIES):
        try:
            return step(*arguments, 5)
        except KafkaException as error:
            if not error.args[0].retriable() and error.args[0].code() not in PASSING:
                raise
    sys.exit(f"worker: {step.__name__} fails for too long")


def start_over(reader, writer, error):
    """Aborts, and goes back to what is committed. Where that cannot be done the worker ends, and is started anew."""
    if not error.args[0].txn_requires_abort():
        sys.exit(f"worker: {error}")
    retried(writer.abort_transaction)
    for place in retried(reader.committed, reader.assignment()):
        start = place.offset if place.offset >= 0 else 0
        try:
            reader.seek(TopicPartition(place.topic, place.partition, start))
        except KafkaException as error:
            # A rebalance took the partition meanwhile: its new owner asks for what is committed.
            if error.args[0].code() not in (KafkaError._STATE, KafkaError._UNKNOWN_PARTITION):
                raise


class Campaign:
    """The workers, and what they are fed with."""

    def __init__(self, victim):
        self.victim, self.fed, self.lost = victim, 0, []
        self.source, self.sink, self.group = create(name("source"), PARTITIONS), create(name("sink"), PARTITIONS), name("workers")
        self.feeder = producer(enable_idempotence=True, message_timeout_ms=300_000)
        self.workers = {worker: self.start(worker) for worker in WORKERS}

    def start(self, worker):
        return Process("work", worker, self.source, self.sink, self.group)

    def feed(self, seconds):
        """A few hundred records a second for a while; the partition, and with it the order, goes by the number."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(10):
                self.feeder.produce(self.source, str(self.fed).encode(), b"key", partition=self.fed % PARTITIONS,
                                    on_delivery=lambda error, _: error and self.lost.append(error))
                self.fed += 1
            self.feeder.poll(0.02)
            self.revive()

    def revive(self):
        for worker, process in self.workers.items():
            if process.process.poll() is not None:
                process.kill()
                self.workers[worker] = self.start(worker)

    def kill(self, round_number):
        """Kills while there is work under way: some time after the victim has committed a first transaction."""
        worker = WORKERS[round_number % len(WORKERS)]
        until(lambda: self.feed(0.2) or self.workers[worker].has_line())
        self.feed(random.uniform(0.0, 1.0))
        if self.victim == "broker":
            kill_broker()
        else:
            self.workers[worker].kill()
            print(f"ok worker {worker} was killed", flush=True)

    def finish(self):
        """Lets the workers work off the rest; gives what they have written, by partition."""
        check("all that was fed is stored", self.feeder.flush(PATIENCE) == 0 and not self.lost, self.lost)
        places = [TopicPartition(self.source, partition) for partition in range(PARTITIONS)]
        observer = consumer(self.group, isolation_level="read_committed")

        def done():
            self.revive()
            committed = {place.partition: place.offset for place in retried(observer.committed, places)}
            return all(committed[p] == observer.get_watermark_offsets(TopicPartition(self.source, p), timeout=10)[1] for p in committed)

        check("all is worked off", until(done, patience=180, pause=0.5))
        for process in self.workers.values():
            process.kill()
        observer.assign([TopicPartition(self.sink, partition, 0) for partition in range(PARTITIONS)])
        written = {partition: [] for partition in range(PARTITIONS)}
        for message in take(observer, self.fed) + take(observer, 1, 1.0):
            written[message.partition()].append(message.value())
        observer.close()
        return written


def run_campaign(victim):
    kills = int(os.environ.get("KILLS", "4"))
    campaign = Campaign(victim)
    campaign.feed(1.0)
    for number in range(kills):
        campaign.kill(number)
    campaign.feed(0.5)
    written = campaign.finish()
    for partition, values in written.items():
        expected = [f"{number}'".encode() for number in range(partition, campaign.fed, PARTITIONS)]
        equal(f"partition {partition}: {len(expected)} records once each, in order", (len(values), values == expected),
              (len(expected), True))
    print(f"{kills} kills of {victim}: {campaign.fed} records, each exactly once", flush=True)


if role()[0] == "work":
    work(*role()[1:])
else:
    run_campaign(role()[0])

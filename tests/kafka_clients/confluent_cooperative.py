"""confluent-kafka: cooperative rebalances, in which members keep what stays theirs and go on reading."""
from confluent_kafka import TopicPartition

from checks import Process, equal, name, role, run, until
from librdkafka import consumer, create, numbers, producer, send

PARTITIONS = 6


class Member:
    """A cooperative consumer that writes down what is given to it and taken away."""

    def __init__(self, group, topic, **extra):
        self.given, self.taken, self.lost, self.read = [], [], [], []
        self.client = consumer(group, partition_assignment_strategy="cooperative-sticky", **extra)
        self.client.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)

    def on_assign(self, client, places):
        self.given += [place.partition for place in places]
        client.incremental_assign([TopicPartition(place.topic, place.partition, 0) for place in places])

    def on_revoke(self, client, places):
        self.taken += [place.partition for place in places]
        client.incremental_unassign(places)

    def on_lost(self, client, places):
        self.lost += [place.partition for place in places]
        client.incremental_unassign(places)

    def owned(self):
        message = self.client.poll(0.05)
        if message is not None and message.error() is None:
            self.read.append(message.value())
        return sorted(place.partition for place in self.client.assignment())

    def forget(self):
        self.given, self.taken, self.lost, self.read = [], [], [], []


def settle(members, sizes):
    until(lambda: sorted(len(member.owned()) for member in members) == sorted(sizes), pause=0)
    parts = [member.owned() for member in members]
    equal(f"{sizes}: each partition has one owner", sorted(sum(parts, [])), list(range(PARTITIONS)))
    return parts


def members_keep_what_stays_theirs():
    topic, group = create(name("cooperative"), PARTITIONS), name("cooperative")
    one = Member(group, topic)
    settle([one], [6])
    one.forget()
    two = Member(group, topic)
    settle([one, two], [3, 3])
    equal("only what goes over is taken away", (len(one.taken), one.given), (3, []))
    equal("and that is what the other gets", sorted(two.given), sorted(one.taken))
    one.forget()
    two.forget()
    three = Member(group, topic)
    settle([one, two, three], [2, 2, 2])
    equal("each gives one", (len(one.taken), len(two.taken), one.given + two.given), (1, 1, []))
    one.forget()
    two.forget()
    three.client.close()
    settle([one, two], [3, 3])
    equal("when one leaves nothing is taken from the others", (one.taken, two.taken), ([], []))
    equal("nothing was lost", one.lost + two.lost, [])
    for member in (one, two):
        member.client.close()


def reading_goes_on():
    topic, group = create(name("going-on"), PARTITIONS), name("going-on")
    feeder = producer()
    one = Member(group, topic)
    settle([one], [6])
    two = Member(group, topic)
    sent = 0
    while not one.taken or len(two.owned()) < 3:
        sent += 1
        send(feeder, topic, numbers(1, sent), partition=sent % PARTITIONS)
        one.owned()
    settle([one, two], [3, 3])
    until(lambda: [one.owned(), two.owned()] and set(one.read + two.read) == set(numbers(sent, 1)), pause=0)
    equal("all that was sent meanwhile is read", sorted(set(one.read + two.read)), sorted(numbers(sent, 1)))
    for member in (one, two):
        member.client.close()


def crashes():
    topic, group = create(name("crash"), PARTITIONS), name("crash")
    one = Member(group, topic)
    settle([one], [6])
    victim = Process("member", group, topic)
    until(lambda: len(one.owned()) == 3, pause=0)
    equal("a process takes half", victim.line(), "owns 3")
    kept = one.owned()
    one.forget()
    victim.kill()
    settle([one], [6])
    equal("after its death its part comes back", sorted(one.given + kept), list(range(PARTITIONS)))
    equal("and nothing else moves", one.taken, [])
    one.client.close()


def play_member(group, topic):
    member = Member(group, topic)
    until(lambda: len(member.owned()) == 3, pause=0)
    print("owns", len(member.owned()), flush=True)
    while True:
        member.owned()


if role():
    play_member(*role()[1:])
else:
    run(members_keep_what_stays_theirs, reading_goes_on, crashes)

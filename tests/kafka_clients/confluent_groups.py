"""confluent-kafka: groups of the classic protocol: members that join, leave and are killed, and what they have committed."""
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from checks import Process, check, equal, name, refused, role, run, until
from librdkafka import code, consumer, create, numbers, producer, send, take, values


def owned(member):
    """The partitions that a member owns; it takes part in the group's business meanwhile."""
    member.poll(0.05)
    return {place.partition for place in member.assignment()}


def settle(members, sizes):
    """Polls all members until they own so many partitions; gives what each owns."""
    until(lambda: sorted(len(owned(member)) for member in members) == sorted(sizes), pause=0)
    return [owned(member) for member in members]


def filled(base, partitions, count):
    topic = create(name(base), partitions)
    for partition in range(partitions):
        send(producer(), topic, numbers(count), partition=partition)
    return topic


def joins_and_leaves():
    topic, group = create(name("joins"), 6), name("joins")
    members = []
    for sizes in ([6], [3, 3], [2, 2, 2]):
        members.append(consumer(group))
        members[-1].subscribe([topic])
        parts = settle(members, sizes)
        equal(f"{len(members)} members: each partition has one owner", sorted(sum(map(list, parts), [])), list(range(6)))
    for sizes in ([3, 3], [6]):
        members.pop(0).close()
        parts = settle(members, sizes)
        equal(f"{len(members)} remain: each partition has one owner", sorted(sum(map(list, parts), [])), list(range(6)))
    members[0].close()


def strategies():
    topic = create(name("strategy"), 4)
    for strategy in ("range", "roundrobin"):
        group = name(strategy)
        members = [consumer(group, partition_assignment_strategy=strategy) for _ in range(2)]
        for member in members:
            member.subscribe([topic])
        parts = settle(members, [2, 2])
        expected = [{0, 1}, {2, 3}] if strategy == "range" else [{0, 2}, {1, 3}]
        equal(strategy, sorted(parts, key=min), expected)
        odd = consumer(group, partition_assignment_strategy="cooperative-sticky")
        odd.subscribe([topic])
        errors = []
        until(lambda: not errors and refused(take, odd, 1, 0.2) and errors.append(1) or errors, patience=10)
        check(f"{strategy}: a member that knows no common strategy is refused", errors)
        odd.close()
        for member in members:
            member.close()


def manual_commits():
    topic, group = filled("manual", 1, 20), name("manual")
    place = TopicPartition(topic, 0)
    first = consumer(group)
    equal("nothing is committed at first", first.committed([place], timeout=10)[0].offset, -1001)
    first.subscribe([topic])
    messages = take(first, 10)
    equal("a message is committed", first.commit(messages[4], asynchronous=False)[0].offset, 5)
    committed = first.commit(offsets=[TopicPartition(topic, 0, 7, "words of ours")], asynchronous=False)
    check("offsets are committed", committed[0].error is None)
    found = first.committed([place], timeout=10)[0]
    equal("offset and metadata come back", (found.offset, found.metadata), (7, "words of ours"))
    first.close()
    second = consumer(group)
    second.subscribe([topic])
    equal("the next member starts there", values(take(second, 13)), numbers(13, 7))
    second.commit(asynchronous=True)
    second.commit(asynchronous=False)
    equal("the position is committed", second.committed([place], timeout=10)[0].offset, 20)
    second.close()


def automatic_commits():
    topic, group = filled("automatic", 1, 20), name("automatic")
    first = consumer(group, enable_auto_commit=True, auto_commit_interval_ms=200, enable_auto_offset_store=False)
    first.subscribe([topic])
    messages = take(first, 20)
    first.store_offsets(messages[11])
    found = until(lambda: first.poll(0.1) or first.committed([TopicPartition(topic, 0)], timeout=10)[0].offset == 12)
    check("what was stored is committed in time", found)
    first.store_offsets(messages[14])
    first.close()
    second = consumer(group, enable_auto_commit=True)
    second.subscribe([topic])
    equal("closing commits, too", values(take(second, 5)), numbers(5, 15))
    second.close()
    third = consumer(group)
    equal("all is read", third.committed([TopicPartition(topic, 0)], timeout=10)[0].offset, 20)
    third.close()


def crashes():
    topic, group = filled("crash", 4, 50), name("crash")
    victim = Process("member", group, topic)
    equal("the victim owns all", victim.line(), "owns 4")
    equal("and has committed", victim.line(), "committed")
    victim.kill()
    heir = consumer(group)
    heir.subscribe([topic])
    equal("after the session timeout the heir goes on where the victim stopped", len(take(heir, 160)), 160)
    check("and reads no record twice", not take(heir, 1, 0.5))
    offsets = [place.offset for place in heir.committed([TopicPartition(topic, p) for p in range(4)], timeout=10)]
    equal("what the victim committed stays", offsets, [10, 10, 10, 10])
    heir.close()


def static_members():
    topic, group = create(name("static"), 4), name("static")
    rebalances = []

    def member(instance):
        one = consumer(group, group_instance_id=instance, session_timeout_ms=10_000)
        one.subscribe([topic], on_revoke=lambda *_: rebalances.append(instance))
        return one

    members = [member("a"), member("b")]
    before = settle(members, [2, 2])
    del rebalances[:]
    members[1].close()
    del rebalances[:]
    members[1] = member("b")
    after = settle(members, [2, 2])
    equal("a static member comes back to what it had", after, before)
    equal("and nobody else noticed", [who for who in rebalances if who == "a"], [])
    rival = member("b")
    fatal = []

    def fenced():
        rival.poll(0.05)
        members[0].poll(0.05)
        error = refused(take, members[1], 1, 0.05)
        if isinstance(error, KafkaException):
            fatal.append(code(error))
        return fatal

    check("a second holder of the name fences the first", until(fenced, pause=0))
    check("which is told so", fatal[0] in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID), fatal)
    for one in (*members, rival):
        one.close()


def strangers():
    topic = create(name("stranger"), 1)
    loner = consumer(name("loner"))
    loner.assign([TopicPartition(topic, 0, 0)])
    loner.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    equal("a consumer that never joined may commit", loner.committed([TopicPartition(topic, 0)], timeout=10)[0].offset, 3)
    loner.close()
    group = name("busy")
    member = consumer(group)
    member.subscribe([topic])
    settle([member], [1])
    outsider = consumer(group)
    error = refused(outsider.commit, offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    equal("nobody commits beside the members of a group", code(error), KafkaError.UNKNOWN_MEMBER_ID)
    outsider.close()
    member.close()


def play_member(group, topic):
    """Reads ten records of each partition, commits them, and waits to be killed."""
    one = consumer(group)
    one.subscribe([topic])
    until(lambda: len(owned(one)) == 4, pause=0)
    print("owns", len(one.assignment()), flush=True)
    one.commit(offsets=[TopicPartition(topic, partition, 10) for partition in range(4)], asynchronous=False)
    print("committed", flush=True)
    while True:
        one.poll(1)


if role():
    play_member(*role()[1:])
else:
    run(joins_and_leaves, strategies, manual_commits, automatic_commits, crashes, static_members, strangers)

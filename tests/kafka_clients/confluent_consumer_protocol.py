"""confluent-kafka: groups whose partitions the broker assigns (KIP-848, `group.protocol=consumer`)."""
from confluent_kafka import ConsumerGroupState, ConsumerGroupType, KafkaError, TopicPartition
from confluent_kafka.admin import NewPartitions

from checks import PATIENCE, Process, check, equal, name, refused, role, run, until
from librdkafka import ADMIN, code, consumer, create, numbers, producer, send, take, values


def member(group, topics, **extra):
    one = consumer(group, group_protocol="consumer", **extra)
    one.subscribe(topics)
    return one


def owned(one):
    one.poll(0.05)
    return {(place.topic, place.partition) for place in one.assignment()}


def settle(members, sizes, total):
    until(lambda: sorted(len(owned(one)) for one in members) == sorted(sizes), pause=0)
    parts = [owned(one) for one in members]
    equal(f"{sizes}: each partition has one owner", (len(set().union(*parts)), sum(map(len, parts))), (total, total))
    return parts


def joins_and_leaves():
    topic, group = create(name("joins"), 6), name("joins")
    members = [member(group, [topic])]
    before = settle(members, [6], 6)
    members.append(member(group, [topic]))
    after = settle(members, [3, 3], 6)
    check("the first keeps part of what it had", after[0] < before[0])
    members.append(member(group, [topic]))
    settle(members, [2, 2, 2], 6)
    described = ADMIN.describe_consumer_groups([group])[group].result(PATIENCE)
    equal("described", (described.state, described.type, len(described.members)),
          (ConsumerGroupState.STABLE, ConsumerGroupType.CONSUMER, 3))
    members.pop(0).close()
    settle(members, [3, 3], 6)
    members.pop(0).close()
    settle(members, [6], 6)
    members.pop().close()
    described = ADMIN.describe_consumer_groups([group])[group].result(PATIENCE)
    equal("empty in the end", (described.state, described.members), (ConsumerGroupState.EMPTY, []))


def commits():
    topic, group = create(name("commits")), name("commits")
    send(producer(), topic, numbers(20))
    first = member(group, [topic])
    messages = take(first, 20)
    equal("all is read", values(messages), numbers(20))
    first.commit(messages[11], asynchronous=False)
    first.close()
    second = member(group, [topic], enable_auto_commit=True, auto_commit_interval_ms=100)
    equal("the next goes on there", values(take(second, 8)), numbers(8, 12))
    second.close()
    third = member(group, [topic])
    check("automatic commits", until(lambda: len(owned(third)) == 1))
    equal("all is committed", third.committed([TopicPartition(topic, 0)], timeout=10)[0].offset, 20)
    outsider = consumer(group)
    error = refused(outsider.commit, offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    equal("nobody commits beside the members", code(error), KafkaError.UNKNOWN_MEMBER_ID)
    outsider.close()
    third.close()


def assignors():
    topics = [create(name("assign-a"), 3), create(name("assign-b"), 3)]
    for assignor, expected in (("uniform", [3, 3]), ("range", [2, 4])):
        group = name(assignor)
        members = [member(group, topics, group_remote_assignor=assignor) for _ in range(2)]
        settle(members, expected, 6)
        for one in members:
            one.close()
    error = refused(take, member(name("none"), topics, group_remote_assignor="no-such"), 1)
    check("an unknown assignor is refused", code(error) in (KafkaError.UNSUPPORTED_ASSIGNOR, KafkaError._FATAL), error)


def growing_topics():
    topic, group = create(name("grows"), 2), name("grows")
    one = member(group, [topic], topic_metadata_refresh_interval_ms=500)
    settle([one], [2], 2)
    ADMIN.create_partitions([NewPartitions(topic, 5)])[topic].result(PATIENCE)
    settle([one], [5], 5)
    one.close()


def patterns():
    group = name("patterns")
    topics = [create(name("pattern-a")), create(name("pattern-b"))]
    create(name("no-pattern-c"))
    one = member(group, [f"^pattern-.*{topics[0][-8:]}$"])
    check("a pattern finds its topics", until(lambda: len(owned(one)) == 2))
    topics.append(create(name("pattern-late")))
    check("and later ones", until(lambda: {topic for topic, _ in owned(one)} == set(topics)))
    one.close()


def static_members():
    topic, group = create(name("static"), 4), name("static")
    members = [member(group, [topic], group_instance_id=instance) for instance in ("a", "b")]
    before = settle(members, [2, 2], 4)
    rival = member(group, [topic], group_instance_id="b")
    error = refused(take, rival, 1)
    check("a second holder of the name is refused", code(error) in (KafkaError.UNRELEASED_INSTANCE_ID, KafkaError._FATAL), error)
    rival.close()
    members[1].close()
    members[1] = member(group, [topic], group_instance_id="b")
    equal("a static member comes back to what it had", settle(members, [2, 2], 4), before)
    for one in members:
        one.close()


def crashes():
    topic, group = create(name("crash"), 4), name("crash")
    one = member(group, [topic])
    settle([one], [4], 4)
    victim = Process("member", group, topic)
    until(lambda: len(owned(one)) == 2, pause=0)
    equal("a process takes half", victim.line(), "owns 2")
    victim.kill()
    until(lambda: len(owned(one)) == 4, patience=90, pause=0)
    settle([one], [4], 4)
    one.close()


def play_member(group, topic):
    one = member(group, [topic])
    until(lambda: len(owned(one)) == 2, pause=0)
    print("owns", len(owned(one)), flush=True)
    while True:
        one.poll(1)


if role():
    play_member(*role()[1:])
else:
    run(joins_and_leaves, commits, assignors, growing_topics, patterns, static_members, crashes)

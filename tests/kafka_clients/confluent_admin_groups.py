"""confluent-kafka: groups as an administrator sees them: lists, descriptions, offsets, deletion."""
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, TopicPartition

from checks import PATIENCE, becomes, check, equal, name, refused, run, until
from librdkafka import ADMIN, code, consumer, create, numbers, producer, send, take, values


def used(base, read=6):
    """A group that has read and committed part of a topic of ten records, and is empty."""
    topic, group = create(name(base)), name(base)
    send(producer(), topic, numbers(10))
    member = consumer(group)
    member.subscribe([topic])
    messages = take(member, read)
    member.commit(messages[-1], asynchronous=False)
    member.close()
    return topic, group


def listed(**filters):
    result = ADMIN.list_consumer_groups(request_timeout=10, **filters).result(PATIENCE)
    return {group.group_id: group.state for group in result.valid}


def described(group):
    return ADMIN.describe_consumer_groups([group], request_timeout=10)[group].result(PATIENCE)


def offset(group, topic):
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    return ADMIN.list_consumer_group_offsets([asked])[group].result(PATIENCE).topic_partitions[0].offset


def alter(group, topic, to):
    changed = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, to)])
    place = ADMIN.alter_consumer_group_offsets([changed])[group].result(PATIENCE).topic_partitions[0]
    return place.error and place.error.code()


def lists_and_descriptions():
    topic, group = used("seen")
    equal("an empty group is listed", listed().get(group), ConsumerGroupState.EMPTY)
    check("by its state", group in listed(states={ConsumerGroupState.EMPTY}))
    check("and not by another", group not in listed(states={ConsumerGroupState.STABLE}))
    member = consumer(group, client_id="the-member")
    member.subscribe([topic])
    take(member, 4)
    equal("with a member it is stable", listed().get(group), ConsumerGroupState.STABLE)
    seen = described(group)
    equal("the description", (seen.state, seen.partition_assignor, len(seen.members)), (ConsumerGroupState.STABLE, "range", 1))
    one = seen.members[0]
    equal("its member", (one.client_id, [(p.topic, p.partition) for p in one.assignment.topic_partitions]), ("the-member", [(topic, 0)]))
    check("where it is", one.host.strip("/").startswith("127.0.0.1") and one.member_id, (one.host, one.member_id))
    check("its coordinator", seen.coordinator.port > 0)
    member.close()
    equal("without it it is empty", described(group).state, ConsumerGroupState.EMPTY)


def resets():
    topic, group = used("reset")
    equal("what is committed", offset(group, topic), 6)
    equal("a reset", (alter(group, topic, 2), offset(group, topic)), (None, 2))
    member = consumer(group)
    member.subscribe([topic])
    equal("the group starts there", values(take(member, 8)), numbers(8, 2))
    equal("a group with members refuses", alter(group, topic, 5), KafkaError.UNKNOWN_MEMBER_ID)
    equal("and keeps what it had", offset(group, topic), 2)
    member.close()
    whole = ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE)
    equal("all offsets of a group", [(p.topic, p.partition, p.offset) for p in whole.topic_partitions], [(topic, 0, 2)])
    equal("a group that is not there has none", offset(name("nobody"), topic), -1001)


def deletions():
    topic, group = used("gone")
    member = consumer(group)
    member.subscribe([topic])
    take(member, 1)
    error = refused(ADMIN.delete_consumer_groups([group])[group].result, PATIENCE)
    equal("a group with members is not deleted", code(error), KafkaError.NON_EMPTY_GROUP)
    member.close()
    ADMIN.delete_consumer_groups([group])[group].result(PATIENCE)
    check("an empty one is", group not in listed())
    equal("with its offsets", offset(group, topic), -1001)
    error = refused(ADMIN.delete_consumer_groups([group])[group].result, PATIENCE)
    equal("there is nothing more to delete", code(error), KafkaError.GROUP_ID_NOT_FOUND)


def deleted_topics():
    topic, group = used("topicless")
    ADMIN.delete_topics([topic])[topic].result(PATIENCE)
    until(lambda: topic not in ADMIN.list_topics(timeout=10).topics)
    create(topic)
    becomes("committed offsets go with their topic", lambda: offset(group, topic), -1001)


run(lists_and_descriptions, resets, deletions, deleted_topics)

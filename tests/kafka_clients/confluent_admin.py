"""confluent-kafka: topics, partitions, configurations and the cluster, as an administrator sees and changes them."""
from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions,
                                   NewTopic)

from checks import PATIENCE, becomes, check, equal, name, refused, run, until
from librdkafka import ADMIN, code, create, numbers, producer, send

TOPIC = ConfigResource.Type.TOPIC


def configuration(kind, resource):
    resource = ConfigResource(kind, resource)
    return ADMIN.describe_configs([resource])[resource].result(PATIENCE)


def setting(topic, key):
    entry = configuration(TOPIC, topic)[key]
    return entry.value, ConfigSource(entry.source), entry.is_default


def listed(topic):
    return topic in ADMIN.list_topics(timeout=10).topics


def topics():
    names = [name("one"), name("two"), name("three")]
    futures = ADMIN.create_topics([NewTopic(topic, number + 1, 1) for number, topic in enumerate(names)])
    equal("three at once", [futures[topic].result(PATIENCE) for topic in names], [None] * 3)
    check("all are listed", until(lambda: all(listed(topic) for topic in names)))
    described = ADMIN.describe_topics(TopicCollection(names))
    descriptions = [described[topic].result(PATIENCE) for topic in names]
    equal("partitions", [len(topic.partitions) for topic in descriptions], [1, 2, 3])
    check("each has an id of its own", len({str(topic.topic_id) for topic in descriptions}) == 3)
    check("each partition has a leader", all(p.leader and p.replicas and p.isr for topic in descriptions for p in topic.partitions))
    first = str(descriptions[0].topic_id)
    equal("deleted", ADMIN.delete_topics(names[:1])[names[0]].result(PATIENCE), None)
    check("and no longer listed", until(lambda: not listed(names[0])))
    create(names[0])
    again = ADMIN.describe_topics(TopicCollection(names[:1]))[names[0]].result(PATIENCE)
    check("created again, it has a new id", str(again.topic_id) != first)
    equal("and is empty", send(producer(), names[0], [b"x"])[0].offset(), 0)


def only_validated():
    topic = name("validated")
    ADMIN.create_topics([NewTopic(topic, 1, 1)], validate_only=True)[topic].result(PATIENCE)
    check("a topic that is only validated is not made", not listed(topic))
    create(topic)
    ADMIN.create_partitions([NewPartitions(topic, 4)], validate_only=True)[topic].result(PATIENCE)
    equal("nor are its partitions", len(ADMIN.list_topics(topic, timeout=10).topics[topic].partitions), 1)
    entry = ConfigEntry("retention.ms", "5000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(TOPIC, topic, incremental_configs=[entry])
    ADMIN.incremental_alter_configs([resource], validate_only=True)[resource].result(PATIENCE)
    equal("nor its configuration", setting(topic, "retention.ms")[0], "604800000")


def partitions():
    topic = create(name("grows"), 2)
    send(producer(), topic, numbers(5), partition=1)
    ADMIN.create_partitions([NewPartitions(topic, 5)])[topic].result(PATIENCE)
    check("five partitions", until(lambda: len(ADMIN.list_topics(topic, timeout=10).topics[topic].partitions) == 5))
    equal("a new one takes records", send(producer(), topic, [b"x"], partition=4)[0].offset(), 0)
    equal("an old one goes on", send(producer(), topic, [b"x"], partition=1)[0].offset(), 5)


def described_configurations():
    topic = create(name("described"), retention_ms=3_600_000, cleanup_policy="compact")
    equal("what was given", setting(topic, "retention.ms"), ("3600000", ConfigSource.DYNAMIC_TOPIC_CONFIG, False))
    equal("cleanup.policy", setting(topic, "cleanup.policy")[0], "compact")
    value, source, is_default = setting(topic, "segment.bytes")
    check("a default", is_default and int(value) > 0 and source != ConfigSource.DYNAMIC_TOPIC_CONFIG, (value, source, is_default))
    keys = configuration(TOPIC, topic)
    expected = {"cleanup.policy", "compression.type", "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms",
                "index.interval.bytes", "max.compaction.lag.ms", "max.message.bytes", "message.timestamp.after.max.ms",
                "message.timestamp.before.max.ms", "message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms",
                "min.insync.replicas", "preallocate", "retention.bytes", "retention.ms", "segment.bytes", "segment.index.bytes",
                "segment.jitter.ms", "segment.ms", "unclean.leader.election.enable"}
    equal("every key of Kafka is told", expected - set(keys), set())
    broker = str(next(iter(ADMIN.list_topics(timeout=10).brokers)))
    check("a broker has a configuration", len(configuration(ConfigResource.Type.BROKER, broker)) > 0)


def altered_configurations():
    default = setting(create(name("unaltered")), "max.message.bytes")[0]
    topic = create(name("altered"), retention_ms=1000, max_message_bytes=5000)

    def change(key, value, operation):
        entry = ConfigEntry(key, value, incremental_operation=operation)
        resource = ConfigResource(TOPIC, topic, incremental_configs=[entry])
        ADMIN.incremental_alter_configs([resource])[resource].result(PATIENCE)

    def settings(*keys):
        return [setting(topic, key)[0] for key in keys]

    change("retention.ms", "2000", AlterConfigOpType.SET)
    becomes("set", lambda: settings("retention.ms", "max.message.bytes"), ["2000", "5000"])
    change("retention.ms", None, AlterConfigOpType.DELETE)
    becomes("deleted, it is the default", lambda: setting(topic, "retention.ms")[::2], ("604800000", True))
    change("cleanup.policy", "compact", AlterConfigOpType.APPEND)
    becomes("appended", lambda: set(settings("cleanup.policy")[0].split(",")), {"compact", "delete"})
    change("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT)
    becomes("subtracted", lambda: settings("cleanup.policy"), ["compact"])
    resource = ConfigResource(TOPIC, topic, set_config={"retention.ms": "7000"})
    ADMIN.alter_configs([resource])[resource].result(PATIENCE)
    becomes("AlterConfigs resets what it does not name", lambda: settings("retention.ms", "max.message.bytes", "cleanup.policy"),
            ["7000", default, "delete"])


def effective_configurations():
    topic = create(name("effective"))
    entry = ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(TOPIC, topic, incremental_configs=[entry])
    send(producer(), topic, [b"x" * 5000])
    ADMIN.incremental_alter_configs([resource])[resource].result(PATIENCE)
    becomes("a changed max.message.bytes acts", lambda: code(refused(send, producer(), topic, [b"x" * 5000])),
            KafkaError.MSG_SIZE_TOO_LARGE)


def cluster():
    described = ADMIN.describe_cluster().result(PATIENCE)
    check("it has an id of 22 characters", len(described.cluster_id) == 22, described.cluster_id)
    metadata = ADMIN.list_topics(timeout=10)
    equal("metadata tells the same", (metadata.cluster_id, metadata.controller_id), (described.cluster_id, described.controller.id))
    equal("the same brokers", {node.id for node in described.nodes}, set(metadata.brokers))
    check("the controller is one of them", described.controller.id in metadata.brokers)


run(topics, only_validated, partitions, described_configurations, altered_configurations, effective_configurations, cluster)

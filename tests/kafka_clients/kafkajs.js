// kafkajs: records, groups, transactions and administration through the client that Node's users have.
// It prints `ok NAME` for each check that holds, and ends at the first that does not.
"use strict";
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require("kafkajs");
const snappy = require("kafkajs-snappy");
const lz4 = require("lz4-napi");
const zstd = require("@bokuweb/zstd-wasm");
const { isDeepStrictEqual } = require("node:util");
const { randomBytes } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");

const PATIENCE_MS = 40_000;
const run = randomBytes(4).toString("hex");
const kafka = new Kafka({
  clientId: "tests", brokers: [process.argv[2]], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 10 },
});
const admin = kafka.admin();
// What must be closed before the program can end.
const open = [];

CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});

const name = (base) => `${base}-${run}`;
const numbers = (count, first = 0) => Array.from({ length: count }, (_, k) => String(first + k));
const values = (messages) => messages.map((message) => message.value && message.value.toString());

function check(label, holds, detail) {
  if (!holds) throw new Error(`FAILED ${label}: ${JSON.stringify(detail)}`);
  console.log("ok", label);
}

function equal(label, seen, expected) {
  check(label, isDeepStrictEqual(seen, expected), { seen, expected });
}

async function until(condition, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  while (!(await condition()) && Date.now() < deadline) await sleep(50);
}

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return null;
}

async function create(topic, numPartitions = 1, config = {}) {
  const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value: String(value) }));
  await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: true });
  return topic;
}

async function producer(options = {}) {
  const client = kafka.producer(options);
  await client.connect();
  open.push(client);
  return client;
}

// A running consumer; what it reads gathers in `messages`.
async function consumer(topic, groupId, options = {}, running = {}) {
  const client = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 200, ...options });
  const reader = { client, messages: [], assigned: 0 };
  client.on(client.events.GROUP_JOIN, ({ payload }) => {
    reader.assigned = (payload.memberAssignment[topic] || []).length;
  });
  await client.connect();
  open.push(client);
  await client.subscribe({ topics: [topic], fromBeginning: true });
  await client.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => reader.messages.push({ partition, ...message }),
    ...running,
  });
  return reader;
}

async function stop(client) {
  open.splice(open.indexOf(client), 1);
  await client.disconnect();
}

async function recordsWithEveryCodec() {
  const client = await producer();
  const headers = { a: Buffer.from("1"), b: Buffer.from("2") };
  for (const [codec, compression] of Object.entries(CompressionTypes)) {
    const topic = await create(name(`codec-${codec}`));
    const timestamp = "1700000000000";
    const messages = numbers(300).map((value) => ({ key: "key", value, headers, timestamp }));
    const [stored] = await client.send({ topic, compression, messages });
    equal(`${codec}: the first offset`, stored.baseOffset, "0");
    const reader = await consumer(topic, name(`codec-${codec}`));
    await until(() => reader.messages.length >= 300);
    equal(`${codec}: values`, values(reader.messages), numbers(300));
    const last = reader.messages[299];
    equal(`${codec}: the rest`, [last.key.toString(), last.headers, last.timestamp, last.offset], ["key", headers, timestamp, "299"]);
    await stop(reader.client);
  }
  const topic = await create(name("nulls"));
  await client.send({ topic, messages: [{ key: "key", value: null }, { value: "" }] });
  const reader = await consumer(topic, name("nulls"));
  await until(() => reader.messages.length >= 2);
  equal("nulls", reader.messages.map((m) => [m.key && m.key.toString(), m.value && m.value.toString()]), [["key", null], [null, ""]]);
  await stop(reader.client);
}

async function replay() {
  const topic = await create(name("replay"));
  const client = await producer();
  for (let n = 0; n < 30; n++) {
    await client.send({ topic, messages: [{ value: String(n), timestamp: String(1_700_000_000_000 + n * 1000) }] });
  }
  equal("offsets for a time", await admin.fetchTopicOffsetsByTimestamp(topic, 1_700_000_009_500), [{ partition: 0, offset: "10" }]);
  equal("beginning and end", await admin.fetchTopicOffsets(topic), [{ partition: 0, offset: "30", high: "30", low: "0" }]);
  const reader = await consumer(topic, name("replay"));
  await until(() => reader.messages.length >= 30);
  reader.messages.length = 0;
  reader.client.seek({ topic, partition: 0, offset: "17" });
  await until(() => reader.messages.length >= 13);
  equal("from an offset", values(reader.messages), numbers(13, 17));
  await stop(reader.client);
}

async function groups() {
  const topic = await create(name("groups"), 4);
  const group = name("groups");
  const client = await producer();
  const messages = [0, 1, 2, 3].flatMap((partition) => numbers(10).map((value) => ({ partition, value })));
  await client.send({ topic, messages });
  const one = await consumer(topic, group);
  await until(() => one.messages.length >= 40);
  equal("a group of one reads all", one.messages.length, 40);
  await one.client.commitOffsets([0, 1, 2, 3].map((partition) => ({ topic, partition, offset: String(partition), metadata: "note" })));
  const two = await consumer(topic, group);
  await until(() => one.assigned === 2 && two.assigned === 2);
  equal("two share", [one.assigned, two.assigned], [2, 2]);
  await stop(one.client);
  await until(() => two.assigned === 4);
  equal("one is left with all", two.assigned, 4);
  await until(() => two.messages.length >= 34);
  await stop(two.client);
  const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  const found = offsets.partitions.map(({ partition, offset, metadata }) => [partition, offset, metadata]);
  equal("what is committed", found.sort(), [[0, "0", "note"], [1, "1", "note"], [2, "2", "note"], [3, "3", "note"]]);
  const three = await consumer(topic, group, {}, { autoCommit: true, autoCommitInterval: 100 });
  await until(() => three.messages.length >= 34);
  equal("the next member starts there", three.messages.length, 34);
  await stop(three.client);
  await admin.resetOffsets({ groupId: group, topic, earliest: true });
  const four = await consumer(topic, group);
  await until(() => four.messages.length >= 40);
  equal("after a reset all is read again", four.messages.length, 40);
  await stop(four.client);
}

async function idempotenceAndTransactions() {
  const topic = await create(name("transactions"));
  const idempotent = await producer({ idempotent: true, maxInFlightRequests: 1 });
  for (let n = 0; n < 5; n++) await idempotent.send({ topic, messages: numbers(20, n * 20).map((value) => ({ value })) });
  const options = { transactionalId: name("identity"), idempotent: true, maxInFlightRequests: 1 };
  const old = await producer(options);
  for (let n = 0; n < 4; n++) {
    const transaction = await old.transaction();
    await transaction.send({ topic, messages: [{ value: `transaction ${n}` }] });
    await (n % 2 ? transaction.commit() : transaction.abort());
  }
  const strict = await consumer(topic, name("strict"), { readUncommitted: false });
  const loose = await consumer(topic, name("loose"), { readUncommitted: true });
  await until(() => strict.messages.length >= 102 && loose.messages.length >= 104);
  equal("read_committed", values(strict.messages).slice(100), ["transaction 1", "transaction 3"]);
  equal("an idempotent producer", values(strict.messages).slice(0, 100), numbers(100));
  equal("read_uncommitted", loose.messages.length, 104);
  const transaction = await old.transaction();
  await transaction.send({ topic, messages: [{ value: "of the old one" }] });
  const rival = await producer(options);
  const next = await rival.transaction();
  check("the older producer is fenced", (await refused(transaction.commit())) !== null);
  const source = await create(name("source"));
  await next.sendOffsets({ consumerGroupId: name("mover"), topics: [{ topic: source, partitions: [{ partition: 0, offset: "7" }] }] });
  await next.commit();
  const [offsets] = await admin.fetchOffsets({ groupId: name("mover"), topics: [source] });
  equal("offsets commit with a transaction", offsets.partitions[0].offset, "7");
  equal("nothing of the fenced one is seen", strict.messages.length, 102);
  await stop(strict.client);
  await stop(loose.client);
}

async function administration() {
  const topic = await create(name("administered"), 2, { "retention.ms": 5000 });
  equal("a topic that is there already", await admin.createTopics({ topics: [{ topic }] }), false);
  const type = ConfigResourceTypes.TOPIC;
  const retention = async () => {
    const { resources } = await admin.describeConfigs({ resources: [{ type, name: topic }] });
    return resources[0].configEntries.find((entry) => entry.configName === "retention.ms").configValue;
  };
  equal("retention.ms", await retention(), "5000");
  await admin.alterConfigs({ resources: [{ type, name: topic, configEntries: [{ name: "retention.ms", value: "7000" }] }] });
  await until(async () => (await retention()) === "7000");
  equal("altered", await retention(), "7000");
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
  const partitions = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length;
  await until(async () => (await partitions()) === 3);
  equal("three partitions", await partitions(), 3);
  const client = await producer();
  await client.send({ topic, messages: numbers(10).map((value) => ({ partition: 0, value })) });
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "4" }] });
  const low = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0).low;
  equal("deleted records", low, "4");
  const reader = await consumer(topic, name("administered"));
  await until(() => reader.assigned === 3);
  const described = await admin.describeGroups([name("administered")]);
  equal("the group is described", [described.groups[0].state, described.groups[0].members.length], ["Stable", 1]);
  check("and listed", (await admin.listGroups()).groups.some(({ groupId }) => groupId === name("administered")));
  check("with a member it is not deleted", (await refused(admin.deleteGroups([name("administered")]))) !== null);
  await stop(reader.client);
  equal("without it is", (await admin.deleteGroups([name("administered")]))[0].errorCode, 0);
  const small = await create(name("small"), 1, { "max.message.bytes": 2000 });
  const error = await refused(client.send({ topic: small, messages: [{ value: "x".repeat(10_000) }] }));
  check("a record that is too large", error !== null && error.type === "MESSAGE_TOO_LARGE", error && error.type);
  await admin.deleteTopics({ topics: [topic] });
  await until(async () => !(await admin.listTopics()).includes(topic));
  check("a deleted topic is not listed", !(await admin.listTopics()).includes(topic));
  const cluster = await admin.describeCluster();
  check("the cluster", cluster.brokers.some(({ nodeId }) => nodeId === cluster.controller) && cluster.clusterId.length === 22, cluster);
}

async function main() {
  await zstd.init();
  await admin.connect();
  open.push(admin);
  for (const scenario of [recordsWithEveryCodec, replay, groups, idempotenceAndTransactions, administration]) {
    const began = Date.now();
    console.log("--", scenario.name);
    await scenario();
    console.log(`   ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  for (const client of open) await client.disconnect();
}

main().catch((error) => {
  console.log(error.message.startsWith("FAILED") ? error.message : error.stack);
  process.exit(1);
});

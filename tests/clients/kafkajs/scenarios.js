// What a Node program does with kafkajs, as short scenarios that check themselves.
//
// usage: node scenarios.js HOST:PORT NAME
//
// NAME starts the names of topics and groups. kafkajs itself knows no codec but gzip.
'use strict'
const assert = require('assert')
const { Kafka, CompressionTypes, logLevel } = require('kafkajs')

const [address, name] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'test', brokers: [address], logLevel: logLevel.ERROR })
const admin = kafka.admin()
const numbers = (first, count) => Array.from({ length: count }, (_, i) => `event ${first + i}`)

async function createTopic (topic, numPartitions = 1) {
  assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] }), true)
}

async function produce (topic, values, { partition = 0, settings = {}, options = {} } = {}) {
  const producer = kafka.producer(settings)
  await producer.connect()
  const messages = values.map((value, i) => ({
    key: `key ${i}`, value, partition, headers: { number: String(i) }, timestamp: String(1700000000000 + 1000 * i)
  }))
  const sent = await producer.send({ topic, messages, ...options })
  await producer.disconnect()
  return sent
}

async function until (condition) {
  const end = Date.now() + 60000 // only against hanging for ever
  while (!condition()) {
    assert(Date.now() < end, `never came true: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

// A group member; .parts is what it holds, .values what it has read.
async function join (topic, groupId) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 500, maxWaitTimeInMs: 100 })
  const member = { consumer, parts: [], values: [] }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { member.parts = payload.memberAssignment[topic] || [] })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      member.values.push(`${partition}/${message.offset} ${message.key} ${message.value} ${message.headers.number}`)
    }
  })
  return member
}

async function records () {
  const topic = `${name}-records`
  await createTopic(topic)
  assert.strictEqual(await admin.createTopics({ topics: [{ topic }] }), false)
  const sent = await produce(topic, numbers(0, 10), { settings: { idempotent: true } })
  assert.strictEqual(sent[0].baseOffset, '0')
  await produce(topic, numbers(10, 10), { options: { compression: CompressionTypes.GZIP } })
  for (const acks of [0, 1, -1]) await produce(topic, numbers(20, 1), { options: { acks } })
  const member = await join(topic, topic)
  await until(() => member.values.length >= 23)
  assert.deepStrictEqual(member.values, [
    ...numbers(0, 10).map((value, i) => `0/${i} key ${i} ${value} ${i}`),
    ...numbers(10, 10).map((value, i) => `0/${10 + i} key ${i} ${value} ${i}`),
    ...[20, 21, 22].map(i => `0/${i} key 0 event 20 0`)])
  member.values.length = 0
  member.consumer.seek({ topic, partition: 0, offset: '21' })
  await until(() => member.values.length >= 2)
  assert.deepStrictEqual(member.values, ['0/21 key 0 event 20 0', '0/22 key 0 event 20 0'])
  await member.consumer.disconnect()
}

async function timestamps () {
  const topic = `${name}-time`
  await createTopic(topic)
  await produce(topic, numbers(0, 5))
  const found = async timestamp => (await admin.fetchTopicOffsetsByTimestamp(topic, timestamp)).map(each => each.offset)
  assert.deepStrictEqual(await found(1700000000000), ['0'])
  assert.deepStrictEqual(await found(1700000002500), ['3'])
  assert.deepStrictEqual((await admin.fetchTopicOffsets(topic)), [{ partition: 0, offset: '5', high: '5', low: '0' }])
}

async function groups () {
  const topic = `${name}-groups`
  await createTopic(topic, 4)
  const one = await join(topic, topic)
  await until(() => one.parts.length === 4)
  const two = await join(topic, topic)
  await until(() => one.parts.length === 2 && two.parts.length === 2)
  assert.deepStrictEqual([...one.parts, ...two.parts].sort(), [0, 1, 2, 3])
  for (const partition of [0, 1, 2, 3]) await produce(topic, numbers(0, 5), { partition })
  await until(() => one.values.length + two.values.length >= 20)
  const { groups: [description] } = await admin.describeGroups([topic])
  assert.deepStrictEqual([description.state, description.members.length], ['Stable', 2])
  await one.consumer.disconnect()
  await until(() => two.parts.length === 4)
  await two.consumer.disconnect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId: topic })
  assert.deepStrictEqual(partitions.map(each => each.offset), ['5', '5', '5', '5'])
  assert((await admin.listGroups()).groups.some(each => each.groupId === topic))
  assert.deepStrictEqual(await admin.deleteGroups([topic]), [{ groupId: topic, errorCode: 0 }])
}

async function pauseAndResume () {
  const topic = `${name}-pause`
  await createTopic(topic, 2)
  const member = await join(topic, topic)
  await until(() => member.parts.length === 2)
  member.consumer.pause([{ topic, partitions: [0] }])
  for (const partition of [0, 1]) await produce(topic, numbers(0, 3), { partition })
  await until(() => member.values.length >= 3)
  assert.deepStrictEqual(member.values, numbers(0, 3).map((value, i) => `1/${i} key ${i} ${value} ${i}`))
  member.values.length = 0
  member.consumer.resume([{ topic, partitions: [0] }])
  await until(() => member.values.length >= 3)
  assert.deepStrictEqual(member.values, numbers(0, 3).map((value, i) => `0/${i} key ${i} ${value} ${i}`))
  await member.consumer.disconnect()
}

async function main () {
  await admin.connect()
  for (const scenario of [records, timestamps, groups, pauseAndResume]) {
    await scenario()
    console.log('ok', scenario.name)
  }
  await admin.disconnect()
}

main().then(() => process.exit(0), error => { console.error(error); process.exit(1) })

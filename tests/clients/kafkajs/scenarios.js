// What a Node program does with kafkajs, as short scenarios that check themselves.
//
// usage: node scenarios.js HOST:PORT NAME
//
// NAME starts the names of topics and groups. kafkajs itself knows no codec but gzip, and reads only as a member of a group.
'use strict'
const assert = require('assert')
const { Kafka, CompressionTypes, logLevel } = require('kafkajs')
const { version } = require('kafkajs/package.json')

const [address, name] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'test', brokers: [address], logLevel: logLevel.NOTHING })
const client = kafka.admin()
const EPOCH_MS = 1700000000000
const numbers = (first, count) => Array.from({ length: count }, (_, i) => `event ${first + i}`)

async function createTopic (suffix, numPartitions = 1) {
  const topic = `${name}-${suffix}`
  assert.strictEqual(await client.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] }), true)
  return topic
}

// A record's time is its number in seconds.
const message = (value, i, partition = 0) =>
  ({ key: `key ${i}`, value, partition, headers: { number: String(i) }, timestamp: String(EPOCH_MS + 1000 * i) })

async function produce (topic, values, { partition = 0, settings = {}, options = {} } = {}) {
  const producer = kafka.producer(settings)
  await producer.connect()
  try {
    return await producer.send({ topic, messages: values.map((value, i) => message(value, i, partition)), ...options })
  } finally {
    await producer.disconnect()
  }
}

async function until (condition) {
  const end = Date.now() + 60000 // only against hanging for ever
  while (!condition()) {
    assert(Date.now() < end, `never came true: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

// A member that reads, and commits each message; .parts is what it holds, .messages what it has read.
async function join (topic, { groupId = topic, ...settings } = {}) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, sessionTimeout: 60000, maxWaitTimeInMs: 100, ...settings })
  const member = { consumer, parts: [], messages: [] }
  member.values = () => member.messages.map(({ message }) => String(message.value))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { member.parts = payload.memberAssignment[topic] || [] })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      member.messages.push({ partition, message })
      await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }])
    }
  })
  return member
}

async function read (topic, count, settings) {
  const member = await join(topic, settings)
  await until(() => member.messages.length >= count)
  await member.consumer.disconnect()
  return member.messages.map(({ message }) => message)
}

const values = messages => messages.map(({ value }) => String(value))

async function records () {
  const topic = await createTopic('records')
  const sent = [...numbers(0, 5), null, '']
  assert.strictEqual((await produce(topic, sent))[0].baseOffset, '0')
  const member = await join(topic)
  await until(() => member.messages.length >= 7)
  assert.deepStrictEqual(
    member.messages.map(({ message: { offset, key, value, headers, timestamp } }) =>
      [offset, String(key), value && String(value), String(headers.number), timestamp]),
    sent.map((value, i) => [String(i), `key ${i}`, value, String(i), String(EPOCH_MS + 1000 * i)]))
  for (const acks of [0, 1, -1]) await produce(topic, numbers(7, 3), { options: { acks } })
  await produce(topic, numbers(7, 3), { settings: { idempotent: true } })
  await until(() => member.messages.length >= 19)
  assert.deepStrictEqual(member.values().slice(7), [1, 2, 3, 4].flatMap(() => numbers(7, 3)))
  member.messages.length = 0
  member.consumer.seek({ topic, partition: 0, offset: '17' })
  await until(() => member.messages.length >= 2)
  assert.deepStrictEqual(member.values(), numbers(8, 2))
  await member.consumer.disconnect()
}

async function codecs () {
  const topic = await createTopic('gzip')
  await produce(topic, numbers(0, 300), { options: { compression: CompressionTypes.GZIP } })
  assert.deepStrictEqual(values(await read(topic, 300)), numbers(0, 300))
}

async function big () {
  const topic = await createTopic('big')
  const sent = Array.from({ length: 8 }, (_, i) => String(i).repeat(1000000))
  for (const value of sent) await produce(topic, [value])
  assert.deepStrictEqual(values(await read(topic, 8)), sent)
  const settings = { groupId: `${topic}-small`, maxBytes: 1000, maxBytesPerPartition: 1000 }
  assert.deepStrictEqual(values(await read(topic, 8, settings)), sent)
  await assert.rejects(produce(topic, ['x'.repeat(1100000)]), { type: 'MESSAGE_TOO_LARGE' })
}

async function times () {
  const topic = await createTopic('times')
  await produce(topic, numbers(0, 5))
  // kafkajs gives the end for a time after the last
  for (const [asked, found] of [[0, '0'], [EPOCH_MS, '0'], [EPOCH_MS + 1500, '2'], [EPOCH_MS + 4000, '4'], [EPOCH_MS + 4001, '5']]) {
    assert.deepStrictEqual(await client.fetchTopicOffsetsByTimestamp(topic, asked), [{ partition: 0, offset: found }])
  }
  assert.deepStrictEqual(await client.fetchTopicOffsets(topic), [{ partition: 0, offset: '5', high: '5', low: '0' }])
}

// Waits until all partitions are held, by one member each, and every member has some.
const share = (members, wanted) => until(() => members.every(({ parts }) => parts.length) &&
  JSON.stringify(members.flatMap(({ parts }) => parts).sort()) === JSON.stringify(wanted))

async function group () {
  const topic = await createTopic('group', 4)
  const [everything, members] = [[0, 1, 2, 3], []]
  for (let i = 0; i < 2; i++) {
    members.push(await join(topic))
    await share(members, everything)
  }
  for (const partition of everything) await produce(topic, numbers(10 * partition, 10), { partition })
  await until(() => members[0].messages.length + members[1].messages.length >= 40)
  assert.deepStrictEqual(members.flatMap(each => each.values()).sort(), numbers(0, 40).sort())
  await members.shift().consumer.disconnect()
  await share(members, everything)
  await members.shift().consumer.disconnect()
  await produce(topic, numbers(40, 2), { partition: 3 })
  assert.deepStrictEqual(values(await read(topic, 2)), numbers(40, 2))
}

async function transactions () {
  const source = await createTopic('source')
  const target = await createTopic('target')
  await produce(source, numbers(0, 6))
  const settings = { transactionalId: name, idempotent: true, maxInFlightRequests: 1, retry: { retries: 2 } }
  const older = kafka.producer(settings)
  await older.connect()
  for (const [i, isCommitted] of [true, false, true].entries()) {
    const transaction = await older.transaction()
    await transaction.send({ topic: target, messages: numbers(2 * i, 2).map((value, j) => message(value, j)) })
    const topics = [{ topic: source, partitions: [{ partition: 0, offset: String(2 * i + 2) }] }]
    await transaction.sendOffsets({ consumerGroupId: source, topics })
    await (isCommitted ? transaction.commit() : transaction.abort())
  }
  assert.deepStrictEqual(values(await read(target, 4)), [...numbers(0, 2), ...numbers(4, 2)])
  assert.deepStrictEqual(values(await read(target, 6, { groupId: `${target}-all`, readUncommitted: true })), numbers(0, 6))
  const [{ partitions }] = await client.fetchOffsets({ groupId: source, topics: [source] })
  assert.deepStrictEqual(partitions.map(({ offset }) => offset), ['6'])
  const newer = kafka.producer(settings)
  await newer.connect()
  await newer.transaction().then(transaction => transaction.abort())
  const fenced = await older.transaction()
  await assert.rejects(fenced.send({ topic: target, messages: [message('fenced', 0)] }), error =>
    ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'].includes((error.cause || error).type))
  await newer.disconnect()
  await older.disconnect()
}

async function pause () {
  const topic = await createTopic('pause', 2)
  const member = await join(topic)
  await share([member], [0, 1])
  member.consumer.pause([{ topic, partitions: [0] }])
  for (const partition of [0, 1]) await produce(topic, numbers(10 * partition, 3), { partition })
  await until(() => member.messages.length >= 3)
  assert.deepStrictEqual(member.values(), numbers(10, 3))
  member.consumer.resume([{ topic, partitions: [0] }])
  await until(() => member.messages.length >= 6)
  assert.deepStrictEqual(member.values().slice(3), numbers(0, 3))
  await member.consumer.disconnect()
}

async function admin () {
  const topic = await createTopic('admin', 2)
  assert.strictEqual(await client.createTopics({ topics: [{ topic }] }), false)
  await client.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  assert.strictEqual((await client.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 3)
  await produce(topic, numbers(0, 10), { partition: 1 })
  const member = await join(topic)
  await until(() => member.messages.length >= 10)
  assert((await client.listGroups()).groups.some(({ groupId }) => groupId === topic))
  const { groups: [description] } = await client.describeGroups([topic])
  assert.deepStrictEqual([description.state, description.members.length], ['Stable', 1])
  await member.consumer.disconnect()
  const [{ partitions }] = await client.fetchOffsets({ groupId: topic, topics: [topic] })
  assert.strictEqual(partitions.find(({ partition }) => partition === 1).offset, '10')
  await client.alterConfigs({
    validateOnly: false, resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '1234567' }] }]
  })
  const { resources: [{ configEntries }] } = await client.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] })
  assert.strictEqual(configEntries.find(({ configName }) => configName === 'retention.ms').configValue, '1234567')
  await client.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '4' }] })
  const left = await read(topic, 6, { groupId: `${topic}-left` })
  assert.deepStrictEqual(left.map(({ offset }) => offset), ['4', '5', '6', '7', '8', '9'])
  assert.deepStrictEqual(await client.deleteGroups([topic]), [{ groupId: topic, errorCode: 0 }])
  const unread = await createTopic('unread')
  await client.deleteTopics({ topics: [unread] })
  assert(!(await client.listTopics()).includes(unread))
}

async function main () {
  console.log(version)
  await client.connect()
  for (const scenario of [records, codecs, big, times, group, transactions, pause, admin]) {
    await scenario()
    console.log('ok', scenario.name)
  }
  await client.disconnect()
}

main().then(() => process.exit(0), error => { console.error(error); process.exit(1) })

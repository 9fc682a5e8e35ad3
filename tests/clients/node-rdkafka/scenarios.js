// What a Node program does with node-rdkafka, as short scenarios that check themselves.
//
// usage: node scenarios.js HOST:PORT NAME
//
// NAME starts the names of topics and groups.
'use strict'
const assert = require('assert')
const { promisify } = require('util')
const { AdminClient, CODES, KafkaConsumer, Producer, librdkafkaVersion } = require('node-rdkafka')
const { version } = require('node-rdkafka/package.json')

const [address, name] = process.argv.slice(2)
const WAIT_MS = 60000 // only against hanging for ever
const EPOCH_MS = 1700000000000
const ERRORS = CODES.ERRORS
const client = AdminClient.create({ 'bootstrap.servers': address })
const numbers = (first, count) => Array.from({ length: count }, (_, i) => `event ${first + i}`)
const call = (object, method, ...values) => promisify(object[method]).call(object, ...values)

async function createTopic (suffix, partitions = 1) {
  const topic = `${name}-${suffix}`
  await call(client, 'createTopic', { topic, num_partitions: partitions, replication_factor: 1 }, WAIT_MS)
  return topic
}

async function until (condition) {
  const end = Date.now() + WAIT_MS
  while (!condition()) {
    assert(Date.now() < end, `never came true: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function connect (Client, settings, topicSettings = {}) {
  const it = new Client({ 'bootstrap.servers': address, ...settings }, topicSettings)
  it.on('event.error', () => {}) // what matters comes back where it was asked for
  await call(it, 'connect', {})
  return it
}

const disconnect = it => call(it, 'disconnect')

async function connectProducer (settings) {
  const producer = await connect(Producer, { dr_cb: true, ...settings })
  producer.reports = []
  producer.on('delivery-report', (error, { offset } = {}) => producer.reports.push({ error, offset }))
  producer.setPollInterval(10)
  return producer
}

// A record's time is its number in seconds. Returns what became of them.
async function send (producer, topic, values, partition = 0) {
  producer.reports.length = 0
  values.forEach((value, i) => producer.produce(topic, partition, value === null ? null : Buffer.from(value), `key ${i}`,
    EPOCH_MS + 1000 * i, null, [{ number: String(i) }]))
  await call(producer, 'flush', WAIT_MS)
  await until(() => producer.reports.length === values.length)
  return producer.reports
}

async function produce (topic, values, { partition = 0, ...settings } = {}) {
  const producer = await connectProducer(settings)
  const reports = await send(producer, topic, values, partition)
  assert(!reports.some(({ error }) => error), reports)
  await disconnect(producer)
}

async function connectConsumer (settings) {
  const consumer = await connect(KafkaConsumer,
    { 'group.id': name, 'enable.auto.commit': false, 'fetch.wait.max.ms': 100, ...settings }, { 'auto.offset.reset': 'earliest' })
  consumer.setDefaultConsumeTimeout(100)
  return consumer
}

async function assigned (topic, settings = {}, partition = 0, offset = 0) {
  const consumer = await connectConsumer(settings)
  consumer.assign([{ topic, partition, offset }])
  return consumer
}

async function read (consumer, count) {
  const [end, messages] = [Date.now() + WAIT_MS, []]
  while (messages.length < count) {
    assert(Date.now() < end, messages)
    messages.push(...await call(consumer, 'consume', count - messages.length))
  }
  return messages
}

const values = messages => messages.map(({ value }) => String(value))

async function readValues (topic, count, settings) {
  const consumer = await assigned(topic, settings)
  const messages = await read(consumer, count)
  await disconnect(consumer)
  return values(messages)
}

async function records () {
  const topic = await createTopic('records')
  const sent = [...numbers(0, 5), null] // it makes null of what is empty
  await produce(topic, sent)
  const consumer = await assigned(topic)
  assert.deepStrictEqual((await read(consumer, 6)).map(({ offset, key, value, headers, timestamp }) =>
    [offset, String(key), value && String(value), headers.map(({ number }) => String(number)), timestamp]),
  sent.map((value, i) => [i, `key ${i}`, value, [String(i)], EPOCH_MS + 1000 * i]))
  for (const settings of [{ acks: '0' }, { acks: '1' }, { acks: 'all' }, { 'enable.idempotence': true }]) {
    await produce(topic, numbers(7, 3), settings)
    assert.deepStrictEqual(values(await read(consumer, 3)), numbers(7, 3))
  }
  await disconnect(consumer)
}

async function codecs () {
  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
    const topic = await createTopic(codec)
    await produce(topic, numbers(0, 300), { 'compression.codec': codec, 'linger.ms': 20 })
    assert.deepStrictEqual(await readValues(topic, 300), numbers(0, 300))
  }
}

async function big () {
  const topic = await createTopic('big')
  const sent = Array.from({ length: 8 }, (_, i) => String(i).repeat(1000000))
  const producer = await connectProducer({ 'message.max.bytes': 2000000 })
  assert(!(await send(producer, topic, sent)).some(({ error }) => error))
  assert.deepStrictEqual(await readValues(topic, 8), sent)
  assert.deepStrictEqual(await readValues(topic, 8, { 'max.partition.fetch.bytes': 1000 }), sent)
  const [{ error }] = await send(producer, topic, ['x'.repeat(1100000)])
  assert.strictEqual(error.message, 'message size too large') // there is no code in it
  await disconnect(producer)
}

async function times () {
  const topic = await createTopic('times')
  await produce(topic, numbers(0, 5))
  const consumer = await connectConsumer()
  for (const [asked, found] of [[0, 0], [EPOCH_MS, 0], [EPOCH_MS + 1500, 2], [EPOCH_MS + 4000, 4], [EPOCH_MS + 4001, -1]]) {
    const [{ offset }] = await call(consumer, 'offsetsForTimes', [{ topic, partition: 0, offset: asked }], WAIT_MS)
    assert.strictEqual(offset, found)
  }
  const { lowOffset, highOffset } = await call(consumer, 'queryWatermarkOffsets', topic, 0, WAIT_MS)
  assert.deepStrictEqual([lowOffset, highOffset], [0, 5])
  await disconnect(consumer)
}

// A member that reads, and commits each message, until it is told to leave.
class Member {
  static async join (topic) {
    const member = new Member()
    member.consumer = await connectConsumer({ 'group.id': topic, 'heartbeat.interval.ms': 300 })
    member.consumer.subscribe([topic])
    member.values = []
    member.done = member.run()
    return member
  }

  async run () {
    while (!this.isLeaving) {
      for (const message of await call(this.consumer, 'consume', 1)) {
        this.values.push(String(message.value))
        this.consumer.commitMessageSync(message)
      }
    }
    await disconnect(this.consumer)
  }

  get parts () {
    return this.consumer.assignments().map(({ partition }) => partition)
  }

  leave () {
    this.isLeaving = true
    return this.done
  }
}

// Waits until all partitions are held, by one member each, and every member has some.
const share = (members, wanted) => until(() => members.every(({ parts }) => parts.length) &&
  JSON.stringify(members.flatMap(({ parts }) => parts).sort()) === JSON.stringify(wanted))

async function group () {
  const topic = await createTopic('group', 4)
  const [everything, members] = [[0, 1, 2, 3], []]
  for (let i = 0; i < 2; i++) {
    members.push(await Member.join(topic))
    await share(members, everything)
  }
  for (const partition of everything) await produce(topic, numbers(10 * partition, 10), { partition })
  await until(() => members[0].values.length + members[1].values.length >= 40)
  assert.deepStrictEqual(members.flatMap(each => each.values).sort(), numbers(0, 40).sort())
  await members.shift().leave()
  await share(members, everything)
  await members.shift().leave()
  await produce(topic, numbers(40, 2), { partition: 3 })
  const last = await Member.join(topic)
  await until(() => last.values.length >= 2)
  await last.leave()
  assert.deepStrictEqual(last.values, numbers(40, 2))
}

async function transactions () {
  const source = await createTopic('source')
  const target = await createTopic('target')
  await produce(source, numbers(0, 6))
  const older = await connectProducer({ 'transactional.id': name })
  await call(older, 'initTransactions', WAIT_MS)
  const consumer = await assigned(source, { 'group.id': source })
  for (const isCommitted of [true, false, true]) {
    await call(older, 'beginTransaction')
    await send(older, target, values(await read(consumer, 2)))
    await call(older, 'sendOffsetsToTransaction', consumer.position(), consumer, WAIT_MS)
    await call(older, isCommitted ? 'commitTransaction' : 'abortTransaction', WAIT_MS)
  }
  const [{ offset }] = await call(consumer, 'committed', [{ topic: source, partition: 0 }], WAIT_MS)
  assert.strictEqual(offset, 6)
  await disconnect(consumer)
  assert.deepStrictEqual(await readValues(target, 4, { 'isolation.level': 'read_committed' }), [...numbers(0, 2), ...numbers(4, 2)])
  assert.deepStrictEqual(await readValues(target, 6, { 'isolation.level': 'read_uncommitted' }), numbers(0, 6))
  const newer = await connectProducer({ 'transactional.id': name })
  await call(newer, 'initTransactions', WAIT_MS)
  await call(older, 'beginTransaction')
  older.produce(target, 0, Buffer.from('fenced'))
  await assert.rejects(call(older, 'commitTransaction', WAIT_MS), { code: ERRORS.ERR__FENCED })
  await disconnect(newer)
}

async function pause () {
  const topic = await createTopic('pause', 2)
  const parts = [0, 1].map(partition => ({ topic, partition, offset: 0 }))
  const consumer = await connectConsumer()
  consumer.assign(parts)
  consumer.pause([parts[0]])
  for (const partition of [0, 1]) await produce(topic, numbers(10 * partition, 3), { partition })
  assert.deepStrictEqual(values(await read(consumer, 3)), numbers(10, 3))
  assert.deepStrictEqual(await call(consumer, 'consume', 1), [])
  consumer.resume([parts[0]])
  assert.deepStrictEqual(values(await read(consumer, 3)), numbers(0, 3))
  await disconnect(consumer)
}

// node-rdkafka administers topics only.
async function admin () {
  const topic = await createTopic('admin', 2)
  await assert.rejects(createTopic('admin'), { code: ERRORS.ERR_TOPIC_ALREADY_EXISTS })
  await call(client, 'createPartitions', topic, 3, WAIT_MS)
  const producer = await connectProducer()
  const unread = await createTopic('unread')
  await call(client, 'deleteTopic', unread, WAIT_MS)
  const { topics } = await call(producer, 'getMetadata', { timeout: WAIT_MS })
  assert.strictEqual(topics.find(({ name }) => name === topic).partitions.length, 3)
  assert(!topics.some(({ name }) => name === unread))
  await disconnect(producer)
}

async function main () {
  console.log(`${version.replace('v', '')} with librdkafka ${librdkafkaVersion}`)
  for (const scenario of [records, codecs, big, times, group, transactions, pause, admin]) {
    await scenario()
    console.log('ok', scenario.name)
  }
  client.disconnect()
}

main().then(() => process.exit(0), error => { console.error(error); process.exit(1) })

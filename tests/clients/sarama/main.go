// What Go programs do with sarama, as short scenarios that check themselves.
//
// usage: sarama VERSION HOST:PORT NAME
//
// VERSION is the Kafka version that sarama is told to speak, which decides the versions of its requests; "default" leaves it alone. What
// a version does not have is left out with it. NAME starts the names of topics, groups and transactional ids.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/IBM/sarama"
	"odradek/scene"
)

var (
	address, name string
	speaks        = sarama.DefaultVersion
	admin         sarama.ClusterAdmin
)

const epochMs = 1700000000000

// The checks that all Go clients share, under short names.
var check, same, numbers = scene.Check, scene.Same, scene.Numbers

// config is what every client has, and a setting that one has beside it.
func config(set func(*sarama.Config)) *sarama.Config {
	it := sarama.NewConfig()
	it.Version = speaks
	it.Producer.Return.Successes = true
	it.Producer.RequiredAcks = sarama.WaitForAll
	it.Producer.Partitioner = sarama.NewManualPartitioner
	it.Consumer.Offsets.Initial = sarama.OffsetOldest
	it.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	if set != nil {
		set(it)
	}
	return it
}

func newTopic(suffix string, partitions int32) string {
	topic := name + "-" + suffix
	check(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
	return topic
}

// produce writes values to one partition; a record's time is its number in seconds.
func produce(topic string, partition int32, values []string, set func(*sarama.Config)) error {
	producer, err := sarama.NewSyncProducer([]string{address}, config(set))
	check(err)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for i, value := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: partition, Key: sarama.StringEncoder(fmt.Sprint("key ", i)),
			Value: sarama.StringEncoder(value), Timestamp: time.UnixMilli(epochMs + 1000*int64(i)),
			Headers: []sarama.RecordHeader{{Key: []byte("number"), Value: fmt.Append(nil, i)}}})
	}
	err = producer.SendMessages(messages)
	if all := (sarama.ProducerErrors)(nil); errors.As(err, &all) {
		return all[0].Err
	}
	return err
}

// reading is a function that returns the next records of a topic, from an offset or a time on.
func reading(topic string, offset int64, set func(*sarama.Config)) (next func(count int) []*sarama.ConsumerMessage, stop func()) {
	consumer, err := sarama.NewConsumer([]string{address}, config(set))
	check(err)
	part, err := consumer.ConsumePartition(topic, 0, offset)
	check(err)
	return func(count int) (got []*sarama.ConsumerMessage) {
			for len(got) < count {
				select {
				case message := <-part.Messages():
					got = append(got, message)
				case <-time.After(scene.Limit):
					panic(fmt.Sprint(topic, ": read but ", len(got)))
				}
			}
			return got
		}, func() {
			check(part.Close())
			check(consumer.Close())
		}
}

// readValues returns the first count values of a topic.
func readValues(topic string, count int, set func(*sarama.Config)) (values []string) {
	next, stop := reading(topic, sarama.OffsetOldest, set)
	defer stop()
	for _, record := range next(count) {
		values = append(values, string(record.Value))
	}
	return values
}

func records() {
	topic := newTopic("records", 1)
	producer, err := sarama.NewSyncProducer([]string{address}, config(nil))
	check(err)
	headers := []sarama.RecordHeader{{Key: []byte("one"), Value: []byte{1}}, {Key: []byte("empty"), Value: []byte{}}}
	for i, message := range []sarama.ProducerMessage{
		{Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("event"), Headers: headers},
		{Key: sarama.ByteEncoder{}, Value: sarama.ByteEncoder{}},
		{},
	} {
		message.Topic, message.Timestamp = topic, time.UnixMilli(epochMs)
		_, offset, err := producer.SendMessage(&message)
		check(err)
		same("its offset", offset, int64(i))
	}
	check(producer.Close())
	next, stop := reading(topic, sarama.OffsetOldest, nil)
	defer stop()
	got := next(3)
	same("headers", []sarama.RecordHeader{*got[0].Headers[0], *got[0].Headers[1]}, headers)
	same("values", [][]byte{got[0].Value, got[1].Value, got[2].Value}, [][]byte{[]byte("event"), {}, nil})
	same("keys", [][]byte{got[0].Key, got[1].Key, got[2].Key}, [][]byte{[]byte("key"), {}, nil})
	for i, record := range got {
		same("offset", record.Offset, int64(i))
		same("time", record.Timestamp.UnixMilli(), int64(epochMs))
	}
	for _, set := range []func(*sarama.Config){
		func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.NoResponse },
		func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.WaitForLocal },
		nil,
		func(c *sarama.Config) { c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1 },
	} {
		check(produce(topic, 0, numbers(0, 10), set))
		for i, record := range next(10) {
			same("a record", string(record.Key)+" "+string(record.Value), fmt.Sprintf("key %d event %d", i, i))
		}
	}
}

func codecs() {
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
		if codec == sarama.CompressionZSTD && !speaks.IsAtLeast(sarama.V2_1_0_0) {
			continue
		}
		topic := newTopic(codec.String(), 1)
		check(produce(topic, 0, numbers(0, 300), func(c *sarama.Config) { c.Producer.Compression = codec }))
		same(topic, readValues(topic, 300, nil), numbers(0, 300))
	}
}

func big() {
	topic := newTopic("big", 1)
	var values []string
	for i := range 8 {
		values = append(values, string(bytes.Repeat([]byte{byte(i)}, 1000000)))
	}
	larger := func(c *sarama.Config) { c.Producer.MaxMessageBytes = 2000000 }
	check(produce(topic, 0, values, larger))
	if !reflect.DeepEqual(readValues(topic, 8, nil), values) {
		panic("big records were not read back")
	}
	if !reflect.DeepEqual(readValues(topic, 8, func(c *sarama.Config) { c.Consumer.Fetch.Default = 1000 }), values) {
		panic("big records were not read back with a small fetch size")
	}
	same("a record of over 1 MiB", produce(topic, 0, []string{string(make([]byte, 1100000))}, larger), sarama.ErrMessageSizeTooLarge)
}

func times() {
	topic := newTopic("times", 1)
	check(produce(topic, 0, numbers(0, 5), nil))
	client, err := sarama.NewClient([]string{address}, config(nil))
	check(err)
	defer client.Close()
	for _, each := range []struct{ time, offset int64 }{{0, 0}, {epochMs, 0}, {epochMs + 1500, 2}, {epochMs + 4000, 4}, {epochMs + 4001, -1},
		{sarama.OffsetOldest, 0}, {sarama.OffsetNewest, 5}} {
		offset, err := client.GetOffset(topic, 0, each.time)
		check(err)
		same(fmt.Sprint("at ", each.time), offset, each.offset)
	}
	next, stop := reading(topic, 3, nil)
	defer stop()
	same("from an offset on", string(next(2)[0].Value), "event 3")
}

func main() {
	said := os.Args[1]
	address, name = os.Args[2], os.Args[3]
	var err error
	if said != "default" {
		speaks, err = sarama.ParseKafkaVersion(said)
		check(err)
	}
	admin, err = sarama.NewClusterAdmin([]string{address}, config(nil))
	check(err)
	defer admin.Close()
	fmt.Println(scene.Version("github.com/IBM/sarama"), "as", speaks)
	for _, scenario := range []struct {
		name string
		run  func()
	}{{"records", records}, {"codecs", codecs}, {"big", big}, {"times", times}, {"group", group}, {"transactions", transactions},
		{"pause", pause}, {"admin", administration}} {
		scenario.run()
		fmt.Println("ok", scenario.name)
	}
}

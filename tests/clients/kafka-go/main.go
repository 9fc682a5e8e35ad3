// What Go programs do with kafka-go, as short scenarios that check themselves.
//
// usage: kafka-go HOST:PORT NAME
//
// NAME starts the names of topics and groups. kafka-go has no transactional or idempotent producer.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/segmentio/kafka-go"
	"odradek/scene"
)

var (
	address, name string
	client        *kafka.Client
)

const epochMs = 1700000000000

// The checks that all Go clients share, under short names.
var check, same, numbers = scene.Check, scene.Same, scene.Numbers

func newTopic(ctx context.Context, suffix string, partitions int) string {
	topic := name + "-" + suffix
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}}})
	check(err)
	check(created.Errors[topic])
	return topic
}

// messages are those of one partition; a record's time is its number in seconds.
func messages(topic string, partition int, values []string) (messages []kafka.Message) {
	for i, value := range values {
		messages = append(messages, kafka.Message{Topic: topic, Partition: partition, Key: fmt.Append(nil, "key ", i), Value: []byte(value),
			Headers: []kafka.Header{{Key: "number", Value: fmt.Append(nil, i)}}, Time: time.UnixMilli(epochMs + 1000*int64(i))})
	}
	return messages
}

// produce writes with a Writer, which other settings may be set of.
func produce(ctx context.Context, topic string, partition int, values []string, set func(*kafka.Writer)) error {
	writer := &kafka.Writer{Addr: kafka.TCP(address), RequiredAcks: kafka.RequireAll, BatchTimeout: 10 * time.Millisecond, BatchSize: 1000,
		Balancer: kafka.BalancerFunc(func(message kafka.Message, partitions ...int) int { return partition })}
	if set != nil {
		set(writer)
	}
	defer writer.Close()
	all := messages(topic, 0, values)
	err := writer.WriteMessages(ctx, all...)
	if each := (kafka.WriteErrors)(nil); errors.As(err, &each) {
		return each[0]
	}
	return err
}

func reading(topic string, set func(*kafka.ReaderConfig)) *kafka.Reader {
	config := kafka.ReaderConfig{Brokers: []string{address}, Topic: topic, MaxWait: 200 * time.Millisecond, StartOffset: kafka.FirstOffset}
	if set != nil {
		set(&config)
	}
	return kafka.NewReader(config)
}

func read(ctx context.Context, reader *kafka.Reader, count int) (got []kafka.Message) {
	for len(got) < count {
		message, err := reader.ReadMessage(ctx)
		check(err)
		got = append(got, message)
	}
	return got
}

// readValues returns the first count values of a topic.
func readValues(ctx context.Context, topic string, count int, set func(*kafka.ReaderConfig)) (values []string) {
	reader := reading(topic, set)
	defer reader.Close()
	for _, message := range read(ctx, reader, count) {
		values = append(values, string(message.Value))
	}
	return values
}

// dial connects to a partition's leader, with the old Conn.
func dial(ctx context.Context, topic string) *kafka.Conn {
	conn, err := kafka.DialLeader(ctx, "tcp", address, topic, 0)
	check(err)
	check(conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

func records(ctx context.Context) {
	topic := newTopic(ctx, "records", 1)
	at := time.UnixMilli(epochMs)
	writer := &kafka.Writer{Addr: kafka.TCP(address), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: 10 * time.Millisecond}
	headers := []kafka.Header{{Key: "one", Value: []byte{1}}, {Key: "two", Value: []byte{2}}}
	check(writer.WriteMessages(ctx, kafka.Message{Key: []byte("key"), Value: []byte("event"), Headers: headers, Time: at},
		kafka.Message{Key: []byte{}, Value: []byte{}, Time: at}, kafka.Message{Time: at}))
	check(writer.Close())
	reader := reading(topic, nil)
	defer reader.Close()
	got := read(ctx, reader, 3)
	same("headers", got[0].Headers, headers)
	same("the first", string(got[0].Key)+" "+string(got[0].Value), "key event")
	for i, record := range got {
		same("offset", record.Offset, int64(i))
		same("time", record.Time.UnixMilli(), int64(epochMs))
	}
	for _, acks := range []kafka.RequiredAcks{kafka.RequireNone, kafka.RequireOne, kafka.RequireAll} {
		check(produce(ctx, topic, 0, numbers(0, 10), func(w *kafka.Writer) { w.RequiredAcks = acks }))
		for i, record := range read(ctx, reader, 10) {
			same("a record", string(record.Key)+" "+string(record.Value), fmt.Sprintf("key %d event %d", i, i))
		}
	}
	connection(ctx, newTopic(ctx, "conn", 1))
	fetched(ctx, topic)
}

// connection writes and reads with a Conn.
func connection(ctx context.Context, topic string) {
	conn := dial(ctx, topic)
	defer conn.Close()
	_, err := conn.WriteMessages(messages("", 0, numbers(0, 10))...)
	check(err)
	_, partition, offset, _, err := conn.WriteCompressedMessagesAt(kafka.Snappy.Codec(), messages("", 0, numbers(10, 10))...)
	check(err)
	same("where it was written", []int64{int64(partition), offset}, []int64{0, 10})
	_, err = conn.Seek(5, kafka.SeekAbsolute)
	check(err)
	batch := conn.ReadBatch(1, 1000000)
	for i := range 15 {
		message, err := batch.ReadMessage()
		check(err)
		same("a message", string(message.Value), fmt.Sprint("event ", 5+i))
	}
	check(batch.Close())
}

// fetched reads with a Client, which, as a Reader does not, tells null from empty.
func fetched(ctx context.Context, topic string) {
	answer, err := client.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Offset: 0, MinBytes: 1, MaxBytes: 1000000, MaxWait: time.Second})
	check(err)
	check(answer.Error)
	for _, null := range []bool{false, false, true} {
		record, err := answer.Records.ReadRecord()
		check(err)
		same("null", []bool{record.Key == nil, record.Value == nil}, []bool{null, null})
	}
	same("the high watermark", answer.HighWatermark, int64(33))
}

func codecs(ctx context.Context) {
	for _, codec := range []kafka.Compression{kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		topic := newTopic(ctx, codec.String(), 1)
		check(produce(ctx, topic, 0, numbers(0, 300), func(w *kafka.Writer) { w.Compression = codec }))
		same(topic, readValues(ctx, topic, 300, nil), numbers(0, 300))
	}
}

func big(ctx context.Context) {
	topic := newTopic(ctx, "big", 1)
	var values []string
	for i := range 8 {
		values = append(values, string(bytes.Repeat([]byte{byte(i)}, 1000000)))
	}
	one := func(w *kafka.Writer) { w.BatchBytes, w.BatchSize = 2000000, 1 }
	check(produce(ctx, topic, 0, values, one))
	if !reflect.DeepEqual(readValues(ctx, topic, 8, nil), values) {
		panic("big records were not read back")
	}
	err := produce(ctx, topic, 0, []string{string(make([]byte, 1100000))}, one)
	same("a record of over 1 MiB is refused", errors.Is(err, kafka.MessageSizeTooLarge), true)
}

func times(ctx context.Context) {
	topic := newTopic(ctx, "times", 1)
	check(produce(ctx, topic, 0, numbers(0, 5), nil))
	conn := dial(ctx, topic)
	defer conn.Close()
	for _, each := range []struct{ milli, offset int64 }{{0, 0}, {epochMs, 0}, {epochMs + 1500, 2}, {epochMs + 4000, 4}, {epochMs + 4001, -1}} {
		offset, err := conn.ReadOffset(time.UnixMilli(each.milli))
		check(err)
		same(fmt.Sprint("at ", each.milli), offset, each.offset)
	}
	first, last, err := conn.ReadOffsets()
	check(err)
	same("the first and the last", []int64{first, last}, []int64{0, 5})
	listed, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0), kafka.TimeOffsetOf(0, time.UnixMilli(epochMs+1500))}}})
	check(err)
	found := listed.Topics[topic][0]
	check(found.Error)
	same("listed", []int64{found.FirstOffset, found.LastOffset}, []int64{0, 5})
	_, at := found.Offsets[2]
	same("listed by time", at, true)

	reader := reading(topic, nil)
	defer reader.Close()
	check(reader.SetOffsetAt(ctx, time.UnixMilli(epochMs+1500)))
	same("from a time on", string(read(ctx, reader, 3)[0].Value), "event 2")
	check(reader.SetOffset(1))
	same("from an offset on", string(read(ctx, reader, 4)[0].Value), "event 1")
}

func main() {
	address, name = os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Second)
	defer cancel()
	client = &kafka.Client{Addr: kafka.TCP(address)}
	fmt.Println(scene.Version("github.com/segmentio/kafka-go"))
	for _, scenario := range []struct {
		name string
		run  func(context.Context)
	}{{"records", records}, {"codecs", codecs}, {"big", big}, {"times", times}, {"group", group}, {"admin", administration}} {
		scenario.run(ctx)
		fmt.Println("ok", scenario.name)
	}
}

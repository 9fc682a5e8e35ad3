// What Go programs do with franz-go, as short scenarios that check themselves.
//
// usage: franz-go HOST:PORT NAME
//
// NAME starts the names of topics, groups and transactional ids.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"odradek/scene"
)

var (
	address, name string
	admin         *kadm.Client
)

const epochMs = 1700000000000

// The checks that all Go clients share, under short names.
var check, same, numbers = scene.Check, scene.Same, scene.Numbers

func client(options ...kgo.Opt) *kgo.Client {
	it, err := kgo.NewClient(append(options, kgo.SeedBrokers(address))...)
	check(err)
	return it
}

func newTopic(ctx context.Context, suffix string, partitions int32) string {
	topic := name + "-" + suffix
	_, err := admin.CreateTopic(ctx, partitions, 1, nil, topic)
	check(err)
	return topic
}

// produce writes values to one partition; a record's time is its number in seconds.
func produce(ctx context.Context, topic string, partition int32, values []string, options ...kgo.Opt) {
	writer := client(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer writer.Close()
	var records []*kgo.Record
	for i, value := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Key: fmt.Append(nil, "key ", i), Value: []byte(value),
			Headers: []kgo.RecordHeader{{Key: "number", Value: fmt.Append(nil, i)}}, Timestamp: time.UnixMilli(epochMs + 1000*int64(i))})
	}
	check(writer.ProduceSync(ctx, records...).FirstErr())
}

func reading(topic string, options ...kgo.Opt) *kgo.Client {
	return client(append(options, kgo.ConsumeTopics(topic))...)
}

func read(ctx context.Context, reader *kgo.Client, count int) (got []*kgo.Record) {
	for len(got) < count {
		fetches := reader.PollRecords(ctx, count-len(got))
		check(fetches.Err())
		got = append(got, fetches.Records()...)
	}
	return got
}

// readValues returns the first count values of a topic.
func readValues(ctx context.Context, topic string, count int, options ...kgo.Opt) (values []string) {
	reader := reading(topic, options...)
	defer reader.Close()
	for _, record := range read(ctx, reader, count) {
		values = append(values, string(record.Value))
	}
	return values
}

func records(ctx context.Context) {
	topic := newTopic(ctx, "records", 1)
	writer := client()
	at := time.UnixMilli(epochMs)
	for i, record := range []kgo.Record{
		{Key: []byte("key"), Value: []byte("event"), Headers: []kgo.RecordHeader{{Key: "one", Value: []byte{1}}, {Key: "none"}}},
		{Key: []byte{}, Value: []byte{}},
		{},
	} {
		record.Topic, record.Timestamp = topic, at
		check(writer.ProduceSync(ctx, &record).FirstErr())
		same("its offset", record.Offset, int64(i))
	}
	writer.Close()
	reader := reading(topic)
	defer reader.Close()
	got := read(ctx, reader, 3)
	same("headers", got[0].Headers, []kgo.RecordHeader{{Key: "one", Value: []byte{1}}, {Key: "none"}})
	same("values", [][]byte{got[0].Value, got[1].Value, got[2].Value}, [][]byte{[]byte("event"), {}, nil})
	same("keys", [][]byte{got[0].Key, got[1].Key, got[2].Key}, [][]byte{[]byte("key"), {}, nil})
	for i, record := range got {
		same("offset", record.Offset, int64(i))
		same("time", record.Timestamp.UnixMilli(), int64(epochMs))
	}
	for _, acks := range []kgo.Acks{kgo.NoAck(), kgo.LeaderAck(), kgo.AllISRAcks()} {
		produce(ctx, topic, 0, numbers(0, 10), kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite())
		for i, record := range read(ctx, reader, 10) {
			same("a record", string(record.Key)+" "+string(record.Value), fmt.Sprintf("key %d event %d", i, i))
		}
	}
}

func codecs(ctx context.Context) {
	for i, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		topic := newTopic(ctx, fmt.Sprint("codec-", i), 1)
		produce(ctx, topic, 0, numbers(0, 300), kgo.ProducerBatchCompression(codec))
		same(topic, readValues(ctx, topic, 300), numbers(0, 300))
	}
}

func big(ctx context.Context) {
	topic := newTopic(ctx, "big", 1)
	var values []string
	for i := range 8 {
		values = append(values, string(bytes.Repeat([]byte{byte(i)}, 1000000)))
	}
	plain := kgo.ProducerBatchCompression(kgo.NoCompression())
	produce(ctx, topic, 0, values, plain, kgo.ProducerBatchMaxBytes(1048588)) // what a broker takes by default
	if !reflect.DeepEqual(readValues(ctx, topic, 8), values) {
		panic("big records were not read back")
	}
	if !reflect.DeepEqual(readValues(ctx, topic, 8, kgo.FetchMaxBytes(1000), kgo.FetchMaxPartitionBytes(1000)), values) {
		panic("big records were not read back with a small fetch size")
	}
	writer := client(plain, kgo.ProducerBatchMaxBytes(2000000))
	defer writer.Close()
	err := writer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: make([]byte, 1100000)}).FirstErr()
	same("a record of over 1 MiB is refused", errors.Is(err, kerr.MessageTooLarge), true)
}

func times(ctx context.Context) {
	topic := newTopic(ctx, "times", 1)
	produce(ctx, topic, 0, numbers(0, 5))
	for _, each := range []struct{ milli, offset int64 }{{0, 0}, {epochMs, 0}, {epochMs + 1500, 2}, {epochMs + 4000, 4}, {epochMs + 4001, 5}} {
		listed, err := admin.ListOffsetsAfterMilli(ctx, each.milli, topic) // the end where no record is as late
		check(err)
		same(fmt.Sprint("after ", each.milli), listed[topic][0].Offset, each.offset)
	}
	for i, list := range []func(context.Context, ...string) (kadm.ListedOffsets, error){admin.ListStartOffsets, admin.ListMaxTimestampOffsets,
		admin.ListEndOffsets} {
		listed, err := list(ctx, topic)
		check(err)
		same("the first, the latest in time, the end", listed[topic][0].Offset, []int64{0, 4, 5}[i])
	}
	reader := reading(topic, kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(epochMs+1500)))
	defer reader.Close()
	same("from a time on", read(ctx, reader, 3)[0].Offset, int64(2))
	reader.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 1}}})
	same("after a seek", read(ctx, reader, 4)[0].Offset, int64(1))
}

func transactions(ctx context.Context) {
	source, target := newTopic(ctx, "source", 1), newTopic(ctx, "target", 1)
	produce(ctx, source, 0, numbers(0, 6))
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(address), kgo.TransactionalID(name), kgo.ConsumeTopics(source),
		kgo.ConsumerGroup(source), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets())
	check(err)
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryCommit} { // what was aborted is read again
		check(session.Begin())
		for _, record := range read(ctx, session.Client(), 2) {
			value := string(record.Value)
			if !commit {
				value += " aborted"
			}
			check(session.ProduceSync(ctx, &kgo.Record{Topic: target, Value: []byte(value)}).FirstErr())
		}
		committed, err := session.End(ctx, commit)
		check(err)
		same("committed", committed, bool(commit))
	}
	same("committed", readValues(ctx, target, 6, kgo.FetchIsolationLevel(kgo.ReadCommitted())), numbers(0, 6))
	same("all", readValues(ctx, target, 8), append(append(numbers(0, 2), "event 2 aborted", "event 3 aborted"), numbers(2, 4)...))
	offsets, err := admin.FetchOffsets(ctx, source)
	check(err)
	same("the group's offset", offsets[source][0].At, int64(6))
	session.Close()
	fencing(ctx, target)
}

func fencing(ctx context.Context, topic string) {
	older, newer := client(kgo.TransactionalID(name+"-fenced")), client(kgo.TransactionalID(name+"-fenced"))
	defer older.Close()
	defer newer.Close()
	check(older.BeginTransaction())
	check(older.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("open")}).FirstErr())
	_, _, err := newer.ProducerID(ctx)
	check(err)
	err = older.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("fenced")}).FirstErr()
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		panic(fmt.Sprint("the older producer was not fenced: ", err))
	}
	check(newer.BeginTransaction())
	check(newer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("newer")}).FirstErr())
	check(newer.EndTransaction(ctx, kgo.TryCommit))
	same("after fencing", readValues(ctx, topic, 7, kgo.FetchIsolationLevel(kgo.ReadCommitted())), append(numbers(0, 6), "newer"))
}

func main() {
	address, name = os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Second)
	defer cancel()
	admin = kadm.NewClient(client())
	defer admin.Close()
	fmt.Println(scene.Version("github.com/twmb/franz-go"))
	for _, scenario := range []struct {
		name string
		run  func(context.Context)
	}{{"records", records}, {"codecs", codecs}, {"big", big}, {"times", times}, {"group", group}, {"kip848", kip848},
		{"transactions", transactions}, {"pause", pause}, {"admin", administration}} {
		scenario.run(ctx)
		fmt.Println("ok", scenario.name)
	}
}

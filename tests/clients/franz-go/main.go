// What a Go program does with franz-go, as short scenarios that check themselves.
//
// usage: franz-go HOST:PORT NAME
//
// NAME starts the names of topics and groups. franz-go is pinned to the newest version that Debian 12's Go can build.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var address, name string

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(what string, got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	it, err := kgo.NewClient(append(options, kgo.SeedBrokers(address))...)
	check(err)
	return it
}

func createTopic(ctx context.Context, topic string, partitions int32) error {
	admin := client()
	defer admin.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(ctx, admin)
	check(err)
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

// produce writes count records to one partition; a record's timestamp is its number in seconds.
func produce(ctx context.Context, topic string, partition int32, first, count int, options ...kgo.Opt) {
	writer := client(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer writer.Close()
	var records []*kgo.Record
	for i := first; i < first+count; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Key: []byte(fmt.Sprint("key ", i)),
			Value: []byte(fmt.Sprint("event ", i)), Timestamp: time.UnixMilli(1700000000000 + 1000*int64(i)),
			Headers: []kgo.RecordHeader{{Key: "number", Value: []byte(fmt.Sprint(i))}}})
	}
	check(writer.ProduceSync(ctx, records...).FirstErr())
}

// read returns the next count records as text.
func read(ctx context.Context, reader *kgo.Client, count int) (got []string) {
	for len(got) < count {
		fetches := reader.PollRecords(ctx, count-len(got))
		check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			got = append(got, fmt.Sprintf("%d/%d %s %s", r.Partition, r.Offset, r.Key, r.Value))
		})
	}
	return got
}

func expected(partition, first, count int) (lines []string) {
	for i := first; i < first+count; i++ {
		lines = append(lines, fmt.Sprintf("%d/%d key %d event %d", partition, i, i, i))
	}
	return lines
}

func codecs(ctx context.Context) {
	for number, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(),
		kgo.Lz4Compression(), kgo.ZstdCompression()} {
		topic := fmt.Sprint(name, "-codec-", number)
		check(createTopic(ctx, topic, 1))
		same("a second topic of the name", createTopic(ctx, topic, 1), kerr.TopicAlreadyExists)
		produce(ctx, topic, 0, 0, 200, kgo.ProducerBatchCompression(codec)) // idempotent by default
		reader := client(kgo.ConsumeTopics(topic))
		same(topic, read(ctx, reader, 200), expected(0, 0, 200))
		reader.Close()
	}
}

func acks(ctx context.Context) {
	topic := name + "-acks"
	check(createTopic(ctx, topic, 1))
	for i, level := range []kgo.Acks{kgo.NoAck(), kgo.LeaderAck(), kgo.AllISRAcks()} {
		produce(ctx, topic, 0, 10*i, 10, kgo.RequiredAcks(level), kgo.DisableIdempotentWrite())
	}
	reader := client(kgo.ConsumeTopics(topic))
	defer reader.Close()
	same(topic, read(ctx, reader, 30), expected(0, 0, 30))
}

func timestamps(ctx context.Context) {
	topic := name + "-time"
	check(createTopic(ctx, topic, 1))
	produce(ctx, topic, 0, 0, 5)
	produce(ctx, topic, 0, 5, 5)
	reader := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(1700000006500)))
	defer reader.Close()
	same(topic, read(ctx, reader, 3), expected(0, 7, 3))
	reader.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 2}}})
	same("after a seek", read(ctx, reader, 8), expected(0, 2, 8))
}

// member keeps what one member of a group holds and has read.
type member struct {
	sync.Mutex
	*kgo.Client
	parts  map[int32]bool
	values int
	stop   context.CancelFunc
}

func join(ctx context.Context, topic string, balancer kgo.GroupBalancer) *member {
	m := &member{parts: map[int32]bool{}}
	change := func(held bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
			if !held {
				check(client.CommitUncommittedOffsets(ctx))
			}
			m.Lock()
			defer m.Unlock()
			for _, part := range parts[topic] {
				if m.parts[part] = held; !held {
					delete(m.parts, part)
				}
			}
		}
	}
	m.Client = client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic), kgo.Balancers(balancer),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)),
		kgo.OnPartitionsLost(change(false)), kgo.HeartbeatInterval(500*time.Millisecond))
	ctx, m.stop = context.WithCancel(ctx)
	go func() {
		for ctx.Err() == nil {
			fetches := m.PollFetches(ctx)
			m.Lock()
			m.values += fetches.NumRecords()
			m.Unlock()
		}
	}()
	return m
}

func (m *member) leave(ctx context.Context) {
	m.stop()
	check(m.CommitUncommittedOffsets(ctx))
	m.Close()
}

// holding waits until the members hold so many partitions each.
func holding(ctx context.Context, members []*member, counts ...int) {
	for {
		check(ctx.Err())
		var got []int
		for _, m := range members {
			m.Lock()
			got = append(got, len(m.parts))
			m.Unlock()
		}
		if reflect.DeepEqual(got, counts) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func groups(ctx context.Context) {
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.CooperativeStickyBalancer()} {
		topic := name + "-" + balancer.ProtocolName()
		check(createTopic(ctx, topic, 4))
		members := []*member{join(ctx, topic, balancer)}
		holding(ctx, members, 4)
		members = append(members, join(ctx, topic, balancer))
		holding(ctx, members, 2, 2)
		for partition := int32(0); partition < 4; partition++ {
			produce(ctx, topic, partition, 0, 10)
		}
		for total := 0; total != 40; time.Sleep(20 * time.Millisecond) {
			check(ctx.Err())
			total = 0
			for _, m := range members {
				m.Lock()
				total += m.values
				m.Unlock()
			}
		}
		members[0].leave(ctx)
		holding(ctx, members[1:], 4)
		members[1].leave(ctx)

		// The group goes on where it was committed: only what came later is read.
		produce(ctx, topic, 3, 10, 2)
		last := client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic), kgo.Balancers(balancer))
		same(topic, read(ctx, last, 2), expected(3, 10, 2))
		last.Close()
	}
}

func main() {
	address, name = os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	for _, scenario := range []struct {
		name string
		run  func(context.Context)
	}{{"codecs", codecs}, {"acks", acks}, {"timestamps", timestamps}, {"groups", groups}} {
		scenario.run(ctx)
		fmt.Println("ok", scenario.name)
	}
}

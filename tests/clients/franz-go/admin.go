package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"odradek/scene"
)

func administration(ctx context.Context) {
	topic := newTopic(ctx, "admin", 2)
	if _, err := admin.CreateTopic(ctx, 2, 1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		panic("a topic was created twice")
	}
	grown, err := admin.UpdatePartitions(ctx, 3, topic)
	check(err)
	check(grown[topic].Err)
	partitions := func() int {
		details, err := admin.ListTopics(ctx)
		check(err)
		return len(details[topic].Partitions)
	}
	scene.Until("three partitions", func() bool { return partitions() == 3 }) // Kafka's broker, too, learns of it a moment later
	configure(ctx, topic)

	produce(ctx, topic, 1, numbers(0, 10))
	deleted, err := admin.DeleteRecords(ctx, kadm.Offsets{topic: {1: {Topic: topic, Partition: 1, At: 4}}})
	check(err)
	same("the low watermark", deleted[topic][1].LowWatermark, int64(4))
	groups(ctx, topic)
	logDirs, err := admin.DescribeAllLogDirs(ctx, kadm.TopicsSet{topic: {1: {}}})
	check(err)
	size := int64(0)
	logDirs.Each(func(each kadm.DescribedLogDir) { size += each.Size() })
	same("is on disk", size > 0, true)
	openTransaction(ctx, topic)

	_, err = admin.DeleteTopic(ctx, topic)
	check(err)
	scene.Until("no such topic", func() bool { return partitions() == 0 })
}

func configure(ctx context.Context, topic string) {
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: kadm.StringPtr("1234567")}}, topic)
	check(err)
	check(altered[0].Err)
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	check(err)
	values := map[string]string{}
	for _, each := range described[0].Configs {
		values[each.Key] = each.MaybeValue()
	}
	same("configs", []string{values["retention.ms"], values["cleanup.policy"]}, []string{"1234567", "delete"})
}

// groups reads a topic of 6 records as a group, and looks at it.
func groups(ctx context.Context, topic string) {
	reader := reading(topic, kgo.ConsumerGroup(topic))
	for i, record := range read(ctx, reader, 6) {
		same("offset", record.Offset, int64(4+i))
	}
	check(reader.CommitUncommittedOffsets(ctx))
	listed, err := admin.ListGroups(ctx, "Stable")
	check(err)
	same("is listed", listed[topic].ProtocolType, "consumer")
	lags, err := admin.Lag(ctx, topic)
	check(err)
	same("members", len(lags[topic].Members), 1)
	same("lag", lags[topic].Lag.Total(), int64(0))
	reader.Close()
	var moved kadm.Offsets
	moved.AddOffset(topic, 1, 5, -1)
	check(admin.CommitAllOffsets(ctx, topic, moved))
	offsets, err := admin.FetchOffsets(ctx, topic)
	check(err)
	same("a moved offset", offsets[topic][1].At, int64(5))
	_, err = admin.DeleteGroup(ctx, topic)
	check(err)
	gone, err := admin.DescribeGroups(ctx, topic)
	check(err)
	same("a deleted group's state", gone[topic].State, "Dead")
}

func openTransaction(ctx context.Context, topic string) {
	writer := client(kgo.TransactionalID(topic))
	defer writer.Close()
	check(writer.BeginTransaction())
	check(writer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("open")}).FirstErr())
	listed, err := admin.ListTransactions(ctx, nil, []string{"Ongoing"})
	check(err)
	same("is listed", listed[topic].State, "Ongoing")
	described, err := admin.DescribeTransactions(ctx, topic)
	check(err)
	same("its topics", described[topic].Topics.Topics(), []string{topic})
	check(writer.EndTransaction(ctx, kgo.TryAbort))
}

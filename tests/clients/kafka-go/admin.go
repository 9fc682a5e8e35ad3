package main

import (
	"context"
	"errors"

	"github.com/segmentio/kafka-go"
	"odradek/scene"
)

func administration(ctx context.Context) {
	topic := newTopic(ctx, "admin", 2)
	conn, err := kafka.DialContext(ctx, "tcp", address)
	check(err)
	defer conn.Close()
	again := kafka.TopicConfig{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}
	check(conn.CreateTopics(again)) // takes it for done
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{again}})
	check(err)
	same("a topic is not created twice", errors.Is(created.Errors[topic], kafka.TopicAlreadyExists), true)
	grown, err := client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 3}}})
	check(err)
	check(grown.Errors[topic])
	scene.Until("so many partitions", func() bool { // Kafka's broker, too, learns of it a moment later
		partitions, err := conn.ReadPartitions(topic)
		check(err)
		return len(partitions) == 3
	})
	configure(ctx, topic)
	check(produce(ctx, topic, 1, numbers(0, 10), nil))
	groups(ctx, topic)
	transactionalOffsets(ctx, topic)

	check(conn.DeleteTopics(topic))
	scene.Until("no such topic", func() bool {
		metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		check(err)
		return errors.Is(metadata.Topics[0].Error, kafka.UnknownTopicOrPartition)
	})
}

func configure(ctx context.Context, topic string) {
	altered, err := client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: "1234567", ConfigOperation: kafka.ConfigOperationSet}}}}})
	check(err)
	check(altered.Resources[0].Error)
	described, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
	check(err)
	check(described.Resources[0].Error)
	same("a config", described.Resources[0].ConfigEntries[0].ConfigValue, "1234567")
}

// groups reads a topic of 10 records as a group, and looks at it.
func groups(ctx context.Context, topic string) {
	group := func(c *kafka.ReaderConfig) { c.Topic, c.GroupTopics, c.GroupID = "", []string{topic}, topic }
	reader := reading(topic, group)
	same("read", string(read(ctx, reader, 10)[9].Value), "event 9")
	listed, err := client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	check(err)
	check(listed.Error)
	found := false
	for _, each := range listed.Groups {
		found = found || each.GroupID == topic
	}
	same("is listed", found, true)
	described, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{topic}})
	check(err)
	same("state", described.Groups[0].GroupState, "Stable")
	same("topics", described.Groups[0].Members[0].MemberMetadata.Topics, []string{topic})
	check(reader.Close())
	same("its offset", committed(ctx, topic, 1), int64(10))

	commit, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: topic, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 1, Offset: 5}}}})
	check(err)
	check(commit.Topics[topic][0].Error)
	same("a moved offset", readValues(ctx, topic, 1, group), numbers(5, 1))
	deleted, err := client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{topic}})
	check(err)
	check(deleted.Errors[topic])
	same("a deleted group's offset", committed(ctx, topic, 1), int64(-1))
}

// transactionalOffsets is what kafka-go has of transactions.
func transactionalOffsets(ctx context.Context, topic string) {
	initialized, err := client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionalID: topic, TransactionTimeoutMs: 60000})
	check(err)
	check(initialized.Error)
	producer := initialized.Producer
	for i, commit := range []bool{true, false} {
		added, err := client.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{TransactionalID: topic, ProducerID: producer.ProducerID,
			ProducerEpoch: producer.ProducerEpoch, GroupID: topic})
		check(err)
		check(added.Error)
		offsets, err := client.TxnOffsetCommit(ctx, &kafka.TxnOffsetCommitRequest{TransactionalID: topic, GroupID: topic,
			ProducerID: producer.ProducerID, ProducerEpoch: producer.ProducerEpoch, GenerationID: -1,
			Topics: map[string][]kafka.TxnOffsetCommit{topic: {{Partition: 1, Offset: int64(7 + i)}}}})
		check(err)
		check(offsets.Topics[topic][0].Error)
		ended, err := client.EndTxn(ctx, &kafka.EndTxnRequest{TransactionalID: topic, ProducerID: producer.ProducerID,
			ProducerEpoch: producer.ProducerEpoch, Committed: commit})
		check(err)
		check(ended.Error)
		scene.Until("the commit", func() bool { return committed(ctx, topic, 1) == 7 }) // once its marker is written
	}
}

package main

import (
	"errors"

	"github.com/IBM/sarama"
	"odradek/scene"
)

func administration() {
	topic := newTopic("admin", 3)
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		panic("a topic was created twice")
	}
	partitions := 3
	if speaks.IsAtLeast(sarama.V1_0_0_0) {
		check(admin.CreatePartitions(topic, 4, nil, false))
		partitions = 4
	}
	scene.Until("so many partitions", func() bool { // which even Kafka's only broker learns of a moment later
		described, err := admin.DescribeTopics([]string{topic})
		check(err)
		return len(described[0].Partitions) == partitions
	})
	configure(topic)

	check(produce(topic, 1, numbers(0, 10), nil))
	check(admin.DeleteRecords(topic, map[int32]int64{1: 4}))
	groups(topic)
	if speaks.IsAtLeast(sarama.V1_0_0_0) {
		dirs, err := admin.DescribeLogDirs([]int32{1})
		check(err)
		same("log directories", len(dirs[1]), 1)
	}
	if speaks.IsAtLeast(sarama.V3_0_0_0) {
		openTransaction(topic)
	}

	check(admin.DeleteTopic(topic))
	scene.Until("no such topic", func() bool {
		left, err := admin.ListTopics()
		check(err)
		_, listed := left[topic]
		return !listed
	})
}

func configure(topic string) {
	value := "1234567"
	check(admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &value}, false))
	wanted := map[string]string{"retention.ms": value, "max.message.bytes": "1048588"}
	if speaks.IsAtLeast(sarama.V2_3_0_0) {
		value := "2000000"
		check(admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
			"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false))
		wanted["max.message.bytes"] = value
	}
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	check(err)
	got := map[string]string{}
	for _, entry := range entries {
		if _, known := wanted[entry.Name]; known {
			got[entry.Name] = entry.Value
		}
	}
	same("configs", got, wanted)
}

// groups reads what is left of a topic of 10 records as a group, and looks at it.
func groups(topic string) {
	m := join(topic, sarama.NewBalanceStrategyRange())
	m.AwaitValues(numbers(4, 6))
	listed, err := admin.ListConsumerGroups()
	check(err)
	same("is listed", listed[topic], "consumer")
	described, err := admin.DescribeConsumerGroups([]string{topic})
	check(err)
	same("state", described[0].State, "Stable")
	same("members", len(described[0].Members), 1)
	m.Leave()
	same("its offset", committed(topic, 1), int64(10))
	if speaks.IsAtLeast(sarama.V1_1_0_0) {
		check(admin.DeleteConsumerGroup(topic))
		described, err = admin.DescribeConsumerGroups([]string{topic})
		check(err)
		same("a deleted group's state", described[0].State, "Dead")
	}
}

func openTransaction(topic string) {
	producer := transactional(topic)
	check(producer.BeginTxn())
	check(send(producer, topic, "open"))
	transactions := admin.(sarama.TransactionClusterAdmin)
	listed, err := transactions.ListTransactions([]string{"Ongoing"}, nil, -1)
	check(err)
	found := false
	for _, each := range listed {
		found = found || each.TransactionalID == topic
	}
	same("is listed", found, true)
	check(producer.AbortTxn())
	check(producer.Close())
}

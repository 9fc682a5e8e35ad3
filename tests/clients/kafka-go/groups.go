package main

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
	"odradek/scene"
)

// join brings a member that commits what it gives up.
func join(ctx context.Context, topic string, balancer kafka.GroupBalancer) *scene.Member {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: topic, Brokers: []string{address}, Topics: []string{topic},
		GroupBalancers: []kafka.GroupBalancer{balancer}, HeartbeatInterval: 300 * time.Millisecond, JoinGroupBackoff: 200 * time.Millisecond,
		StartOffset: kafka.FirstOffset})
	check(err)
	m, ended := scene.NewMember(), make(chan struct{})
	m.OnLeave(func() {
		check(group.Close())
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			generation, err := group.Next(ctx)
			if errors.Is(err, kafka.ErrGroupClosed) {
				return
			}
			check(err)
			for _, assigned := range generation.Assignments[topic] {
				generation.Start(func(ctx context.Context) { consume(ctx, m, generation, topic, assigned) })
			}
		}
	}()
	return m
}

func consume(ctx context.Context, m *scene.Member, generation *kafka.Generation, topic string, from kafka.PartitionAssignment) {
	m.Holds(from.ID, true)
	defer m.Holds(from.ID, false)
	reader := reading(topic, func(c *kafka.ReaderConfig) { c.Partition = from.ID })
	defer reader.Close()
	check(reader.SetOffset(from.Offset))
	next := from.Offset
	for {
		message, err := reader.ReadMessage(ctx)
		if errors.Is(err, kafka.ErrGenerationEnded) {
			if next != from.Offset {
				check(generation.CommitOffsets(map[string]map[int]int64{topic: {from.ID: next}}))
			}
			return
		}
		check(err)
		next = message.Offset + 1
		m.Read(string(message.Value))
	}
}

func comeAndGo(ctx context.Context, topic string, balancer kafka.GroupBalancer) {
	scene.ComeAndGo(func() *scene.Member { return join(ctx, topic, balancer) },
		func(partition int, values []string) { check(produce(ctx, topic, partition, values, nil)) })

	// The group goes on where it was committed: only what came later is read, here by a Reader, which joins on its own.
	check(produce(ctx, topic, 3, numbers(40, 2), nil))
	same("what came later", readValues(ctx, topic, 2, func(c *kafka.ReaderConfig) {
		c.GroupID, c.GroupBalancers = topic, []kafka.GroupBalancer{balancer}
	}), numbers(40, 2))
	same("what the Reader committed", committed(ctx, topic, 3), int64(12))
}

func committed(ctx context.Context, group string, partition int) int64 {
	fetched, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{group: {partition}}})
	check(err)
	check(fetched.Error)
	check(fetched.Topics[group][0].Error)
	return fetched.Topics[group][0].CommittedOffset
}

func group(ctx context.Context) {
	comeAndGo(ctx, newTopic(ctx, "range", 4), kafka.RangeGroupBalancer{})
	comeAndGo(ctx, newTopic(ctx, "roundrobin", 4), kafka.RoundRobinGroupBalancer{})
}

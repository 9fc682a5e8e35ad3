package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// member keeps what one member of a group holds and has read; it commits what it gives up.
type member struct {
	sync.Mutex
	*kafka.ConsumerGroup
	parts  map[int]bool
	values []string
	ended  chan struct{}
}

func join(ctx context.Context, topic string, balancer kafka.GroupBalancer) *member {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: topic, Brokers: []string{address}, Topics: []string{topic},
		GroupBalancers: []kafka.GroupBalancer{balancer}, HeartbeatInterval: 300 * time.Millisecond, JoinGroupBackoff: 200 * time.Millisecond,
		StartOffset: kafka.FirstOffset})
	check(err)
	m := &member{ConsumerGroup: group, parts: map[int]bool{}, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		for {
			generation, err := group.Next(ctx)
			if errors.Is(err, kafka.ErrGroupClosed) {
				return
			}
			check(err)
			for _, assigned := range generation.Assignments[topic] {
				generation.Start(func(ctx context.Context) { m.consume(ctx, generation, topic, assigned) })
			}
		}
	}()
	return m
}

func (m *member) consume(ctx context.Context, generation *kafka.Generation, topic string, from kafka.PartitionAssignment) {
	m.holds(from.ID, true)
	defer m.holds(from.ID, false)
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
		m.Lock()
		m.values = append(m.values, string(message.Value))
		m.Unlock()
	}
}

func (m *member) holds(partition int, does bool) {
	m.Lock()
	defer m.Unlock()
	if m.parts[partition] = does; !does {
		delete(m.parts, partition)
	}
}

func (m *member) leave() {
	check(m.Close())
	<-m.ended
}

// share waits until all partitions are held, by one member each, and the members hold so many.
func share(ctx context.Context, members []*member, counts ...int) {
	until(ctx, func() bool {
		all, as := map[int]bool{}, true
		for i, m := range members {
			m.Lock()
			as = as && len(m.parts) == counts[i]
			for part := range m.parts {
				all[part] = true
			}
			m.Unlock()
		}
		return as && len(all) == 4
	})
}

func comeAndGo(ctx context.Context, topic string, balancer kafka.GroupBalancer) {
	members := []*member{join(ctx, topic, balancer)}
	share(ctx, members, 4)
	members = append(members, join(ctx, topic, balancer))
	share(ctx, members, 2, 2)
	for partition := range 4 {
		check(produce(ctx, topic, partition, numbers(10*partition, 10), nil))
	}
	read := map[string]int{}
	until(ctx, func() bool {
		clear(read)
		total := 0
		for _, m := range members {
			m.Lock()
			for _, value := range m.values {
				read[value]++
				total++
			}
			m.Unlock()
		}
		return total >= 40
	})
	for _, value := range numbers(0, 40) {
		same("reads of "+value, read[value], 1)
	}
	members[0].leave()
	share(ctx, members[1:], 4)
	members[1].leave()

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

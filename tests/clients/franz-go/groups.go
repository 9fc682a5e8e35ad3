package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// member keeps what one member of a group holds and has read; it commits what it gives up.
type member struct {
	sync.Mutex
	*kgo.Client
	parts  map[int32]bool
	values []string
	stop   context.CancelFunc
}

func join(ctx context.Context, topic string, options ...kgo.Opt) *member {
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
	m.Client = reading(topic, append(options, kgo.ConsumerGroup(topic), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)), kgo.HeartbeatInterval(500*time.Millisecond))...)
	ctx, m.stop = context.WithCancel(ctx)
	go func() {
		for ctx.Err() == nil {
			fetches := m.PollFetches(ctx)
			m.Lock()
			for _, record := range fetches.Records() {
				m.values = append(m.values, string(record.Value))
			}
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

// share waits until all partitions are held, by one member each, and the members hold so many.
func share(ctx context.Context, members []*member, counts ...int) {
	until(ctx, func() bool {
		all, as := map[int32]bool{}, true
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

func comeAndGo(ctx context.Context, topic string, options ...kgo.Opt) {
	members := []*member{join(ctx, topic, options...)}
	share(ctx, members, 4)
	members = append(members, join(ctx, topic, options...))
	share(ctx, members, 2, 2)
	for partition := range int32(4) {
		produce(ctx, topic, partition, numbers(10*int(partition), 10))
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
	members[0].leave(ctx)
	share(ctx, members[1:], 4)
	members[1].leave(ctx)

	// The group goes on where it was committed: only what came later is read.
	produce(ctx, topic, 3, numbers(40, 2))
	same("what came later", readValues(ctx, topic, 2, append(options, kgo.ConsumerGroup(topic))...), numbers(40, 2))
}

func group(ctx context.Context) {
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.CooperativeStickyBalancer()} {
		comeAndGo(ctx, newTopic(ctx, balancer.ProtocolName(), 4), kgo.Balancers(balancer))
	}
}

func kip848(ctx context.Context) {
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.StickyBalancer()} {
		topic := newTopic(ctx, "kip848-"+balancer.ProtocolName(), 4)
		comeAndGo(ctx, topic, kgo.Balancers(balancer), kgo.ServerSideBalancer())
		listed, err := admin.ListGroupsByType(ctx, []string{"consumer"})
		check(err)
		same("the type of "+topic, listed[topic].GroupType, "consumer")
	}
}

func pause(ctx context.Context) {
	topic := newTopic(ctx, "pause", 2)
	m := join(ctx, topic)
	defer m.leave(ctx)
	until(ctx, func() bool {
		m.Lock()
		defer m.Unlock()
		return len(m.parts) == 2
	})
	m.PauseFetchPartitions(map[string][]int32{topic: {0}})
	for partition := range int32(2) {
		produce(ctx, topic, partition, numbers(10*int(partition), 10))
	}
	m.reads(ctx, numbers(10, 10))
	m.ResumeFetchPartitions(map[string][]int32{topic: {0}})
	m.reads(ctx, append(numbers(10, 10), numbers(0, 10)...))
}

// reads waits until a member has read those values, and no others.
func (m *member) reads(ctx context.Context, values []string) {
	until(ctx, func() bool {
		m.Lock()
		defer m.Unlock()
		return len(m.values) >= len(values)
	})
	same("values", m.values, values)
}

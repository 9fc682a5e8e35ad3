package main

import (
	"context"
	"sync"

	"github.com/IBM/sarama"
)

// member keeps what one member of a group holds and has read; it commits what it has read as it goes.
type member struct {
	sync.Mutex
	sarama.ConsumerGroup
	parts  map[int32]bool
	values []string
	cancel context.CancelFunc
	ended  chan struct{}
}

func join(topic string, strategy sarama.BalanceStrategy) *member {
	group, err := sarama.NewConsumerGroup([]string{address}, topic, config(func(c *sarama.Config) {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	}))
	check(err)
	m := &member{ConsumerGroup: group, parts: map[int32]bool{}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() {
		for ctx.Err() == nil {
			check(group.Consume(ctx, []string{topic}, m))
		}
		close(m.ended)
	}()
	return m
}

func (m *member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.holds(claim.Partition(), true)
	defer m.holds(claim.Partition(), false)
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.Lock()
			m.values = append(m.values, string(message.Value))
			m.Unlock()
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) holds(partition int32, does bool) {
	m.Lock()
	defer m.Unlock()
	if m.parts[partition] = does; !does {
		delete(m.parts, partition)
	}
}

func (m *member) leave() {
	m.cancel()
	<-m.ended
	check(m.Close())
}

// share waits until all partitions are held, by one member each, and the members hold so many.
func share(members []*member, counts ...int) {
	until("the share", func() bool {
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

func comeAndGo(topic string, strategy sarama.BalanceStrategy) {
	members := []*member{join(topic, strategy)}
	share(members, 4)
	members = append(members, join(topic, strategy))
	share(members, 2, 2)
	for partition := range int32(4) {
		check(produce(topic, partition, numbers(10*int(partition), 10), nil))
	}
	read := map[string]int{}
	until("40 reads", func() bool {
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
	share(members[1:], 4)
	members[1].leave()

	// The group goes on where it was committed: only what came later is read.
	check(produce(topic, 3, numbers(40, 2), nil))
	last := join(topic, strategy)
	last.reads(numbers(40, 2))
	last.leave()
}

// reads waits until a member has read those values, and no others.
func (m *member) reads(values []string) {
	until("its reads", func() bool {
		m.Lock()
		defer m.Unlock()
		return len(m.values) >= len(values)
	})
	same("values", m.values, values)
}

func group() {
	strategies := []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategySticky()}
	if speaks.IsAtLeast(sarama.V2_4_0_0) {
		strategies = append(strategies, sarama.NewBalanceStrategyCooperativeSticky())
	}
	for _, strategy := range strategies {
		comeAndGo(newTopic("group-"+strategy.Name(), 4), strategy)
	}
}

func pause() {
	topic := newTopic("pause", 2)
	m := join(topic, sarama.NewBalanceStrategyRange())
	defer m.leave()
	until("two partitions", func() bool {
		m.Lock()
		defer m.Unlock()
		return len(m.parts) == 2
	})
	m.Pause(map[string][]int32{topic: {0}})
	for partition := range int32(2) {
		check(produce(topic, partition, numbers(10*int(partition), 10), nil))
	}
	m.reads(numbers(10, 10))
	m.Resume(map[string][]int32{topic: {0}})
	m.reads(append(numbers(10, 10), numbers(0, 10)...))
}

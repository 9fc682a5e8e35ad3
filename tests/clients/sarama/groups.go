package main

import (
	"context"

	"github.com/IBM/sarama"
	"odradek/scene"
)

// member is told by sarama of its partitions, and commits what it has read as it goes.
type member struct {
	*scene.Member
	sarama.ConsumerGroup
}

func join(topic string, strategy sarama.BalanceStrategy) *member {
	group, err := sarama.NewConsumerGroup([]string{address}, topic, config(func(c *sarama.Config) {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	}))
	check(err)
	m, ended := &member{scene.NewMember(), group}, make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	m.OnLeave(func() {
		cancel()
		<-ended
		check(group.Close())
	})
	go func() {
		for ctx.Err() == nil {
			check(group.Consume(ctx, []string{topic}, m))
		}
		close(ended)
	}()
	return m
}

func (m *member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.Holds(int(claim.Partition()), true)
	defer m.Holds(int(claim.Partition()), false)
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.Read(string(message.Value))
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func producing(topic string) func(partition int, values []string) {
	return func(partition int, values []string) { check(produce(topic, int32(partition), values, nil)) }
}

func comeAndGo(topic string, strategy sarama.BalanceStrategy) {
	scene.ComeAndGo(func() *scene.Member { return join(topic, strategy).Member }, producing(topic))

	// The group goes on where it was committed: only what came later is read.
	check(produce(topic, 3, numbers(40, 2), nil))
	last := join(topic, strategy)
	last.AwaitValues(numbers(40, 2))
	last.Leave()
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
	m, first := join(topic, sarama.NewBalanceStrategyRange()), map[string][]int32{topic: {0}}
	defer m.Leave()
	scene.Pause(m.Member, producing(topic), func() { m.Pause(first) }, func() { m.Resume(first) })
}

package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"odradek/scene"
)

// join brings a member that commits what it gives up.
func join(ctx context.Context, topic string, options ...kgo.Opt) (*scene.Member, *kgo.Client) {
	m := scene.NewMember()
	change := func(held bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
			if !held {
				check(client.CommitUncommittedOffsets(ctx))
			}
			for _, part := range parts[topic] {
				m.Holds(int(part), held)
			}
		}
	}
	client := reading(topic, append(options, kgo.ConsumerGroup(topic), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)), kgo.HeartbeatInterval(500*time.Millisecond))...)
	polling, stop := context.WithCancel(ctx)
	m.OnLeave(func() {
		stop()
		check(client.CommitUncommittedOffsets(ctx))
		client.Close()
	})
	go func() {
		for polling.Err() == nil {
			for _, record := range client.PollFetches(polling).Records() {
				m.Read(string(record.Value))
			}
		}
	}()
	return m, client
}

func producing(ctx context.Context, topic string) func(partition int, values []string) {
	return func(partition int, values []string) { produce(ctx, topic, int32(partition), values) }
}

func comeAndGo(ctx context.Context, topic string, options ...kgo.Opt) {
	scene.ComeAndGo(func() *scene.Member {
		m, _ := join(ctx, topic, options...)
		return m
	}, producing(ctx, topic))

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
	m, client := join(ctx, topic)
	defer m.Leave()
	first := map[string][]int32{topic: {0}}
	scene.Pause(m, producing(ctx, topic), func() { client.PauseFetchPartitions(first) }, func() { client.ResumeFetchPartitions(first) })
}

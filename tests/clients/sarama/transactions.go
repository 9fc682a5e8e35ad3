package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"odradek/scene"
)

func transactional(id string) sarama.SyncProducer {
	producer, err := sarama.NewSyncProducer([]string{address}, config(func(c *sarama.Config) {
		c.Producer.Transaction.ID, c.Producer.Idempotent, c.Net.MaxOpenRequests = id, true, 1
	}))
	check(err)
	return producer
}

func readCommitted(c *sarama.Config) { c.Consumer.IsolationLevel = sarama.ReadCommitted }

func send(producer sarama.SyncProducer, topic, value string) error {
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	return err
}

// copier is a group member that copies pairs of records in transactions, the offsets in them; it aborts the second.
type copier struct {
	target string
	cancel context.CancelFunc
}

func (c copier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c copier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c copier) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	defer c.cancel()
	producer := transactional(name)
	for _, commit := range []bool{true, false, true} {
		check(producer.BeginTxn())
		for range 2 {
			message := <-claim.Messages()
			value := string(message.Value)
			if !commit {
				value += " aborted"
			}
			check(send(producer, c.target, value))
			check(producer.AddMessageToTxnWithGroupMetadata(message,
				sarama.NewConsumerGroupMetadataFromSession(session, message.Topic, nil), nil))
		}
		if commit {
			check(producer.CommitTxn())
		} else {
			check(producer.AbortTxn())
		}
	}
	return producer.Close()
}

func transactions() {
	source, target := newTopic("source", 1), newTopic("target", 1)
	check(produce(source, 0, numbers(0, 6), nil))
	group, err := sarama.NewConsumerGroup([]string{address}, source, config(nil))
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), scene.Limit)
	check(group.Consume(ctx, []string{source}, copier{target, cancel}))
	same("how it ended", ctx.Err(), context.Canceled)
	check(group.Close())
	same("committed", readValues(target, 4, readCommitted), append(numbers(0, 2), numbers(4, 2)...))
	same("all", readValues(target, 6, nil), append(append(numbers(0, 2), "event 2 aborted", "event 3 aborted"), numbers(4, 2)...))
	same("the group's offset", committed(source, 0), int64(6))
	fencing(target)
}

func fencing(topic string) {
	older := transactional(name + "-fenced")
	check(older.BeginTxn())
	check(send(older, topic, "open"))
	newer := transactional(name + "-fenced")
	err := send(older, topic, "fenced")
	if !errors.Is(err, sarama.ErrInvalidProducerEpoch) && !errors.Is(err, sarama.ErrProducerFenced) {
		panic(fmt.Sprint("the older producer was not fenced: ", err))
	}
	check(newer.BeginTxn())
	check(send(newer, topic, "newer"))
	check(newer.CommitTxn())
	check(newer.Close())
	older.Close()
	same("after fencing", readValues(topic, 5, readCommitted)[4], "newer")
}

// committed is a group's offset in the topic of the same name; pending ones, of transactions whose markers are being written, are waited out.
func committed(group string, partition int32) (offset int64) {
	scene.Until("a stable offset", func() bool {
		response, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{group: {partition}})
		check(err)
		offset = response.GetBlock(group, partition).Offset
		return offset >= 0
	})
	return offset
}

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{committed_in, numbers, read, values, Deliveries, Scene, LIMIT};

fn send(producer: &ThreadedProducer<Deliveries>, topic: &str, value: &[u8]) {
    producer.send(BaseRecord::<[u8], [u8]>::to(topic).payload(value)).ok().unwrap();
}

pub fn transactions(scene: &Scene) {
    let (source, target) = (scene.topic("source", 1), scene.topic("target", 1));
    scene.produce(&source, 0, &numbers(0, 6), &[]).unwrap();
    let consumer = scene.reading(&source, Offset::Beginning, &[("group.id", &source)]);
    let producer = scene.producer(&[("transactional.id", &scene.name)]);
    producer.init_transactions(LIMIT).unwrap();
    for (round, commit) in [true, false, true].into_iter().enumerate() {
        producer.begin_transaction().unwrap();
        for value in values(&read(&consumer, 2)) {
            send(&producer, &target, &if commit { value } else { [&value[..], b" aborted"].concat() });
        }
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&source, 0, Offset::Offset(2 * round as i64 + 2)).unwrap();
        producer.send_offsets_to_transaction(&offsets, &consumer.group_metadata().unwrap(), LIMIT).unwrap();
        if commit {
            producer.commit_transaction(LIMIT).unwrap();
        } else {
            producer.flush(LIMIT).unwrap();
            producer.abort_transaction(LIMIT).unwrap();
        }
    }
    let committed = [numbers(0, 2), numbers(4, 2)].concat();
    assert_eq!(scene.read_values(&target, 4, &[("isolation.level", "read_committed")]), committed);
    let aborted = vec![b"event 2 aborted".to_vec(), b"event 3 aborted".to_vec()];
    let all = scene.read_values(&target, 6, &[("isolation.level", "read_uncommitted")]);
    assert_eq!(all, [numbers(0, 2), aborted, numbers(4, 2)].concat());
    assert_eq!(committed_in(&consumer, &source, 0), Offset::Offset(6));
    fencing(scene, &target, &producer);
}

fn fencing(scene: &Scene, topic: &str, older: &ThreadedProducer<Deliveries>) {
    older.begin_transaction().unwrap();
    send(older, topic, b"open");
    older.flush(LIMIT).unwrap();
    older.context().take();
    let newer = scene.producer(&[("transactional.id", &scene.name)]);
    newer.init_transactions(LIMIT).unwrap();
    send(older, topic, b"fenced");
    match older.commit_transaction(LIMIT) {
        Err(KafkaError::Transaction(error)) if error.is_fatal() => assert_eq!(error.code(), RDKafkaErrorCode::Fenced),
        other => panic!("the older producer was not fenced: {other:?}"),
    }
    newer.begin_transaction().unwrap();
    send(&newer, topic, b"newer");
    newer.commit_transaction(LIMIT).unwrap();
    assert_eq!(scene.read_values(topic, 5, &[("isolation.level", "read_committed")])[4], b"newer");
}

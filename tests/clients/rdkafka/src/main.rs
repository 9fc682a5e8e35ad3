//! What Rust programs do with rdkafka, as short scenarios that check themselves.
//!
//! usage: odradek-rdkafka HOST:PORT NAME
//!
//! NAME starts the names of topics, groups and transactional ids.

mod admin;
mod client;
mod group;
mod transactions;

use client::{committed_in, Scene};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

pub const EPOCH_MS: i64 = 1700000000000;

fn records(scene: &Scene) {
    let topic = scene.topic("records", 1);
    let producer = scene.producer(&[]);
    let headers = || OwnedHeaders::new().insert(Header { key: "one", value: Some(&[1u8]) }).insert(Header { key: "none", value: None::<&[u8]> });
    let plain = || BaseRecord::<[u8], [u8]>::to(&topic).timestamp(EPOCH_MS);
    let empty: &[u8] = b"";
    producer.send(plain().key(b"key").payload(b"event").headers(headers())).ok().unwrap();
    producer.send(plain().key(empty).payload(empty)).ok().unwrap();
    producer.send(plain()).ok().unwrap();
    producer.flush(client::LIMIT).unwrap();
    assert_eq!(producer.context().take(), [Ok(0), Ok(1), Ok(2)]);
    let reader = scene.reading(&topic, Offset::Beginning, &[]);
    let got = client::read(&reader, 3);
    for (i, record) in got.iter().enumerate() {
        assert_eq!((record.offset(), record.timestamp().to_millis()), (i as i64, Some(EPOCH_MS)));
    }
    let keys_and_values: Vec<_> = got.iter().map(|record| (record.key(), record.payload())).collect();
    assert_eq!(keys_and_values, [(Some(&b"key"[..]), Some(&b"event"[..])), (Some(empty), Some(empty)), (None, None)]);
    let seen: Vec<_> = got[0].headers().unwrap().iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(seen, [("one", Some(&[1u8][..])), ("none", None)]);

    for settings in [("acks", "0"), ("acks", "1"), ("acks", "all"), ("enable.idempotence", "true")] {
        scene.produce(&topic, 0, &client::numbers(0, 10), &[settings]).unwrap();
        for (i, record) in client::read(&reader, 10).iter().enumerate() {
            assert_eq!(record.key(), Some(format!("key {i}").as_bytes()));
            assert_eq!(record.payload(), Some(format!("event {i}").as_bytes()));
        }
    }
}

fn codecs(scene: &Scene) {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let topic = scene.topic(codec, 1);
        scene.produce(&topic, 0, &client::numbers(0, 300), &[("compression.type", codec), ("linger.ms", "20")]).unwrap();
        assert_eq!(scene.read_values(&topic, 300, &[]), client::numbers(0, 300), "{codec}");
    }
}

fn big(scene: &Scene) {
    let topic = scene.topic("big", 1);
    let values: Vec<_> = (0..8u8).map(|i| vec![i; 1000000]).collect();
    let larger = ("message.max.bytes", "2000000");
    scene.produce(&topic, 0, &values, &[larger, ("batch.num.messages", "1")]).unwrap();
    assert!(scene.read_values(&topic, 8, &[]) == values);
    let small = [("max.partition.fetch.bytes", "1000"), ("fetch.max.bytes", "1000"), ("message.max.bytes", "1000")];
    assert!(scene.read_values(&topic, 8, &small) == values);
    let refused = scene.produce(&topic, 0, &[vec![0; 1100000]], &[larger]);
    assert_eq!(refused, Err(RDKafkaErrorCode::MessageSizeTooLarge));
}

fn times(scene: &Scene) {
    let topic = scene.topic("times", 1);
    scene.produce(&topic, 0, &client::numbers(0, 5), &[]).unwrap();
    let consumer: BaseConsumer = scene.config(&[("group.id", &topic)]).create().unwrap();
    for (asked, found) in [
        (0, Offset::Offset(0)),
        (EPOCH_MS, Offset::Offset(0)),
        (EPOCH_MS + 1500, Offset::Offset(2)),
        (EPOCH_MS + 4000, Offset::Offset(4)),
        (EPOCH_MS + 4001, Offset::End),
    ] {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset(&topic, 0, Offset::Offset(asked)).unwrap();
        let answer = consumer.offsets_for_times(wanted, client::LIMIT).unwrap();
        assert_eq!(answer.elements()[0].offset(), found, "{asked}");
    }
    assert_eq!(consumer.fetch_watermarks(&topic, 0, client::LIMIT).unwrap(), (0, 5));
    let reader = scene.reading(&topic, Offset::Offset(3), &[]);
    assert_eq!(client::read(&reader, 2)[0].offset(), 3);
    reader.seek(&topic, 0, Offset::Offset(1), client::LIMIT).unwrap();
    assert_eq!(client::read(&reader, 4)[0].offset(), 1);
    assert_eq!(committed_in(&consumer, &topic, 0), Offset::Invalid);
}

fn pause(scene: &Scene) {
    let topic = scene.topic("pause", 2);
    let list = |partitions: &[i32]| {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(&topic, *partition, Offset::Beginning).unwrap();
        }
        list
    };
    let consumer: BaseConsumer = scene.config(&[("group.id", &topic)]).create().unwrap();
    consumer.assign(&list(&[0, 1])).unwrap();
    consumer.pause(&list(&[0])).unwrap();
    for partition in 0..2 {
        scene.produce(&topic, partition, &client::numbers(10 * partition as usize, 10), &[]).unwrap();
    }
    assert_eq!(client::values(&client::read(&consumer, 10)), client::numbers(10, 10));
    consumer.resume(&list(&[0])).unwrap();
    assert_eq!(client::values(&client::read(&consumer, 10)), client::numbers(0, 10));
}

/// This program's rdkafka, and the librdkafka that it found.
fn version() -> String {
    let (_, rest) = include_str!("../Cargo.toml").split_once("rdkafka = { version = \"=").unwrap();
    let (crate_version, _) = rest.split_once('"').unwrap();
    format!("{crate_version} with librdkafka {}", rdkafka::util::get_rdkafka_version().1)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let scene = Scene { address: arguments.next().unwrap(), name: arguments.next().unwrap() };
    println!("{}", version());
    let scenarios: [(&str, fn(&Scene)); 8] = [
        ("records", records),
        ("codecs", codecs),
        ("big", big),
        ("times", times),
        ("group", group::group),
        ("transactions", transactions::transactions),
        ("pause", pause),
        ("admin", admin::admin),
    ];
    for (name, run) in scenarios {
        run(&scene);
        println!("ok {name}");
    }
}

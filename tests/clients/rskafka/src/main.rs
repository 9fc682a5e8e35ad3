//! What Rust programs do with rskafka, as short scenarios that check themselves.
//!
//! usage: odradek-rskafka HOST:PORT NAME
//!
//! NAME starts the names of topics. rskafka has no groups, no transactions and no acks but all.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};

const EPOCH_MS: i64 = 1700000000000;
const TIMEOUT_MS: i32 = 30000; // only against hanging for ever

struct Scene {
    client: Client,
    name: String,
}

impl Scene {
    async fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Error> {
        self.client.controller_client()?.create_topic(topic, partitions, 1, TIMEOUT_MS).await
    }

    /// Makes a topic, and returns its first partition.
    async fn topic(&self, suffix: &str) -> PartitionClient {
        let topic = format!("{}-{suffix}", self.name);
        self.create_topic(&topic, 1).await.unwrap();
        self.client.partition_client(topic, 0, UnknownTopicHandling::Retry).await.unwrap()
    }
}

fn at(milli: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milli).unwrap()
}

/// A record of a value; its time is its number in seconds.
fn record(number: usize, value: Vec<u8>) -> Record {
    Record {
        key: Some(format!("key {number}").into_bytes()),
        value: Some(value),
        headers: BTreeMap::from([("number".to_owned(), number.to_string().into_bytes())]),
        timestamp: at(EPOCH_MS + 1000 * number as i64),
    }
}

fn numbers(count: usize) -> Vec<Record> {
    (0..count).map(|i| record(i, format!("event {i}").into_bytes())).collect()
}

async fn read(partition: &PartitionClient, from: i64, count: usize, bytes: i32) -> Vec<RecordAndOffset> {
    let mut got = Vec::new();
    while got.len() < count {
        let offset = from + got.len() as i64;
        let (records, _) = partition.fetch_records(offset, 1..bytes, TIMEOUT_MS).await.unwrap();
        got.extend(records.into_iter().filter(|each| each.offset >= offset)); // a batch comes whole
    }
    got
}

/// Writes records, and reads them back from an offset on.
async fn there_and_back(partition: &PartitionClient, records: Vec<Record>, from: i64, compression: Compression) {
    let offsets: Vec<i64> = (from..from + records.len() as i64).collect();
    assert_eq!(partition.produce(records.clone(), compression).await.unwrap(), offsets);
    let got = read(partition, from, records.len(), 10000000).await;
    assert!(got.iter().map(|each| each.offset).eq(offsets));
    assert!(got.into_iter().map(|each| each.record).eq(records));
}

async fn records(scene: &Scene) {
    let partition = scene.topic("records").await;
    let null = Record { key: None, value: None, headers: BTreeMap::new(), timestamp: at(EPOCH_MS) };
    let empty = Record { key: Some(vec![]), value: Some(vec![]), ..null.clone() };
    there_and_back(&partition, vec![record(0, b"event".to_vec()), empty, null], 0, Compression::NoCompression).await;
    there_and_back(&partition, numbers(10), 3, Compression::NoCompression).await;
}

async fn codecs(scene: &Scene) {
    for (i, codec) in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd].into_iter().enumerate() {
        there_and_back(&scene.topic(&format!("codec-{i}")).await, numbers(300), 0, codec).await;
    }
}

async fn big(scene: &Scene) {
    let partition = scene.topic("big").await;
    for i in 0..8u8 {
        there_and_back(&partition, vec![record(0, vec![i; 1000000])], i.into(), Compression::NoCompression).await;
    }
    let small = read(&partition, 0, 8, 1000).await;
    assert!(small.iter().map(|each| each.record.value.as_ref().unwrap()).eq(&(0..8u8).map(|i| vec![i; 1000000]).collect::<Vec<_>>()));
    match partition.produce(vec![record(0, vec![0; 1100000])], Compression::NoCompression).await {
        Err(Error::ServerError { protocol_error: ProtocolError::MessageTooLarge, .. }) => (),
        other => panic!("a record of over 1 MiB: {other:?}"),
    }
}

async fn times(scene: &Scene) {
    let partition = scene.topic("times").await;
    partition.produce(numbers(5), Compression::NoCompression).await.unwrap();
    for (asked, found) in [
        (OffsetAt::Earliest, 0),
        (OffsetAt::Latest, 5),
        (OffsetAt::Timestamp(at(0)), 0),
        (OffsetAt::Timestamp(at(EPOCH_MS)), 0),
        (OffsetAt::Timestamp(at(EPOCH_MS + 1500)), 2),
        (OffsetAt::Timestamp(at(EPOCH_MS + 4000)), 4),
        (OffsetAt::Timestamp(at(EPOCH_MS + 4001)), -1),
    ] {
        assert_eq!(partition.get_offset(asked).await.unwrap(), found, "{asked:?}");
    }
}

async fn admin(scene: &Scene) {
    let partition = scene.topic("admin").await;
    match scene.create_topic(partition.topic(), 1).await {
        Err(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => (),
        other => panic!("a topic was created twice: {other:?}"),
    }
    partition.produce(numbers(10), Compression::NoCompression).await.unwrap();
    partition.delete_records(4, TIMEOUT_MS).await.unwrap();
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 4);
    match partition.fetch_records(3, 1..1000, 0).await {
        Err(Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. }) => (),
        other => panic!("a deleted record: {other:?}"),
    }
    scene.client.controller_client().unwrap().delete_topic(partition.topic(), TIMEOUT_MS).await.unwrap();
    while scene.client.list_topics().await.unwrap().iter().any(|each| each.name == partition.topic()) {
        tokio::time::sleep(Duration::from_millis(20)).await; // Kafka's broker, too, learns of it a moment later
    }
}

async fn run(address: String, name: String) {
    let scene = Scene { client: ClientBuilder::new(vec![address]).build().await.unwrap(), name };
    records(&scene).await;
    println!("ok records");
    codecs(&scene).await;
    println!("ok codecs");
    big(&scene).await;
    println!("ok big");
    times(&scene).await;
    println!("ok times");
    admin(&scene).await;
    println!("ok admin");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (_, version) = include_str!("../Cargo.toml").split_once("rskafka = \"=").unwrap();
    println!("{}", version.split('"').next().unwrap());
    let mut arguments = std::env::args().skip(1);
    let scenarios = run(arguments.next().unwrap(), arguments.next().unwrap());
    tokio::time::timeout(Duration::from_secs(200), scenarios).await.unwrap();
}

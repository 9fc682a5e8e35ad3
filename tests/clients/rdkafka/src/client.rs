//! Producers and consumers of one broker, for names that start with one name.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::EPOCH_MS;

pub const LIMIT: Duration = Duration::from_secs(60); // only against hanging for ever

pub struct Scene {
    pub address: String,
    pub name: String,
}

/// Keeps where records were written, or why not.
#[derive(Default)]
pub struct Deliveries(Mutex<Vec<Result<i64, RDKafkaErrorCode>>>);

impl Deliveries {
    pub fn take(&self) -> Vec<Result<i64, RDKafkaErrorCode>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        self.0.lock().unwrap().push(match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap()),
        });
    }
}

impl Scene {
    pub fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config(&[]).create().unwrap()
    }

    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<String, (String, RDKafkaErrorCode)> {
        let wanted = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
        block_on(self.admin().create_topics(&wanted, &AdminOptions::new())).unwrap().remove(0)
    }

    pub fn topic(&self, suffix: &str, partitions: i32) -> String {
        self.create_topic(&format!("{}-{suffix}", self.name), partitions).unwrap()
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> ThreadedProducer<Deliveries> {
        self.config(settings).create_with_context(Deliveries::default()).unwrap()
    }

    /// Writes values to one partition; a record's time is its number in seconds.
    pub fn produce<V: AsRef<[u8]>>(&self, topic: &str, partition: i32, values: &[V], settings: &[(&str, &str)]) -> Result<(), RDKafkaErrorCode> {
        let producer = self.producer(settings);
        for (i, value) in values.iter().enumerate() {
            let (number, key) = (i.to_string(), format!("key {i}"));
            let headers = OwnedHeaders::new().insert(Header { key: "number", value: Some(&number) });
            let record = BaseRecord::<str, [u8]>::to(topic).partition(partition).key(&key).payload(value.as_ref());
            producer.send(record.headers(headers).timestamp(EPOCH_MS + 1000 * i as i64)).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LIMIT).unwrap();
        let results = producer.context().take();
        assert_eq!(results.len(), values.len());
        results.into_iter().try_for_each(|result| result.map(|_| ()))
    }

    pub fn reading(&self, topic: &str, from: Offset, settings: &[(&str, &str)]) -> BaseConsumer {
        let own = [("group.id", "none"), ("enable.auto.commit", "false")];
        let consumer: BaseConsumer = self.config(&[&own[..], settings].concat()).create().unwrap();
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset(topic, 0, from).unwrap();
        consumer.assign(&wanted).unwrap();
        consumer
    }

    /// The first values of a topic.
    pub fn read_values(&self, topic: &str, count: usize, settings: &[(&str, &str)]) -> Vec<Vec<u8>> {
        values(&read(&self.reading(topic, Offset::Beginning, settings), count))
    }
}

pub fn read(consumer: &BaseConsumer, count: usize) -> Vec<OwnedMessage> {
    let (end, mut got) = (Instant::now() + LIMIT, Vec::new());
    while got.len() < count {
        assert!(Instant::now() < end, "read but {} of {count}", got.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            got.push(message.unwrap().detach());
        }
    }
    got
}

pub fn values(messages: &[OwnedMessage]) -> Vec<Vec<u8>> {
    messages.iter().map(|message| message.payload().unwrap().to_vec()).collect()
}

pub fn numbers(first: usize, count: usize) -> Vec<Vec<u8>> {
    (first..first + count).map(|i| format!("event {i}").into_bytes()).collect()
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn committed_in(consumer: &BaseConsumer, topic: &str, partition: i32) -> Offset {
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(topic, partition);
    consumer.committed_offsets(wanted, LIMIT).unwrap().elements()[0].offset()
}

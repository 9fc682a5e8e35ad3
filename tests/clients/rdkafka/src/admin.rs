use futures_executor::block_on;
use rdkafka::admin::{AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::Offset;

use crate::client::{committed_in, numbers, until, Scene, LIMIT};
use crate::group::Member;

pub fn admin(scene: &Scene) {
    let (topic, options) = (scene.topic("admin", 2), AdminOptions::new());
    assert_eq!(scene.create_topic(&topic, 2).unwrap_err().1, RDKafkaErrorCode::TopicAlreadyExists);
    let client = scene.admin();
    block_on(client.create_partitions(&[NewPartitions::new(&topic, 3)], &options)).unwrap().remove(0).unwrap();
    let consumer: BaseConsumer = scene.config(&[("group.id", &topic)]).create().unwrap();
    let partitions = || {
        let metadata = consumer.fetch_metadata(None, LIMIT).unwrap();
        metadata.topics().iter().find(|each| each.name() == topic).map(|each| each.partitions().len())
    };
    until("three partitions", || partitions() == Some(3)); // Kafka's broker, too, learns of it a moment later

    let resource = ResourceSpecifier::Topic(&topic);
    let change = AlterConfig::new(resource).set("retention.ms", "1234567");
    block_on(client.alter_configs(&[change], &options)).unwrap().remove(0).unwrap();
    let described = block_on(client.describe_configs(&[resource], &options)).unwrap().remove(0).unwrap();
    assert_eq!(described.get("retention.ms").unwrap().value.as_deref(), Some("1234567"));
    assert_eq!(described.get("cleanup.policy").unwrap().value.as_deref(), Some("delete"));

    scene.produce(&topic, 1, &numbers(0, 10), &[]).unwrap();
    let member = Member::join(scene, &topic, "range");
    until("10 reads", || member.held.values.lock().unwrap().len() >= 10);
    let groups = consumer.fetch_group_list(Some(&topic), LIMIT).unwrap();
    let group = &groups.groups()[0];
    assert_eq!((group.name(), group.state(), group.protocol(), group.members().len()), (&topic[..], "Stable", "range", 1));
    assert_eq!(member.leave(), numbers(0, 10));
    assert_eq!(committed_in(&consumer, &topic, 1), Offset::Offset(10));
    block_on(client.delete_groups(&[&topic], &options)).unwrap().remove(0).unwrap();
    assert_eq!(committed_in(&consumer, &topic, 1), Offset::Invalid);

    block_on(client.delete_topics(&[&topic], &options)).unwrap().remove(0).unwrap();
    until("no topic", || partitions().is_none());
}

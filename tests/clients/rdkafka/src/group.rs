use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::TopicPartitionList;

use crate::client::{numbers, until, Scene};

/// What a member holds and has read.
#[derive(Default)]
pub struct Held {
    parts: Mutex<BTreeSet<i32>>,
    pub values: Mutex<Vec<Vec<u8>>>,
    leaving: AtomicBool,
}

struct Context(Arc<Held>);

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn pre_rebalance<'a>(&self, rebalance: &Rebalance<'a>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.0.parts.lock().unwrap().retain(|part| !partitions(list).contains(part));
        }
    }

    fn post_rebalance<'a>(&self, rebalance: &Rebalance<'a>) {
        if let Rebalance::Assign(list) = rebalance {
            self.0.parts.lock().unwrap().extend(partitions(list));
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    if list.count() == 0 {
        return Vec::new(); // whose elements() would be a slice at null
    }
    list.elements().iter().map(|each| each.partition()).collect()
}

/// A member that reads, and commits what it has read, until it is told to leave.
pub struct Member {
    pub held: Arc<Held>,
    thread: JoinHandle<()>,
}

impl Member {
    pub fn join(scene: &Scene, topic: &str, strategy: &str) -> Member {
        let held = Arc::new(Held::default());
        let settings = [
            ("group.id", topic),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("heartbeat.interval.ms", "300"),
            ("session.timeout.ms", "6000"),
            ("partition.assignment.strategy", strategy),
        ];
        let consumer: BaseConsumer<Context> = scene.config(&settings).create_with_context(Context(held.clone())).unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let seen = held.clone();
        let thread = std::thread::spawn(move || {
            while !seen.leaving.load(Ordering::Relaxed) {
                if let Some(message) = consumer.poll(Duration::from_millis(50)) {
                    let message = message.unwrap();
                    seen.values.lock().unwrap().push(message.payload().unwrap().to_vec());
                    consumer.commit_message(&message, CommitMode::Sync).unwrap();
                }
            }
        });
        Member { held, thread }
    }

    pub fn leave(self) -> Vec<Vec<u8>> {
        self.held.leaving.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let values = self.held.values.lock().unwrap().clone();
        values
    }
}

/// Waits until all partitions are held, by one member each, and the members hold so many.
fn share(members: &[Member], counts: &[usize]) {
    until("the share", || {
        let parts: Vec<_> = members.iter().map(|member| member.held.parts.lock().unwrap().clone()).collect();
        let all: BTreeSet<_> = parts.iter().flatten().collect();
        all.len() == 4 && parts.iter().map(BTreeSet::len).eq(counts.iter().copied())
    });
}

fn come_and_go(scene: &Scene, topic: &str, strategy: &str) {
    let mut members = vec![Member::join(scene, topic, strategy)];
    share(&members, &[4]);
    members.push(Member::join(scene, topic, strategy));
    share(&members, &[2, 2]);
    for partition in 0..4 {
        scene.produce(topic, partition, &numbers(10 * partition as usize, 10), &[]).unwrap();
    }
    let read = |members: &[Member]| members.iter().flat_map(|each| each.held.values.lock().unwrap().clone()).collect::<Vec<_>>();
    until("40 reads", || read(&members).len() >= 40);
    let (mut got, mut wanted) = (read(&members), numbers(0, 40));
    got.sort();
    wanted.sort();
    assert!(got == wanted);
    members.remove(0).leave();
    share(&members, &[4]);
    members.remove(0).leave();

    // The group goes on where it was committed: only what came later is read.
    scene.produce(topic, 3, &numbers(40, 2), &[]).unwrap();
    let last = Member::join(scene, topic, strategy);
    until("what came later", || last.held.values.lock().unwrap().len() >= 2);
    assert_eq!(last.leave(), numbers(40, 2));
}

pub fn group(scene: &Scene) {
    for strategy in ["range", "roundrobin", "cooperative-sticky"] {
        come_and_go(scene, &scene.topic(strategy, 4), strategy);
    }
}

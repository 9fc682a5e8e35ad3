// What programs do with the Java client, as short scenarios that check themselves.
//
// usage: Scenarios HOST:PORT NAME
//
// One source for 2.8.0 and 4.3.1 alike; what an older one lacks is left out with it.
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Scenarios {
    static final int SECONDS = 60;  // only against hanging for ever
    static final long EPOCH_MS = 1700000000000L;
    static String address, name;

    interface Scenario { void run() throws Exception; }

    public static void main(String[] args) throws Exception {
        address = args[0];
        name = args[1];
        System.out.println(AppInfoParser.getVersion());
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("records", Scenarios::records);
        scenarios.put("codecs", Scenarios::codecs);
        scenarios.put("big", Scenarios::big);
        scenarios.put("times", Scenarios::times);
        scenarios.put("group", () -> group("group", "heartbeat.interval.ms", 300, "session.timeout.ms", 6000));
        if (ConsumerConfig.configNames().contains("group.protocol"))
            scenarios.put("kip848", Scenarios::kip848);
        scenarios.put("transactions", Scenarios::transactions);
        scenarios.put("admin", Scenarios::administration);
        for (Map.Entry<String, Scenario> each : scenarios.entrySet()) {
            each.getValue().run();
            System.out.println("ok " + each.getKey());
        }
    }

    // ---- what the scenarios share

    static void check(boolean condition, Object seen) {
        if (!condition)
            throw new AssertionError(String.valueOf(seen));
    }

    static void same(Object seen, Object expected) {
        check(expected.equals(seen), "expected " + expected + ", saw " + seen);
    }

    static Properties settings(Object... pairs) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", address);
        for (int i = 0; i < pairs.length; i += 2)
            settings.put(pairs[i], String.valueOf(pairs[i + 1]));
        return settings;
    }

    static String make(String suffix, int partitions) throws Exception {
        String topic = name + "-" + suffix;
        try (Admin admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
        return topic;
    }

    static Producer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static Consumer<byte[], byte[]> consumer(Object... pairs) {
        Properties settings = settings("auto.offset.reset", "earliest", "enable.auto.commit", "false");
        settings.putAll(settings(pairs));
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static List<String> numbers(int first, int count) {
        return IntStream.range(first, first + count).mapToObj(i -> "event " + i).collect(Collectors.toList());
    }

    // A record's time is its number in seconds.
    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int number, byte[] value) {
        ProducerRecord<byte[], byte[]> record =
            new ProducerRecord<>(topic, partition, EPOCH_MS + 1000 * number, bytes("key " + number), value);
        record.headers().add("number", bytes("" + number)).add("none", null);
        return record;
    }

    static void produce(String topic, int partition, List<String> values, Object... pairs) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (Producer<byte[], byte[]> producer = producer(pairs)) {
            for (int i = 0; i < values.size(); i++)
                sent.add(producer.send(record(topic, partition, i, bytes(values.get(i)))));
        }
        for (Future<RecordMetadata> each : sent)
            each.get();
    }

    static Consumer<byte[], byte[]> assigned(String topic, int partition, Object... pairs) {
        Consumer<byte[], byte[]> reader = consumer(pairs);
        reader.assign(List.of(new TopicPartition(topic, partition)));
        reader.seekToBeginning(reader.assignment());
        return reader;
    }

    static void until(BooleanSupplier condition, Callable<Object> seen) throws Exception {
        long end = System.nanoTime() + SECONDS * 1_000_000_000L;
        while (!condition.getAsBoolean()) {
            check(System.nanoTime() < end, "never came true: " + seen.call());
            Thread.sleep(10);
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> read(Consumer<byte[], byte[]> reader, int count) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        until(() -> {
            if (records.size() < count)
                reader.poll(Duration.ofMillis(200)).forEach(records::add);
            return records.size() >= count;
        }, () -> records);
        return records;
    }

    static List<String> values(Collection<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> text(record.value())).collect(Collectors.toList());
    }

    static List<String> readValues(String topic, int count, Object... pairs) throws Exception {
        try (Consumer<byte[], byte[]> reader = assigned(topic, 0, pairs)) {
            return values(read(reader, count));
        }
    }

    static Throwable failure(Callable<?> action) {
        try {
            action.call();
        } catch (ExecutionException e) {
            return e.getCause();
        } catch (Exception e) {
            return e;
        }
        throw new AssertionError("nothing failed");
    }

    // ---- the scenarios

    static void records() throws Exception {
        String topic = make("records", 1);
        List<String> values = numbers(0, 5);
        values.addAll(Arrays.asList(null, ""));
        produce(topic, 0, values, "acks", "all");
        try (Consumer<byte[], byte[]> reader = assigned(topic, 0)) {
            List<ConsumerRecord<byte[], byte[]>> got = read(reader, 7);
            same(values(got), values);
            for (int i = 0; i < 7; i++) {
                ConsumerRecord<byte[], byte[]> record = got.get(i);
                same(List.of(record.offset(), text(record.key()), record.timestamp()), List.of((long) i, "key " + i, EPOCH_MS + 1000 * i));
                List<Header> headers = Arrays.asList(record.headers().toArray());
                same(headers.stream().map(each -> each.key() + "=" + text(each.value())).collect(Collectors.toList()),
                     List.of("number=" + i, "none=null"));
            }
            for (String acks : List.of("0", "1", "all"))
                produce(topic, 0, numbers(7, 3), "acks", acks, "enable.idempotence", "false");
            produce(topic, 0, numbers(7, 3), "enable.idempotence", "true", "acks", "all");
            List<String> rest = values(read(reader, 12));
            for (int i = 0; i < 4; i++)
                same(rest.subList(3 * i, 3 * i + 3), numbers(7, 3));
        }
    }

    static void codecs() throws Exception {
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
            String topic = make(codec, 1);
            produce(topic, 0, numbers(0, 300), "compression.type", codec, "linger.ms", 20);
            same(readValues(topic, 300), numbers(0, 300));
        }
    }

    static void big() throws Exception {
        String topic = make("big", 1);
        List<String> values = IntStream.range(0, 8).mapToObj(i -> String.valueOf(i).repeat(1000000)).collect(Collectors.toList());
        produce(topic, 0, values, "max.request.size", 2000000);
        check(readValues(topic, 8).equals(values), "other records");
        check(readValues(topic, 8, "max.partition.fetch.bytes", 1000, "fetch.max.bytes", 1000).equals(values), "other records");
        Throwable refusal = failure(() -> {
            produce(topic, 0, List.of("x".repeat(1100000)), "max.request.size", 2000000);
            return null;
        });
        check(refusal instanceof RecordTooLargeException, refusal);
    }

    static void times() throws Exception {
        String topic = make("times", 1);
        TopicPartition part = new TopicPartition(topic, 0);
        produce(topic, 0, numbers(0, 5));
        try (Consumer<byte[], byte[]> reader = consumer(); Admin admin = Admin.create(settings())) {
            for (long[] each : new long[][] {{0, 0}, {EPOCH_MS, 0}, {EPOCH_MS + 1500, 2}, {EPOCH_MS + 4000, 4}, {EPOCH_MS + 4001, -1}}) {
                OffsetAndTimestamp found = reader.offsetsForTimes(Map.of(part, each[0])).get(part);
                same(found == null ? -1 : found.offset(), each[1]);
                same(admin.listOffsets(Map.of(part, OffsetSpec.forTimestamp(each[0]))).partitionResult(part).get().offset(), each[1]);
            }
            same(reader.beginningOffsets(Set.of(part)), Map.of(part, 0L));
            same(reader.endOffsets(Set.of(part)), Map.of(part, 5L));
            same(admin.listOffsets(Map.of(part, OffsetSpec.earliest())).partitionResult(part).get().offset(), 0L);
            same(admin.listOffsets(Map.of(part, OffsetSpec.latest())).partitionResult(part).get().offset(), 5L);
        }
    }

    // Reads, and commits what it has read, until it is told to leave.
    static class Member extends Thread {
        final Consumer<byte[], byte[]> consumer;
        final List<String> values = Collections.synchronizedList(new ArrayList<>());
        volatile Set<Integer> parts = Set.of();
        volatile boolean leaving;
        volatile Throwable failure;

        Member(String topic, Object... pairs) {
            setDaemon(true);
            consumer = consumer(pairs);
            consumer.subscribe(List.of(topic));
            start();
        }

        @Override
        public void run() {
            try {
                while (!leaving) {
                    ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(50));
                    records.forEach(record -> values.add(text(record.value())));
                    if (!records.isEmpty())
                        consumer.commitSync();
                    parts = consumer.assignment().stream().map(TopicPartition::partition).collect(Collectors.toSet());
                }
                consumer.close();
            } catch (Throwable e) {
                failure = e;
            }
        }

        void leave() throws InterruptedException {
            leaving = true;
            join(SECONDS * 1000);
            check(!isAlive() && failure == null, failure == null ? "does not end" : failure);
        }
    }

    // Waits until all partitions are held, by one member each, and every member has some.
    static void share(List<Member> members, Set<Integer> wanted) throws Exception {
        until(() -> {
            Set<Integer> held = new HashSet<>();
            members.forEach(each -> held.addAll(each.parts));
            return held.equals(wanted) && members.stream().mapToInt(each -> each.parts.size()).sum() == wanted.size() &&
                members.stream().noneMatch(each -> each.parts.isEmpty());
        }, () -> members.stream().map(each -> each.parts + " " + each.failure).collect(Collectors.toList()));
    }

    static void group(String suffix, Object... more) throws Exception {
        String topic = make(suffix, 4);
        List<Object> settings = new ArrayList<>(List.of("group.id", topic));
        settings.addAll(Arrays.asList(more));
        Object[] pairs = settings.toArray();
        Set<Integer> everything = Set.of(0, 1, 2, 3);
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            members.add(new Member(topic, pairs));
            share(members, everything);
        }
        for (int partition : everything)
            produce(topic, partition, numbers(10 * partition, 10));
        List<Member> both = List.copyOf(members);
        until(() -> both.stream().mapToInt(each -> each.values.size()).sum() >= 40, () -> both.get(0).values + " " + both.get(1).values);
        Set<String> seen = new TreeSet<>(both.get(0).values);
        seen.addAll(both.get(1).values);
        same(seen, new TreeSet<>(numbers(0, 40)));
        members.remove(0).leave();
        share(members, everything);
        members.remove(0).leave();
        produce(topic, 3, numbers(40, 2));
        Member last = new Member(topic, pairs);
        until(() -> last.values.size() >= 2, () -> last.values + " " + last.failure);
        last.leave();
        same(last.values, numbers(40, 2));
    }

    static void kip848() throws Exception {
        group("kip848", "group.protocol", "consumer");
        group("range", "group.protocol", "consumer", "group.remote.assignor", "range");
    }

    static void transactions() throws Exception {
        String source = make("source", 1), target = make("target", 1);
        TopicPartition part = new TopicPartition(source, 0);
        produce(source, 0, numbers(0, 6));
        try (Producer<byte[], byte[]> producer = producer("transactional.id", name);
             Consumer<byte[], byte[]> reader = consumer("group.id", source, "max.poll.records", 2)) {
            producer.initTransactions();
            reader.assign(List.of(part));
            for (boolean commit : new boolean[] {true, false, true}) {
                producer.beginTransaction();
                for (ConsumerRecord<byte[], byte[]> record : read(reader, 2))
                    producer.send(new ProducerRecord<>(target, bytes(text(record.value()) + (commit ? "" : " aborted"))));
                producer.flush();
                producer.sendOffsetsToTransaction(Map.of(part, new OffsetAndMetadata(reader.position(part))), reader.groupMetadata());
                if (commit)
                    producer.commitTransaction();
                else
                    producer.abortTransaction();
            }
            List<String> committed = numbers(0, 2);
            committed.addAll(numbers(4, 2));
            same(readValues(target, 4, "isolation.level", "read_committed"), committed);
            same(readValues(target, 6).size(), 6);
            same(reader.committed(Set.of(part)).get(part).offset(), 6L);
            try (Producer<byte[], byte[]> newer = producer("transactional.id", name)) {
                newer.initTransactions();
                Throwable refusal = failure(() -> {
                    producer.beginTransaction();
                    producer.send(new ProducerRecord<>(target, bytes("fenced"))).get();
                    producer.commitTransaction();
                    return null;
                });
                check(refusal instanceof ProducerFencedException || refusal instanceof InvalidProducerEpochException, refusal);
                newer.beginTransaction();
                newer.send(new ProducerRecord<>(target, bytes("newer"))).get();
                newer.commitTransaction();
            }
            same(readValues(target, 5, "isolation.level", "read_committed").get(4), "newer");
        }
    }

    static void administration() throws Exception {
        String topic = make("admin", 2);
        TopicPartition part = new TopicPartition(topic, 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        check(failure(() -> make("admin", 2)) instanceof TopicExistsException, topic);
        try (Admin admin = Admin.create(settings()); Consumer<byte[], byte[]> reader = assigned(topic, 1)) {
            same(admin.describeCluster().nodes().get().size(), 1);
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            same(reader.partitionsFor(topic).size(), 3);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", "1234567"), AlterConfigOp.OpType.SET)))).all().get();
            ConfigEntry entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
            same(entry.value() + " " + entry.source(), "1234567 DYNAMIC_TOPIC_CONFIG");
            produce(topic, 1, numbers(0, 10));
            Member member = new Member(topic, "group.id", topic);
            until(() -> member.values.size() == 10, () -> member.values);
            check(admin.listConsumerGroups().all().get().stream().anyMatch(each -> each.groupId().equals(topic)), topic);
            ConsumerGroupDescription described = admin.describeConsumerGroups(List.of(topic)).all().get().get(topic);
            same(described.members().iterator().next().assignment().topicPartitions().size(), 3);
            member.leave();
            same(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().get(part).offset(), 10L);
            admin.alterConsumerGroupOffsets(topic, Map.of(part, new OffsetAndMetadata(3, "by hand"))).all().get();
            same(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().get(part).metadata(), "by hand");
            admin.deleteConsumerGroups(List.of(topic)).all().get();
            same(admin.deleteRecords(Map.of(part, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(part).get().lowWatermark(), 4L);
            same(values(read(reader, 6)), numbers(4, 6));
            admin.deleteTopics(List.of(topic)).all().get();
            check(!admin.listTopics().names().get().contains(topic), topic);
        }
    }
}

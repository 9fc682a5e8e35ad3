/* Prints what Apache Kafka's assignors decide for pseudo-random groups whose members come, go and change their minds: the file
 * assignors.txt beside this one, which tests/broker/assignors.c replays.
 *
 *     java -cp "$(tools/kafka 4.3.1 fetch | tail -1)/*" tests/golden/Assignors.java > tests/golden/assignors.txt
 *
 * A case is a line `case ASSIGNOR homogeneous|heterogeneous`, lines `topic ID PARTITIONS`, lines
 * `member ID INSTANCE TOPICS CURRENT TARGET` (`-`: none; partitions as TOPIC:P,P;TOPIC:P), and `end`. */
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.*;
import org.apache.kafka.coordinator.group.assignor.*;
import org.apache.kafka.coordinator.group.modern.*;

public class Assignors {
    static final Random random = new Random(848);

    static class Member {
        String id, instance;
        TreeSet<Integer> topics = new TreeSet<>();
        Map<Uuid, Set<Integer>> current = new HashMap<>();
    }

    static List<Uuid> ids = new ArrayList<>();
    static List<Integer> counts = new ArrayList<>();
    static List<Member> members = new ArrayList<>();

    static class Describer implements SubscribedTopicDescriber {
        public int numPartitions(Uuid id) {
            return ids.contains(id) ? counts.get(ids.indexOf(id)) : -1;
        }

        public Set<String> racksForPartition(Uuid id, int partition) {
            return Set.of();
        }

        public Set<Integer> assignablePartitions(Uuid id) {
            return Set.of();
        }
    }

    static String text(Map<Uuid, Set<Integer>> partitions) {
        StringJoiner all = new StringJoiner(";");
        for (int t = 0; t < ids.size(); t++) {
            Set<Integer> of = partitions.getOrDefault(ids.get(t), Set.of());
            if (of.isEmpty())
                continue;
            StringJoiner one = new StringJoiner(",");
            for (int p : new TreeSet<>(of))
                one.add("" + p);
            all.add(t + ":" + one);
        }
        return all.length() == 0 ? "-" : all.toString();
    }

    static void run(ConsumerGroupPartitionAssignor assignor) {
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new HashMap<>();
        Map<Uuid, Map<Integer, String>> inverted = new HashMap<>();
        boolean same = members.stream().allMatch(m -> m.topics.equals(members.get(0).topics));
        for (Member m : members) {
            Set<Uuid> topics = new LinkedHashSet<>();
            byBytes().forEach(id -> {
                if (m.topics.contains(ids.indexOf(id)))
                    topics.add(id);
            });
            specs.put(m.id, new MemberSubscriptionAndAssignmentImpl(Optional.empty(), Optional.ofNullable(m.instance), topics,
                new Assignment(Collections.unmodifiableMap(m.current))));
            m.current.forEach((id, ps) -> ps.forEach(p -> inverted.computeIfAbsent(id, x -> new HashMap<>()).put(p, m.id)));
        }
        Map<String, MemberAssignment> result = assignor.assign(new GroupSpecImpl(specs,
            same ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS, inverted, Optional.empty()), new Describer()).members();
        System.out.println("case " + assignor.name() + (same ? " homogeneous" : " heterogeneous"));
        for (int t = 0; t < ids.size(); t++)
            System.out.println("topic " + ids.get(t) + " " + counts.get(t));
        for (Member m : members) {
            Map<Uuid, Set<Integer>> next = result.containsKey(m.id) ? result.get(m.id).partitions() : Map.of();
            StringJoiner topics = new StringJoiner(",");
            m.topics.forEach(t -> topics.add("" + t));
            System.out.println("member " + m.id + " " + (m.instance == null ? "-" : m.instance) + " "
                + (m.topics.isEmpty() ? "-" : topics) + " " + text(m.current) + " " + text(next));
            m.current = new HashMap<>();
            for (Uuid id : byBytes()) // where two fall into one bucket of the table
                if (!next.getOrDefault(id, Set.of()).isEmpty())
                    m.current.put(id, Collections.unmodifiableSet(new HashSet<>(new TreeSet<>(next.get(id)))));
        }
        System.out.println("end");
    }

    static List<Uuid> byBytes() {
        List<Uuid> sorted = new ArrayList<>(ids);
        sorted.sort(Comparator.comparing(Uuid::getMostSignificantBits, Long::compareUnsigned));
        return sorted;
    }

    static Member newMember(boolean same) {
        Member m = new Member();
        m.id = new UUID(random.nextLong(), random.nextLong()).toString();
        m.instance = random.nextInt(3) == 0 ? "instance-" + random.nextInt(100000) : null;
        subscribe(m, same);
        return m;
    }

    static void subscribe(Member m, boolean same) {
        m.topics.clear();
        for (int t = 0; t < ids.size(); t++)
            if (same || random.nextInt(2) == 0)
                m.topics.add(t);
    }

    static void story(ConsumerGroupPartitionAssignor assignor, boolean same, int topics, int partitions, int size, int steps) {
        ids.clear();
        counts.clear();
        members.clear();
        for (int t = 0; t < topics; t++) {
            ids.add(new Uuid(random.nextLong(), random.nextLong()));
            counts.add(1 + random.nextInt(partitions));
        }
        for (int m = 0; m < size; m++)
            members.add(newMember(same));
        for (int step = 0; step < steps; step++) {
            run(assignor);
            int what = random.nextInt(4);
            if (what == 0 && members.size() > 1)
                members.remove(random.nextInt(members.size()));
            else if (what == 1)
                counts.set(0, counts.get(0) + 1 + random.nextInt(3));
            else if (what == 2 && !same)
                subscribe(members.get(random.nextInt(members.size())), false);
            else
                members.add(newMember(same));
        }
    }

    public static void main(String[] args) {
        for (int round = 0; round < 12; round++)
            for (boolean same : new boolean[] { true, false })
                for (ConsumerGroupPartitionAssignor assignor : List.of(new UniformAssignor(), new RangeAssignor()))
                    story(assignor, same, 1 + random.nextInt(6), round < 6 ? 6 : 40, 1 + random.nextInt(round < 6 ? 4 : 20), 5);
    }
}

/* Writes messages the way Apache Kafka does, for tests/broker/codec.c to read and to write back byte for byte.
 *
 *     java -cp 'JARS/*' tests/golden/Golden.java MESSAGE...
 *
 * For each version of a message two lines `MESSAGE VERSION HEX`: every field of that version set to a value that
 * isn't its default, and every field at its default with nulls wherever they are allowed. */
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;

public class Golden {
    static int counter;

    public static void main(String[] names) throws Exception {
        for (String name : names) {
            Class<?> data = find(name);
            if (data == null)
                continue;
            Schema[] schemas = (Schema[]) data.getField("SCHEMAS").get(null);
            for (short version = 0; version < schemas.length; version++)
                for (boolean full : new boolean[] {true, false})
                    if (schemas[version] != null) {
                        counter = version;
                        Object message = data.getConstructor().newInstance();
                        fill(message, schemas[version], full);
                        System.out.println(name + " " + version + " " + hex((Message) message, version));
                    }
        }
    }

    static Class<?> find(String name) {
        for (String place : new String[] {"common.message." + name + "Data", "common.message." + name, "common.metadata." + name,
                                          "coordinator.group.generated." + name, "coordinator.transaction.generated." + name})
            try {
                return Class.forName("org.apache.kafka." + place);
            } catch (ClassNotFoundException e) {
                continue;
            }
        return null;
    }

    static String hex(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(bytes), cache, version);
        StringBuilder hex = new StringBuilder();
        for (byte b : bytes.array())
            hex.append(String.format("%02x", b));
        return hex.toString();
    }

    @SuppressWarnings("unchecked")
    static List<Field> fields(Schema schema) throws Exception {
        List<Field> all = new ArrayList<>();
        for (BoundField bound : schema.fields()) {
            if (!(bound.def.type instanceof TaggedFields)) {
                all.add(bound.def);
                continue;
            }
            java.lang.reflect.Field tagged = TaggedFields.class.getDeclaredField("fields");
            tagged.setAccessible(true);
            all.addAll(((java.util.Map<Integer, Field>) tagged.get(bound.def.type)).values());
        }
        return all;
    }

    static void fill(Object to, Schema schema, boolean full) throws Exception {
        for (Field field : fields(schema)) {
            Method setter = method(to.getClass(), "set" + field.name.replace("_", ""), 1);
            Method getter = method(to.getClass(), field.name.replace("_", ""), 0);
            if (full)
                setter.invoke(to, value(field.type, setter.getParameterTypes()[0], getter.getGenericReturnType()));
            else if (field.type.isNullable())
                setter.invoke(to, new Object[] {null});
        }
    }

    static Method method(Class<?> type, String name, int parameters) {
        for (Method method : type.getMethods())
            if (method.getParameterCount() == parameters && method.getName().equalsIgnoreCase(name) && !method.isBridge())
                return method;
        throw new IllegalStateException(type + " has no " + name);
    }

    @SuppressWarnings("unchecked")
    static Object value(org.apache.kafka.common.protocol.types.Type type, Class<?> java, Type generic) throws Exception {
        int n = ++counter;
        if (type.isArray()) {
            org.apache.kafka.common.protocol.types.Type of = type.arrayElementType().get();
            boolean plain = generic instanceof ParameterizedType;
            Class<?> element = plain ? (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0]
                                     : Class.forName(java.getName().replaceAll("Collection$", ""));
            Collection<Object> all = plain ? new ArrayList<>() : (Collection<Object>) java.getConstructor().newInstance();
            for (int i = 0; i < (of instanceof Schema ? 1 : 2); i++)
                all.add(value(of, element, element));
            return all;
        }
        if (type instanceof Schema) {
            Object struct = java.getConstructor().newInstance();
            fill(struct, (Schema) type, true);
            return struct;
        }
        if (java == boolean.class || java == Boolean.class)
            return !type.toString().isEmpty();
        if (java == byte.class || java == Byte.class)
            return (byte) (n % 127 + 1);
        if (java == short.class || java == Short.class)
            return (short) (n * 257);
        if (java == int.class || java == Integer.class)
            return type.toString().startsWith("UINT16") ? n * 997 % 65536 : n * 16843009;
        if (java == long.class || java == Long.class)
            return type.toString().startsWith("UINT32") ? n * 16843009L : n * 72340172838076673L;
        if (java == double.class || java == Double.class)
            return n * 1.25;
        if (java == String.class)
            return "s" + n;
        if (java == Uuid.class)
            return new Uuid(n * 72340172838076673L, -n);
        byte[] bytes = {(byte) n, 0, (byte) 255};
        if (java == byte[].class)
            return bytes;
        if (java == ByteBuffer.class)
            return ByteBuffer.wrap(bytes);
        return records(ByteBuffer.wrap(bytes));
    }

    /* MemoryRecords moved in 4.x. */
    static Object records(ByteBuffer bytes) throws Exception {
        Class<?> type;
        try {
            type = Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
        } catch (ClassNotFoundException e) {
            type = Class.forName("org.apache.kafka.common.record.MemoryRecords");
        }
        return type.getMethod("readableRecords", ByteBuffer.class).invoke(null, bytes);
    }
}

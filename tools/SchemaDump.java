/* Prints the protocol as the Kafka jars on the class path know it, for tools/check_schema to compare with ours.
 *
 *     java -cp 'JARS/*' tools/SchemaDump.java [RECORD...]
 *
 * One line `message NAME KEY VERSION HEADER_VERSION` for each message-version, then a line for each field:
 * its path, its wire type, its tag and its default. A struct's tagged fields end in a line `_tags`, which is
 * there in flexible versions only. `latest NAME VERSION` is an API's highest stable version. The records of
 * internal topics follow, as named on the command line. */
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.Collection;
import java.util.Map;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;

public class SchemaDump {
    public static void main(String[] records) throws Exception {
        for (ApiMessageType api : ApiMessageType.values()) {
            for (boolean request : new boolean[] {true, false}) {
                String name = api.name + (request ? "Request" : "Response");
                Schema[] schemas = request ? api.requestSchemas() : api.responseSchemas();
                if (schemas.length == 0) // an API that 4.0 dropped
                    continue;
                Class<?> data = Class.forName("org.apache.kafka.common.message." + name + "Data");
                for (short v = 0; v < schemas.length; v++)
                    message(name, api.apiKey(), v, schemas[v], data,
                            request ? api.requestHeaderVersion(v) : api.responseHeaderVersion(v));
            }
            System.out.println("latest " + api.name + " " + api.highestSupportedVersion(false));
        }
        for (String name : records) {
            Class<?> data = recordClass(name);
            Schema[] schemas = (Schema[]) data.getField("SCHEMAS").get(null);
            short key = ((ApiMessage) data.getConstructor().newInstance()).apiKey();
            for (short v = 0; v < schemas.length; v++)
                message(data.getSimpleName(), key, v, schemas[v], data, 0);
        }
    }

    static Class<?> recordClass(String name) throws ClassNotFoundException {
        for (String place : new String[] {"common.metadata", "common.message", "coordinator.group.generated",
                                          "coordinator.transaction.generated"})
            try {
                return Class.forName("org.apache.kafka." + place + "." + name);
            } catch (ClassNotFoundException e) {
                continue;
            }
        throw new ClassNotFoundException(name);
    }

    static void message(String name, int key, int version, Schema schema, Class<?> data, int header) throws Exception {
        if (schema == null)
            return;
        System.out.println("message " + name + " " + key + " " + version + " " + header);
        fields(schema, "", data);
    }

    static void fields(Schema schema, String path, Class<?> data) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (!(bound.def.type instanceof TaggedFields)) {
                field(bound.def, path, "", data);
                continue;
            }
            for (Map.Entry<Integer, Field> tagged : tagged((TaggedFields) bound.def.type).entrySet())
                field(tagged.getValue(), path, " tag " + tagged.getKey(), data);
            System.out.println(path + "_tags");
        }
    }

    @SuppressWarnings("unchecked")
    static Map<Integer, Field> tagged(TaggedFields type) throws Exception {
        java.lang.reflect.Field fields = TaggedFields.class.getDeclaredField("fields");
        fields.setAccessible(true);
        return (Map<Integer, Field>) fields.get(type);
    }

    static void field(Field field, String path, String tag, Class<?> data) throws Exception {
        Method accessor = accessor(data, field.name);
        String value = defaultOf(accessor.invoke(data.getConstructor().newInstance()));
        System.out.println(path + field.name + " " + typeName(field.type) + tag + value);
        Schema sub = schemaOf(field.type);
        if (sub != null)
            fields(sub, path + field.name + ".", elementClass(accessor));
    }

    /* The getter of a field: its name without underscores, in any case. */
    static Method accessor(Class<?> data, String field) {
        String wanted = field.replace("_", "");
        for (Method method : data.getMethods())
            if (method.getParameterCount() == 0 && method.getName().equalsIgnoreCase(wanted))
                return method;
        throw new IllegalStateException(data + " has no accessor of " + field);
    }

    static Class<?> elementClass(Method accessor) throws Exception {
        Type type = accessor.getGenericReturnType();
        if (type instanceof ParameterizedType)
            return (Class<?>) ((ParameterizedType) type).getActualTypeArguments()[0];
        Class<?> plain = accessor.getReturnType();
        return Collection.class.isAssignableFrom(plain) ? Class.forName(plain.getName().replaceAll("Collection$", "")) : plain;
    }

    /* Defaults that are zero, empty or made of such are not printed. */
    static String defaultOf(Object value) {
        if (value == null)
            return " = null";
        if (value instanceof Boolean)
            return (Boolean) value ? " = true" : "";
        if (value instanceof Number)
            return ((Number) value).doubleValue() != 0 ? " = " + value : "";
        if (value instanceof String)
            return ((String) value).isEmpty() ? "" : " = '" + value + "'";
        return "";
    }

    static String typeName(org.apache.kafka.common.protocol.types.Type type) {
        if (type instanceof Schema)
            return "STRUCT";
        if (!type.isArray())
            return type.toString();
        return (type.isNullable() ? "NULLABLE_" : "") + (type instanceof CompactArrayOf ? "COMPACT_" : "") + "ARRAY("
                + typeName(type.arrayElementType().get()) + ")";
    }

    static Schema schemaOf(org.apache.kafka.common.protocol.types.Type type) {
        if (type instanceof Schema)
            return (Schema) type;
        return type.isArray() ? schemaOf(type.arrayElementType().get()) : null;
    }
}

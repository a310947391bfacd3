import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;

/**
 * Reads every schema with Java's Avro: defaults, fingerprints, golden bytes decoded, compared and encoded again, and all
 * files together in one decoder. Argument: the root of the project. Ends with 1 and a line for each difference.
 */
public class SchemasCheck {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
    private static final List<String> DIFFERENCES = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Path schemas = Path.of(arguments[0], "schemas");
        JsonNode fingerprints = JSON.readTree(schemas.resolve("fingerprints.json").toFile());
        List<Path> files;
        try (var listed = Files.list(schemas)) {
            files = listed.filter(file -> file.toString().endsWith(".avsc")).sorted().toList();
        }
        check(files.size() == fingerprints.size(), "fingerprints.json has " + fingerprints.size() + " of " + files.size());

        Map<String, Schema> shared = new HashMap<>();
        int examples = 0;
        for (Path file : files) {
            Schema schema = new Schema.Parser().parse(file.toFile());
            String id = file.getFileName().toString().replace(".avsc", "");
            checkShared(shared, schema, id);
            checkFingerprint(schema, id, fingerprints);
            examples += checkGolden(schema, id, schemas.resolve("golden").resolve(id + ".jsonl"));
        }
        DIFFERENCES.forEach(System.err::println);
        if (!DIFFERENCES.isEmpty()) {
            System.exit(1);
        }
        System.out.println("Java's Avro agrees: " + files.size() + " schemas, " + examples + " golden messages");
    }

    private static void check(boolean holds, String difference) {
        if (!holds) {
            DIFFERENCES.add(difference);
        }
    }

    /** Types of the same name must be equal in all files, which equals() of Schema compares without doc strings. */
    private static void checkShared(Map<String, Schema> shared, Schema schema, String id) {
        switch (schema.getType()) {
            case RECORD, ENUM -> {
                Schema other = shared.putIfAbsent(schema.getFullName(), schema);
                check(other == null || other.equals(schema), id + ": another " + schema.getFullName() + " than elsewhere");
                if (schema.getType() == Schema.Type.RECORD) {
                    schema.getFields().forEach(field -> checkShared(shared, field.schema(), id));
                }
            }
            case ARRAY -> checkShared(shared, schema.getElementType(), id);
            case UNION -> schema.getTypes().forEach(branch -> checkShared(shared, branch, id));
            default -> { }
        }
    }

    private static void checkFingerprint(Schema schema, String id, JsonNode fingerprints) throws Exception {
        byte[] fingerprint = SchemaNormalization.parsingFingerprint("CRC-64-AVRO", schema);
        String hex = HexFormat.of().formatHex(fingerprint);
        check(hex.equals(fingerprints.path(id).asText()), id + ": fingerprint " + hex + ", not " + fingerprints.path(id));
    }

    private static int checkGolden(Schema schema, String id, Path golden) throws Exception {
        GenericData model = new GenericData();
        var decoder = new BinaryMessageDecoder<GenericRecord>(model, schema);
        var encoder = new BinaryMessageEncoder<GenericRecord>(model, schema);
        int examples = 0;
        for (String line : Files.readString(golden).split("\n")) {
            JsonNode example = JSON.readTree(line);
            String where = id + ": " + example.get("name").asText();
            byte[] message = HexFormat.of().parseHex(example.get("hex").asText());
            GenericRecord value = decoder.decode(message);
            check(plain(schema, value).equals(withoutNumberTypes(example.get("value"))), where + ": decoded to another value");
            ByteBuffer again = encoder.encode(value);
            check(again.equals(ByteBuffer.wrap(message)), where + ": encoded to other bytes");
            examples++;
        }
        return examples;
    }

    /** A decoded value in the plain JSON of the golden files. */
    private static JsonNode plain(Schema schema, Object value) {
        JsonNodeFactory json = JsonNodeFactory.instance;
        if (value == null) {
            return json.nullNode();
        }
        String logical = schema.getLogicalType() == null ? "" : schema.getLogicalType().getName();
        return switch (schema.getType()) {
            case UNION -> plain(schema.getTypes().get(1), value);
            case RECORD -> {
                ObjectNode object = json.objectNode();
                schema.getFields().forEach(f -> object.set(f.name(), plain(f.schema(), ((GenericRecord) value).get(f.pos()))));
                yield object;
            }
            case ARRAY -> {
                ArrayNode array = json.arrayNode();
                ((Collection<?>) value).forEach(item -> array.add(plain(schema.getElementType(), item)));
                yield array;
            }
            case BYTES -> {
                byte[] bytes = new byte[((ByteBuffer) value).remaining()];
                ((ByteBuffer) value).duplicate().get(bytes);
                yield json.textNode(HexFormat.of().formatHex(bytes));
            }
            case BOOLEAN -> json.booleanNode((Boolean) value);
            case INT, LONG -> switch (logical) {
                case "date" -> json.textNode(LocalDate.ofEpochDay(((Number) value).longValue()).toString());
                case "timestamp-millis" -> json.textNode(TIME.format(Instant.ofEpochMilli((Long) value)));
                default -> json.numberNode(((Number) value).longValue());
            };
            default -> json.textNode(value.toString());
        };
    }

    /** Jackson tells 1 as int from 1 as long; here they are the same. */
    private static JsonNode withoutNumberTypes(JsonNode node) {
        JsonNodeFactory json = JsonNodeFactory.instance;
        if (node.isObject()) {
            ObjectNode object = json.objectNode();
            node.fieldNames().forEachRemaining(name -> object.set(name, withoutNumberTypes(node.get(name))));
            return object;
        }
        if (node.isArray()) {
            ArrayNode array = json.arrayNode();
            node.forEach(item -> array.add(withoutNumberTypes(item)));
            return array;
        }
        return node.isIntegralNumber() ? json.numberNode(node.longValue()) : node;
    }
}

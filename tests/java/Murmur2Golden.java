import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Utils;

/**
 * Writes tests/golden/murmur2.json: keys, their murmur2 and their partition of 12, as Kafka's own client has them.
 * Arguments: the root of the project, and --check to compare instead of writing.
 */
public class Murmur2Golden {
    private static final int PARTITIONS = 12;

    public static void main(String[] arguments) throws Exception {
        List<String> keys = new ArrayList<>(List.of(
                "", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "21", "foobar",
                "P-1001", "HH-77", "civil-registry/b-2026-01",
                "019bb1b1-aa7b-8c33-b1a2-c3d4e5f60718", "019bb1b1-aa7b-8d44-8e9f-0a1b2c3d4e5f",
                "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff",
                "rollcall.enrollment-requests-0-0", "rollcall.enrollment-requests-11-9223372036854775807",
                "é", "रेफ-१", "عبد", "欧阳娜", "👩🏾‍🌾", "a\u0000b", "x".repeat(255)));
        for (int number = 0; number < 12; number++) {
            keys.add("registrant-" + number);
        }

        JsonNodeFactory json = JsonNodeFactory.instance;
        List<String> lines = new ArrayList<>();
        for (String key : keys) {
            int hash = Utils.murmur2(key.getBytes(StandardCharsets.UTF_8));
            lines.add("  " + new ObjectMapper().writeValueAsString(json.objectNode()
                    .put("key", key).put("hash", hash).put("partition12", Utils.toPositive(hash) % PARTITIONS)));
        }
        String rendered = "[\n" + String.join(",\n", lines) + "\n]\n";

        Path file = Path.of(arguments[0], "tests", "golden", "murmur2.json");
        if (arguments.length == 1) {
            Files.writeString(file, rendered);
        } else if (!Files.exists(file) || !Files.readString(file).equals(rendered)) {
            System.err.println(file + " is not up to date: run tests/java/run Murmur2Golden.java .");
            System.exit(1);
        } else {
            System.out.println("murmur2 agrees with Kafka's client: " + keys.size() + " keys");
        }
    }
}

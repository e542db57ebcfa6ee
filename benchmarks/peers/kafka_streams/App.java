import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedTable;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Tables of what stands, by id, and aggregations of them by agent, exactly once (v2). An old
 * version loses against the newer one in the table's aggregation; a move is the aggregation's
 * subtractor and adder. Every table is written to a topic, and Sink writes the topics to Postgres.
 */
public final class App {
    private static final ObjectMapper JSON = new ObjectMapper();
    static final Serde<JsonNode> NODE = Serdes.serdeFrom((topic, node) -> write(node), (topic, bytes) -> read(bytes));

    public static void main(String[] args) throws Exception {
        String prefix = System.getenv("NOVA_TOPIC_PREFIX");
        String group = System.getenv("NOVA_CONSUMER_GROUP");
        StreamsBuilder builder = new StreamsBuilder();
        newest(builder, prefix, "agents", group);
        KTable<String, JsonNode> builds = newest(builder, prefix, "builds", group);
        KTable<String, JsonNode> tasks = newest(builder, prefix, "tasks", group);
        KTable<String, JsonNode> executions = newest(builder, prefix, "executions", group);
        count(builds, "builds", change -> "all", App::buildFigures, group);
        count(tasks, "tasks", change -> change.at("/after/agent").textValue(), App::taskFigures, group);
        count(executions, "executions", change -> change.at("/after/agent").textValue(), App::executionFigures, group);

        KafkaStreams streams = new KafkaStreams(builder.build(), settings(group));
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                    return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
                            .StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(java.time.Duration.ofSeconds(5))));
        streams.start();
        new Sink(group).run();
    }

    private static Properties settings(String group) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("NOVA_KAFKA_BROKERS"));
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(System.getenv("NOVA_PEER_FOLDER"), "state").toString());
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // A killed instance that comes back keeps its place; else the others wait for its session.
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "one");
        return properties;
    }

    /** The newest change of each id as a table, which is also written to a topic. */
    private static KTable<String, JsonNode> newest(
            StreamsBuilder builder, String prefix, String name, String group) {
        KTable<String, JsonNode> table =
                builder.stream(prefix + "." + name, Consumed.with(Serdes.String(), NODE))
                        .groupByKey(Grouped.with(Serdes.String(), NODE))
                        .reduce((known, change) -> seq(change) > seq(known) ? change : known,
                                Materialized.<String, JsonNode, KeyValueStore<Bytes, byte[]>>as(name)
                                        .withKeySerde(Serdes.String()).withValueSerde(NODE));
        table.toStream().to(Sink.topic(group, name), Produced.with(Serdes.String(), NODE));
        return table;
    }

    /** The sums of the figures of a table's rows by a key, which are written to a topic. */
    private static void count(
            KTable<String, JsonNode> table,
            String name,
            java.util.function.Function<JsonNode, String> key,
            java.util.function.Function<JsonNode, ObjectNode> figures,
            String group) {
        KGroupedTable<String, JsonNode> grouped =
                table.groupBy(
                        (id, change) -> KeyValue.pair(key.apply(change), (JsonNode) figures.apply(change)),
                        Grouped.with(name + "-by-key", Serdes.String(), NODE));
        grouped.aggregate(
                        JSON::createObjectNode,
                        (one, added, sum) -> plus((ObjectNode) sum, added, 1),
                        (one, taken, sum) -> plus((ObjectNode) sum, taken, -1),
                        Materialized.<String, JsonNode, KeyValueStore<Bytes, byte[]>>as(name + "-stats")
                                .withKeySerde(Serdes.String()).withValueSerde(NODE))
                .toStream()
                .to(Sink.topic(group, name + "-stats"), Produced.with(Serdes.String(), NODE));
    }

    private static JsonNode plus(ObjectNode sum, JsonNode figures, int sign) {
        ObjectNode result = sum.deepCopy();
        figures.fields().forEachRemaining(
                one -> result.put(one.getKey(), sum.path(one.getKey()).asLong() + sign * one.getValue().asLong()));
        return result;
    }

    private static ObjectNode buildFigures(JsonNode change) {
        String status = change.at("/after/status").asText();
        return JSON.createObjectNode().put("total", 1)
                .put("completed", status.equals("completed") ? 1 : 0)
                .put("failed", status.equals("failed") ? 1 : 0)
                .put("running", status.equals("running") ? 1 : 0);
    }

    private static ObjectNode taskFigures(JsonNode change) {
        String status = change.at("/after/status").asText();
        return JSON.createObjectNode().put("total", 1)
                .put("completed", status.equals("done") ? 1 : 0)
                .put("failed", status.equals("failed") ? 1 : 0);
    }

    private static ObjectNode executionFigures(JsonNode change) {
        return JSON.createObjectNode().put("executions", 1)
                .put("duration_sum", change.at("/after/duration").asLong());
    }

    private static long seq(JsonNode change) {
        return change.at("/source/seq").asLong();
    }

    static byte[] write(JsonNode node) {
        try {
            return node == null ? null : JSON.writeValueAsBytes(node);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    static JsonNode read(byte[] bytes) {
        try {
            return bytes == null ? null : JSON.readTree(bytes);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}

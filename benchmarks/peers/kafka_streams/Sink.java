import com.fasterxml.jackson.databind.JsonNode;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * What a JDBC sink connector of Kafka Connect does, in this process: reads what is committed of the
 * topics, upserts the newest value of each key in batches, then commits its offsets. Values are
 * whole states, so that a repetition has no effect in the end.
 */
final class Sink implements Runnable {
    private static final Map<String, String> UPSERTS = Map.of(
            "agents", row("agents", "name"),
            "builds", row("builds", "status"),
            "tasks", row("tasks", "agent, status"),
            "executions", row("executions", "agent, duration"),
            "builds-stats", upsert("streams_build_stats", "id", "total, completed, failed, running"),
            "tasks-stats", upsert("streams_task_stats", "id", "total, completed, failed"),
            "executions-stats", upsert("streams_execution_stats", "id", "executions, duration_sum"));
    private final String group;

    Sink(String group) throws Exception {
        this.group = group;
        Properties properties = new Properties();
        properties.put("bootstrap.servers", System.getenv("NOVA_KAFKA_BROKERS"));
        int partitions = Integer.parseInt(System.getenv("NOVA_PARTITIONS"));
        try (Admin admin = Admin.create(properties)) {
            for (String name : UPSERTS.keySet()) {
                try {
                    admin.createTopics(List.of(new NewTopic(topic(group, name), partitions, (short) 1))).all().get();
                } catch (java.util.concurrent.ExecutionException error) {
                    if (!(error.getCause() instanceof TopicExistsException)) {
                        throw error;
                    }
                }
            }
        }
    }

    static String topic(String group, String name) {
        return group + "-out-" + name;
    }

    private static String row(String name, String columns) {
        return upsert("streams_" + name, "id", "seq, doc, " + columns);
    }

    private static String upsert(String table, String key, String columns) {
        String[] names = columns.split(", ");
        StringBuilder sets = new StringBuilder();
        for (String name : names) {
            sets.append(sets.isEmpty() ? "" : ", ").append(name).append(" = excluded.").append(name);
        }
        return "INSERT INTO " + table + " (" + key + ", " + columns + ") VALUES (?" + ", ?".repeat(names.length)
                + ") ON CONFLICT (" + key + ") DO UPDATE SET " + sets;
    }

    @Override
    public void run() {
        Properties properties = new Properties();
        properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("NOVA_KAFKA_BROKERS"));
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, group + "-sink");
        properties.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, "sink");
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "5000");
        try (KafkaConsumer<String, byte[]> consumer =
                        new KafkaConsumer<>(properties, new StringDeserializer(), new ByteArrayDeserializer());
                Connection connection = DriverManager.getConnection(
                        System.getenv("PEER_JDBC_URL"), System.getenv("PEER_JDBC_USER"), System.getenv("PEER_JDBC_PASSWORD"))) {
            connection.setAutoCommit(false);
            consumer.subscribe(UPSERTS.keySet().stream().map(name -> topic(group, name)).toList());
            while (true) {
                Map<String, Map<String, JsonNode>> newest = new LinkedHashMap<>();
                for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    String name = record.topic().substring(topic(group, "").length());
                    newest.computeIfAbsent(name, one -> new LinkedHashMap<>()).put(record.key(), App.read(record.value()));
                }
                if (!newest.isEmpty()) {
                    write(connection, newest);
                    consumer.commitSync();
                }
            }
        } catch (SQLException error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static void write(Connection connection, Map<String, Map<String, JsonNode>> newest) throws SQLException {
        for (var one : newest.entrySet()) {
            try (PreparedStatement statement = connection.prepareStatement(UPSERTS.get(one.getKey()))) {
                for (var row : one.getValue().entrySet()) {
                    fill(statement, one.getKey(), row.getKey(), row.getValue());
                    statement.addBatch();
                }
                statement.executeBatch();
            }
        }
        connection.commit();
    }

    private static void fill(PreparedStatement statement, String name, String key, JsonNode value) throws SQLException {
        statement.setString(1, key);
        switch (name) {
            case "builds-stats" -> numbers(statement, value, "total", "completed", "failed", "running");
            case "tasks-stats" -> numbers(statement, value, "total", "completed", "failed");
            case "executions-stats" -> numbers(statement, value, "executions", "duration_sum");
            default -> {
                JsonNode after = value.path("after");
                statement.setLong(2, value.at("/source/seq").asLong());
                statement.setString(3, after.toString());
                if (name.equals("agents")) {
                    statement.setString(4, after.path("name").textValue());
                } else if (name.equals("builds")) {
                    statement.setString(4, after.path("status").textValue());
                } else {
                    statement.setString(4, after.path("agent").textValue());
                    if (name.equals("tasks")) {
                        statement.setString(5, after.path("status").textValue());
                    } else {
                        statement.setLong(5, after.path("duration").asLong());
                    }
                }
            }
        }
    }

    private static void numbers(PreparedStatement statement, JsonNode value, String... names) throws SQLException {
        for (int place = 0; place < names.length; place++) {
            statement.setLong(place + 2, value.path(names[place]).asLong());
        }
    }
}

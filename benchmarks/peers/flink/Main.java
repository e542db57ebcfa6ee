import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs the statements of a file of Flink SQL, as its SQL client does: SET, CREATE, and all INSERTs
 * as one job, from the newest checkpoint if there is one. Variables of the environment stand in
 * the file as ${NAME}. A statement ends with a semicolon before an empty line. Further arguments
 * are tables into which nothing is inserted.
 */
public final class Main {
    public static void main(String[] args) throws Exception {
        Configuration configuration = new Configuration();
        newestCheckpoint(Path.of(System.getenv("NOVA_PEER_FOLDER"), "checkpoints"))
                .ifPresent(path -> configuration.set(StateRecoveryOptions.SAVEPOINT_PATH, path));
        TableEnvironment tables =
                TableEnvironment.create(
                        EnvironmentSettings.newInstance()
                                .inStreamingMode()
                                .withConfiguration(configuration)
                                .build());
        StatementSet inserts = tables.createStatementSet();
        List<String> leftOut = List.of(args).subList(1, args.length);
        for (String piece : withVariables(Files.readString(Path.of(args[0]))).split(";\\s*\n\n")) {
            String statement = piece.replaceAll("(?m)^--.*$", "").strip().replaceAll(";$", "");
            if (statement.startsWith("SET ")) {
                String[] words = statement.substring(4).split("'");
                tables.getConfig().set(words[1], words[3]);
            } else if (statement.startsWith("INSERT INTO ")) {
                if (!leftOut.contains(statement.split("\\s+")[2])) {
                    inserts.addInsertSql(statement);
                }
            } else if (!statement.isEmpty()) {
                tables.executeSql(statement);
            }
        }
        inserts.execute().await();
    }

    private static String withVariables(String text) {
        for (var variable : System.getenv().entrySet()) {
            text = text.replace("${" + variable.getKey() + "}", variable.getValue());
        }
        return text;
    }

    private static Optional<String> newestCheckpoint(Path folder) throws Exception {
        if (!Files.exists(folder)) {
            return Optional.empty();
        }
        try (Stream<Path> found = Files.walk(folder)) {
            return found.filter(path -> path.endsWith("_metadata"))
                    .max(Comparator.comparing(Main::writtenAt))
                    .map(path -> path.getParent().toUri().toString());
        }
    }

    private static FileTime writtenAt(Path path) {
        try {
            return Files.getLastModifiedTime(path);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }
}

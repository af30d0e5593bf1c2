import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;

/** The official JDBC driver for Flight SQL, as BI tools use it. */
public class Clients {
    interface Check {
        void run() throws Exception;
    }

    static final String URL =
        "jdbc:arrow-flight-sql://" + System.getenv("FLIGHT_ADDRESS") + "/?useEncryption=false";

    public static void main(String[] arguments) {
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("one row", Clients::oneRow);
        checks.put("every type", Clients::everyType);
        checks.put("database metadata", Clients::databaseMetadata);
        checks.put("columns", Clients::columns);
        checks.put("keys and types", Clients::keysAndTypes);
        checks.put("parameters", Clients::parameters);
        checks.put("commands", Clients::commands);
        checks.put("batches", Clients::batches);
        checks.put("errors", Clients::errors);
        checks.put("a large result", Clients::largeResult);
        checks.put("cancel", Clients::cancel);
        checks.put("the catalog in the URL", Clients::catalogInUrl);
        checks.put("a user and a password", Clients::userAndPassword);
        int failed = 0;
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            long start = System.nanoTime();
            try {
                check.getValue().run();
                System.out.printf(
                    "ok      %s (%d ms)%n", check.getKey(), (System.nanoTime() - start) / 1_000_000);
            } catch (Throwable error) {
                failed++;
                System.out.println("FAILED  " + check.getKey());
                error.printStackTrace(System.out);
            }
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    static Connection connect() throws SQLException {
        return DriverManager.getConnection(URL);
    }

    static void same(Object expected, Object found) {
        if (!String.valueOf(expected).equals(String.valueOf(found))) {
            throw new AssertionError("expected " + expected + " instead of " + found);
        }
    }

    static List<List<Object>> rows(ResultSet results) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        int columns = results.getMetaData().getColumnCount();
        while (results.next()) {
            List<Object> row = new ArrayList<>();
            for (int column = 1; column <= columns; column++) {
                row.add(results.getObject(column));
            }
            rows.add(row);
        }
        return rows;
    }

    static List<List<Object>> query(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet results = statement.executeQuery(sql)) {
            return rows(results);
        }
    }

    static List<String> texts(Connection connection, String sql, String first, String second)
        throws SQLException {
        List<String> texts = new ArrayList<>();
        try (Statement statement = connection.createStatement();
                ResultSet results = statement.executeQuery(sql)) {
            while (results.next()) {
                texts.add(results.getString(first) + " " + results.getString(second));
            }
        }
        return texts;
    }

    static List<Object> column(ResultSet results, String name) throws SQLException {
        List<Object> values = new ArrayList<>();
        while (results.next()) {
            values.add(results.getObject(name));
        }
        return values;
    }

    static void oneRow() throws Exception {
        try (Connection connection = connect()) {
            same("[[1, x]]", query(connection, "SELECT 1 AS a, 'x' AS b"));
        }
    }

    static void everyType() throws Exception {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet results = statement.executeQuery("SELECT * FROM everything ORDER BY id")) {
            results.next();
            same(0, results.getLong("id"));
            same("a", results.getString("text"));
            same(new BigDecimal("1.25"), results.getBigDecimal("price"));
            same(true, results.getBoolean("flag"));
            same(Byte.MIN_VALUE, results.getByte("i8"));
            same(Short.MIN_VALUE, results.getShort("i16"));
            same(Integer.MIN_VALUE, results.getInt("i32"));
            same(-1.5, results.getDouble("f32"));
            same(-1.5, results.getDouble("f64"));
            same(0, results.getBytes("bytes").length);
            same("abc", new String(results.getBytes("fixed")));
            same("x", results.getString("large"));
            same("short", results.getString("views"));
            same("x", results.getString("words"));
            results.next();
            same("9999-12-31", results.getDate("day"));
            same(1709164800000L, results.getTimestamp("zoned").getTime());
            same("2024-02-29 00:00:00.0", results.getTimestamp("micros"));
            results.next();
            ResultSetMetaData metadata = results.getMetaData();
            for (int column = 2; column <= metadata.getColumnCount(); column++) {
                // The driver has no objects for times with a zone.
                boolean zoned = metadata.getColumnType(column) == Types.TIMESTAMP_WITH_TIMEZONE;
                Object value = zoned ? results.getTimestamp(column) : results.getObject(column);
                // And it does not see that something nested is NULL: ADBC, on the same bytes, does.
                if (!(value instanceof java.util.Map || value instanceof java.util.List
                        || value instanceof java.sql.Array)) {
                    same(null, value);
                }
            }
            same(false, results.next());
        }
    }

    static void databaseMetadata() throws Exception {
        try (Connection connection = connect()) {
            DatabaseMetaData metadata = connection.getMetaData();
            same("Skep", metadata.getDatabaseProductName());
            same("`", metadata.getIdentifierQuoteString());
            same(false, metadata.supportsTransactions());
            same(false, metadata.isReadOnly());
            metadata.getSQLKeywords();
            metadata.getNumericFunctions();
            metadata.getStringFunctions();
            metadata.getTimeDateFunctions();
            metadata.getSystemFunctions();
            metadata.getDatabaseProductVersion();
            same("\\", metadata.getSearchStringEscape());
            try (ResultSet catalogs = metadata.getCatalogs()) {
                same("[skep]", column(catalogs, "TABLE_CAT"));
            }
            try (ResultSet schemas = metadata.getSchemas()) {
                same(true, column(schemas, "TABLE_SCHEM").contains("default"));
            }
            try (ResultSet schemas = metadata.getSchemas("skep", "def%")) {
                same("[default]", column(schemas, "TABLE_SCHEM"));
            }
            String[] types = {"TABLE"};
            try (ResultSet tables = metadata.getTables("skep", "default", "num%", types)) {
                same("[numbers]", column(tables, "TABLE_NAME"));
            }
            try (ResultSet tables = metadata.getTables(null, null, "%", null)) {
                same(true, column(tables, "TABLE_NAME").contains("everything"));
            }
            String[] views = {"VIEW"};
            try (ResultSet tables = metadata.getTables(null, null, null, views)) {
                same("[]", column(tables, "TABLE_NAME"));
            }
            try (ResultSet kinds = metadata.getTableTypes()) {
                same(true, column(kinds, "TABLE_TYPE").contains("TABLE"));
            }
        }
    }

    static void columns() throws Exception {
        try (Connection connection = connect()) {
            DatabaseMetaData metadata = connection.getMetaData();
            Map<String, List<Object>> found = new LinkedHashMap<>();
            try (ResultSet columns = metadata.getColumns(null, "default", "everything", "%")) {
                while (columns.next()) {
                    found.put(
                        columns.getString("COLUMN_NAME"),
                        List.of(
                            columns.getInt("DATA_TYPE"),
                            columns.getString("TYPE_NAME"),
                            columns.getInt("COLUMN_SIZE"),
                            columns.getInt("DECIMAL_DIGITS"),
                            columns.getInt("ORDINAL_POSITION")));
                }
            }
            same(List.of(Types.BIGINT, "BIGINT", 19, 0, 1), found.get("id"));
            same(List.of(Types.DECIMAL, "DECIMAL", 12, 2, 3), found.get("price"));
            same(Types.VARCHAR, found.get("text").get(0));
            same(Types.DATE, found.get("day").get(0));
            same(Types.TIMESTAMP, found.get("micros").get(0));
            try (ResultSet columns = metadata.getColumns(null, null, "numbers", "i_")) {
                same("[id]", column(columns, "COLUMN_NAME"));
            }
            try (ResultSet columns = metadata.getColumns(null, null, "numbers", "i%")) {
                same(new TreeSet<>(List.of("id", "i")), new TreeSet<>(column(columns, "COLUMN_NAME")));
            }
        }
    }

    static void keysAndTypes() throws Exception {
        try (Connection connection = connect()) {
            DatabaseMetaData metadata = connection.getMetaData();
            same("[]", rows(metadata.getPrimaryKeys(null, "default", "numbers")));
            same("[]", rows(metadata.getImportedKeys(null, "default", "numbers")));
            same("[]", rows(metadata.getExportedKeys(null, "default", "numbers")));
            same(
                "[]",
                rows(metadata.getCrossReference(null, null, "numbers", null, null, "everything")));
        }
    }

    static void parameters() throws Exception {
        try (Connection connection = connect()) {
            String sql = "SELECT id FROM everything WHERE text = ? AND id < ? AND price < ?";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                same(3, statement.getParameterMetaData().getParameterCount());
                same(Types.VARCHAR, statement.getParameterMetaData().getParameterType(1));
                same(Types.BIGINT, statement.getParameterMetaData().getParameterType(2));
                same(1, statement.getMetaData().getColumnCount());
                for (String text : List.of("b", "a", "b")) {
                    statement.setString(1, text);
                    statement.setLong(2, 100);
                    statement.setBigDecimal(3, new BigDecimal("5.00"));
                    try (ResultSet results = statement.executeQuery()) {
                        same(text.equals("b") ? "[[1]]" : "[[0]]", rows(results));
                    }
                }
            }
            sql = "SELECT count(*) FROM everything WHERE day > ? OR day IS NULL LIMIT ?";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                statement.setDate(1, Date.valueOf("2024-02-29"));
                statement.setInt(2, 10);
                try (ResultSet results = statement.executeQuery()) {
                    same("[[2]]", rows(results));
                }
            }
            try (PreparedStatement statement = connection.prepareStatement("SELECT ? AS p")) {
                statement.setString(1, "it's");
                same("[[it's]]", rows(statement.executeQuery()));
                statement.setNull(1, Types.VARCHAR);
                same("[[null]]", rows(statement.executeQuery()));
            }
        }
    }

    static void commands() throws Exception {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            statement.execute("DROP DATABASE IF EXISTS by_jdbc");
            same(0, statement.executeUpdate("CREATE DATABASE by_jdbc"));
            same(false, statement.execute("DROP DATABASE by_jdbc"));
            statement.execute("SET skep.stage_tasks_max = 2");
            same("2", query(connection, "SHOW skep.stage_tasks_max").get(0).get(1));
        }
    }

    static void errors() throws Exception {
        try (Connection connection = connect()) {
            String[][] wrong = {
                {"SELEC 1", "line 1"},
                {"SELECT * FROM nowhere", "nowhere"},
                {"SELECT nothing FROM everything", "nothing"},
                {"SELECT 1; SELECT 2", "one statement"},
            };
            for (String[] pair : wrong) {
                try {
                    query(connection, pair[0]);
                    throw new AssertionError("no error: " + pair[0]);
                } catch (SQLException error) {
                    same(true, error.toString().contains(pair[1]) || causes(error).contains(pair[1]));
                }
            }
            same("[[1]]", query(connection, "SELECT 1"));
        }
    }

    static String causes(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            text.append(cause).append('\n');
        }
        return text.toString();
    }

    static void largeResult() throws Exception {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet results =
                    statement.executeQuery(
                        "SELECT a.id, b.s FROM numbers a, numbers b, numbers c, everything d")) {
            long count = 0;
            while (results.next()) {
                results.getLong(1);
                count++;
            }
            same(40 * 40 * 40 * 3, count);
        }
    }

    static void batches() throws Exception {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            statement.executeUpdate("DROP TABLE IF EXISTS by_batches");
            statement.executeUpdate("CREATE TABLE by_batches (id BIGINT, text STRING)");
            String insert = "INSERT INTO by_batches VALUES (?, ?)";
            try (PreparedStatement prepared = connection.prepareStatement(insert)) {
                for (int round = 0; round < 2; round++) {
                    for (int row = 0; row < 10; row++) {
                        prepared.setLong(1, round * 10 + row);
                        prepared.setString(2, "row " + row);
                        prepared.addBatch();
                    }
                    int changed = 0;
                    for (int count : prepared.executeBatch()) {
                        changed += count;
                    }
                    same(10, changed);
                }
            }
            same(
                "[[20, 190, 10]]",
                query(
                    connection,
                    "SELECT count(*), CAST(sum(id) AS BIGINT), count(DISTINCT text) FROM by_batches"));
        }
    }

    static void cancel() throws Exception {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            ResultSet results =
                statement.executeQuery(
                    "SELECT a.id FROM numbers a, numbers b, numbers c, numbers d, numbers e, numbers f");
            results.next();
            statement.cancel();
            try {
                while (results.next()) {}
                throw new AssertionError("it ran to its end");
            } catch (SQLException error) {
                // As it should be.
            }
        }
        try (Connection connection = connect()) {
            for (int attempt = 0; attempt < 150; attempt++) {
                boolean runs = false;
                // The driver has no getObject for times with a zone, which these rows have.
                for (String row : texts(connection, "SHOW QUERIES", "state", "sql")) {
                    runs |= row.startsWith("RUNNING") && row.contains("numbers f");
                }
                if (!runs) {
                    return;
                }
                Thread.sleep(10);
            }
            throw new AssertionError("it still runs");
        }
    }

    static void catalogInUrl() throws Exception {
        Connection connected = DriverManager.getConnection(URL + "&catalog=skep");
        same("[[1]]", query(connected, "SELECT 1"));
        try {
            connected.close();
        } catch (SQLException error) {
            // This version of the driver closes its session twice, the second time on a closed channel.
            same(true, error.getMessage().contains("Channel shutdown invoked"));
        }
        try (Connection connection = DriverManager.getConnection(URL + "&catalog=nowhere")) {
            throw new AssertionError("there is no such catalog");
        } catch (SQLException error) {
            // As it should be.
        }
    }

    static void userAndPassword() throws Exception {
        Properties properties = new Properties();
        properties.put("user", "ada");
        properties.put("password", "secret");
        try (Connection connection = DriverManager.getConnection(URL, properties)) {
            same("[[1]]", query(connection, "SELECT 1"));
        }
    }
}

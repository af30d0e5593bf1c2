import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.Properties;

/** The JDBC driver reading results from executors, where it logs in once more at each of them. */
public class Direct {
    public static void main(String[] arguments) throws Exception {
        String certificate = System.getenv("FLIGHT_CERTIFICATE");
        String url =
            "jdbc:arrow-flight-sql://" + System.getenv("FLIGHT_ADDRESS") + "/?useEncryption="
                + (certificate != null);
        Properties properties = new Properties();
        String user = System.getenv("FLIGHT_USER");
        if (!user.isEmpty()) {
            properties.put("user", user);
            properties.put("password", System.getenv("FLIGHT_PASSWORD"));
        }
        if (certificate != null) {
            properties.put("tlsRootCerts", certificate);
        }
        try (Connection connection = DriverManager.getConnection(url, properties);
                Statement statement = connection.createStatement()) {
            statement.execute("SET skep.flight.direct = true");
            statement.execute("SET skep.scan_partition_bytes = 1");
            long start = System.nanoTime();
            same(200_000, 199_999L * 200_000 / 2, statement.executeQuery("SELECT id FROM rows"));
            try (PreparedStatement prepared =
                    connection.prepareStatement("SELECT id FROM rows WHERE id < ?")) {
                prepared.setLong(1, 1000);
                same(1000, 999L * 1000 / 2, prepared.executeQuery());
            }
            System.out.printf(
                "ok      JDBC reads from executors (%d ms)%n", (System.nanoTime() - start) / 1_000_000);
        }
    }

    static void same(long rows, long sum, ResultSet results) throws Exception {
        long found = 0, total = 0;
        while (results.next()) {
            found++;
            total += results.getLong(1);
        }
        if (found != rows || total != sum) {
            throw new AssertionError(found + " rows with the sum " + total);
        }
    }
}

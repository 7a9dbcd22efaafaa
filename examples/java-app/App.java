// A primary in Java: reads shared/app.properties when it starts and on POST /-/reload, and answers with one of them.
// `java App.java` runs it without a build.
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

public class App {
    private static volatile Properties settings;

    public static void main(String[] arguments) throws IOException {
        read("start");
        int port = Integer.parseInt(System.getenv("APP_PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", exchange -> {
            byte[] body = settings.getProperty("greeting").getBytes("UTF-8");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.createContext("/-/reload", exchange -> {
            int status = 405;
            if (exchange.getRequestMethod().equals("POST")) {
                status = reload(exchange.getRequestHeaders().getFirst("Confcar-Generation"));
            }
            exchange.sendResponseHeaders(status, -1);
            exchange.close();
        });
        server.start();
    }

    private static int reload(String generation) {
        try {
            read("generation " + generation);
            return 204;
        } catch (IOException | IllegalArgumentException error) {
            return 500; // confcar asks again
        }
    }

    private static void read(String why) throws IOException {
        Properties fresh = new Properties();
        try (var file = Files.newBufferedReader(Path.of("shared/app.properties"))) { // UTF-8
            fresh.load(file);
        }
        settings = fresh; // only once it is read whole
        System.out.println("app: " + why + ": pool of " + fresh.getProperty("pool.size") + " in " + fresh.getProperty("path"));
    }
}

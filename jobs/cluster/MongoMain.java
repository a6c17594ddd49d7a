import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.util.List;

/** The MongoDB of the cluster profile on one machine: {@code MongoMain PORT FILE}, on 127.0.0.1, kept in an H2 file. */
public final class MongoMain {
  /** What pymongo asks for: it takes wire version 9 (MongoDB 4.4) or newer; the library by itself says 8. */
  private enum Version implements MongoVersion {
    V4_4;

    @Override
    public List<Integer> getVersionArray() {
      return List.of(4, 4, 0, 0);
    }

    @Override
    public int getWireVersion() {
      return 9;
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    MongoServer server = new MongoServer(new H2Backend(arguments[1]).version(Version.V4_4));
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    Thread.currentThread().join();
  }

  private MongoMain() {}
}

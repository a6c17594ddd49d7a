import io.delta.storage.LogStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** {@code Commit STORE FILE LINE}: a commit of one line that waits, before its text is written, until a line comes on standard input. */
public final class Commit {
  public static void main(String[] arguments) throws Exception {
    Configuration conf = new Configuration();
    LogStore store = (LogStore) Class.forName(arguments[0]).getConstructor(Configuration.class).newInstance(conf);
    Iterator<String> delayed =
        new Iterator<>() {
          private boolean done;

          @Override
          public boolean hasNext() {
            return !done;
          }

          @Override
          public String next() {
            done = true;
            System.out.println("looked");
            try {
              System.in.read();
            } catch (IOException failure) {
              throw new UncheckedIOException(failure);
            }
            return arguments[2];
          }
        };
    try {
      store.write(new Path(arguments[1]), delayed, false, conf);
      System.out.println("written");
    } catch (FileAlreadyExistsException taken) {
      System.out.println("taken " + taken.getMessage());
    }
  }
}

package maas.lake;

import io.delta.storage.LocalLogStore;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Delta's log on a local file system: of two processes that write one version, one wins and the other is told.
 *
 * <p>Delta's own store looks whether the file is there, then renames over it: between the two another process may have written it,
 * and its commit is lost. A hard link is one step that fails when its name is taken (POSIX, link), and it is what delta-rs uses.
 */
public final class LinkLogStore extends LocalLogStore {

  public LinkLogStore(Configuration conf) {
    super(conf);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
    if (overwrite || !(path.getFileSystem(conf) instanceof LocalFileSystem files)) {
      super.write(path, actions, overwrite, conf);
      return;
    }
    if (!files.exists(path.getParent())) {
      throw new FileNotFoundException("No such file or directory: " + path.getParent());
    }
    Path temporary = createTempPath(path);
    try {
      try (FSDataOutputStream out = files.create(temporary)) {
        while (actions.hasNext()) {
          out.write((actions.next() + "\n").getBytes(StandardCharsets.UTF_8));
        }
      }
      link(files, temporary, path);
    } finally {
      files.delete(temporary, false); // its checksum file too
    }
  }

  private static void link(LocalFileSystem files, Path temporary, Path path) throws IOException {
    File target = files.pathToFile(path);
    try {
      Files.createLink(target.toPath(), files.pathToFile(temporary).toPath());
    } catch (FileAlreadyExistsException taken) {
      throw new FileAlreadyExistsException(path.toString()); // Delta shows it
    } catch (UnsupportedOperationException refused) {
      throw new IOException(target.getParent() + ": this file system has no hard links, by which commits are kept apart", refused);
    }
    File sum = files.pathToFile(files.getChecksumFile(temporary));
    if (sum.exists()) {
      Files.move(sum.toPath(), files.pathToFile(files.getChecksumFile(path)).toPath(), StandardCopyOption.REPLACE_EXISTING);
    }
  }
}

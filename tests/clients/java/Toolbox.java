// Runs stock tools one after another in one JVM, as starting one for each takes longer than what they do.
//
// usage: Toolbox JAR...
//
// The jars hold the tools; their classes are loaded anew for each run, as some keep state in static fields. A request on standard input
// is the number of strings that follow: the class, what the tool reads from its standard input, and its arguments. An answer is
// three: the exit code, and what the tool wrote to standard output and error. Strings go as their length and their bytes.
import java.io.*;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.apache.kafka.common.utils.Exit;

public class Toolbox {
    // What a tool that wants to end its JVM gets instead.
    static class Ended extends Error {
        final int code;

        Ended(int code) {
            super("exit code " + code, null, false, false);
            this.code = code;
        }
    }

    final ByteArrayOutputStream out = new ByteArrayOutputStream(), err = new ByteArrayOutputStream();
    final URL[] jars;
    Ended ended;  // the first, as tools catch it, and then try once more
    List<Runnable> hooks;

    Toolbox(String[] paths) throws IOException {
        jars = new URL[paths.length];
        for (int i = 0; i < paths.length; i++)
            jars[i] = new File(paths[i]).toURI().toURL();
    }

    public static void main(String[] paths) throws IOException {
        DataInputStream requests = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream answers = new DataOutputStream(new BufferedOutputStream(System.out));
        Toolbox toolbox = new Toolbox(paths);
        System.setOut(new PrintStream(toolbox.out, true));
        System.setErr(new PrintStream(toolbox.err, true));
        Exit.setExitProcedure(toolbox::end);
        Exit.setHaltProcedure(toolbox::end);
        Exit.setShutdownHookAdder((name, hook) -> toolbox.hooks.add(hook));
        for (;;) {
            String[] request;
            try {
                request = new String[requests.readInt()];
            } catch (EOFException e) {
                return;
            }
            for (int i = 0; i < request.length; i++)
                request[i] = new String(requests.readNBytes(requests.readInt()), StandardCharsets.UTF_8);
            int code = toolbox.run(request);
            for (byte[] each : new byte[][] {("" + code).getBytes(), toolbox.out.toByteArray(), toolbox.err.toByteArray()}) {
                answers.writeInt(each.length);
                answers.write(each);
            }
            answers.flush();
        }
    }

    void end(int code, String message) {
        Ended now = new Ended(code);
        if (ended == null)
            ended = now;
        throw now;
    }

    int run(String[] request) {
        out.reset();
        err.reset();
        ended = null;
        hooks = new ArrayList<>();
        System.setIn(new ByteArrayInputStream(request[1].getBytes(StandardCharsets.UTF_8)));
        int code = 0;
        try (URLClassLoader loader = new URLClassLoader(jars)) {
            Thread.currentThread().setContextClassLoader(loader);
            String[] arguments = List.of(request).subList(2, request.length).toArray(new String[0]);
            try {
                loader.loadClass(request[0]).getMethod("main", String[].class).invoke(null, (Object) arguments);
            } catch (InvocationTargetException e) {
                code = 1;
                if (ended == null)
                    e.getCause().printStackTrace();
            }
            hooks.forEach(Runnable::run);
        } catch (ReflectiveOperationException | IOException e) {
            code = 1;
            e.printStackTrace();
        }
        return ended == null ? code : ended.code;
    }
}

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * ProxyClient PROXY_PORT CA_FILE [USER PASSWORD]: Java's HttpClient by an HTTP proxy. Each line of standard input is a kind
 * and a URL; each line of standard output what became of it. SOCKS is known to the older HttpURLConnection only.
 */
class ProxyClient {
  static final int BODY_BYTES = 3_000_000;
  static final int PARALLEL = 20;

  public static void main(String[] args) throws Exception {
    var proxy = new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0]));
    var builder = HttpClient.newBuilder().proxy(ProxySelector.of(proxy)).sslContext(trusting(args[1]));
    if (args.length > 2) builder.authenticator(authenticator(args[2], args[3]));
    var client = builder.build();
    var lines = new BufferedReader(new InputStreamReader(System.in));
    for (var line = lines.readLine(); line != null; line = lines.readLine()) {
      var words = line.split(" ");
      try {
        System.out.println(run(client, proxy, words[0], URI.create(words[1])));
      } catch (Exception error) {
        System.out.println("failed: " + error);
      }
    }
    System.exit(0);
  }

  static String run(HttpClient client, InetSocketAddress proxy, String kind, URI uri) throws Exception {
    if (kind.equals("websocket")) return webSocket(client, uri);
    var request = HttpRequest.newBuilder(uri);
    var body = new byte[BODY_BYTES];
    switch (kind) {
      case "get":
        return send(client, request.build());
      case "post":
        return send(client, request.POST(BodyPublishers.ofByteArray(body)).build());
      case "chunks":
        return send(client, request.PUT(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body))).build());
      case "expect":
        return send(client, request.expectContinue(true).POST(BodyPublishers.ofByteArray(body)).build());
      case "parallel":
        return parallel(client, uri);
      case "socks":
        return older(uri.toURL(), new Proxy(Proxy.Type.SOCKS, proxy));
      default:
        throw new IllegalArgumentException(kind);
    }
  }

  static String send(HttpClient client, HttpRequest request) throws Exception {
    return told(client.send(request, BodyHandlers.ofString()));
  }

  static String told(HttpResponse<String> response) {
    // of an answer to CONNECT there is no body
    return response.statusCode() + " " + Objects.toString(response.body(), "").trim();
  }

  static String parallel(HttpClient client, URI uri) {
    var answers = IntStream.range(0, PARALLEL)
      .mapToObj(index -> HttpRequest.newBuilder(URI.create(uri + "-" + index)).build())
      .map(request -> client.sendAsync(request, BodyHandlers.ofString()).thenApply(ProxyClient::told))
      .collect(Collectors.toList());
    return answers.stream().map(CompletableFuture::join).collect(Collectors.joining(", "));
  }

  static String webSocket(HttpClient client, URI uri) {
    var echoed = new CompletableFuture<String>();
    var listener = new WebSocket.Listener() {
      public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
        echoed.complete(data.toString());
        return null;
      }

      public void onError(WebSocket socket, Throwable error) {
        echoed.completeExceptionally(error);
      }
    };
    var socket = client.newWebSocketBuilder().buildAsync(uri, listener).join();
    socket.sendText("hello from Java", true).join();
    var text = echoed.join();
    socket.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
    return "echoed " + text;
  }

  static String older(URL url, Proxy proxy) throws Exception {
    var connection = (HttpURLConnection) url.openConnection(proxy);
    try (var input = connection.getInputStream()) {
      return connection.getResponseCode() + " " + new String(input.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  static Authenticator authenticator(String user, String password) {
    return new Authenticator() {
      protected PasswordAuthentication getPasswordAuthentication() {
        return new PasswordAuthentication(user, password.toCharArray());
      }
    };
  }

  static SSLContext trusting(String caFile) throws Exception {
    var store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (var file = new FileInputStream(caFile)) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    var context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }
}

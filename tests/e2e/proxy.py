"""A small reverse proxy in front of a real server: TLS, a check of credentials, an end on command."""
import http.client
import http.server
import ssl
import subprocess
import threading
import urllib.parse

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Proxy:
    """`authorization`: the header that requests must carry (401 without). `certificate`: (cert, key) for TLS.
    `limit`: answers so many bulk requests, then closes itself for good."""

    def __init__(self, upstream, authorization=None, certificate=None, limit=None):
        self.upstream, self.authorization, self.limit = urllib.parse.urlsplit(upstream), authorization, limit
        self.bulks, self.compressed, self.lock = 0, 0, threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def handler(proxy):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if proxy.refuses(self):
                    return
                if proxy.authorization and self.headers.get("Authorization") != proxy.authorization:
                    return self.answer(401, [], b'{"error":{"type":"security_exception","reason":"missing"}}')
                connection = http.client.HTTPConnection(proxy.upstream.hostname, proxy.upstream.port, timeout=60)
                headers = {n: v for n, v in self.headers.items() if n.lower() not in HOP_BY_HOP | {"authorization"}}
                connection.request(self.command, self.path, body, headers)
                reply = connection.getresponse()
                content = reply.read()
                kept = [(n, v) for n, v in reply.getheaders() if n.lower() not in HOP_BY_HOP]
                connection.close()
                self.answer(reply.status, kept, content)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def refuses(self, request):
        """Counts bulk requests; past the limit the proxy takes none any more and drops this one."""
        if "/_bulk" not in request.path:
            return False
        with self.lock:
            self.bulks += 1
            self.compressed += request.headers.get("Content-Encoding") == "gzip"
            if self.limit is None or self.bulks <= self.limit:
                return False
        request.close_connection = True
        if self.bulks == self.limit + 1:
            threading.Thread(target=self.close, daemon=True).start()
        return True


def self_signed(folder):
    """(certificate, key) for 127.0.0.1, its own authority."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=weir",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key

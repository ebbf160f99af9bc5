"""A proxy before an S3 server that does what networks and servers do to one request in ten: seeded, on loopback."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

REFUSED = "refused"  # 500 or 503 (`SlowDown`), and the server never hears of the request
LOST = "lost"  # the server does what it is asked, and its answer is lost
CUT_REQUEST = "cut request"  # the connection breaks off in the middle of a body that is sent
CUT_ANSWER = "cut answer"  # ... that is received
FAULTS = (REFUSED, LOST, CUT_REQUEST, CUT_ANSWER)
_HOP = {"connection", "transfer-encoding", "keep-alive"}


class FaultProxy:
    """Passes requests on. `share` of them meet a fault of `faults`, `delay_s` is added to all."""

    def __init__(self, upstream: str, share: float = 0.0, seed: int = 0, delay_s: float = 0.0) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.share, self.delay_s = share, delay_s
        self.faults: tuple[str, ...] = FAULTS
        self.only: Callable[[str, str], bool] = lambda *_: True
        """Which requests may meet one, by method and path."""
        self.page_keys: int | None = None
        """How many keys a page of a listing has (S3's own 1,000 make slow tests)."""
        self.requests: Counter[str] = Counter()
        """By method."""
        self.injected: Counter[str] = Counter()
        self.log: list[tuple[str, str, str]] = []
        """Method, path and Range of every request."""
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.one_at_a_time = threading.Lock()
        """Conditional puts, which are atomic in a real bucket; moto looks, and then writes."""
        self.url = ""

    def next_fault(self, method: str, path: str, requested: str) -> str | None:
        """Count a request, and say what shall happen to it."""
        with self._lock:
            self.requests[method] += 1
            self.log.append((method, path, requested))
            if not self.only(method, path) or self._random.random() >= self.share:
                return None
            fault = self._random.choice(self.faults)
            self.injected[fault] += 1
            return fault

    def clear(self) -> None:
        """Count anew."""
        with self._lock:
            self.requests.clear()
            self.injected.clear()
            self.log.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or answers in two packets take 40 ms
    proxy: FaultProxy

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        fault = self.proxy.next_fault(self.command, self.path, self.headers.get("Range", ""))
        time.sleep(self.proxy.delay_s)
        length = int(self.headers.get("Content-Length") or 0)
        if fault == CUT_REQUEST and length:
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        if fault == REFUSED:
            self._refuse()
            return
        conditional = self.command == "PUT" and ("If-Match" in self.headers or "If-None-Match" in self.headers)
        with self.proxy.one_at_a_time if conditional else nullcontext():
            status, headers, data = self._ask(body)
        if fault == LOST:
            self._hang_up()
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP | {"content-length", "date", "server"}:
                self.send_header(name, value)
        stated = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", stated)
        self.end_headers()
        if fault == CUT_ANSWER and len(data) > 1:
            self.wfile.write(data[: len(data) // 2])
            self._hang_up()
            return
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - named by http.server

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = HTTPConnection(self.proxy.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        shorter = "list-type=2" in self.path and self.proxy.page_keys is not None
        path = f"{self.path}&max-keys={self.proxy.page_keys}" if shorter else self.path
        upstream.request(self.command, path, body, headers)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        return answer.status, answer.getheaders(), data

    def _refuse(self) -> None:
        status, code = (503, "SlowDown") if self.proxy.requests.total() % 2 else (500, "InternalError")
        data = f"<Error><Code>{code}</Code><Message>try again</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client hung up, or we did: that is what this proxy is for."""


@contextmanager
def fault_proxy(upstream: str, share: float = 0.0, seed: int = 0, delay_s: float = 0.0) -> Iterator[FaultProxy]:
    """Run a proxy on a free port of loopback."""
    proxy = FaultProxy(upstream, share, seed, delay_s)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()

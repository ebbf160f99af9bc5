"""A server on loopback that answers as the hub does where we ask it: a repository's tree, and ranges of its files."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "tests/films"
PAGE = 2
"""Files a page of the tree, so that every test turns pages."""


@dataclass
class Hub:
    """What the server has, and what it was asked. `failures` answers that many requests with 503 first."""

    folder: Path
    url: str = ""
    token: str | None = None
    gated: bool = False
    failures: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and `Range` of every request."""
    tokens: set[str | None] = field(default_factory=set)


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """Serve the files of a folder as the one commit of the one data set there is."""
    hub = Hub(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(hub, self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    url = urlsplit(request.path)
    hub.asked.append((unquote(url.path), request.headers.get("Range")))
    given = (request.headers.get("Authorization") or "").removeprefix("Bearer ") or None
    hub.tokens.add(given)
    tree, resolve = f"/api/datasets/{REPOSITORY}/tree/", f"/datasets/{REPOSITORY}/resolve/"
    path = unquote(url.path)
    if hub.failures:
        hub.failures -= 1
        _error(request, 503, "")
    elif not path.startswith((tree, resolve)):
        _error(request, 404, "RepoNotFound")
    elif hub.gated and given != hub.token:
        _error(request, 403, "GatedRepo")
    elif not path.startswith((tree + COMMIT, resolve + COMMIT)):
        _error(request, 404, "RevisionNotFound")
    elif path.startswith(tree):
        _tree(hub, request, int(parse_qs(url.query).get("cursor", ["0"])[0]), url.query)
    else:
        _file(hub, request, path.removeprefix(f"{resolve}{COMMIT}/"))


def _tree(hub: Hub, request: BaseHTTPRequestHandler, cursor: int, query: str) -> None:
    files = sorted(path for path in hub.folder.rglob("*") if path.is_file())
    rows = [
        {
            "type": "file",
            "path": path.relative_to(hub.folder).as_posix(),
            "size": path.stat().st_size,
            "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
        }
        for path in files
    ]
    headers = {}
    if cursor + PAGE < len(rows):
        rest = re.sub(r"&?cursor=\d+", "", query)
        following = f"{hub.url}{urlsplit(request.path).path}?{rest}&cursor={cursor + PAGE}"
        headers["Link"] = f'<{following}>; rel="next"'
    _send(request, 200, json.dumps(rows[cursor : cursor + PAGE]).encode(), headers)


def _file(hub: Hub, request: BaseHTTPRequestHandler, name: str) -> None:
    path = hub.folder / name
    if not path.is_file():
        _error(request, 404, "EntryNotFound")
        return
    data = path.read_bytes()
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range") or "")
    if asked is None:
        _send(request, 200, data, {})
    else:
        _send(request, 206, data[int(asked[1]) : int(asked[2]) + 1], {})


def _error(request: BaseHTTPRequestHandler, status: int, code: str) -> None:
    _send(request, status, b"{}", {"X-Error-Code": code})


def _send(request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(data)

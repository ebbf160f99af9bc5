"""A server on loopback that answers as the hub does where we ask it: a repository's tree, and (ranges of) its files."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "tests/films"
PAGE = 2
"""Files a page of the tree, so that every test turns pages."""


@dataclass
class Hub:
    """What the server has, and what it was asked. `failures` answers that many requests with 503 first."""

    folder: Path
    kind: Literal["datasets", "models"] = "datasets"
    url: str = ""
    token: str | None = None
    gated: bool = False
    refuses: bool = False
    """Answers 401 and says nothing more, as in front of the hub a proxy does."""
    failures: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and `Range` of every request."""
    sent: int = 0
    """Bytes of all answers."""
    tokens: set[str | None] = field(default_factory=set)

    @property
    def places(self) -> tuple[str, str, str]:
        """Where the tree, the files and the repository itself are asked for."""
        api, files = f"/api/{self.kind}/{REPOSITORY}/", "" if self.kind == "models" else f"/{self.kind}"
        return f"{api}tree/", f"{files}/{REPOSITORY}/resolve/", f"{api}revision/"


@contextmanager
def serving(folder: Path, kind: Literal["datasets", "models"] = "datasets") -> Iterator[Hub]:
    """Serve the files of a folder as the one commit of the one data set, or model, there is."""
    hub = Hub(folder, kind)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(hub, self)

        def do_HEAD(self) -> None:
            _answer(hub, self)

        def do_POST(self) -> None:
            _paths_info(hub, self)

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
    tree, resolve, there = hub.places
    path = unquote(url.path)
    if hub.failures:
        hub.failures -= 1
        _error(hub, request, 503, "")
    elif hub.refuses:
        _error(hub, request, 401, "")
    elif not path.startswith((tree, resolve, there)):
        _error(hub, request, 404, "RepoNotFound")
    elif hub.gated and given != hub.token:
        _error(hub, request, 401 if given is None else 403, "GatedRepo")
    elif not path.startswith((tree + COMMIT, resolve + COMMIT, there + COMMIT)):
        _error(hub, request, 404, "RevisionNotFound")
    elif path.startswith(there):
        _send(hub, request, 200, json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": []}).encode(), {})
    elif path.startswith(tree):
        _tree(hub, request, int(parse_qs(url.query).get("cursor", ["0"])[0]), url.query)
    else:
        _file(hub, request, path.removeprefix(f"{resolve}{COMMIT}/"))


def _paths_info(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    """What `datasets` asks of single files when it streams from the hub itself."""
    hub.asked.append((unquote(request.path), None))
    asked = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
    rows = [_described(hub, hub.folder / path) for path in asked["paths"] if (hub.folder / path).is_file()]
    _send(hub, request, 200, json.dumps(rows).encode(), {})


def _described(hub: Hub, path: Path) -> dict[str, object]:
    return {
        "type": "file",
        "path": path.relative_to(hub.folder).as_posix(),
        "size": path.stat().st_size,
        "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
    }


def _tree(hub: Hub, request: BaseHTTPRequestHandler, cursor: int, query: str) -> None:
    files = sorted(path for path in hub.folder.rglob("*") if path.is_file())
    rows = [_described(hub, path) for path in files]
    headers = {}
    if cursor + PAGE < len(rows):
        rest = re.sub(r"&?cursor=\d+", "", query)
        following = f"{hub.url}{urlsplit(request.path).path}?{rest}&cursor={cursor + PAGE}"
        headers["Link"] = f'<{following}>; rel="next"'
    _send(hub, request, 200, json.dumps(rows[cursor : cursor + PAGE]).encode(), headers)


def _file(hub: Hub, request: BaseHTTPRequestHandler, name: str) -> None:
    path = hub.folder / name
    if not path.is_file():
        _error(hub, request, 404, "EntryNotFound")
        return
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range") or "")
    if asked is None:
        data = path.read_bytes()
        _send(hub, request, 200, data, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT})
    else:
        with path.open("rb") as file:
            file.seek(int(asked[1]))
            _send(hub, request, 206, file.read(int(asked[2]) + 1 - int(asked[1])), {})


def _error(hub: Hub, request: BaseHTTPRequestHandler, status: int, code: str) -> None:
    _send(hub, request, status, b"{}", {"X-Error-Code": code})


def _send(hub: Hub, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str]) -> None:
    hub.sent += len(data)
    request.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(data)

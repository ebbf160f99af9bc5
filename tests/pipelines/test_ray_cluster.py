"""Which engine is chosen, and what an address must be; no cluster is started here."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import ray_cluster
from pipelines.engines.choice import EngineChoice, chosen
from pipelines.errors import UsageError
from tests.pipelines.certificates import tls_environment


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_address_where_nothing_is_is_refused_in_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        started = time.monotonic()
        with pytest.raises(UsageError, match="no Ray cluster answers"):
            EngineChoice("ray", address).make(1)
        assert time.monotonic() - started < 15


def test_an_address_that_never_answers_is_refused_in_seconds(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "PROBE_S", 2.0)
    started = time.monotonic()
    with pytest.raises(UsageError, match="no Ray cluster answers"):
        EngineChoice("ray", f"127.0.0.1:{listener}").make(1)
    assert time.monotonic() - started < 7


@pytest.mark.parametrize("address", ["head", "head:port", "http://head:8265", "a b:1"])
def test_what_is_no_address_is_refused_with_the_forms_there_are(address: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        EngineChoice("ray", address).make(1)


CHOICES: list[tuple[tuple[Any, ...], dict[str, str], EngineChoice]] = [
    ((None, None, None), {}, EngineChoice("local")),
    ((None, "head:6379", 4), {}, EngineChoice("ray", "head:6379", 4)),
    ((None, None, None), {"RAY_ADDRESS": "head:6379"}, EngineChoice("ray", "head:6379")),
    (("local", None, 2), {"RAY_ADDRESS": "head:6379"}, EngineChoice("local")),
    (("ray", None, None), {}, EngineChoice("ray")),
    (("ray", "a:1", None), {"RAY_ADDRESS": "b:2"}, EngineChoice("ray", "a:1")),
]


@pytest.mark.parametrize(("asked", "environment", "expected"), CHOICES)
def test_ray_is_chosen_where_it_or_a_cluster_is_named(
    asked: tuple[Any, ...], environment: dict[str, str], expected: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen(*asked) == expected


def test_an_address_for_the_local_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="--address"):
        chosen("local", "head:6379", None)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The port of a gRPC server that, as Ray's do, wants a certificate of who talks to it; and the variables for it."""
    import grpc

    class Answers(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda *_: b"")

    variables = tls_environment(tmp_path)
    key, certificate = (Path(variables[f"RAY_TLS_SERVER_{name}"]).read_bytes() for name in ("KEY", "CERT"))
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Answers()])
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    )
    server.start()
    yield port, variables
    server.stop(0).wait()


def test_a_cluster_over_tls_is_recognised_with_the_variables_that_ray_reads(
    encrypted: tuple[int, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, variables = encrypted
    with pytest.raises(UsageError, match="no Ray cluster answers") as caught:
        ray_cluster.checked_address(f"127.0.0.1:{port}")
    assert "RAY_USE_TLS" in caught.value.hint
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ray_cluster.checked_address(f"127.0.0.1:{port}") == f"127.0.0.1:{port}"
    monkeypatch.setenv("RAY_TLS_CA_CERT", "/nowhere")
    with pytest.raises(UsageError, match="RAY_TLS_CA_CERT names no file"):
        ray_cluster.checked_address(f"127.0.0.1:{port}")


@pytest.fixture
def guarded() -> Iterator[int]:
    """The port of a gRPC server that asks for a token."""
    import grpc

    class Asks(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "token?")
            )

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Asks()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0).wait()
    ray_cluster._read_authentication()


def test_a_cluster_that_asks_for_a_token_is_given_ours_or_the_user_is_told_where_it_belongs(
    guarded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="asks for a token") as caught:
        ray_cluster.checked_address(f"127.0.0.1:{guarded}")
    assert "RAY_AUTH_TOKEN" in caught.value.hint
    (tmp_path / "token").write_text("x" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert ray_cluster.checked_address(f"127.0.0.1:{guarded}") == f"127.0.0.1:{guarded}"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_process_may_start_a_cluster_again_and_each_asks_for_a_token_of_its_own() -> None:
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")}
    tokens = set()
    for _ in range(2):
        with ray_cluster.connected(None, 1):
            tokens.add(os.environ["RAY_AUTH_TOKEN"])
    assert len(tokens) == 2
    assert {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")} == before

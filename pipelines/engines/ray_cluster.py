"""Getting to a Ray cluster: one that is there, or one started on this machine for this command."""

import contextlib
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from platform import python_version
from typing import Any

from pipelines.errors import CurateError, UsageError

ROOMS = ("sources", "filters", "dedup", "shards", "pipelines", "workflows")
HOUSE = Path(__file__).resolve().parents[2]
PROBE_S = 10.0
OBJECT_STORE_BYTES = 80 * 2**20
"""The least that Ray takes: only what tasks answer, some kilobytes each, goes through it."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Ray prints what happens to workers on stdout, which is the answer's
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # only silences a warning about a change to come
}
CLIENT = "ray://"
SOCKET_PATH_BYTES = 107
"""What Linux takes for the name of a socket; those of Ray are the temporary folder and 70 characters more."""


def checked_address(address: str) -> str:
    """The address, or the one that `auto` finds, of a Ray cluster that answers within ten seconds.

    Ray itself would try for two minutes, then end the process.

    Raises:
        UsageError: it does not. Says what to give instead.
    """
    client = address.startswith(CLIENT)
    target = address.removeprefix(CLIENT) if client else _found() if address == "auto" else address
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):\d{1,5}", target):
        raise UsageError(f"--address {address}: not an address", "give auto, HOST:PORT or ray://HOST:PORT")
    answer = _probe(target)
    if answer in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN"):
        raise UsageError(
            f"--address {address}: no Ray cluster answers there",
            "start one with `ray start --head`; its port is 6379 unless it says another, not the dashboard's; one "
            "with RAY_USE_TLS answers only if that, RAY_TLS_CA_CERT, _SERVER_CERT and _SERVER_KEY are set here too",
        )
    if answer == "UNIMPLEMENTED" and not client:
        raise UsageError(
            f"--address {address}: what answers there is not the head of a Ray cluster",
            "the port is that of `ray start --head` (6379 unless it says another); Ray's client port takes ray://",
        )
    if answer == "UNAUTHENTICATED":
        _authenticate(address)
    return address if client else target


def _probe(target: str) -> str:
    """What the server says to a request for its cluster's id: `OK`, or the name of a gRPC status."""
    import grpc  # type: ignore[import-untyped]

    options = [("grpc.enable_http_proxy", 0)]
    credentials = _tls()
    with (
        grpc.insecure_channel(target, options=options)
        if credentials is None
        else grpc.secure_channel(target, grpc.ssl_channel_credentials(*credentials), options=options)
    ) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            ask(b"", timeout=PROBE_S)
        except grpc.RpcError as error:
            status: str = error.code().name
            return status
    return "OK"


def _tls() -> tuple[bytes, bytes, bytes] | None:
    """Where the cluster is to be reached over TLS as Ray understands it: the authority, our key, our certificate.

    Raises:
        UsageError: the environment asks for TLS, and one of the three files is not named or cannot be read.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        return None
    read = []
    for name in ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_SERVER_CERT"):
        try:
            read.append(Path(os.environ[name]).read_bytes())
        except (KeyError, OSError):
            raise UsageError(
                f"RAY_USE_TLS is set, and {name} names no file that can be read",
                "set RAY_TLS_CA_CERT, RAY_TLS_SERVER_CERT and RAY_TLS_SERVER_KEY, or unset RAY_USE_TLS",
            ) from None
    return read[0], read[1], read[2]


def _found() -> str:
    """The address of the cluster that this machine is part of.

    Raises:
        UsageError: it is of none.
    """
    _quiet()
    from ray._private.services import canonicalize_bootstrap_address_or_die  # as `ray.init("auto")` does

    try:
        return str(canonicalize_bootstrap_address_or_die("auto"))
    except ConnectionError:
        raise UsageError(
            "--address auto: this machine is not part of exactly one Ray cluster",
            "start one with `ray start --head`, or give its HOST:PORT",
        ) from None


def _authenticate(address: str) -> None:
    """The cluster wants a token: use the one that Ray finds in the environment or the home folder.

    Raises:
        UsageError: there is none.
    """
    at = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not os.environ.get("RAY_AUTH_TOKEN") and not at.is_file():
        raise UsageError(
            f"--address {address}: the cluster asks for a token",
            "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the token of `ray get-auth-token` on its head",
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    _read_authentication()


def _quiet() -> None:
    """Before Ray is imported: nothing leaves, nothing is printed."""
    os.environ.update(QUIET)


@contextlib.contextmanager
def connected(address: str | None, cpus: int) -> Iterator[str]:
    """Be connected to a cluster; yields where its dashboard is, or nothing. Without an address one is started here.

    One that was there before is left as it was. Of one started here nothing stays, its logs neither.

    Raises:
        UsageError: it is of another Ray or Python, or cannot be joined.
        CurateError: it cannot be started.
    """
    _quiet()
    import ray

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_temporary()) if address is None else ""
        if address is None:
            stack.enter_context(_token_of_its_own())
        stack.callback(ray.shutdown)
        context = _started(cpus, folder) if address is None else _joined(address)
        yield str(context.dashboard_url or "")


def _started(cpus: int, folder: str) -> Any:
    import ray

    try:
        with _at_home_in(Path(folder)):
            return ray.init(
                address="local",
                num_cpus=cpus,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
            )
    except Exception as error:  # noqa: BLE001 - whatever it is: the local engine needs none of it
        raise CurateError(
            f"Ray could not be started on this machine ({type(error).__name__})", "use --engine local"
        ) from None


@contextlib.contextmanager
def _token_of_its_own() -> Iterator[None]:
    """Have a cluster that is started here ask a token of whoever talks to it, new each time and in no file."""
    try:
        with _environment({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
            _read_authentication()
            yield
    finally:
        _read_authentication()


def _read_authentication() -> None:
    """Have Ray look again at mode and token, of which it remembers the first that it saw in a process."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined] # compiled

    AuthenticationTokenLoader.instance().reset_cache()
    Config.initialize("")


@contextlib.contextmanager
def _at_home_in(folder: Path) -> Iterator[None]:
    """Let the processes that Ray starts now take the folder for home and for temporary files: both go with it.

    Its head, which asks the metadata servers of three clouds where it is, telemetry on or off, finds here a file
    that tells it.
    """
    (folder / "ray_bootstrap_config.yaml").write_text("provider: {type: local}\n")
    with _environment({"HOME": str(folder), "TMPDIR": str(folder)}):
        yield


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set these variables, then put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _joined(address: str) -> Any:
    import ray

    try:
        with _code() as environment:
            return ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # noqa: BLE001 - Ray raises RuntimeError, ConnectionError, and errors of its own
        found = re.search(r"cluster was started with:\s+Ray: (\S+)\s+Python: (\S+)", str(error))
        if found:
            raise UsageError(
                f"--address {address}: the cluster runs Ray {found[1]} on Python {found[2]}, this command "
                f"Ray {ray.__version__} on Python {python_version()}",
                "install the same versions on both sides",
            ) from None
        raise UsageError(
            f"--address {address}: the cluster cannot be joined ({type(error).__name__})",
            "run this command on a node of the cluster, or give ray://HOST:10001; `ray status` tells of its health",
        ) from None


@contextlib.contextmanager
def _code() -> Iterator[dict[str, Any] | None]:
    """A `runtime_env` that brings our code, all rooms in one folder as they stand here, to every node.

    As one working directory and not as `py_modules`, each of which would have a place of its own: the places in the
    code that a quarantined record's evidence names are told relative to the house. A submitted Ray job has an
    environment already; its code is what `ray job submit` sent or its image holds.
    """
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="curate-code-") as folder:
        for room in ROOMS:
            shutil.copytree(HOUSE / room, Path(folder) / room, ignore=shutil.ignore_patterns("__pycache__"))
        yield {"working_dir": folder}


@contextlib.contextmanager
def _temporary() -> Iterator[str]:
    """A folder for the cluster's sockets and logs."""
    root = tempfile.gettempdir()
    if len(root) + len("/curate-ray-12345678") + 70 > SOCKET_PATH_BYTES:
        root = "/tmp"  # noqa: S108 - mkdtemp makes it ours alone
    folder = tempfile.mkdtemp(prefix="curate-ray-", dir=root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

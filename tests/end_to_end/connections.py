"""Watching where a command and all its processes connect: by a hook in every Python, and by the system calls."""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOOK = """
import os, socket, sys

_log = os.open(os.environ["CONNECTIONS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _write(*words):
    os.write(_log, (" ".join(str(word) for word in words) + "\\n").encode())


def _hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        given, address = arguments[0], arguments[-1]
        if isinstance(address, tuple):
            asks_only = event == "socket.connect" and given.type & 15 == socket.SOCK_DGRAM
            _write("route" if asks_only else event, address[0])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        _write(event, arguments[0])


_write("hooked", os.getpid())
sys.addaudithook(_hook)
"""
"""A datagram socket that is connected asks for a route and sends nothing: Ray finds its own address so."""
_PEER = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_SENT_TO = re.compile(r"<(?:TCP|UDP)(?:v6)?:\[[^>]*->\[?([^\]>]+?)\]?:\d+\]>")


@dataclass(frozen=True)
class Watched:
    """What a command did."""

    done: subprocess.CompletedProcess[str]
    processes: int
    """How many were watched: Pythons that carried the hook, or programs that were started under the tracer."""
    places: tuple[str, ...]
    """Addresses and names, not of this machine, that were connected to, sent to or looked up."""


def hooked(place: Path, command: Sequence[object]) -> Watched:
    """Run a command with an audit hook in every Python process it starts."""
    library, log = place / "hook", place / "connections.log"
    library.mkdir(parents=True, exist_ok=True)
    (library / "sitecustomize.py").write_text(HOOK)
    log.write_text("")
    path = os.pathsep.join(filter(None, (str(library), os.environ.get("PYTHONPATH"))))
    added = {"PYTHONPATH": path, "CONNECTIONS_LOG": str(log)}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, env={**open_environment(), **added}
    )
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    pids = {what for event, what in lines if event == "hooked"}
    places = {what for event, what in lines if event not in ("hooked", "route") and not is_here(what)}
    return Watched(done, len(pids), tuple(sorted(places)))


def traced(place: Path, command: Sequence[object]) -> Watched:
    """Run a command under `strace`, which sees every process, whatever it is written in."""
    under = [*_tracer(place), *map(str, command)]
    done = subprocess.run(under, capture_output=True, text=True, check=False, env=open_environment())
    return _seen_by_tracer(place, done)


def hooked_and_traced(place: Path, command: Sequence[object]) -> tuple[Watched, Watched]:
    """Run a command once, watched both ways: what each has seen."""
    by_hook = hooked(place, [*_tracer(place), *command])
    return by_hook, _seen_by_tracer(place, by_hook.done)


def _tracer(place: Path) -> list[str]:
    return ["strace", "-f", "-yy", "-qq", "--seccomp-bpf", "-e", "trace=execve,connect,sendto,sendmsg,sendmmsg",
            "-e", "signal=none", "-o", str(place / "strace.log")]  # fmt: skip


def _seen_by_tracer(place: Path, done: subprocess.CompletedProcess[str]) -> Watched:
    lines = (place / "strace.log").read_text(errors="replace").splitlines()
    places = {address for line in lines for address in _peers(line) if not is_here(address)}
    started = {line.split()[0] for line in lines if " execve(" in line}
    return Watched(done, len(started), tuple(sorted(places)))


def _peers(line: str) -> list[str]:
    """The addresses that one system call connects or sends to."""
    named = [first or second for first, second in _PEER.findall(line)]
    if " connect(" in line:
        return [] if "<UDP" in line else named
    return named + _SENT_TO.findall(line)


def can_trace() -> bool:
    """Whether `strace` is here and may watch processes."""
    if shutil.which("strace") is None:
        return False
    tried = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, sys.executable, "-c", ""]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def is_here(place: str) -> bool:
    """Whether an address or name is this machine's own."""
    if place in ("", "None", "localhost", "0.0.0.0", "::", os.uname().nodename):
        return True
    try:
        address = ipaddress.ip_address(place.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or str(mapped) in own_addresses()


def own_addresses() -> set[str]:
    """The addresses of this machine's interfaces."""
    found = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", Path("/proc/net/fib_trie").read_text())
    six = Path("/proc/net/if_inet6")
    lines = six.read_text().splitlines() if six.exists() else []
    return {*found, *(str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))) for line in lines)}


def open_environment() -> dict[str, str]:
    """The environment without what tells libraries to stay offline: the project has to see to that itself."""
    quiet = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY",
             "DO_NOT_TRACK", "GX_ANALYTICS_ENABLED", "RAY_USAGE_STATS_ENABLED", "ORT_DISABLE_TELEMETRY")  # fmt: skip
    return {name: value for name, value in os.environ.items() if name not in quiet}

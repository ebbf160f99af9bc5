"""The connection to a bucket: made from the standard environment, once a process, and kept nowhere else."""

import errno
import os
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sources.storage.folder import StoreError
from sources.storage.store_errors import no_credentials

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSStore, RetryConfig, S3Store

PATIENCE_S = 150
"""How long a request is tried again, with back-off and jitter, before it counts as failed: servers throttle, restart
and fail over within this."""
FIRST_PATIENCE_S = 10
"""The same for the first request of a process: whoever mistyped an endpoint learns it before long."""
REQUEST_S = 120
"""One try of one request; it moves 16 MiB at most."""
STALLED_S = 60
"""Without a single byte from the server. Copying an object in the bucket and completing an upload answer last."""

_BEFORE_PROFILES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
"""Where one of them is set, it says who we are, and profiles are not read (the AWS SDKs look in this order too)."""

_READ = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "HOME")

_process = 0
_lock = threading.Lock()


def store_of(scheme: str, bucket: str, patience_s: int = PATIENCE_S) -> "S3Store | GCSStore":
    """The connection to a bucket, shared by all threads of this process.

    Raises:
        StoreError: no credentials can be found or used, or this process was forked from one with connections.
    """
    global _process  # noqa: PLW0603 - as a process has it once
    with _lock:
        if _process not in (0, os.getpid()):
            raise StoreError(
                errno.ENOTSUP,
                "object storage was used before this process was forked, and cannot be used after",
                "start processes with spawn",
            )
        _process = os.getpid()
        return _made(scheme, bucket, patience_s, _settings())


def _settings() -> tuple[tuple[str, str], ...]:
    """What of the environment a connection depends on."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(_READ)))


@lru_cache(maxsize=64)
def _made(scheme: str, bucket: str, patience_s: int, settings: tuple[tuple[str, str], ...]) -> "S3Store | GCSStore":
    from obstore.exceptions import BaseError

    make = _s3 if scheme == "s3" else _gcs
    try:
        return make(bucket, _retries(patience_s), dict(settings))
    except (BaseError, ValueError, FileNotFoundError):  # its message may hold what the environment holds
        raise no_credentials(f"{scheme}://{bucket}", "the settings in the environment cannot be used") from None


def _s3(bucket: str, retries: "RetryConfig", environment: Mapping[str, str]) -> "S3Store":
    from obstore.store import S3Store

    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    certificates = environment.get("AWS_CA_BUNDLE")
    if endpoint and not re.match(r"https?://[^/]", endpoint):
        raise StoreError(errno.EDESTADDRREQ, "AWS_ENDPOINT_URL is no URL", "write it as https://host:port")
    client = _client(endpoint, certificates)
    if any(environment.get(name) for name in _BEFORE_PROFILES) or not _has_profiles(environment):
        return S3Store(bucket, client_options=client, retry_config=retries)
    if find_spec("boto3") is None:
        raise no_credentials(f"s3://{bucket}", "reading credentials from AWS profiles needs the package boto3")
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        provider = Boto3CredentialProvider()
    except BotoCoreError:
        raise no_credentials(f"s3://{bucket}", "the AWS profile cannot be used") from None
    return S3Store(bucket, client_options=client, retry_config=retries, credential_provider=provider)


def _has_profiles(environment: Mapping[str, str]) -> bool:
    """Whether credentials are in the files that the AWS command line writes."""
    if environment.get("AWS_PROFILE"):
        return True
    home = Path(environment.get("HOME", "/nonexistent"))
    credentials = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials")
    settings = Path(environment.get("AWS_CONFIG_FILE") or home / ".aws/config")
    return credentials.exists() or settings.exists()


def _gcs(bucket: str, retries: "RetryConfig", environment: Mapping[str, str]) -> "GCSStore":
    from obstore.store import GCSStore

    emulator = environment.get("STORAGE_EMULATOR_HOST")
    if not emulator:
        return GCSStore(bucket, client_options=_client("", None), retry_config=retries)
    url = emulator if "://" in emulator else f"http://{emulator}"
    return GCSStore(
        bucket,
        config={"base_url": url, "bearer_token": "none"},  # emulators take anybody; writes are never unsigned
        client_options=_client(url, None),
        retry_config=retries,
    )


def _client(endpoint: str, certificates: str | None) -> "ClientConfig":
    options: ClientConfig = {
        "timeout": timedelta(seconds=REQUEST_S),
        "read_timeout": timedelta(seconds=STALLED_S),
        "connect_timeout": timedelta(seconds=5),
    }
    if endpoint.startswith("http://"):
        options["allow_http"] = True
    if certificates:
        options["root_certificate"] = Path(certificates).read_bytes()
    return options


def _retries(patience_s: int) -> "RetryConfig":
    return {
        "max_retries": 1000,  # the time decides
        "retry_timeout": timedelta(seconds=patience_s),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=15),
            "base": 2,
        },
    }


def table_options(scheme: str) -> dict[str, Any]:
    """What polars needs to read tables of a bucket by itself, beside the environment that it reads too."""
    options: dict[str, Any] = {"max_retries": 10}
    if scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            options["aws_endpoint_url"] = endpoint
            options["aws_allow_http"] = str(endpoint.startswith("http://")).lower()
    return options

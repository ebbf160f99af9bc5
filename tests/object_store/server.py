"""A real S3 server (`moto_server`) of this machine, for tests. What it does not prove is in docs/object_storage.md."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

MOTO = Path(sys.executable).with_name("moto_server")
SETTINGS = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST")
BUCKET = "corpora"


@dataclass
class S3Server:
    """A server with one bucket, `corpora`."""

    url: str

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a process needs to use it (or a proxy before it)."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str = "s3") -> Any:
        """A client of another maker, to look at what ours did."""
        return _client(service, self.url)

    def keys(self, prefix: str = "") -> dict[str, bytes]:
        """Every object under a prefix."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [row["Key"] for page in pages for row in page.get("Contents", ())]
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def put(self, key: str, data: bytes = b"x") -> None:
        """Make an object."""
        self.client().put_object(Bucket=BUCKET, Key=key, Body=data)

    def unfinished(self) -> list[str]:
        """Keys of uploads that were neither completed nor aborted."""
        rows = self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return [row["Key"] for row in rows]

    def check_signatures(self) -> tuple[str, str]:
        """From now on refuse requests of unknown users; return the key of one who may do anything."""
        iam = self.client("iam")
        iam.create_user(UserName="tester")
        made = iam.create_access_key(UserName="tester")["AccessKey"]
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
        iam.put_user_policy(UserName="tester", PolicyName="all", PolicyDocument=policy)
        self._control("reset-auth", b"0")
        return made["AccessKeyId"], made["SecretAccessKey"]

    def ignore_signatures(self) -> None:
        """Take anybody again."""
        self._control("reset-auth", b"inf")

    def _control(self, name: str, data: bytes) -> None:
        request = Request(f"{self.url}/moto-api/{name}", data, {"Content-Type": "text/plain"}, method="POST")
        with urlopen(request) as answer:
            answer.read()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server on a free port of loopback, with the bucket."""
    if not MOTO.exists():
        pytest.skip("moto_server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        server = S3Server(f"http://127.0.0.1:{port}")
        _wait(port)
        server.client().create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.kill()
        process.wait()


@cache
def _client(service: str, url: str) -> Any:
    import boto3

    return boto3.client(
        service,
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def use(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Give this process these settings of object storage, and no others."""
    for name in list(os.environ):
        if name.startswith(SETTINGS):
            patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)

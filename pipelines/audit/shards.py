"""Whether shards of ours are what their manifest says: an audit of other bytes would prove nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from pipelines.audit.data import Shards
from pipelines.errors import CurateError
from pipelines.flow import Flow
from pipelines.session import Session
from pipelines.work import Commit, key_of

CHUNK_BYTES = 2**20
NODE = "audit_shards"
VERSION = 1


@dataclass(frozen=True)
class HashTask:
    """Hashes one tar, whatever was known of it."""

    corpus: int
    path: str
    number: int

    @property
    def label(self) -> str:
        """Shard."""
        return f"{NODE} {self.number}"

    def run(self, session: Session) -> Commit:
        """A commit that is not kept: `sha256` and `bytes` of the file as it is now, or `absent`."""
        digest, size = sha256(), 0
        root = session.corpora[self.corpus].root
        try:
            with root.open(self.path) as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            return Commit(NODE, key_of(NODE, VERSION), {}, {"absent": True})
        return Commit(NODE, key_of(NODE, VERSION), {}, {"sha256": digest.hexdigest(), "bytes": size})


def check_shards(flow: Flow, shards: Sequence[tuple[int, Shards]]) -> None:
    """Compare every tar with its manifest; each `shards` comes with the number of its first corpus.

    Raises:
        CurateError: one is not what the manifest says.
    """
    expected = [(first + corpus, path, entry) for first, own in shards for corpus, path, entry in own.entries]
    tasks = [HashTask(corpus, path, number) for number, (corpus, path, _) in enumerate(expected)]
    for (_, _, entry), commit in zip(expected, flow.aside("shards", tasks), strict=True):
        if commit.facts.get("sha256") != entry.sha256:
            what = "is not there" if "absent" in commit.facts else "has other bytes than the manifest says"
            raise CurateError(
                f"{entry.name} {what}: nothing that an audit says would be about these shards",
                "`curate shards verify` says more; restore the shard, or build again",
            )

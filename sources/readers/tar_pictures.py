"""Tars of pictures, plain or in gzip: each picture is a record."""

from collections.abc import Mapping
from functools import partial

from sources.readers.archive_contents import Contents, Entry, entry_of, is_record
from sources.readers.member_names import plain
from sources.readers.tar_samples import Found, TarSample, cut_tar, singles, tar_fragment
from sources.readers.tar_streams import read_range, tar_from
from sources.records import Corpus, Fragment
from sources.storage.tar_members import Forward, Member, members

_GROUPING = partial(singles, is_taken=is_record)


class TarPictures:
    """Tars read front to back; of a fragment only its own bytes, in gzip those before it too."""

    def contents(self, corpus: Corpus, path: str) -> Contents:
        """Raises as `Form`."""
        noted = Contents()

        def noting(found_members: Found) -> Found:
            for one in found_members:
                if isinstance(one, Member) and not one.refusal:
                    noted.note(corpus, one.name, one.start, one.size)
                yield one

        noted.fragments += cut_tar(corpus, path, lambda found_members: _GROUPING(noting(found_members)))
        return noted

    def member_at(self, corpus: Corpus, fragment: Fragment, place: int) -> tuple[str, bytes]:
        """Raises as `Form`."""
        with tar_from(corpus, fragment.path, fragment.file_stamp, place) as source:
            member = next(members(Forward(source, place)))
        assert isinstance(member, Member), "planning read it, and the file is the same"
        return plain(member.name), read_range(corpus, fragment, member.data, member.size)

    def entries(self, corpus: Corpus, fragment: Fragment, meaning: bytes) -> list[Entry]:
        """Raises as `Form`."""
        tar = tar_fragment(corpus, fragment, _GROUPING, meaning)
        return [_entry(sample, names) for sample, names in zip(tar.samples, tar.named, strict=True)]

    def picture(self, corpus: Corpus, fragment: Fragment, uri: str, meaning: bytes) -> bytes:
        """Raises as `Form`."""
        return tar_fragment(corpus, fragment, _GROUPING, meaning).picture(uri)


def _entry(sample: TarSample, names: Mapping[str, Member]) -> Entry:
    if sample.flaw:
        return Entry(sample.key, "", sample.flaw)
    [(inner, member)] = names.items()
    return entry_of(member.name, inner, member.refusal)

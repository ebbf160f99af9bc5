"""What looking at a fragment's pictures has told so far, so that none is read again when other samples are kept.

It lies beside the answers, in a commit of its own per fragment that is written anew as it grows. A row depends on the
picture's bytes and on how it is looked at, so a commit that is gone, or is of before, costs time and changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from filters.phi_pictures import PHI_IMAGES, Examination
from pipelines.session import Session
from pipelines.view import View
from pipelines.work import key_of
from sources.pictures import Limits

NODE = "phi_seen"
_PART = "seen"
_OF_FAILURES = frozenset({"timeout_s"})
"""Parameters on which only rows that are not kept here depend."""


def seen(session: Session, view: View, examination: Examination, limits: Limits) -> dict[str, dict[str, Any]]:
    """Rows of PHI_IMAGES by image id: of pictures of this place that were looked at in just this way, in any build."""
    found = session.work.find(NODE, _key(session, view, examination, limits))
    if found is None:
        return {}
    return {row["image_id"]: row for row in session.work.read(found.parts[_PART]).to_pylist()}


def remember(
    session: Session,
    view: View,
    examination: Examination,
    limits: Limits,
    rows: Sequence[Mapping[str, Any]],
    there: Collection[str],
) -> None:
    """Keep the rows of pictures that are `there`, in the fragment, whatever becomes of their samples.

    Not those on which looking failed: a machine may have been busy, and is asked again.
    """
    good = [row for row in rows if row["problem"] is None and row["image_id"] in there]
    table = pa.Table.from_pylist(good, schema=PHI_IMAGES)
    session.work.put(NODE, _key(session, view, examination, limits), {_PART: table})


def _key(session: Session, view: View, examination: Examination, limits: Limits) -> str:
    """By how it is looked at, and by the fragment's place: its digest is another when a record is added to the file."""
    corpus, fragment = session.corpora[view.corpus], view.fragment
    path = fragment.files[0].path if fragment.files else fragment.path
    place = [corpus.name, corpus.identity.name("path", path), fragment.start, fragment.first_row]
    how = {name: value for name, value in examination.parameters().items() if name not in _OF_FAILURES}
    return key_of(examination.name, examination.version, how, limits.ct_windows, place)

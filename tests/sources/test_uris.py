from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sources.mapping import image_uris
from sources.records import Corpus, Record, RecordError
from sources.schema import Reason
from sources.storage import LocalFolder
from tests.sources.corpora import corpus_in


def corpus_of(folder: Path, images: str | None, **card: Any) -> Corpus:
    (folder / "data/test").mkdir(parents=True, exist_ok=True)
    (folder / "data/test/notes.jsonl").write_text("{}", encoding="utf-8")
    settings = {"task": "caption", "fields": {"image": "img", "id": "uid"}, **card}
    return corpus_in(folder, "jsonl", {"test": ("data/test/notes.jsonl",)}, images=images, **settings)


def uris(corpus: Corpus, **row: Any) -> list[str]:
    return image_uris(corpus, "data/test/notes.jsonl", Record("9", row))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a.jpg", ["pics/a.jpg"]),
        (["a.jpg", "", None, "b.jpg"], ["pics/a.jpg", "pics/b.jpg"]),
        ("['a.jpg', 'b.jpg']", ["pics/a.jpg", "pics/b.jpg"]),
        ("[broken.jpg]", ["pics/[broken.jpg]"]),
        ("../../etc/passwd", ["pics/../../etc/passwd"]),
        ("/etc/passwd", ["/etc/passwd"]),
        ("https://x.test/a.jpg", ["https://x.test/a.jpg"]),
        ("file:///etc/passwd", ["file:///etc/passwd"]),
        ("C:\\a.jpg", ["C:\\a.jpg"]),
        (None, []),
        (" ", []),
    ],
)
def test_a_picture_lies_in_the_folder_the_layout_names_unless_it_leads_elsewhere(
    tmp_path: Path, written: Any, expected: list[str]
) -> None:
    assert uris(corpus_of(tmp_path, "pics"), img=written) == expected


@pytest.mark.parametrize("hostile", ["../../etc/passwd", "/etc/passwd", "https://x.test/a.jpg", "a\0b"])
def test_no_file_answers_to_a_hostile_path(tmp_path: Path, hostile: str) -> None:
    corpus = corpus_of(tmp_path, "pics")
    assert all(corpus.root.stat(uri) is None for uri in uris(corpus, img=hostile))


@pytest.mark.parametrize("images", ["pics", None])
def test_no_picture_of_another_corpus_under_the_same_data_root_answers_to_a_record(
    tmp_path: Path, images: str | None
) -> None:
    (tmp_path / "credentialed").mkdir()
    (tmp_path / "credentialed/film.jpg").write_bytes(b"x")
    corpus = corpus_of(tmp_path / "open", images)
    (tmp_path / "open/pics").mkdir()
    (tmp_path / "open/film.jpg").write_bytes(b"x")
    corpus = replace(corpus, root=LocalFolder(tmp_path).inside("open"))
    for written in ("../../credentialed/film.jpg", "../credentialed/film.jpg", "x/../../credentialed/film.jpg"):
        assert [corpus.root.stat(uri) for uri in uris(corpus, img=written)] == [None]
    back = "../film.jpg" if images else "pics/../film.jpg"
    assert [corpus.root.stat(uri) is not None for uri in uris(corpus, img=back)] == [True]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{folder}/images/{id}.jpg", "data/test/images/U1.jpg"),
        ("pics/{split}/{key}.png", "pics/test/9.png"),
        ("figures/{hash}_{part.name}", "figures/ab_x"),
        ("{id.__class__}", None),
    ],
)
def test_a_template_is_filled_from_the_record_and_its_place(
    tmp_path: Path, template: str, expected: str | None
) -> None:
    found = uris(corpus_of(tmp_path, template), uid="U1", hash="ab", part={"name": "x"})
    assert found == ([] if expected is None else [expected])


def test_the_pictures_of_reports_are_expected_only_where_their_folder_is(tmp_path: Path) -> None:
    assert uris(corpus_of(tmp_path, "pics", task="report"), img="a.jpg") == []
    (tmp_path / "pics").mkdir()
    assert uris(corpus_of(tmp_path, "pics", task="report"), img="a.jpg") == ["pics/a.jpg"]


def test_pictures_that_arrive_later_make_another_fragment_of_the_same_samples(tmp_path: Path) -> None:
    from sources.mapping import to_sample
    from tests.sources.corpora import PROMPTS, planned

    fields = {"image": "img", "text": "t"}
    corpus = corpus_of(tmp_path, "pics", task="report", fields=fields)
    (tmp_path / "data/test/notes.jsonl").write_text('{"img": "a.jpg", "t": "Normal."}', encoding="utf-8")
    record = Record("0", {"img": "a.jpg", "t": "Normal."})
    [before] = planned(corpus)
    text_only = to_sample(corpus, "data/test/notes.jsonl", record, PROMPTS)
    (tmp_path / "pics").mkdir()
    [after] = planned(corpus)
    with_pictures = to_sample(corpus, "data/test/notes.jsonl", record, PROMPTS)
    assert before.digest != after.digest
    assert (text_only["sample_id"], text_only["images"]) == (with_pictures["sample_id"], [])
    assert len(with_pictures["images"]) == 1


def test_a_record_that_names_a_picture_in_no_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        uris(corpus_of(tmp_path, "pics"), img=r"['caf\udce9.jpg']")
    assert caught.value.reason == Reason.RECORD_ENCODING

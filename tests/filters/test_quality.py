from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from filters.images import fault_of
from filters.languages import language_of
from filters.measure import LINKS
from filters.mojibake import mojibake_share
from filters.quality import Quality, text_fault
from filters.quality_rules import RULE_SETS
from filters.text import TextQuality, repeated_share, script_of
from pipelines.label_settings import QualitySettings
from sources.schema import IMAGES, SAMPLES

DEFAULT = RULE_SETS["default"]


def sample(said: str, task: str = "caption", **fields: Any) -> dict[str, Any]:
    row = {"sample_id": "a", "source": "s", "source_key": "k", "task": task, "license": "unknown", "access": "open"}
    return {**row, "turns": [{"role": "user", "text": "Describe."}, {"role": "assistant", "text": said}], **fields}


def reasons(*rows: dict[str, Any], **limits: Any) -> list[str | None]:
    samples = pa.Table.from_pylist(list(rows), schema=SAMPLES)
    facts = TextQuality().measure(samples)
    facts |= {
        "images": IMAGES.empty_table(),
        "links": pa.Table.from_pylist([{"images": None}] * len(rows), schema=LINKS),
    }
    found: list[str | None] = Quality({**DEFAULT, **limits}).decide(samples, facts)["reason"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Figure 2", "label_only"), ("Fig. 3a.", "label_only"), ("FIGURE 1 (a-c)", "label_only"),
        ("Image", "label_only"),
        ("Supplementary Figure S4", "label_only"), ("图 2", "label_only"),
        *((said, "label_only") for said in ("Figura 2", "圖 2", "図1", "그림 2", "شكل 2", "Bild 3", "Image 2 of 4")),
        ("Image not available", "boilerplate"), ("See text for details.", "boilerplate"),
        ("© 2019 The Authors. All rights reserved.", "boilerplate"),
        ("Click here to view larger version", "boilerplate"),
        ("(C) 2019 The Authors.", "boilerplate"), ("Image courtesy of Dr. J. Roe.", "boilerplate"),
        ("Copyright 2012 by a publisher. Used with permission.", "boilerplate"),
        ('Mass <a href="x.html">here</a>', "markup"), ("Figure (continued)", "label_only"), ("3 and 4", "label_only"),
        ("The patient\u00e2\u20ac\u2122s na\u00c3\u00afve T\u00e2\u20ac\u201ccells", "mojibake"),
        ("A <b>large</b> mass in the <i>left</i> lung", "markup"), ("Mass &lt;br/&gt; of the lung", "markup"),
        ("Mass of the lung.<BR>Normal heart.", "markup"), ("&amp;lt;p&amp;gt;Mass of the lung", "markup"),
        ("&nbsp;&nbsp;&nbsp;&nbsp;Mass of the lung", "markup"), ("&#32954;&#37096;&#32467;&#33410;", "markup"),
        ('See <xref ref-type="fig" rid="f2">Figure 2</xref>', "markup"),
        ("mass in the left upper lobe " * 6, "repeated"),
        ("A nodule of the left upper lobe with smooth margins. " * 3, "repeated"),
        ("左肺上叶结节。" * 6, "repeated"), ("右肺上叶可见结节影，边缘光滑，大小约五毫米。" * 3, "repeated"),
        ("左肺に結節を認める。" * 5, "repeated"), ("胸部CT显示右肺结节".encode().decode("latin-1"), "mojibake"),
    ],
)  # fmt: skip
def test_a_caption_that_says_nothing_or_is_broken_is_dropped(said: str, reason: str) -> None:
    assert reasons(sample(said)) == [f"quality.{reason}"]


@pytest.mark.parametrize(
    "said",
    [
        "Figure 2: axial CT shows a nodule", "Chest radiograph, case 3, day 4.", "T2 weighted image",
        "p < 0.05 and n > 3 patients", "Opacity of 3 cm; mass <2 cm>", "Naïve T cells, β-catenin, 3 µm, Å",
        "Image of a mass", "Bild der Lunge", "図1 胸部X線写真", "胸部CT显示右肺结节", "صورة شعاعية للصدر",
        "Normal. Normal. Normal.", "mixed cellularity", "T2", "L4", "I-131", "P&lt;0.05 &amp; a <b and c> d",
        "(C) Axial T2-weighted MRI shows a mass in the left kidney.",
        "Image courtesy of Dr Roe. Axial CT showing a 3 cm liver abscess.",
        "Kept at 37&deg;C", "The patient&#8217;s chest", "Opacity of 3&nbsp;cm in the lung", "p&lt;0.05", "H&amp;E",
        "Nodule (&lt; 5&nbsp;mm) of the right lung at 37&deg;C in a patient&#8217;s film, axial view, day 3",
        "Arrow <a> points at the mass and arrow <b> at the vessel.",
        ", ".join(f"D{n}x and D{n}y, distance between implant 1 and {n + 1} in X and Y axis" for n in (1, 2, 3)),
        "".join(f"{disc}椎间盘向后突出，压迫硬膜囊，{how}。" for disc, how in ("甲轻", "乙中", "丙重", "丁显", "戊微")),
        "未见异常。未见异常。未见异常。", "胸部CT&nbsp;显示右肺结节，&nbsp;大小约5&nbsp;毫米",
        "Image removed at surgery. Gross specimen of the spleen.", "© 2019 The Authors. Axial CT of the chest.",
    ],
)  # fmt: skip
def test_an_honest_caption_stays(said: str) -> None:
    assert reasons(sample(said)) == [None]


@pytest.mark.parametrize(
    ("question", "options", "answer", "reason"),
    [
        ("Is there a mass?", None, "", "answer_empty"),
        ("Is there a mass?", None, "is there a mass", "answer_repeats"),
        ("Which lobe?", ["left", "right"], "middle", "answer_no_option"),
        ("Which lobe?", ["left", "right"], "C", "answer_no_option"),
        ("Which lobe?", ["left", "right"], "B", None),
        ("Which lobe?", ["left", "right"], "B. right", None),
        ("Which lobe?", ["left", "right"], "Right.", None),
        ("Which lobe?", ["A. left", "B. right"], "right", None),
        ("Is there a mass?", None, "yes", None),
        ("How many?", ["1", "2"], "2", None),
    ],
)
def test_answers_are_held_against_question_and_options(
    question: str, options: list[str] | None, answer: str, reason: str | None
) -> None:
    row = sample(answer, "vqa", question=question, options=options, answer=answer)
    assert reasons(row) == [None if reason is None else f"quality.{reason}"]


def said_in_turns(task: str, *turns: tuple[str, str], **fields: Any) -> dict[str, Any]:
    return sample("", task, turns=[{"role": role, "text": text} for role, text in turns], **fields)


@pytest.mark.parametrize("task", ["dialogue", "instruct", "caption", "vqa"])
@pytest.mark.parametrize("silent", ["", " \n"])
def test_a_turn_of_the_assistant_without_a_word_is_an_empty_answer_in_every_task(task: str, silent: str) -> None:
    turns = [("user", "Is there a mass?"), ("assistant", silent), ("user", "Where?"), ("assistant", "In the liver.")]
    asked = {"question": "Is there a mass?", "answer": "In the liver."} if task == "vqa" else {}
    assert reasons(said_in_turns(task, *turns, **asked)) == ["quality.answer_empty"]
    assert reasons(said_in_turns(task, turns[0], *turns[2:], **asked)) == [None]


@pytest.mark.parametrize("role", ["user", "system", "analysis"])
def test_wrongly_decoded_letters_count_in_questions_and_reasons_too(role: str) -> None:
    broken = "Doctor, I\u00e2\u20ac\u2122m tired"
    answer = ("assistant", "You may have anaemia. A count of red cells, with their size and iron, tells more of it.")
    assert reasons(said_in_turns("instruct", (role, broken), answer)) == ["quality.mojibake"]
    assert reasons(said_in_turns("instruct", (role, "Doctor, I\u2019m tired"), answer)) == [None]


def test_a_long_prompt_does_not_thin_out_what_is_wrong_with_a_caption() -> None:
    turns = [
        ("user", "Describe what this picture shows, as a radiologist would. " * 4),
        ("assistant", "A na\u00c3\u00afve rim"),
    ]
    assert reasons(said_in_turns("caption", *turns)) == ["quality.mojibake"]


@pytest.mark.parametrize("task", ["text", "instruct", "dialogue"])
def test_markup_is_of_captions_and_reports(task: str) -> None:
    assert reasons(sample("Write <b>bold</b> words and 3&nbsp;cm.", task)) == [None]


@pytest.mark.parametrize("said", ["-" * 190 + "hello", "figure " * 56, "copyright " * 39, "a " * 90 + "mass"])
def test_a_text_that_is_almost_a_label_or_a_copyright_line_takes_no_time(said: str) -> None:
    began = perf_counter()
    for _ in range(50):
        reasons(sample(said))
    assert perf_counter() - began < 2


def test_short_answers_of_questions_are_no_labels() -> None:
    assert reasons(sample("a", "vqa", question="Which panel?", answer="a")) == [None]


def test_another_writing_goes_only_where_it_is_not_wanted() -> None:
    chinese, english = sample("胸部CT显示右肺结节影"), sample("A nodule in the right lung")
    assert reasons(chinese, english) == [None, None]
    assert reasons(chinese, english, scripts=("latin",)) == ["quality.language", None]


@pytest.mark.parametrize(
    ("name", "told"), [("english", "no writing"), ("Latin", "did you mean 'latin'"), ("cyrilic", "mean 'cyrillic'")]
)
def test_a_writing_that_there_is_not_is_refused_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        QualitySettings(scripts=(name,))
    assert QualitySettings(scripts=("latin", "cjk")).limits()["scripts"] == ("latin", "cjk")


def test_scripts_are_told_by_most_letters() -> None:
    assert [script_of(text) for text in ("mass", "胸部CT显示", "صورة", "снимок", "12 ...")] == [
        "latin", "cjk", "arabic", "cyrillic", None,
    ]  # fmt: skip


def test_shares_are_of_the_whole_text() -> None:
    assert repeated_share("one two three four five six") == 0
    assert repeated_share("one two three four five six seven eight " * 2) == 0.5
    assert mojibake_share("naïve café, 5 µm, ±3 °C, «quoted», Ångström") == 0
    assert mojibake_share("\ufffd\ufffdab") == 0.5
    assert mojibake_share("café".encode().decode("latin-1")) > 0.1


@pytest.mark.parametrize("limit", ["max_mojibake", "max_entities", "max_repeated"])
def test_a_value_that_equals_its_limit_is_kept(limit: str) -> None:
    """Facts have 32 bits: 0.2 is read back as 0.20000000298."""
    measured = TextQuality().measure(pa.Table.from_pylist([sample("fine")], schema=SAMPLES))["text_quality"]
    row = {**measured.to_pylist()[0], limit.removeprefix("max_"): pa.scalar(0.2, pa.float32()).as_py()}
    assert text_fault(row, {**DEFAULT, limit: 0.2}) is None
    fault = text_fault(row, {**DEFAULT, limit: 0.1999})
    assert fault is not None
    assert (fault.value, fault.limit) == (0.2, 0.1999)


def test_a_picture_with_as_much_information_as_the_limit_asks_for_is_kept() -> None:
    stored = picture(300, 300, pa.scalar(0.7, pa.float32()).as_py())
    assert fault_of(stored, {**DEFAULT, "min_entropy": 0.7}) is None
    assert fault_of(stored, {**DEFAULT, "min_entropy": 0.7001}) is not None


@pytest.mark.parametrize("field", ["question", "answer", "options"])
def test_a_letter_with_very_many_accents_takes_no_time(field: str) -> None:
    accents = "a" + "\u0301\u0323" * 60_000
    row = {"question": "Which lobe?", "answer": "left", "options": ["left", "right"]}
    row[field] = ["left", accents] if field == "options" else accents
    began = perf_counter()
    reasons(said_in_turns("vqa", ("user", "Which lobe?"), ("assistant", "left"), **row))
    assert perf_counter() - began < 5


def test_a_text_of_two_megabytes_is_looked_at_as_far_as_it_needs() -> None:
    assert reasons(sample("word " * 400_000)) == ["quality.repeated"]


def picture(width: int, height: int, entropy: float = 6.0) -> dict[str, Any]:
    drawn = {"levels": 150, "marks": 30, "ruled": 0.0, "watermarked": 0.0}
    return {"image_id": "a", "width": width, "height": height, "entropy": entropy, **drawn}


@pytest.mark.parametrize(
    ("row", "rules", "reason"),
    [
        (picture(300, 300), "default", None), (picture(300, 300), "pubmedvision", "quality.small"),
        (picture(336, 336), "pubmedvision", None), (picture(63, 900), "lingshu", "quality.small"),
        (picture(3000, 200), "default", "quality.aspect"), (picture(2000, 200), "default", None),
        (picture(300, 300, 0.1), "default", "quality.low_information"),
        ({**picture(300, 300), "levels": 2}, "default", "quality.placeholder"),
        ({**picture(300, 300), "levels": 2, "marks": 400}, "default", None),
        ({**picture(300, 300), "levels": None, "marks": None, "ruled": None, "watermarked": None}, "default", None),
    ],
)  # fmt: skip
def test_pictures_are_held_against_the_named_rules(row: dict[str, Any], rules: str, reason: str | None) -> None:
    fault = fault_of(row, {**DEFAULT, **RULE_SETS[rules]})
    assert (None if fault is None else fault.reason) == reason


def test_long_even_edges_are_a_screenshot_where_a_limit_is_set() -> None:
    windows = {**picture(300, 300), "ruled": 6.0}
    assert fault_of(windows, DEFAULT) is None
    fault = fault_of(windows, {**DEFAULT, "max_ruled": 4.0})
    assert fault is not None
    assert fault.reason == "quality.screenshot"


def test_a_verdict_tells_value_and_limit_and_which_picture() -> None:
    samples = pa.Table.from_pylist([sample("fine", images=[])], schema=SAMPLES)
    refs = [{"image_id": one, "uri": "u", "frame": 0} for one in ("good", "long")]
    base = {"bit_depth": 8, "channels": 1, "format": "png", "frames": 1, "bytes": 1, "modality": "ct",
            "modality_from": "card", "entropy": 6.0}  # fmt: skip
    images = [
        {**base, "image_id": "good", "width": 90, "height": 90},
        {**base, "image_id": "long", "width": 9000, "height": 90},
    ]
    facts = TextQuality().measure(samples) | {
        "images": pa.Table.from_pylist(images, schema=IMAGES),
        "links": pa.Table.from_pylist([{"images": refs}], schema=LINKS),
    }
    told = Quality(DEFAULT).decide(samples, facts).to_pylist()[0]
    assert (told["reason"], told["score"], told["threshold"], told["evidence"]) == (
        "quality.aspect", 100.0, 10.0, '{"image":1}',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Axial CT of the chest shows a nodule in the right upper lobe of the lung.", "en"),
        ("Das CT zeigt einen Herd im rechten Oberlappen der Lunge und ist nicht mit dem Vorbefund zu erklären.", "de"),
        ("Scanner thoracique qui montre un nodule du lobe supérieur droit avec une atteinte de la plèvre.", "fr"),
        ("La tomografía muestra un nódulo en el lóbulo superior del pulmón con los ganglios y la pleura.", "es"),
        ("Normal chest.", None), ("T2 FLAIR 3T sagittal", None), ("胸部CT显示结节", None), ("", None),
    ],
)  # fmt: skip
def test_a_language_is_told_by_its_commonest_words_or_not_at_all(text: str, language: str | None) -> None:
    assert language_of(text) == language
    wanted = reasons(sample(text), languages=("en",))
    assert wanted == ["quality.language" if language not in {None, "en"} else wanted[0]]
    assert reasons(sample(text), languages=None) != ["quality.language"]


def test_agreement_is_the_cosine_and_a_score_of_what_is_kept() -> None:
    def halves(*values: float) -> bytes:
        return np.array(values, "<f2").tobytes()

    rows = [sample(f"A nodule of the lung, number {place} of three.") for place in range(3)]
    samples = pa.Table.from_pylist(rows, schema=SAMPLES)
    named = [{"image_id": name, "uri": name, "frame": 0} for name in ("like", "unlike")]
    row = {"width": 99, "height": 99, "entropy": 5.0, "modality": "ct", "modality_from": "card", "frames": 1}
    row |= {"bit_depth": 8, "channels": 1, "format": "png", "bytes": 1, "flags": []}
    row |= dict.fromkeys(("mean", "std", "minimum", "maximum"), 1.0) | {"thumbnail": bytes(4096)}
    images = [{**row, "image_id": "like", "embedding": halves(0.6, 0.8)}]
    images += [{**row, "image_id": "unlike", "embedding": halves(-1, 0)}]
    links = [{"images": [named[0]]}, {"images": [named[1]]}, {"images": named}]
    facts = {
        **TextQuality().measure(samples),
        "text_embedding": pa.table({"vector": pa.array([halves(1, 0)] * 3)}),
        "images": pa.Table.from_pylist(images, schema=IMAGES),
        "links": pa.Table.from_pylist(links, schema=LINKS),
    }
    step = Quality({**DEFAULT, "min_agreement": 0.5})
    assert "text_embedding" in step.reads
    assert "text_embedding" not in Quality(DEFAULT).reads
    found = step.decide(samples, facts).to_pylist()
    assert [one["reason"] for one in found] == [None, "quality.agreement", None]
    assert [one["score"] for one in found] == pytest.approx([0.6, -1, 0.6], abs=1e-3)

"""Names of people and institutions in texts: by what stands around them, by given names, and by a language model.

What the model (`phi_model.py`) takes for a person is believed only where the words themselves may be a name.
"""

import re
from collections.abc import Iterator

from filters.phi_capitals import PLAIN
from filters.phi_headings import CUE, is_known, is_nobody, names_behind_headings
from filters.phi_model import people_seen
from filters.phi_people import ACTS, told_by_people
from filters.phi_shapes import (
    CAPS,
    FOLLOWING,
    FULL,
    INITIAL,
    NAME,
    PARTICLE,
    TOKEN,
    UPPER,
    is_no_name,
    trimmed,
)
from filters.phi_spans import Span
from filters.phi_words import AFTER_EPONYM, EPONYMS, GIVEN_NAMES, MEDICAL_ENDINGS, NOT_A_NAME, TITLES
from filters.surnames import SHORT_SURNAMES, WORD_SURNAMES

_TITLED = re.compile(rf"\b{TITLES}((?:{PARTICLE}\s+)?(?:{FULL}|{CAPS}(?:\s+{CAPS})?))")
_CASED = r"[\u0386-\u03ab\u0400-\u042f][\u0370-\u052f]*"
"""A word in Greek or Cyrillic letters with a capital."""
_UNCASED = r"[\u0590-\u06ff\u0900-\u097f]+"
"""A word in Hebrew, Arabic or Devanagari letters, which have no capitals."""
_HAN = r"[\u3400-\u9fff]"
_TOGETHER_WRITTEN = (
    rf"(?!男|女|无|無|不|匿名){_HAN}{{2,4}}(?: {_HAN}{{1,4}})?|{_HAN} {_HAN}{{1,3}}|"
    r"[\u30a0-\u30ff]{2,8}(?: [\u30a0-\u30ff]{1,8})?|[\uac00-\ud7af]{2,4}(?: [\uac00-\ud7af]{2,3})?"
)
"""A Chinese, Japanese or Korean name."""
_SCRIPTED = re.compile(
    rf"(?:{CUE}|\b(?i:пациент|больной|имя|фио|ασθενής|όνομα))\s*[:\uff1a]\s*({_CASED}(?:[ ,-]{{1,2}}{_CASED}){{0,3}})|"
    rf"(?:\b(?i:name)|الاسم|שם|नाम)\s*[:\uff1a]\s*({_UNCASED}(?:[ ,-]{{1,2}}{_UNCASED}){{0,3}})|"
    rf"(?:{CUE}|المريض|החולה|मरीज)\s*[:\uff1a]\s*({_UNCASED}(?: {_UNCASED})?)(?=\s*(?:$|[\n.,;(|]))|"
    rf"(?:{CUE}|氏名|患者名|名前|환자명|이름|성명)\s*[:\uff1a]\s*(?:{TITLES})?({_TOGETHER_WRITTEN})"
    r"(?![\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|"
    rf"\b{TITLES}({_CASED}(?:[ -]{_CASED}){{0,2}}|{_UNCASED}(?: {_UNCASED})?|{_HAN}{{1,4}}|{_TOGETHER_WRITTEN})"
)
_TOGETHER = re.compile(rf"\b(?i:drs|doctors)\.?\s+((?:{FULL},?\s+){{1,3}}(?:and|&)\s+{FULL})")
_EACH = re.compile(FULL)
_SPOKEN = re.compile(
    r"\b(?i:signed by|signed electronically:?|dictated by|reported by|"
    r"reviewed by|read by|verified by|requested by|referred by|"
    r"approved by|"
    r"interpreted by|discussed with|seen by|named|(?:is|was|am) called|my name is|known as|spoke with|"
    r"(?:wife|husband|son|daughter|brother|sister|mother|father|niece|nephew|partner|caregiver|carer),?)"
    rf"\s+(?:{TITLES})?({FULL})"
)
_PATIENT = re.compile(
    r"\b(?i:(?:patient|pt)(?:\s+name)?|client|resident|baby|gentleman|lady)\s+(?!(?i:name)\b)"
    rf"({NAME}(?:[^\S\r\n]+(?:{INITIAL}[^\S\r\n]+)?{NAME}|[^\S\r\n]*\n{NAME}(?=\s+[a-z])))"
)
_ACTING = re.compile(
    rf"\b({NAME}\s+(?:{INITIAL}\s+)?{NAME})(?:,?|,\s*(?:aged\s+)?\d{{1,3}},)\s+"
    r"(?:was|is|has|had|reports|reported|denies|denied|presented|presents|states|stated|complains|complained|"
    r"returned|returns|underwent|tolerated|came|lives)\b"
)
_CARET = re.compile(rf"(?<![\w^])[{UPPER}][\w'\u2019-]{{0,40}}(?:\^[{UPPER}][\w'\u2019.-]{{0,40}}){{1,4}}")
_LETTERS = re.compile(
    rf"\b((?:{NAME}|[{UPPER}]\.)(?:\s+{INITIAL})?\s+{NAME}),?\s+"
    r"(?:M\.?D|D\.?O|R\.?N|Ph\.?D|Pharm\.?D|MBBS|MBChB|FRCR|FRCS|FACR|FACS|NP|APRN|ARNP|CRNA|CNP|LPN|LCSW|MSW|DDS|DPM|"
    r"PA-C|RDMS|RT\(R\)|PGY-?\d|MS[34]|OTR/L)\b\.?"
)
_GIVEN = re.compile(rf"\b({NAME})\s+(?:{INITIAL}\s+)?(?:{PARTICLE}\s+)?({NAME})(?:-{NAME})?\b")
_GIVEN_LAST = re.compile(rf"\b({NAME}|{CAPS}),\s*({NAME}|{CAPS})(?:\s+{INITIAL}(?![\w]))?")
_CJK = re.compile(
    r"(?:姓\s*名|患者姓名|患者|病人|医师|医生签名|主治医师)\s*[:\uff1a]\s*([\u4e00-\u9fff]{2,4})(?![\u4e00-\u9fff])"
)
_INSTITUTION = re.compile(
    rf"\b((?:(?:{NAME}|St\.?|Mt\.?|[{UPPER}]{{2,5}})(?:['\u2019]s)?\s+(?:of\s+|and\s+|&\s+)?){{1,5}})"
    r"(Hospital|Infirmary|Clinic|Medical Cent(?:er|re)|Health (?:System|Cent(?:er|re))|Imaging Cent(?:er|re)|"
    r"Sanatorium)\b"
)
_PUBLIC_INSTITUTION = frozenset({"Mayo", "Cleveland", "General", "University", "Children", "Day", "Memory", "Pain"})
"""Before `Hospital` and `Clinic` these alone name no place."""
_FAMILY = ("wife", "husband", "son", "daughter", "brother", "sister", "mother", "father", "niece", "nephew", "partner",
           "caregiver", "carer")  # fmt: skip
"""In a text in capitals anything may follow these."""
_AFTER_MODALITY = frozenset(
    """
    imaging spectroscopy arthrograms enterography sequence sequences scanner signal findings features technique protocol
    suite perfusion contin flare flares lesion lesions plaque plaques relapse patients system safe compatible
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""What follows MR, MS and DR where they are imaging, a disease or a drug."""
_THINGS = AFTER_EPONYM - {"tests", "views", "scores", "grades", "lines", "plots", "plaques"}
"""Without what people do, too (`Lee tests positive`)."""
_NEWBORN = frozenset({"Baby", "Boy", "Girl", "Twin"})
_ALONE = re.compile(rf"(?<![\w'\u2019-])({NAME})(?![\w-])")
_NO_PART = (PLAIN - WORD_SURNAMES) | frozenset(
    """
    van von der den de la las los le del della di da do dos du bin ibn al el ten ter st jr sr ii iii iv md rn phd do np
    dr mr mrs ms miss prof baby boy girl twin et
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""What stands in names and is nobody's alone."""
_SHORT_NAMES = SHORT_SURNAMES | GIVEN_NAMES
_HAN_OR_KANA = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_CANDIDATE = re.compile(rf"[{UPPER}][a-zß-ÿ]{{2,}}|[{UPPER}]{{3,}}")


def rule_spans(text: str) -> Iterator[Span]:
    """Names that titles, headings, signatures, given names or DICOM's `^` tell, and institutions."""
    yield from _certain(text)
    yield from names_behind_headings(text)
    for pattern in (_TITLED, _SPOKEN, _PATIENT, _CJK, _LETTERS):
        for match in pattern.finditer(text):
            span = _after_its_cue(text, match)
            if span is not None and (pattern in (_TITLED, _CJK) or not is_no_name(text, span, cued=True)):
                yield span
    for match in _CARET.finditer(text):
        yield Span(match.start(), match.end(), "name")
    for match in _ACTING.finditer(text):
        span = Span(match.start(1), match.end(1), "name")
        if _may_be_person(text, span):
            yield span
    yield from told_by_people(text)
    yield from _with_given_names(text)
    for match in _INSTITUTION.finditer(text):
        words = [word for word in TOKEN.findall(match.group(1)) if word not in NOT_A_NAME]
        if words and not set(words) <= _PUBLIC_INSTITUTION:
            yield Span(match.start() + match.group(1).index(words[0]), match.end(), "institution")


def _after_its_cue(text: str, match: re.Match[str], *, capitals: bool = False) -> Span | None:
    """The name that a title or what was done tells; of `DR Foot`, `Patient Tolerated` and `spoke with Pharmacy` none.

    `capitals`: any word of the text may have one.
    """
    titled = match.re is _TITLED
    if titled:
        title = text[match.start() : match.start(1)].strip()
        surname = title.endswith(".") or title.lower() not in ("dr", "mr", "ms") or not (capitals or title == "DR")
    span = trimmed(text, *match.span(1), surname=surname if titled else match.re is _PATIENT)
    if span is None or titled:
        return span
    words = TOKEN.findall(text[span.start : span.stop])
    known = is_known(words)
    if match.re is _PATIENT and not known and len(words) == 1:
        return None
    return span if known or not is_nobody(words[:1] if capitals or match.re is _PATIENT else words) else None


def _certain(text: str) -> Iterator[Span]:
    """Names of several doctors, and in other scripts: whatever stands there is one."""
    for match in _TOGETHER.finditer(text):
        yield from (Span(*one.span(), "name") for one in _EACH.finditer(text, *match.span(1)))
    for match in () if text.isascii() else _SCRIPTED.finditer(text):
        yield Span(*match.span(match.lastindex or 0), "name")


def spans_of_capitals(copy: str) -> Iterator[Span]:
    """Names in the copy of a text in capitals (`phi_capitals.py`), where a word that is no name may have its capital.

    So only titles, headings, signatures and given names tell them.
    """
    yield from (span for span in names_behind_headings(copy, capitals=True) if not _is_a_thing(copy, span))
    for pattern in (_TITLED, _SPOKEN, _LETTERS, _ACTING):
        for match in pattern.finditer(copy):
            span = _after_its_cue(copy, match, capitals=True)
            if span is None or (pattern is not _TITLED and is_no_name(copy, span, cued=True)):
                continue
            if pattern is _ACTING and (not ACTS.match(copy, span.stop) or _TITLED.match(copy, span.start)):
                continue
            if pattern is _SPOKEN and match.group().lower().startswith(_FAMILY) and not ACTS.match(copy, span.stop):
                continue
            if not _is_a_thing(copy, span):
                yield span
    yield from told_by_people(copy, capitals=True)
    yield from _with_given_names(copy)


def _is_a_thing(copy: str, span: Span) -> bool:
    words = [word.lower() for word in TOKEN.findall(copy[span.start : span.stop])]
    return any(word in _AFTER_MODALITY or word.endswith(MEDICAL_ENDINGS) for word in words)


def model_spans(text: str) -> Iterator[Span]:
    """People that the language model sees, where the words may be a name.

    Raises:
        ImportError: the model is not installed.
    """
    if _CANDIDATE.search(text) is None:
        return
    for start, stop in people_seen(text):
        span = trimmed(text, start, stop)
        if span is not None and _may_be_person(text, span):
            yield span


def parts_of(name: str) -> list[str]:
    """The words of a name by which it may be repeated alone: no initials, particles and terms of medicine."""
    words = [word.removesuffix("'s").removesuffix("\u2019s") for word in TOKEN.findall(name)]
    long = [word for word in words if len(word) > 3 or word.title() in _SHORT_NAMES or _HAN_OR_KANA.fullmatch(word)]
    return [word for word in long if word.lower() not in _NO_PART]


def _with_given_names(text: str) -> Iterator[Span]:
    """`Jane Doe` and `Doe, Jane` where Jane is a common given name; not `Virginia Hospital`, `Thomas Test`."""
    for match in _GIVEN.finditer(text):
        first, last = match.group(1), match.group(2)
        common = last in NOT_A_NAME and last.lower() not in WORD_SURNAMES
        if first not in GIVEN_NAMES or common or last.endswith(MEDICAL_ENDINGS):
            continue
        if "\n" in match.group() and last.lower() in WORD_SURNAMES:
            continue
        span = Span(match.start(), match.end(), "name")
        if not is_no_name(text, span):
            yield span
    for match in _ALONE.finditer(text):
        if match.group() in GIVEN_NAMES and match.group() not in EPONYMS:
            span = Span(match.start(), match.end(), "name")
            follows = FOLLOWING.match(text, match.end())
            of_a_thing = follows is not None and follows[0][0] in " -" and follows[1].lower() in _THINGS
            if not of_a_thing and not is_no_name(text, span) and not _is_place(text, match.end()):
                yield span
    for match in _GIVEN_LAST.finditer(text):
        last, first = match.groups()
        clear = last not in NOT_A_NAME and last.title() not in NOT_A_NAME and last not in GIVEN_NAMES
        if first.title() in GIVEN_NAMES and clear and not last.lower().endswith(MEDICAL_ENDINGS):
            yield Span(match.start(), match.end(), "name")


def _is_place(text: str, stop: int) -> bool:
    """Whether a given name is the beginning of a place's or a firm's (`San Diego`, `Jordan Hospital`, `Roland Inc`)."""
    return (
        re.match(
            r"\s+(?:University|Institute|Hospital|College|Inc|Ltd|GmbH|County|City|School)\b", text[stop : stop + 14]
        )
        is not None
    )


def _may_be_person(text: str, span: Span) -> bool:
    """Whether what the model calls a person is believed."""
    said = text[span.start : span.stop]
    words = TOKEN.findall(said)
    if not words or any(character.isdigit() for character in said) or "\n\n" in said or is_no_name(text, span):
        return False
    if any(word.lower().endswith(MEDICAL_ENDINGS) and word not in GIVEN_NAMES for word in words):
        return False
    if any(
        word in NOT_A_NAME or word in _NEWBORN or (word.isupper() and len(word) < 4 and len(words) == 1)
        for word in words
    ):
        return False
    capital = [word for word in words if word[0].isupper()]
    if len(words) == 1:
        return words[0] in GIVEN_NAMES
    return len(capital) >= 2 and not said.isupper()

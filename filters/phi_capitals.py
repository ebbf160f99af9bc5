"""Sentences in capitals, as older report systems write them: told as if only what may be a name had its capital."""

import re
from functools import partial

from filters.phi_words import NOT_A_NAME
from filters.surnames import WORD_SURNAMES

_LEAST_LETTERS = 4
_MOSTLY = 0.7
"""The share of a sentence's letters that are capitals from which on capitals say nothing about names."""
_SENTENCE = re.compile(r"[^\n.!?:;]*(?:[.!?:;](?!\s)[^\n.!?:;]*)*(?:[.!?:;]+|\n|$)")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
PLAIN = frozenset(
    word.lower() for word in NOT_A_NAME - {"White", "Young", "Long", "Short", "Ward", "English"}
) | frozenset(
    """
    about above again against because been before being below both came can cannot could did do does done down each
    few further having how just may might more most must now off once only out own per please should some still such
    them through too until up very what who whom why will would you your i me my we us him himself herself

    reports reported denies denied states stated presents presented complains complained returned returns underwent
    tolerated lives called calls said says asked agreed arrived left went walks seen spoke discussed informed advised
    reviewed dictated transcribed verified interpreted approved requested referred performed electronically digitally
    phone telephone pager today yesterday tomorrow tonight morning afternoon evening night week clinic office bedside

    time hours hour days minutes ago since onset fall fever cough fatigue nausea vomiting dyspnea shortness breath
    weakness size shape increased decreased interval change changes consistent suspicious suggestive representing
    evidence focal definite significant suspected possible probable likely known noted identified visualized seen
    appearing appears remain remains demonstrated obtained available comparison previous recent new
    and/or lobe lobes base bases apex airspace space opacity opacities silhouette tube line tip wire catheter device
    degenerative disc level levels soft tissues cavity wall walls margin margins calcified calcification
    mediastinum mediastinal hilar hilum trachea diaphragm costophrenic angle angles sulcus hemidiaphragm
    grossly clear intact stable mildly slightly markedly moderately otherwise overall best better worse
    nurse resident team surgeon radiologist physician patient pt wife husband son daughter mother father brother
    sister family friend man woman boy girl male female year-old old yo aged lady gentleman
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
ORDINARY = PLAIN | frozenset(
    """
    dr drs mr mrs ms miss prof baby babies twin screening mom dad parents someone somebody everyone anyone nobody others
    staff police school faculty participants people children students doctors nurses physicians surgeons specialists
    researchers community hospice rehab members providers ems family families teachers currently presently formerly
    usually reportedly overall most many several both neither either two three four five six seven eight nine ten
    twelve fifteen seventeen twenty thirty forty fifty sixty seventy eighty ninety hundred

    institute institutes institution university college academy association society foundation organization program
    programme project service services government department ministry committee council board bank town city county
    state states kingdom republic company corporation group centre center network agency administration affairs office
    questionnaire inventory survey checklist scale score index test schedule interview scan study trial guidelines
    disorder disorders syndrome disease diseases therapy therapies approach approaches method technique acid sulfate
    topical ophthalmic product products solution tablets capsules system systems device plus care living life activity
    talk make take ask eat get use keep learn tell try avoid start stop call check see look find read
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""Words that are no names where only what stands around a word speaks for one."""
_TITLE = re.compile(r"\b(?:(?:DR|M[RS]|MRS|PROF)\.\s*|(?:MRS|MISS|PROF|PROFESSOR|DOCTOR)\s+)$")
"""Behind it a word that is a surname is one."""
_KEPT = frozenset(
    {"mri", "ct", "pet", "us", "ap", "pa", "iv", "ii", "iii", "md", "rn", "phd", "mbbs", "frcr", "np", "do"}
)
"""Abbreviations and degrees: they stay in capitals."""


def sentence_cased(text: str, *, small: bool = False) -> str | None:
    """A copy of the same length in which sentences in capitals have them only where a name may be; None: it has none.

    `small`: of a text that has no capitals at all. What stands at a place of the copy stands at the same place of the
    text.
    """
    if small:
        raised = text.upper()
        return None if text != text.lower() or len(raised) != len(text) else sentence_cased(raised)
    parts, changed = [], False
    for match in _SENTENCE.finditer(text):
        sentence = match.group()
        letters = sum(character.isalpha() for character in sentence)
        capitals = sum(character.isupper() for character in sentence)
        if letters >= _LEAST_LETTERS and capitals > _MOSTLY * letters:
            sentence, changed = _WORD.sub(partial(_cased, text, match.start()), sentence), True
        parts.append(sentence)
    copy = "".join(parts)
    return copy if changed and len(copy) == len(text) else None


def _cased(text: str, start: int, match: re.Match[str]) -> str:
    """A word of the sentence that begins at `start`."""
    word = match.group()
    lower = word.lower()
    if len(word) < 2 or lower in _KEPT:
        return word
    place = start + match.start()
    surname = lower in WORD_SURNAMES and _TITLE.search(text[max(place - 12, 0) : place])
    told = lower if lower in PLAIN and not surname else _titled(word, lower)
    return told if len(told) == len(word) else word  # a few letters change their number with their case


def _titled(word: str, lower: str) -> str:
    """`O'BRIEN` as `O'Brien`, `MCALLISTER` as `McAllister`, `JONES'S` as `Jones's`."""
    for start in ("mc", "o'", "o\u2019", "d'", "d\u2019"):
        if lower.startswith(start) and len(lower) > len(start) + 2:
            return start.capitalize() + lower[len(start) :].capitalize()
    return lower[0].upper() + word[1:].lower()

"""Which modality a sample's own words say its picture has.

A list of English words with the three traps of such texts: negation ("no CT was performed"), comparison ("unchanged
since the prior MRI") and questions, which state nothing until they are answered ("Is this a CT or an MRI?").
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

VERSION = 3
"""Raised when the same text may say something else."""
_ANGIOGRAM = r"(?:[- ]\w+){0,2}[- ]angiogra(?:m|ms|phy|phic)"
"""Behind what made it, of which the angiogram then is one: by CT, of the coronary arteries, with fluorescein."""
_LETTER = r"[^\W\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
"""Of scripts that set blanks around a foreign word: "CT" in Thai, Lao, Chinese, Japanese and Korean has none."""
_WORDS: dict[str, str] = {
    "ct": rf"(?:ct|computed tomograph(?:y|ic)(?: \(cta?\))?){_ANGIOGRAM}"
    r"|(?-i:HRCT|CBCT|MDCT|CT)|ct (?:scan|image|slice)s?"
    r"|computed tomogra(?:m|ms|phy|phic)|computeri[sz]ed tomogra(?:m|phy)|cat scans?",
    "mri": rf"(?:mr|magnetic resonance(?: imaging)?(?: \(mr[ai]?\))?){_ANGIOGRAM}|(?:f|mp)?mri|mr images?|mr imaging"
    r"|magnetic resonance(?: imag(?:e|es|ing))?|(?:t1|t2)[- ]?weighted|(?-i:FLAIR)",
    "angiography": r"angiogra(?:m|ms|phy|phic)|arteriogra(?:m|ms|phy)",
    "mammography": r"mammogra(?:m|ms|phy|phic)|tomosynthesis",
    "xray": r"x[- ]?rays?|radiograph(?:s|ic)?|roentgenogra(?:m|ms)|orthopantomogra(?:m|ms)|cxr|fluoroscop(?:y|ic)",
    "ultrasound": r"(?:endoscopic|endobronchial|laparoscopic) (?:ultrasound|ultrasonography)|ultrasound"
    r"|ultrasonogra(?:m|ms|phy|phic)|sonogra(?:m|ms|phy|phic)|echocardiogra(?:m|ms|phy|phic)"
    r"|doppler",
    "histopathology": r"histopatholog(?:y|ic|ical)|histolog(?:y|ic|ical)|h&e|h & e|ha?ematoxylin"
    r"|immunohistochem(?:istry|ical)|biopsy specimens?",
    "microscopy": r"(?:photo)?micrographs?|microscop(?:y|ic)|blood smears?|gram stain(?:s|ing)?|immunofluorescence",
    "oct": rf"(?:(?-i:OCT)|optical coherence tomography(?: \(octa?\))?){_ANGIOGRAM}"
    r"|(?-i:OCTA?)|optical coherence tomogra(?:m|ms|phy|phic)",
    "pet": r"(?-i:PET)|positron emission tomogra(?:m|phy)|fdg[- ]pet",
    "dermoscopy": r"dermoscop(?:y|ic)|dermatoscop(?:y|ic)",
    "endoscopy": r"(?:endoscop|colonoscop|gastroscop|bronchoscop|cystoscop)(?:y|ic(?! (?:\w+ ){0,2}(?:resection"
    r"|dissection|surgery|retrograde|sleeve|clip|clips|stent|stents|stenting|treatment|\w+(?:ectomy|ostomy|plasty|tomy))\b))"
    r"|laparoscop(?:y|ic (?:view|image|picture|photograph|appearance|finding)s?)",
    "fundus": rf"(?:fluorescein|indocyanine[- ]green|icg){_ANGIOGRAM}"
    r"|(?:retinal|ocular) fundus|fundus(?:es)? (?:photo(?:graph)?s?|photograph(?:y|ic)|images?|imaging"
    r"|pictures?|camera|autofluorescence|examination)|fundoscop(?:y|ic)|funduscop(?:y|ic)|retinal photographs?",
    "photo": r"clinical photographs?|intraoperative photographs?|gross (?:specimen|photograph)s?",
    "other_medical": r"electrocardiogra(?:m|ms|phy)"
    r"|(?:ecg|ekg|eeg)(?![- ](?:leads?|electrodes?|gat(?:ed|ing)|trigger(?:ed|ing)?)\b)"
    r"|scintigra(?:m|phy|phic)|bone scans?",
    "chart": r"bar (?:chart|graph)s?|line (?:chart|graph)s?|pie charts?|kaplan[- ]meier|scatter ?plots?|box ?plots?"
    r"|forest plots?|funnel plots?|histogram of",
    "diagram": r"flow ?charts?|flow diagrams?|schematic (?:diagram|illustration|representation|drawing)s?",
    "table": r"table listing|table summari[sz]ing",
}
_CLAUSE = re.compile(r"[.;:!?\n]|,? (?:but|however|although|whereas) ", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:keine?|ohne|pas de|sans|sin|senza|geen) $"
    r"|(?:没有|沒有|未|无|無)(?:行|做|作|进行|進行)?\s?$"
    r"|\b(?:no|not|without|never|neither|nor|cannot|\w+n['\u2019]t|unable|unlike|instead of|rather than|declined"
    r"|refused|deferred|absence of)\b(?:(?!\b(?:on|by|in|at|this)\b)[^.;:,]){0,40}$",
    re.IGNORECASE,
)
"""What is denied stands right behind it: of "no effusion on CT" the effusion."""
_OTHER = re.compile(
    r"\b(?:prior|previous|earlier|compared (?:to|with)|comparison|correlat\w+|recommend\w*|suggest\w*|advis\w+"
    r"|consider)\b[^.;:]{0,40}$",
    re.IGNORECASE,
)
_LATER = re.compile(
    r"\b(?:follow[- ]?up|further|subsequent|status[- ]post|s/p|underwent|undergone|undergoing|history of)\b"
    r"[^.;:]{0,40}$",
    re.IGNORECASE,
)
"""Another picture, unless what follows says what is seen on it."""
_AGO = re.compile(r"^(?: \w+){0,3} (?:years?|months?) ago\b", re.IGNORECASE)
_SHOWS = re.compile(r"^[^.;:]{0,40}?\b(?:show|demonstrat|reveal|depict|display)\w*\b", re.IGNORECASE)
_AFTER = re.compile(
    r"^[^.;:]{0,20}?\b(?:(?:was|were|is|are|has|have|had|has been|could|can)(?: not|n['\u2019]t)|cannot|can['\u2019]t"
    r"|not (?:performed|done|obtained|available)"
    r"|(?:is|was|are|were) (?:recommended|suggested|advised|declined|unavailable|contraindicated|planned|negative"
    r"|needed)"
    r"|pending|scheduled|deferred|postponed|cancell?ed)\b"
    r"|^(?: (?:scan|image|film|view|study)s?)?[ (]{1,2}(?:not (?:shown|seen)|unavailable)\b",
    re.IGNORECASE,
)
_POLAR = re.compile(
    r"^\W*(?:is|are|was|were|does|do|did|has|have|can|could|would|should)(?:n['\u2019]t)?\b", re.IGNORECASE
)
_CHOICE = re.compile(r"\bor\b", re.IGNORECASE)
_YES = re.compile(r"^\W*(?:yes|true|correct)\b", re.IGNORECASE)
NEAR = 80
"""Characters before and after a mention in which it may be denied."""
LONGEST = 4000
"""Characters that are looked at: a caption says what it shows at its beginning, and one may have 2 MB."""


@lru_cache(maxsize=1)
def _mention() -> re.Pattern[str]:
    """A named group for each class; compiled when it is needed, which takes a third of a second."""
    named = (rf"(?P<{name}>(?<!{_LETTER})(?:{words})(?!{_LETTER}))" for name, words in _WORDS.items())
    return re.compile("|".join(named), re.IGNORECASE)


def said_by(text: str) -> frozenset[str]:
    """The labels (modalities and kinds) that a text asserts, of `filters.modality_classes.LABELS`."""
    found = set()
    for clause in _CLAUSE.split(text[:LONGEST]):
        for mention in _mention().finditer(clause):
            start, end = mention.span()
            before, after = clause[max(start - NEAR, 0) : start], clause[end : end + NEAR]
            denied = _DENIED.search(before) or _OTHER.search(before) or _AFTER.search(after)
            if (
                not denied
                and not ((_LATER.search(before) or _AGO.search(after)) and not _SHOWS.search(after))
                and mention.lastgroup is not None
            ):
                found.add(mention.lastgroup)
    if "histopathology" in found:  # a micrograph of a stained section, as an angiogram by CT is CT
        found.discard("microscopy")
    return frozenset(found)


def said_of_picture(turns: Sequence[Mapping[str, str]]) -> frozenset[str]:
    """The labels that the turns of a sample assert about its picture.

    A question that can be answered by yes or no counts where the answer begins with yes; one that offers a choice
    does not count; any other takes for granted what it names ("What is seen on this CT?"). If the answers name a
    modality, only those count: they are about the picture.
    """
    answers: set[str] = set()
    taken_for_granted: set[str] = set()
    for number, turn in enumerate(turns):
        if turn["role"] in {"assistant", "text"}:
            answers |= said_by(turn["text"])
        elif turn["role"] == "user":
            following = turns[number + 1]["text"] if number + 1 < len(turns) else ""
            taken_for_granted |= _granted(turn["text"].replace("<image>", " ").strip(), following)
    return frozenset(answers or taken_for_granted)


def _granted(question: str, answer: str) -> frozenset[str]:
    if _POLAR.match(question) and "?" in question:
        asserts = bool(_YES.match(answer)) and not _CHOICE.search(question)
        return said_by(question) if asserts else frozenset()
    return frozenset() if _CHOICE.search(question) else said_by(question)

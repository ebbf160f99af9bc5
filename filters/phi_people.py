"""Names told by the people around them: relatives, roles, who did what to whom, letters, labels."""

import re

from filters.phi_shapes import CAPS, COMMA, FULL, INITIAL, NAME, SEVERAL
from filters.phi_words import TITLES

_RELATIVE = (
    r"(?:(?:step|half[- ]|grand|great[- ]grand)?(?:mother|father|son|daughter|brother|sister|parent|child)|wife|husband|"
    r"niece|nephew|aunt|uncle|cousin|partner|spouse|fianc[eé]e?|girlfriend|boyfriend|friend|neighbou?r|roommate|"
    r"flatmate|housemate|caregiver|carer|guardian|twin|widow|widower)"
)
_ROLE = (
    r"(?:nurse|midwife|doctor|physician|surgeon|radiologist|radiographer|pathologist|sonographer|technologist|technician|"
    r"(?:cardi|neur|onc|ur|nephr|hemat|haemat|dermat|endocrin|gastroenter|pulmon|an(?:a)?esthesi|psych|gyn(?:a)?ec|"
    r"ophthalm|rheumat)ologist|anesthetist|anaesthetist|psychiatrist|pediatrician|paediatrician|dentist|pharmacist|"
    r"practitioner|hospitalist|intensivist|consultant|registrar|resident|fellow|intern|therapist|physiotherapist|"
    r"dietitian|dietician|nutritionist|audiologist|optometrist|podiatrist|paramedic|chaplain|interpreter|translator|"
    r"counsell?or|coordinator|secretary|clerk|scribe|aide|assistant|student|(?:social|case|care|support) (?:worker|"
    r"manager)|attorney|lawyer|officer|teacher|employer|donor|recipient)"
)
_FOUND = rf"({COMMA}(?=\s+[a-z]|[.;)])|{FULL}(?![\w-])(?![^\S\n]+[A-Z0-9]))"
BESIDE = re.compile(rf"\b(?i:{_RELATIVE}|{_ROLE})(?:,|\s+is|\s+named|\s+called)?\s+(?:{TITLES})?{_FOUND}")
"""`Her daughter Jane`, `physical therapist Jane Doe`."""
ENCLOSED = re.compile(rf"\b(?i:patient|pt|client|{_RELATIVE}|{_ROLE})\s*\(\s*(?:{TITLES})?({COMMA}|{FULL})\s*[),;]")
_PAPERS = (
    r"(?:images?|films?|slides?|scans?|x-?rays?|radiographs?|specimens?|records?|charts?|cases?|care|consent|admission|"
    r"discharge|transfer|mother|father|parents?|wife|husband|son|daughter|sister|brother|family) of"
)
_BEFORE = (
    r"(?:stud(?:y|ies)|reports?|results?|those|that|name|request|visit|review|history|birth|death|evaluation|examination)"
    r" of|by|to|with|for|per|than|via|named|see|saw|met|call|called|contacted|notified|informed|paged|asked|told|"
    r"examined|evaluated|counsell?ed|admitted|discharged|regarding|about"
)
_IN_FULL = rf"({SEVERAL}|{COMMA}(?=,|\s+[a-z]|[.;)]))"
MEANT = re.compile(
    r"(?:\b(?i:according to|belongs? to|belonging to|referring|meeting|thank|thanking|courtesy of|on behalf of)\s+|"
    rf"\bI,\s+)(?:{TITLES})?{_IN_FULL}"
)
"""A full name where hardly anything but a person can stand."""
IN_PLACE = re.compile(
    rf"\b(?i:seeing|book|{_PAPERS})\s+{_IN_FULL}|"
    rf"(?:(?:^|[.:;,(]\s+)(?i:{_BEFORE})|\b[a-z]{{2,}}\s+(?:{_BEFORE}))\s+({SEVERAL})"
)
"""A full name where a person may stand."""
DONE_BY = re.compile(
    r"\b(?i:protocol+ed|authenticated|dictated|transcribed|typed|presented|read|reported|signed|co-?signed|"
    r"counter-?signed|verified|approved|interpreted|requested|ordered|referred|accompanied|assisted|seen|staffed|"
    r"supervised|scrubbed|performed|obtained|administered|witnessed|consented|intubated|delivered|completed|reviewed|"
    rf"discussed|spoke|spoken)\s+(?:by|with|to)\s+(?:{TITLES})?{_FOUND}"
)
CALLED = re.compile(
    r"\b(?i:name is|names are|goes by|answers to|prefers(?: to be called)?|nicknamed?|alias|a\.k\.a\.|aka|n[ée]e|"
    r"(?:name of|under the name(?: of)?)(?: the)?(?: patient)?|"
    rf"label+ed(?: as| with)?(?: the name)?:?)\s+[\"'\u201c\u2018]?(?:{TITLES})?({COMMA}|{CAPS},\s*{CAPS}|{FULL})"
    rf"(?![\w-])"
)
GREETED = re.compile(
    rf"(?:\b[Dd]ear\s+(?!Sirs?\b|Madam\b|Colleagues?\b|Parents?\b|Editor\b)({FULL})(?=\s*[,:!\n]|$))|"
    rf"(?:^|\n|[.;] )[ \t]*(?i:re|regarding|attn|attention|on call|assistants?|first assistant|surgeons?)[ \t]*:[ \t]*"
    rf"((?:{INITIAL}[ \t]*){{0,3}}(?:{COMMA}|{CAPS},\s*{CAPS}|{FULL}))"
)
"""`Dear Jane,`, `Re: Jane Doe`."""
NEWBORN = re.compile(rf"\b(?:[Bb]aby|[Ii]nfant|[Nn]ewborn)\s+(?:(?:[Bb]oy|[Gg]irl)\s+)?(?:of\s+)?({NAME})(?=\s+[a-z(]|[.,])")
OWNED = re.compile(
    rf"\b({FULL})['\u2019]s?\s+(?:case|chart|mother|father|parents|wife|husband|son|daughter|sister|brother|family|"
    r"partner|records?|results?|care|visit|appointment|history|symptoms|pain|condition|films?|scans?|images|"
    r"medications?|wound|recovery|surgery|(?:chest|last|first|previous|prior) (?:film|visit|scan|study|x-ray|radiograph))\b"
)
"""`We discussed Jane's case`."""
DOES = re.compile(
    rf"(?:^|(?<=[.:;!?]\s)|(?<=\n))({FULL}),?\s+(?:is an? (?:\d|\w+-year|very |pleasant |delightful )|"
    r"(?:was|has been|is being) (?:extubated|intubated|admitted|discharged|seen|transferred|counsell?ed|informed|advised|"
    r"referred|taken to|brought|started on|told|asked|doing|feeling|able to|unable to|born|married|accompanied|present)|"
    r"(?:did|does|will|would|could|can) not (?:attend|want|wish|have|report|feel|take|remember|recall|smoke|drink|tolerate)|"
    r"(?:reports|reported|denies|denied|states|stated|complains|complained|lives|attended|underwent|tolerated|returned|"
    r"presented|presents|came|agrees|agreed|consented|accepted|requested|asked|declined|refused|walks|works|smokes|"
    r"feels|felt|says|said|told|called|phoned|and (?:his|her) (?:wife|husband|partner|mother|father|family))\b)"
)
"""At the beginning of a sentence, what only people do; one word alone is believed, too."""
HEADER = re.compile(
    rf"(?:^|(?<=\n))[ \t]*({CAPS},[ \t]*{CAPS}[ \t]+{INITIAL}|{NAME},[ \t]*{NAME}(?:[ \t]+{INITIAL})?(?=[ \t]+[-\u2013(]|\s*$))"
    rf"(?![\w])"
)
"""`DOE, JANE R`, `Doe, Jane - visit`, on a line of their own."""

CERTAIN = (ENCLOSED, CALLED, GREETED, HEADER)
"""Where these stand is a name unless its words are known to be none."""
LIKELY = (BESIDE, MEANT, IN_PLACE, DONE_BY, NEWBORN, OWNED, DOES)
"""What stands here may be a thing, too: of these every word must be one that may be a name."""

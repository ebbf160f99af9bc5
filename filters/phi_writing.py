"""What burned-in writing is: a scanner's annotation, or something that points at a person.

Readers of writing leave out spaces and mistake a letter now and then, so words are told by whether a line can be cut
into known ones. What cannot, and is of three letters and more, is taken for a name.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from filters.burned_in import Box
from filters.ocr import Line
from filters.phi_dates import date_spans
from filters.phi_numbers import number_spans
from filters.phi_spans import Kind
from filters.phi_words import GIVEN_NAMES, MEDICAL_ENDINGS, NOT_A_NAME
from filters.surnames import SURNAMES

VERSION = 5

_ANNOTATIONS = """
    A P L R S I H F AP PA LAT LL RL RT LT LEFT RIGHT LEFTSIDE OBL OBLIQUE SUP INF ANT POST MED LATERAL MEDIAL
    ANTERIOR POSTERIOR SUPINE PRONE ERECT UPRIGHT STANDING SITTING SEMI SEMISEDUTO SEDUTO SUPINO SUPINA PORTABLE
    MOBILE DECUB DECUBITUS BED BEDSIDE UOQ LOQ UIQ LIQ CC MLO ML LM XCCL AXILLA AXILLARY OCLOCK CLOCK BREAST NIPPLE
    AREOLA TRANS TRANSVERSE TRV TR TX LONG LONGITUDINAL SAG SAGITTAL COR CORONAL AX AXIAL AXIALS LOC LOCALIZER SCOUT
    TOPOGRAM SURVIEW T1 T2 T1W T2W TW FLAIR STIR DWI DIFFUSION ADC SWI GRE SE FSE TSE FFE SPGR EPI MPRAGE FIESTA TOF
    MRA MRV MIP MPR PD FS FATSAT FAT SAT GAD GADO GD PRE CONTRAST CON NONCON NOCO NC CE IV ORAL PLUS MINUS WITH
    WITHOUT DELAY DELAYED PHASE ARTERIAL VENOUS PORTAL PV WW WL W C WINDOW LEVEL ZOOM MAG COMPRESSED COMPRESSION
    COMPRESSO LOSSY LOSSLESS JPEG Q PAGE PAGINA OF DI IM IMA IMG IMAGE SER SERIE SERIES SN SP SL SLICE THK THICK
    THICKNESS POS POSITION DFOV FOV SFOV MATRIX MAT NEX NSA AVG ACQ ACQUISITION TE TI FA ETL EC EP BW COIL HEAD BODY
    HFS HFP FFS FFP KV KVP KVPS MA MAS MAAS MSEC MS SEC MM CM M UM NM KG LB DB HZ KHZ MHZ FPS FR FRAME FRAMES GY MGY
    CTDI CTDIVOL DLP HU UNIT UNITS DEG D ROT TILT GANTRY PITCH KERNEL STND STANDARD BONE SOFT LUNG MEDIASTINUM
    HELICAL SPIRAL ALGO ALGORITHM RECON MI TIS TIB TIC GAIN GN DEPTH DYN DYNAMIC RANGE DR FREQ FREQUENCY PWR POWER
    PRF WF SV ANGLE FOCUS FOCAL ZONE COLOR COLOUR CPA DOPPLER PW CW BMODE MODE VEL VELOCITY PSV EDV RI PI SD HR BPM
    HARM HARMONIC THI RES GEN PEN MAP PERSIST LOW HIGH OPT OFF ON DIST AREA VOL VOLUME MEAN MAX MIN STD DEV CURSOR
    CALIPER SCALE BAR AMP FILTER STEER PRESET ABD ABDOMEN OB GYN SMALL PARTS CARDIAC VASC VASCULAR MSK THYROID LIVER
    KIDNEY RENAL SPLEEN PANCREAS GALLBLADDER GB BLADDER CBD IVC AORTA AO HEPATIC UTERUS OVARY TESTIS PROSTATE CHEST
    THORAX TORACE TORAX RX RXTORACE RXDELTORACEALLETTODELPAZIENTE DEL LETTO ALLETTO PAZIENTE ANNO ANNI SPINE
    CERVICAL LUMBAR THORACIC PELVIS HIP KNEE SHOULDER ELBOW WRIST HAND FOOT ANKLE SKULL BRAIN ORBIT SINUS NECK FEMUR
    TIBIA HUMERUS RIBS HEART ATRIUM VENTRICLE VALVE ARTERY VEIN DUCT NODE MASS CYST LESION STENT LUMEN WALL TUMOR
    NODULE NORMAL SYSTOLE DIASTOLE MEDPIX MEDPIXTM TM SIEMENS PHILIPS TOSHIBA CANON HITACHI GE GEMS MEDISON SAMSUNG
    ALOKA MINDRAY ESAOTE FUJI FUJIFILM AGFA KODAK CARESTREAM HOLOGIC OLYMPUS PENTAX STORZ HEIDELBERG ZEISS TOPCON
    CIRRUS LOGIQ VOLUSON ACUSON ACUSONSEQUOIA SEQUOIA IPAD VIVID SIGNA DISCOVERY OPTIMA AVANTO SKYRA SYMPHONY SONATA
    VERIO AERA LIGHTSPEED SENSATION DEFINITION BRILLIANCE ACHIEVA INGENIA INTERA SOMATOM MAGNETOM XG MONTH MONTHS
    YEAR YEARS YR YRS WEEK WEEKS DAY DAYS HOUR HOURS HRS MINS AGE SEX MALE FEMALE AM PM TIME FIG FIGURE TABLE PANEL
    CASE CONTROL BEFORE AFTER FIRST SECOND LAST THE AND IN AT TO FOR BY FROM VS NO YES N VIEW VIEWS STUDY EXAM SCAN
    CT MR MRI US PET XRAY X RAY XR CR DX ECG EKG ULTRASOUND RADIOGRAPH OD OS OU FUNDUS MACULA DISC RETINA OCT IR ART
    AIR CONCAT CONCATS NEURO FLIP SIZE LATERALE CNV DME DRUSEN COVID
    HS MRN PID DOB ADULT CHILD PEDS PED NEONATE FETUS FETAL HC BPD FL AC CRL EFW GA EDD LMP
"""
ANNOTATIONS = frozenset(_ANNOTATIONS.split())
"""What scanners, viewers and sonographers write: positions, sides, units, settings, organs, makers."""

_MONTH = r"(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|[O0]CT|N[O0]V|DEC|GEN|MAG|GIU|LUG|AGO|SET|OTT|DIC)[A-Z]{0,6}"
_LENIENT_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\d{{1,2}}[-./ ,]{{0,2}}{_MONTH}[-./ ,]{{0,2}}\d{{2,4}}",
        rf"(?:19|20)\d{{2}}[-./ ]?{_MONTH}[-./ ]?\d{{1,2}}",
        rf"{_MONTH}[-./ ,]{{0,2}}\d{{1,2}}[-./ ,]{{1,2}}(?:19|20)?\d{{2}}",
        r"(?<!\d)\d{1,2}[-./ ] ?\d{1,2}[-./ ] ?(?:19|20)\d{1,2}(?![\d.])",
        r"^\W*(?:19|20)\d{2}-(?:0[1-9]|1[0-2])\W*$",
        r"(?<!\d)[0-3]\d[01]\d[-./](?:19|20)\d{2}(?!\d)",
        r"(?<!\d)(?:19|20)\d{2}[-./](?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)",
        r"(?<!\d)(?:19|20)\d{2}(?:0[1-9]|1[0-2])[-./](?:0[1-9]|[12]\d|3[01])(?!\d)",
        r"[-./]\d{1,2}[-./](?:19|20)\d{2}(?!\d)",
        r"(?:19|20)\d{2}[-./]\d{1,2}[-./]\d{1,2}",
        r"(?<![\d/])\d{1,2}/\d{1,2}/\d{2}(?![\d/])",
        r"(?<!\d)(?:19[2-9]\d|20[0-3]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)",
    )
)
_BORN = re.compile(r"\b(?:D[O0]B|BIRTH\w*|BORN)\W{0,3}\d", re.IGNORECASE)
_ID_CUE = re.compile(
    r"(?:MRN|MR#|PID|ACC?(?:ESSION)?\s?#|A[CE]{1,2}#|ACC?:|SSN|HOSP\w*|PAT\w*ID|\bI?D)\W{0,3}[A-Z]{0,2}\d{2,}",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_WINDOW = re.compile(r"\bW\d{1,5}[:;.,\u00b7]\s?[LI1]-?\d{1,5}\b")
"""Window and level as PACS print them; a reader takes the `L` for a 1 now and then."""
_DIGITS = re.compile(
    r"(?<![\d.,:])\d{6,}(?![\d.])|\b[A-Z]{1,3}-?\d{5,}\b|\b[0-9a-f]{8}-[0-9a-f]{4}|\d{3}-\d{2,4}-\d{4}"
)
_NAME_CUE = re.compile(
    r"(?:\bNAME|PATIENT|\bPT|UPLOADER|SOURCE|SIGNED|PHYSICIAN|OPERATOR|\bDR|\bMRS|\bMR|\bMS|\bPROF)\s*[.:]\s*\S{2,}",
    re.IGNORECASE,
)
_CARET = re.compile(r"[A-Za-z]{2,}[\^~'][A-Za-z]{2,}|[A-Z]{2,},\s*[A-Z]{2,}")
_MISREAD = str.maketrans({"O": "0", "o": "0", "D": "0", "I": "1", "l": "1", "|": "1", "S": "5", "B": "8", "Z": "2"})
_MISREAD_NUMBER = re.compile(r"(?=[^ ]*\d[^ ]*\d[^ ]*\d)[\dOoDIl|SBZ./-]{6,}")
"""Letters that a reader takes for digits, where most of what stands together are digits."""
_SPELT = str.maketrans({"0": "O", "1": "I", "5": "S", "8": "B"})
_MISREAD_WORD = re.compile(r"\b(?=\w{4})[A-Za-z]+[0158]{1,2}[A-Za-z]+\b")
"""Digits that a reader takes for letters, in a word that begins and ends with letters: `J0HN C00K`."""
_LETTERS = re.compile(r"[^\W\d_]+")
_SHORTEST_NAME = 3
"""Letters that cannot be cut into known words, from which on they are taken for a name."""
_SHORTEST_NEAR = 6
_LONGEST_WORD = 12
_SHORTEST_UNSURE_NAME = 5
_LEAST_SURE = 0.8
"""Of the reader, for a short name that nothing else speaks for."""
TEXTURE = 0.6
"""Below this it is mostly a texture that the reader took for letters."""


@dataclass(frozen=True)
class Writing:
    """A line of writing: where it is, what kind of identifier (None: an annotation), and how many characters."""

    box: Box
    kind: Kind | None
    length: int


def judged(lines: list[Line]) -> list[Writing]:
    """Every line of a picture with its kind. Pieces that stand in one row are read together."""
    found: list[Writing] = []
    for row in _rows(lines):
        together = " ".join(line.text for line in row)
        kinds = [kind_of(line.text, line.confidence) for line in row]
        whole = kind_of(together, min(line.confidence for line in row)) if len(row) > 1 else None
        if whole is not None and not any(kinds):
            kinds = [whole] * len(row)
        found += [Writing(line.box, kind, len(line.text)) for line, kind in zip(row, kinds, strict=True)]
    return found


def kind_of(text: str, confidence: float = 1.0) -> Kind | None:
    """Which identifier a line of burned-in writing is, or None for an annotation."""
    told = kind_by_marks(text)
    if told is not None:
        return told
    longest = max((len(run) for run in _unknown(text)), default=0)
    shortest = _SHORTEST_NAME if confidence >= _LEAST_SURE else _SHORTEST_UNSURE_NAME
    return "name" if longest >= shortest and confidence >= TEXTURE else None


def kind_by_marks(text: str) -> Kind | None:
    """Which identifier a line is by what it says itself: a word that is no annotation's is not yet a name."""
    digits = _MISREAD_NUMBER.sub(lambda match: match.group().translate(_MISREAD), text)
    plain = _WINDOW.sub(" ", _TIME.sub(" ", digits))
    if _BORN.search(text) or any(p.search(digits) for p in _LENIENT_DATES) or next(date_spans(digits), None):
        return "date"
    if _ID_CUE.search(plain) or _DIGITS.search(plain):
        return "id"
    spans = list(number_spans(plain))
    if spans:
        return spans[0].kind
    return "name" if _is_marked_name(_MISREAD_WORD.sub(lambda match: match.group().translate(_SPELT), text)) else None


def _is_marked_name(text: str) -> bool:
    """Whether a title, a comma, a caret, a given name or a surname says that it is one."""
    unknown = _unknown(text)
    if _is_full_name(text, _LETTERS.findall(text)):
        return True
    longest = max((len(run) for run in unknown), default=0)
    if longest > 2 and (_NAME_CUE.search(text) or _CARET.search(text)):
        return True
    return longest > 3 and any(word.title() in GIVEN_NAMES for word in _words(text))


def _unknown(text: str) -> list[str]:
    return [run for run in _LETTERS.findall(text) if not is_annotation(run)]


def _is_full_name(text: str, runs: list[str]) -> bool:
    """Whether words without digits beside them are a surname and others, of which one is no annotation's.

    Also two surnames (`LONG WARD`, `LI MA`), but not two of which scanners write both (`LONG`, `MA`).
    """
    if not 2 <= len(runs) <= 4 or any(character.isdigit() for character in text):
        return False
    words = [run.upper() for run in runs]
    return any(word in SURNAMES for word in words) and any(
        len(word) > 1 and word not in ANNOTATIONS and (word in SURNAMES or not is_annotation(word)) for word in words
    )


def is_annotation(run: str) -> bool:
    """Whether letters can be cut into words that annotations are made of, with one misread letter in five."""
    if not run.isascii():
        return len(run) < 2
    word = run.upper()
    if len(word) > 2 and word in SURNAMES and word not in ANNOTATIONS:
        return False
    if len(word) < 3 or word in _vocabulary():
        return True
    if word.title() in GIVEN_NAMES:
        return False
    if len(word) > 6 and run.lower().endswith(tuple(end for end in MEDICAL_ENDINGS if len(end) > 3)):
        return True
    return _unexplained(word) <= len(word) // 5 or _is_nearly_known(word)


def _unexplained(word: str) -> int:
    """Letters left over when the word is cut into known ones.

    Known words of three letters and more may stand anywhere, shorter ones at the ends, and at the ends also pieces of
    known words: a reader cuts off what stands at the rim of its box.
    """
    known, (heads, tails) = _vocabulary(), _pieces()
    best = list(range(len(word) + 1))
    for stop in range(1, len(word) + 1):
        best[stop] = best[stop - 1] + 1
        for length in range(2, min(_LONGEST_WORD, stop) + 1):
            piece, start = word[stop - length : stop], stop - length
            whole = piece in known and (length > 2 or start == 0 or stop == len(word))
            cut = (stop == len(word) and piece in heads) or (start == 0 and piece in tails)
            if whole or cut:
                best[stop] = min(best[stop], best[start])
    return best[-1]


def _is_nearly_known(word: str) -> bool:
    """Whether one letter, wrong, missing or too much, makes it no known word of six letters or more.

    Shorter ones are too near to names: PANEL to Patel.
    """
    if len(word) < _SHORTEST_NEAR - 1:
        return False
    return any(form in _shortened() for form in (word, *_without_one(word)))


def _without_one(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place in range(len(word))]


def _words(text: str) -> list[str]:
    """Letters cut where case changes, as in `EMILYPetrosyan` and `StevenJGoldstein`."""
    return re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+", text)


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    return ANNOTATIONS | {word.upper() for word in NOT_A_NAME if len(word) > 2 and word.isalpha()}


@lru_cache(maxsize=1)
def _pieces() -> tuple[frozenset[str], frozenset[str]]:
    """Beginnings and ends, of four letters and more, of the annotations that are longer than that."""
    long = [word for word in ANNOTATIONS if len(word) > 4]
    heads = frozenset(word[:length] for word in long for length in range(4, len(word)))
    return heads, frozenset(word[-length:] for word in long for length in range(4, len(word)))


@lru_cache(maxsize=1)
def _shortened() -> frozenset[str]:
    """Annotations of six letters and more, and what is left of each without one of its letters."""
    long = [word for word in ANNOTATIONS if len(word) >= _SHORTEST_NEAR]
    return frozenset(long) | {form for word in long for form in _without_one(word)}


def _rows(lines: list[Line]) -> list[list[Line]]:
    """Lines that stand beside one another: overlapping in height, and not further apart than twice that."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one.box.left, one.box.top)):
        for row in rows:
            last = row[-1].box
            height = min(last.bottom - last.top, line.box.bottom - line.box.top)
            shared = min(last.bottom, line.box.bottom) - max(last.top, line.box.top)
            if shared > 0.5 * height and 0 <= line.box.left - last.right + height <= 3 * height:
                row.append(line)
                break
        else:
            rows.append([line])
    return rows

"""Reports with identifiers planted into them: who made them knows every one. Nothing here is of a real person."""

import random
from dataclasses import dataclass

FIRST = (
    "Adaeze", "Bartholomew", "Chidi", "Dagny", "Eleni", "Fumiko", "Gunnar", "Hyacinth", "Ignatius", "Jocasta", "Kwame",
    "Ludmila", "Mireille", "Ngozi", "Oksana", "Percival", "Quentin", "Rosalind", "Siobhan", "Thaddeus", "Ulrike",
    "Venkatesh", "Winifred", "Xiomara", "Yevgenia", "Zebediah", "Anna", "John", "Mary", "Robert", "Linda", "Ahmed",
    "Priya", "Carlos", "Emily", "Hiroshi", "Margaret", "Daniel", "Fatima", "George",
)  # fmt: skip
LAST = (
    "Abernathy", "Brzezinski", "Castellanos", "Dubrovsky", "Eberhardt", "Featherstone", "Grimaldi", "Haverford",
    "Iwamoto", "Jankowski", "Kowalczyk", "Lindqvist", "Mbeki", "Nakamura", "Okonkwo", "Petrosyan", "Quigley",
    "Rasmussen", "Sokolov", "Tanaka", "Umarov", "Vandermeer", "Whitcombe", "Yamaguchi", "Zielinski", "Smith", "Johnson",
    "Garcia", "O'Connell", "McAllister", "Patel", "Nguyen", "Schmidt", "Rossi", "Haddad",
)  # fmt: skip
STREETS = ("Maple Street", "Willow Creek Road", "Harbour View Drive", "Third Avenue", "Old Mill Lane")
TOWNS = ("Ashford, MA 02139", "Kelso, WA 98626", "Rowan Falls, NY 12901")
MONTHS = ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November")
FINDINGS = (
    "The heart is normal in size. The lungs are clear without focal consolidation.",
    "There is a 12 mm nodule in the right upper lobe, unchanged.",
    "Mild degenerative change of the thoracic spine at T8/T9. No pleural effusion.",
    "Features are in keeping with Crohn disease of the terminal ileum.",
    "Parkinson disease is suspected clinically; DaTscan was recommended.",
    "Hodgkin lymphoma stage IIB, Deauville score 4/5. BP 120/80, SpO2 97%.",
    "EGFR and KRAS mutations were sought; metformin and lisinopril were continued.",
    "A Foley catheter and a Hickman line are in place.",
)


@dataclass(frozen=True)
class Planted:
    """A text, and what was planted into it: kind and value of each."""

    text: str
    values: tuple[tuple[str, str], ...]


def planted_texts(number: int, seed: int) -> list[Planted]:
    """Reports with two or three identifiers each."""
    draw = random.Random(seed)
    return [_planted(draw) for _ in range(number)]


def _planted(draw: random.Random) -> Planted:
    values: list[tuple[str, str]] = []
    sentences = draw.sample(FINDINGS, 2)
    for make in draw.sample(_MAKERS, draw.choice((2, 3))):
        kind, template, value = make(draw)
        sentences.insert(draw.randrange(len(sentences) + 1), template.format(value))
        values.append((kind, value))
    return Planted(" ".join(sentences), tuple(values))


def _name(draw: random.Random) -> tuple[str, str, str]:
    first, last = draw.choice(FIRST), draw.choice(LAST)
    template, value = draw.choice(
        (
            ("Patient name: {}.", f"{first} {last}"),
            ("Patient: {}.", f"{last.upper()}, {first.upper()}"),
            ("{} was seen in clinic with her daughter.", f"{first} {last}"),
            ("This patient, {}, was admitted from home.", f"{first} {last}"),
            ("Findings were discussed with Dr. {}.", last),
            ("Dictated by {}, MD.", f"{first} {last}"),
            ("Mr. {} tolerated the procedure well.", last),
            ("Referring physician: {}.", f"{first} {draw.choice('ABCDEHJKLM')}. {last}"),
            ("Images compared with those of {} by mistake.", f"{first} {last}"),
            ("Mrs. {} reports no pain today.", last),
            ("Header name {}.", f"{last.upper()}^{first.upper()}"),
            ("His wife {} was informed.", f"{first}"),
            ("Signed electronically: {}.", f"{first} {last}"),
        )
    )
    return "name", template, value


def _date(draw: random.Random) -> tuple[str, str, str]:
    day, month, year = draw.randrange(1, 29), draw.randrange(1, 13), draw.randrange(1935, 2024)
    word = MONTHS[month % 10]
    value = draw.choice(
        (
            f"{month:02d}/{day:02d}/{year}", f"{day:02d}.{month:02d}.{year}", f"{year}-{month:02d}-{day:02d}",
            f"{word} {day}, {year}", f"{day} {word} {year}", f"{day}th of {word} {year}", f"{year}{month:02d}{day:02d}",
            f"{month}/{day}/{year % 100:02d}", f"{word[:3]} {day} {year}", f"{day}-{word[:3]}-{year}", f"{word} {year}",
        )
    )  # fmt: skip
    return "date", draw.choice(("Study of {}.", "Compared with the study dated {}.", "She was operated on {}.")), value


def _id(draw: random.Random) -> tuple[str, str, str]:
    digits = "".join(draw.choices("123456789", k=8))
    template, value = draw.choice(
        (
            ("MRN: {}.", digits), ("MRN {}.", digits[:6]), ("Accession number {}.", f"A{digits}"),
            ("Accession #{}.", digits[:5]), ("Patient ID {}.", f"P-{digits[:6]}"),
            ("SSN {}.", f"{digits[:3]}-{digits[3:5]}-{digits[4:8]}"),
            ("Medical record number: {}.", f"{digits[:3]}-{digits[3:6]}"), ("Account no. {}.", digits),
            ("({})", digits),
            ("Case number {}.", f"S{digits[:2]}-{digits[2:7]}"),
        )
    )  # fmt: skip
    return "id", template, value


def _phone(draw: random.Random) -> tuple[str, str, str]:
    a, b, c = draw.randrange(201, 989), draw.randrange(200, 999), draw.randrange(1000, 9999)
    value = draw.choice((f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"{a}.{b}.{c}", f"+44 20 7{b} {c}", f"+1 {a} {b} {c}"))
    return "phone", draw.choice(("Phone {}.", "She can be reached at {}.", "Please call {} with questions.")), value


def _email(draw: random.Random) -> tuple[str, str, str]:
    value = (
        f"{draw.choice(FIRST).lower()}.{draw.choice(LAST).lower().replace(chr(39), '')}{draw.randrange(99)}@example.org"
    )
    return "email", draw.choice(("Contact: {}.", "Write to {} for the images.")), value


def _address(draw: random.Random) -> tuple[str, str, str]:
    street = f"{draw.randrange(1, 9900)} {draw.choice(STREETS)}"
    value = draw.choice((street, f"{street}, {draw.choice(TOWNS)}", f"{street}, Apt {draw.randrange(1, 40)}"))
    return "address", draw.choice(("He lives at {}.", "Address: {}.", "Home: {}.")), value


def _age(draw: random.Random) -> tuple[str, str, str]:
    value = str(draw.randrange(90, 105))
    return (
        "age",
        draw.choice(("A {}-year-old woman.", "He is {} years old.", "Age: {}.", "Patient aged {} with a fall.")),
        value,
    )


_MAKERS = (_name, _name, _date, _id, _phone, _email, _address, _age)

"""A hospital's export with identifiers planted everywhere they are met: who made it knows every one.

Nothing in it is of a real person.
"""

import csv
import io
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pydicom
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset

from tests.sources.dicom_files import picture_of

FIRST = (
    "Adaeze",
    "Oksana",
    "Thaddeus",
    "Ulrike",
    "Venkatesh",
    "Winifred",
    "Xiomara",
    "Yevgenia",
    "Zebediah",
    "Mireille",
)
LAST = (
    "Abernathy", "Brzezinski", "Castellanos", "Dubrovsky", "Eberhardt", "Featherstone", "Grimaldi", "Haverford",
    "Iwamoto",
    "Jankowski", "Kowalczyk", "Lindqvist", "Okonkwo", "Petrosyan", "Quigley", "Rasmussen", "Sokolov", "Vandermeer",
)  # fmt: skip
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")
BURNED = 20
"""Every so many-th file has its patient's name, birth date or number burned into the pixels."""
HARMLESS = "RT UOQ"


@dataclass
class Planted:
    """The values planted into one export."""

    values: set[str] = field(default_factory=set)

    def add(self, value: str) -> str:
        self.values.add(value)
        return value


def write_scans(folder: Path, number: int, every: int = BURNED, seed: int = 0) -> Planted:
    """`number` DICOM files with identifiers in every kind of element, and `reports.csv`, which repeats them in text."""
    draw, planted = random.Random(seed), Planted()
    folder.mkdir(parents=True)
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["accession", "report"])
        for place in range(number):
            dataset, report = _scan(draw, planted, place, every)
            dataset.save_as(folder / f"{planted.add(dataset.PatientID)}_{place}.dcm")
            rows.writerow([dataset.AccessionNumber, report])
    return planted


def _scan(draw: random.Random, planted: Planted, place: int, every: int) -> tuple[Any, str]:
    first, last, doctor = draw.choice(FIRST), draw.choice(LAST), draw.choice(LAST)
    month, day, year = draw.randrange(1, 12), draw.randrange(1, 29), draw.randrange(1932, 1989)
    born, word = f"{year}{month:02d}{day:02d}", f"{MONTHS[month - 1]} {day}, {year}"
    mrn, accession = (f"{letters}{draw.randrange(10**6, 10**7)}" for letters in ("QX", "ZA"))
    phone = f"({draw.randrange(201, 989)}) {draw.randrange(200, 999)}-{draw.randrange(1000, 9999)}"
    street = f"{draw.randrange(100, 999)} Willowmere Lane"
    for value in (first, last, doctor, born, word, mrn, accession, phone, street):
        planted.add(value)
    writings = {0: f"{last.upper()}, {first.upper()}", 1: f"DOB {day:02d}/{month:02d}/{year}", 2: mrn}
    dataset = picture_of(
        noise_ground(place, writings, planted, every),
        Modality="US", BodyPartExamined="BREAST",
    )  # fmt: skip
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{last}^{first}", mrn, born
    dataset.AccessionNumber, dataset.StudyDate = accession, "20190814"
    dataset.ReferringPhysicianName, dataset.PatientAddress, dataset.PatientTelephoneNumbers = doctor, street, phone
    dataset.StudyDescription = dataset.SeriesDescription = dataset.ImageComments = f"for {first} {last}"
    dataset.InstitutionName, dataset.PatientAge = planted.add("Quillhaven Infirmary"), "094Y"
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = planted.add(f"1.2.826.0.1.99{draw.randrange(10**9)}.{place}")
    inner = Dataset()
    inner.RequestingPhysician, inner.RequestedProcedureDescription = doctor, f"{last} {mrn}"
    dataset.RequestAttributesSequence = [inner]
    block = dataset.private_block(0x0041, "WARD NOTES", create=True)
    block.add_new(0x01, "LO", f"{first} {last}")
    block.add_new(0x02, "UN", f"{last}^{first} {mrn}".encode())
    _overlay_and_icon(dataset, last)
    report = draw.choice(
        (
            f"Patient {first} {last}, born {word}, MRN {mrn}. The breast shows no mass in the outer quadrant.",
            f"{last.upper()}, {first.upper()} ({mrn}): no suspicious lesion. Told Dr. {doctor}. Call {phone}.",
            f"Mrs. {last} lives at {street}. Benign cyst of 12 mm, unchanged. Accession {accession}. {first} was told.",
            f"Ultrasound of {month:02d}/{day:02d}/{year}: {first.lower()} {last.lower()}: Cooper ligament distortion.",
        )
    )
    return dataset, report


def noise_ground(place: int, writings: dict[int, str], planted: Planted, every: int = BURNED) -> np.ndarray:
    """Soft speckle, different in every file; every so many-th has writing on it."""
    noise = np.random.default_rng(place).normal(0, 12, (20, 25))
    ground = cv2.resize(noise.astype(np.float32), (400, 320), interpolation=cv2.INTER_CUBIC) + 70
    pixels = np.clip(ground, 0, 180).astype(np.uint8)
    if place % every == 0:
        text = planted.add(writings[place // every % 3])
        cv2.putText(pixels, text, (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1, cv2.LINE_AA)
    elif place % every == every // 2:
        cv2.putText(pixels, HARMLESS, (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1, cv2.LINE_AA)
    return pixels


def _overlay_and_icon(dataset: Any, last: str) -> None:
    """A name on an overlay plane and on the icon: neither is ever read."""
    drawn = np.zeros((320, 400), np.uint8)
    cv2.putText(drawn, last, (20, 200), cv2.FONT_HERSHEY_SIMPLEX, 1, 1, 2)
    dataset.add_new(0x60000010, "US", 320)
    dataset.add_new(0x60000011, "US", 400)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", np.packbits(drawn, bitorder="little").tobytes())
    icon = Dataset()
    icon.Rows = icon.Columns = 64
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.BitsAllocated = icon.BitsStored = 8
    icon.HighBit, icon.PixelRepresentation, icon.PixelData = 7, 0, drawn[160:224, 20:84].tobytes()
    dataset.IconImageSequence = [icon]


def write_photographs(folder: Path) -> Planted:
    """JPEG and PNG files with names in EXIF, XMP, comments, thumbnails and text chunks, and their captions."""
    planted = Planted({"Featherstonehaugh", "KQ7740112", "Quarrington"})
    folder.mkdir(parents=True)
    rows = []
    for number in range(4):
        pixels = np.stack([noise_ground(1001 + 10 * number + channel, {}, planted) for channel in range(3)], axis=-1)
        name = f"film{number}.{'jpg' if number % 2 else 'png'}"
        (folder / name).write_bytes(_jpeg(pixels) if number % 2 else _png(pixels))
        rows.append(
            {"id": f"f{number}", "image": name, "text": f"Photograph number {number} of an unremarkable forearm."}
        )
    (folder / "captions.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    return planted


def _jpeg(pixels: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0112] = "Featherstonehaugh", "Quarrington", 6
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer, "JPEG", exif=exif, comment=b"KQ7740112", xmp=b"<x:xmpmeta>Featherstonehaugh</x:xmpmeta>"
    )
    return buffer.getvalue() + b"Quarrington after the end"


def _png(pixels: np.ndarray) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", "Featherstonehaugh")
    info.add_itxt("Author", "Quarrington", zip=True)
    info.add(b"prVt", b"KQ7740112", after_idat=True)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def is_dicom(path: Path) -> bool:
    """Whether pydicom reads it: the fixture is what it says it is."""
    return bool(pydicom.dcmread(path).PatientName)

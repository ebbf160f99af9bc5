"""What a picture can be: the classes that labellers tell apart, and the modality of the images table that each is.

The twelve modalities are those that Lingshu publishes (2506.07044, section 3); angiography and mammography are kinds
of X-ray pictures, and what is no medical picture at all has kinds of its own, so that a chart is told from a page.
"""

from sources.schema import MODALITIES

CLASSES = tuple(name for name in MODALITIES if name != "unknown")
"""Every modality but `unknown`: what probabilities are of."""
KINDS: dict[str, str] = {
    "angiography": "xray",
    "mammography": "xray",
    "chart": "not_medical",
    "table": "not_medical",
    "diagram": "not_medical",
    "text_page": "not_medical",
    "logo": "not_medical",
    "natural": "not_medical",
}
"""Finer classes and the modality they belong to."""
LABELS = (*CLASSES, *KINDS)
"""What a labelled folder may say a picture is."""

HEADER_KINDS = {"XA": "angiography", "MG": "mammography"}
"""(0008,0060) Modality of DICOM."""

ALIASES = {
    "chest_xray": "xray", "x-ray": "xray", "radiograph": "xray", "cxr": "xray", "mr": "mri", "us": "ultrasound",
    "microscopy_blood": "microscopy", "microscopy_fluorescence": "microscopy", "microscopy_cell": "microscopy",
    "histology": "histopathology", "figure_chart": "chart", "text_scan": "text_page", "mammogram": "mammography",
    "digital photography": "photo", "pathology": "histopathology", "fundus photography": "fundus",
    "optical coherence tomography": "oct", "pt": "pet", "cr": "xray", "dx": "xray", "sm": "histopathology",
}  # fmt: skip
"""What labelled folders call them."""

TEMPLATE = "this is a photo of "
"""BiomedCLIP's published template (its model card); prompts as there where it names the class."""
PROMPTS: dict[str, tuple[str, ...]] = {
    "xray": ("chest X-ray", "bone X-ray", "dental X-ray"),
    "angiography": ("X-ray angiography", "coronary angiogram"),
    "mammography": ("mammogram",),
    "ct": ("computed tomography", "CT scan"),
    "mri": ("brain MRI", "magnetic resonance imaging"),
    "ultrasound": ("ultrasound", "echocardiogram"),
    "histopathology": (
        "hematoxylin and eosin histopathology", "immunohistochemistry histopathology",
        "adenocarcinoma histopathology", "squamous cell carcinoma histopathology",
    ),
    "microscopy": ("fluorescence microscopy", "electron microscopy", "blood smear"),
    "oct": ("optical coherence tomography of the retina",),
    "pet": ("positron emission tomography",),
    "dermoscopy": ("dermoscopy of a skin lesion",),
    "endoscopy": ("endoscopy", "colonoscopy"),
    "fundus": ("retinal fundus photograph",),
    "photo": ("clinical photograph of a patient", "surgical specimen"),
    "other_medical": ("electrocardiogram", "bone scintigraphy"),
    "chart": ("line chart", "pie chart", "covid line chart", "bar chart"),
    "table": ("table of numbers",),
    "diagram": ("diagram", "flow chart"),
    "text_page": ("page of text", "screenshot of a computer program"),
    "logo": ("logo",),
    "natural": ("everyday scene", "landscape", "animal"),
}  # fmt: skip


def modality_of(label: str) -> str:
    """The modality that a label is, or is a kind of.

    Raises:
        ValueError: it is none of LABELS.
    """
    found = KINDS.get(label, label)
    if found not in MODALITIES or found == "unknown":
        raise ValueError(f"{label!r} is not one of {', '.join(LABELS)}")
    return found


def label_of(word: str) -> str | None:
    """The label that a word of a labelled folder means; None where it means none of ours."""
    plain = word.strip().casefold()
    found = ALIASES.get(plain, plain)
    return found if found in LABELS else None

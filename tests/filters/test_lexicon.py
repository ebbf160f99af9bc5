from time import perf_counter

import pytest

from filters.lexicon import said_by, said_of_picture


def asked(question: str, answer: str) -> frozenset[str]:
    return said_of_picture([{"role": "user", "text": f"<image>\n{question}"}, {"role": "assistant", "text": answer}])


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Axial CT of the chest shows a nodule.", {"ct"}),
        ("Coronary angiogram before stenting", {"angiography"}),
        ("CT angiography shows an occlusion", {"ct"}),
        ("MR angiography of the neck", {"mri"}),
        ("Bilateral mammography, craniocaudal view", {"mammography"}),
        ("Kaplan-Meier curves of both groups", {"chart"}),
        ("H&E stain, x200", {"histopathology"}),
        ("Six months later a pet dog was run over by a cat.", set()),
        ("EKG leads overlie the chest.", set()),
        ("Nothing is said here.", set()),
        ("Mass in the gastric fundus", set()),
        ("Thickened gallbladder fundus", set()),
        ("Colour fundus photograph of the left eye", {"fundus"}),
        ("Acquired on a 3T Siemens Prisma.", set()),
        ("Endoscopic ultrasound of the pancreas", {"ultrasound"}),
        ("Endoscopic view of a polyp", {"endoscopy"}),
        ("Specimen of a laparoscopic cholecystectomy", set()),
        ("Patient status post colonoscopy", set()),
        ("ECG-gated cardiac CT", {"ct"}),
        ("Fluorescein angiography of the right eye", {"fundus"}),
        ("Indocyanine green angiography", {"fundus"}),
        ("OCT angiography of the macula", {"oct"}),
        ("CT pulmonary angiogram", {"ct"}),
        ("CT coronary angiography shows a stenosis", {"ct"}),
        ("Computed tomography (CT) angiography", {"ct"}),
        ("No evidence of pneumonia on CT", {"ct"}),
        ("There is no pneumothorax on this chest radiograph", {"xray"}),
        ("Follow-up CT scan at six months shows resolution", {"ct"}),
        ("Subsequent MRI shows an abscess", {"mri"}),
        ("The patient underwent CT showing a mass", {"ct"}),
        ("Without contrast, axial CT", {"ct"}),
        ("Photomicrograph (hematoxylin and eosin)", {"histopathology"}),
        ("CT shows a mass not seen on the radiograph", {"ct", "xray"}),
        ("MRI two years ago shows a cyst", {"mri"}),
        ("胸部CT显示结节", {"ct"}),
        ("胸部CT", {"ct"}),
        ("Photomicrograph of a blood smear", {"microscopy"}),
    ],
)
def test_a_caption_says_what_it_shows(text: str, labels: set[str]) -> None:
    assert said_by(text) == labels


@pytest.mark.parametrize(
    "text",
    [
        "没有CT",
        "未行CT",
        "无CT",
        "ohne CT",
        "sans CT",
        "No CT was performed.",
        "A CT was not performed.",
        "MRI could not be obtained because of a pacemaker.",
        "Unchanged since the prior MRI.",
        "Correlation with ultrasound is advised.",
        "The patient declined CT.",
        "CT is recommended.",
        "CT has not been performed.",
        "She didn't undergo MRI.",
        "CT cannot be performed.",
        "MRI was contraindicated.",
        "He was unable to tolerate MRI.",
        "MRI is pending.",
        "CT scheduled for tomorrow.",
        "CT was deferred.",
        "The patient underwent colonoscopy.",
        "CT not shown.",
        "CT (not shown)",
        "X-ray unavailable.",
        "She had MRI 3 years ago.",
        "MRI two months ago",
        "Kein CT wurde durchgeführt",
        "αCT",
    ],
)
def test_what_was_not_done_is_not_shown(text: str) -> None:
    assert said_by(text) == frozenset()


def test_a_denial_ends_with_its_clause() -> None:
    assert said_by("No fracture is seen. Lateral radiograph of the knee.") == {"xray"}
    assert said_by("No CT was performed, but the radiograph shows an effusion") == {"xray"}


def test_a_question_states_what_it_takes_for_granted() -> None:
    assert asked("What is seen on this CT?", "a mass") == {"ct"}
    assert asked("Is this a CT or an MRI?", "brain") == frozenset()
    assert asked("Is this a CT or an MRI?", "MRI") == {"mri"}


def test_a_polar_question_states_what_is_affirmed() -> None:
    assert asked("Isn't this a CT?", "No") == frozenset()
    assert asked("Is this an MRI?", "Yes") == {"mri"}
    assert asked("Is this an MRI?", "No") == frozenset()


@pytest.mark.parametrize("text", ["CT " * 700_000, "not " * 500_000, "a" * 2_000_000])
def test_a_caption_of_two_megabytes_takes_no_time(text: str) -> None:
    began = perf_counter()
    said_by(text)
    assert perf_counter() - began < 1


def test_right_to_left_text_says_nothing_and_breaks_nothing() -> None:
    assert said_by("صورة الصدر") == frozenset()

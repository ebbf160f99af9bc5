"""Names that relatives, roles, letters and what people do tell, and what stands in such places and is no name."""

import pytest

from filters.phi_spans import redacted
from filters.phi_text import find
from tests.filters.planted_names import planted_names


def clean(text: str) -> str:
    return redacted(text, find([text], "rules")[0])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Her grandson Umberto drove her here.", "Her grandson [NAME] drove her here."),
        ("His wife Ahmed was informed.", "His wife [NAME] was informed."),
        ("Respiratory therapist Ottoline Vane noted a leak.", "Respiratory therapist [NAME] noted a leak."),
        ("The films of Umberto van der Vane are lost.", "The films of [NAME] are lost."),
        ("Compared with those of Umberto Vane by mistake.", "Compared with those of [NAME] by mistake."),
        ("Called to O. Vane at 5 pm.", "Called to [NAME] at 5 pm."),
        ("Protocolled by Vane.", "Protocolled by [NAME]."),
        ("Read by Vane, Ottoline on call.", "Read by [NAME] on call."),
        ("According to Ottoline VANE, it hurts.", "According to [NAME], it hurts."),
        ("I, Ottoline Vane, reviewed them.", "I, [NAME], reviewed them."),
        ("Patient (Ottoline Vane) was well.", "Patient ([NAME]) was well."),
        ('Labelled "Vane, Ottoline" in formalin.', 'Labelled "[NAME]" in formalin.'),
        ("Dear Ottoline,\nall is well.", "Dear [NAME],\nall is well."),
        ("Re: Ottoline-Maeve Vane\nHodgkin lymphoma.", "Re: [NAME]\nHodgkin lymphoma."),
        ("Surgeon: Ottoline Vane\nParkinson disease.", "Surgeon: [NAME]\nParkinson disease."),
        ("Baby Vane was born at term.", "Baby [NAME] was born at term."),
        ("We discussed Umberto's case.", "We discussed [NAME]'s case."),
        ("Vane was extubated today.", "[NAME] was extubated today."),
        ("Dragoș Đorđević did not attend.", "[NAME] did not attend."),
        ("VANE, OTTOLINE R\nChest film.", "[NAME]\nChest film."),
        ("ACCORDING TO OTTOLINE VANE, IT HURTS.", "ACCORDING TO [NAME], IT HURTS."),
        ("Umberto Vane\nwas told. Spoke with Umberto\nVane again.", "[NAME]\nwas told. Spoke with [NAME] again."),
    ],
)  # fmt: skip
def test_what_people_say_of_one_another_tells_their_names(text: str, left: str) -> None:
    assert clean(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Her mother had Crohn disease; his brother Parkinson's disease, her sister Hodgkin lymphoma.",
        "Seen by Cardiology. Read with Power Doppler. Treated with Zinc Sulfate and Isosorbide Dinitrate.",
        "Patients of New South Wales; admitted from the United States; a survey of South Africa.",
        "Dear Colleague,\nDear Sir,\nDear Parents,\nthank you.",
        "Mom reports fever. Husband denies it. Staff reported a fall. School reports difficulties.",
        "According to National Institutes of Health guidelines. Fusion with titanium cages by Medtronic.",
        "Depression is common. Treated for Late Depression, as depression is.",
        "Images of Foley catheters. Graded by Gleason. The case of Kaposi sarcoma. Referred to Physical Therapy.",
        "Baby Boy was born. Newborn Screening was done. Infant formula by Nestle.",
        "Gallbladder, Pancreas",
        "We gave the patient Tylenol. Data of the National Patient Register.",
        "AN IMAGE OF PARASPINAL MUSCLES WITH LOOSE BODIES. HIS FATHER DIED. NO OPACITY TO SUGGEST PNEUMONIA.",
    ],
)
def test_what_is_no_name_stays_where_a_name_may_stand(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(("held_out", "least"), [(False, 0.98), (True, 0.9)])
def test_names_of_many_origins_are_found_by_what_stands_around_them(held_out: bool, least: float) -> None:
    texts = planted_names(150, 6, held_out=held_out)
    clean_of = [clean(one.text) for one in texts]
    left = [any(word in text for word in one.values[0][1].split()) for one, text in zip(texts, clean_of, strict=True)]
    print(f"texts without a name: {1 - sum(left) / len(left):.3f}")
    assert 1 - sum(left) / len(left) >= least

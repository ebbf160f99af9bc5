"""Names behind the headings of forms and reports, and what stands there and is nobody."""

import pytest

from filters.phi_spans import redacted
from filters.phi_text import find


def clean(text: str) -> str:
    return redacted(text, find([text], "rules")[0])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Patient: Smith", "Patient: [NAME]"),
        ("Surgeon: Jones\nJones fracture.", "Surgeon: [NAME]\nJones fracture."),
        ("Dictated by: WILSON", "Dictated by: [NAME]"),
        ("Read by: Harris Evans", "Read by: [NAME]"),
        ("Radiologist: A. Vane", "Radiologist: [NAME]"),
        ("Radiologist: Ingram", "Radiologist: [NAME]"),
        ("Patient name: van der Vane, Umberto", "Patient name: [NAME]"),
        ("Name: Vane Ottoli, Umberto\nGallbladder", "Name: [NAME]\nGallbladder"),
        ("PATIENT: VAN DER VANE, UMBERTO J", "PATIENT: [NAME]"),
        ("Last name: Vane First name: Umberto", "Last name: [NAME] First name: [NAME]"),
        ("Surname: VANE Forename: UMBERTO", "Surname: [NAME] Forename: [NAME]"),
        ("Name: Vane, Umberto Ward: 4B", "Name: [NAME] Ward: 4B"),
        ("Patient Name  Umberto Vane   MRN 7654321", "Patient Name  [NAME]   MRN [ID]"),
        ("Patient Name | Umberto Vane |", "Patient Name | [NAME] |"),
        ("Patient Name\nUmberto Vane\nDOB 1/2/1950", "Patient Name\n[NAME]\nDOB [DATE]"),
        ("Vane, Umberto MRN: 7654321", "[NAME] MRN: [ID]"),
        ("PCP: Vane, Umberto", "PCP: [NAME]"),
        ("Pathologist: Vane", "Pathologist: [NAME]"),
        ("Mother: Ottoline Vane", "Mother: [NAME]"),
        ("Cosigned by: Ottoline Vane", "Cosigned by: [NAME]"),
        ("Patient: Vane\nDoctor: Ottoline Vane", "Patient: [NAME]\nDoctor: [NAME]"),
        ("Patient: VANE, UMBERTO. Foley in place. Patient: VANE, UMBERTO.",
         "Patient: [NAME]. Foley in place. Patient: [NAME]."),
        ("RN Vane at bedside", "RN [NAME] at bedside"),
        ("Dr. Vane and Ottoli agreed; Drs. Umber/Marquis", "Dr. [NAME] and [NAME] agreed; Drs. [NAME]/[NAME]"),
        ("Yours sincerely,\nUmberto Vane\nRadiology", "Yours sincerely,\n[NAME]\nRadiology"),
        ("Umberto Vane, 45, was admitted with cough.", "[NAME], 45, was admitted with cough."),
        ("Dear Jackson,\nthank you.", "Dear [NAME],\nthank you."),
        ("Mr. Young is well. Young's pain and Young's blood pressure fell.",
         "Mr. [NAME] is well. [NAME]'s pain and [NAME]'s blood pressure fell."),
        ("Dr. Small agreed. Small reviewed the films.", "Dr. [NAME] agreed. [NAME] reviewed the films."),
        ("Mr. Smith was seen. Smith describes pain.", "Mr. [NAME] was seen. [NAME] describes pain."),
        ("PATIENT: BROWN, MARY. BROWN ENDORSES PAIN.", "PATIENT: [NAME]. [NAME] ENDORSES PAIN."),
        ("Patient: Vanek - 45F", "Patient: [NAME] - 45F"),
        ("Patient: Vanek with history of COPD", "Patient: [NAME] with history of COPD"),
        ("PATIENT: VANEK EXAM: CT", "PATIENT: [NAME] EXAM: CT"),
        ("Physician: Vanek reviewed images.", "Physician: [NAME] reviewed images."),
        ("Patient: AJ Vanek", "Patient: [NAME]"),
        ("Patient: VANEK Ottoline", "Patient: [NAME]"),
        ("Patient: Umber Vanek (45F)\n\nPatient: Umber Vanek (45F)", "Patient: [NAME] (45F)\n\nPatient: [NAME] (45F)"),
        ("Patient: Umber Vanek (MRN 55555). Doctor: Ottoline Vane.", "Patient: [NAME] (MRN [ID]). Doctor: [NAME]."),
        ("Doctor: What's your name?\nPatient: Ottoline Vanek.", "Doctor: What's your name?\nPatient: [NAME]."),
        ("Doctor: And your name?\nPatient: Ottoline.", "Doctor: And your name?\nPatient: [NAME]."),
        ("Radiologist: Tripathy, MD", "Radiologist: [NAME], MD"),
        ("Reported by: J. Cross, FRCR", "Reported by: [NAME], FRCR"),
        ("Patient Kwabena Young was seen", "Patient [NAME] was seen"),
        ("cc: Vanek", "cc: [NAME]"),
        ("PCP Vanek was called.", "PCP [NAME] was called."),
        ("**Patient:** Umber Vanek", "**Patient:** [NAME]"),
        ("<b>Patient:</b> Vanek", "<b>Patient:</b> [NAME]"),
        ("<td>Patient name</td><td>Vanek Umber</td>", "<td>Patient name</td><td>[NAME]</td>"),
        ('{"patient_name": "Umber Vanek"}', '{"patient_name": "[NAME]"}'),
        ("Surgeon(s): Vanek; NOK: Umber Vanek; Mom: Ottoline Vane", "Surgeon(s): [NAME]; NOK: [NAME]; Mom: [NAME]"),
        ("Umber Vanek, LCSW", "[NAME], LCSW"),
        ("Mr. Parker was seen.\nParker resting in bed.", "Mr. [NAME] was seen.\n[NAME] resting in bed."),
        ("SEEN BY DR. WALKER.\nWALKER AT BEDSIDE.", "SEEN BY DR. [NAME].\n[NAME] AT BEDSIDE."),
        ("Pt: Oyelaran seen in clinic. Oyelaran is well.", "Pt: [NAME] seen in clinic. [NAME] is well."),
        ("Seen by Dr. T.\nVanek. Vanek will follow.", "Seen by Dr. [NAME]. [NAME] will follow."),
        ("Patient Amara\nVanek seen.", "Patient [NAME] seen."),
        ("| Name | Ndidi Vanek |", "| Name | [NAME] |"),
        ("Seen by Amara Vanek and colleagues.", "Seen by [NAME] and colleagues."),
        ("Doctor: Who referred you?\nPatient: Ottoline.", "Doctor: Who referred you?\nPatient: [NAME]."),
    ],
)  # fmt: skip
def test_headings_and_forms_tell_names(text: str, left: str) -> None:
    assert clean(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Dr. Vane\nStone in the ureter. No stone.", "Dr. [NAME]\nStone in the ureter. No stone."),
        ("DR. VANE\nSTONE IN THE LEFT URETER. NO STONE.", "DR. [NAME]\nSTONE IN THE LEFT URETER. NO STONE."),
        ("Attending: Dr. A. Vane\nYoung woman with cough.", "Attending: Dr. [NAME]\nYoung woman with cough."),
        ("Dr. Vane Hand clinic follow-up", "Dr. [NAME] Hand clinic follow-up"),
        ("Dr. Small read this. Small left effusion. Small bowel.",
         "Dr. [NAME] read this. Small left effusion. Small bowel."),
        ("DR. LONG WAS TOLD. LONG SEGMENT STENOSIS OF THE SFA.",
         "DR. [NAME] WAS TOLD. LONG SEGMENT STENOSIS OF THE SFA."),
        ("Radiologist: Young, Peter\nYoung woman. Young adult.", "Radiologist: [NAME]\nYoung woman. Young adult."),
    ],
)  # fmt: skip
def test_a_name_that_is_a_word_leaves_the_word_alone(text: str, left: str) -> None:
    assert clean(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Patient: Walking makes it worse.\nDoctor: Does walking uphill hurt?\nPatient: Sometimes. Salt, too.",
        "Doctor: Any fevers?\nPatient: Nope.\nDoctor: Ma'am, okay.\nPatient: Skating. Knitting.",
        "Patient: Supine. Patient: Prone",
        "Patient: Penicillin makes me itch.",
        "Consultant: Neurology\nReviewed by: Tumor Board\nSeen by: Infectious Disease\nReferred by: Self",
        "Spoke with Pharmacy. Discussed with Neurosurgery. Referred to Orthopedics.",
        "Surgeon: None\nOperator: Automatic\nAuthor: Unknown\nGuardian: None",
        "CC: Dizziness\nCC: Shortness of breath\ncc: Headache, Nausea",
        "Name: Lisinopril\nDrug name: Amoxicillin\nProcedure name: Colonoscopy",
        "Mother: Migraines\nFather: Deceased\nSister: Bipolar Disorder\nBrother: Epilepsy",
        "Patient Tolerated Procedure Well. Patient Health Questionnaire. Pt Reported Outcome. Patient Was Counseled",
        "Clara cells, Alexander disease, Russell bodies, Gordon syndrome",
        "Father: CAD, HTN\nMother: CHF, CKD\nBrother: Emphysema, Gout\nPMH: Gout and Emphysema. Emphysema on CT.",
        "PCP Notified. RN Aware. GP Letter. NP Swab. PCP, Eliquis held. RN, Ativan given.",
        "Patient name\nAge\nSex\nAge 45",
        "Patient Name | DOB | MRN\nSurname | Forename | DOB",
        "Patient Name\tAccession Number\tModality\nModality used",
        "GP = Globus Pallidus; CC = Corpus Callosum; RN = Red Nucleus; PCP: Pneumocystis Pneumonia; PCP - Neg",
        "Employer: Retired\nInterpreter: Vietnamese\nDonor: Cadaveric\nPCP: Unassigned\nOrdered by: ED",
        "As reported by Smith et al.",
        "Name\tSequence (5'-3')\tTm\nName\tGlucose\t98\n| Patient | Response |\n| Name | Imatinib | 400 mg |",
        "First Name  Last Name  Age\nFamily Name  Given Name\nSurname\nForename\nWard\nlast seen at last visit",
        "Father: Truck Driver\nSister: Turner Syndrome\nMother: Pre Eclampsia\nTherapist: Gait Training",
        "anti-CD3 (1/2000, Dako); ext 1200 ml/day; signature: Mesenchymal",
        "Yours sincerely,\nSpecialist Registrar\n\nKind regards\nOutpatient Physiotherapy",
        "Hello, doctor. Let us talk. Hi, miss. How are you?",
    ],
)
def test_what_patients_say_departments_and_states_are_nobody(text: str) -> None:
    assert clean(text) == text

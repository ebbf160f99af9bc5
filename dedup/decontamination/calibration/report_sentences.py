"""Sentences that thousands of radiology reports have, and that say nothing about where a report comes from."""

import numpy as np

SENTENCES = (
    "No acute cardiopulmonary process.", "The heart size is normal.", "The lungs are clear.",
    "No pleural effusion or pneumothorax is seen.", "The mediastinal contours are unremarkable.",
    "There is no focal consolidation.", "No acute osseous abnormality is identified.",
    "The cardiomediastinal silhouette is within normal limits.", "Pulmonary vascularity is normal.",
    "The visualized osseous structures are intact.", "No evidence of acute fracture or dislocation.",
    "The soft tissues are unremarkable.", "The liver, spleen and pancreas are normal in appearance.",
    "No intracranial hemorrhage, mass effect or midline shift.", "The ventricles are normal in size.",
    "There is no free air or free fluid in the abdomen.", "The gallbladder is unremarkable.",
    "No hydronephrosis is present on either side.", "The aorta is of normal caliber.",
    "There is no lymphadenopathy.", "Comparison is made with the prior examination.",
    "Clinical correlation is recommended.", "No interval change is seen.",
    "The paranasal sinuses and mastoid air cells are clear.", "Gray-white matter differentiation is preserved.",
    "The patient tolerated the procedure well.", "The study is limited by motion.",
    "Degenerative changes of the thoracic spine are noted.", "The bowel gas pattern is nonobstructive.",
    "The airway is midline and patent.", "The hemidiaphragms are sharply defined.",
    "The costophrenic angles are sharp.", "There are no suspicious pulmonary nodules.",
    "Findings were discussed with the referring physician.",
)  # fmt: skip


def report(rng: np.random.Generator) -> str:
    """A normal report of three to five sentences."""
    chosen = rng.choice(len(SENTENCES), int(rng.integers(3, 6)), replace=False)
    return " ".join(SENTENCES[number] for number in chosen)


def surroundings(rng: np.random.Generator, words: int) -> str:
    """So many words of such sentences, or a few more."""
    said: list[str] = []
    while len(said) < words:
        said += SENTENCES[int(rng.integers(len(SENTENCES)))].split()
    return " ".join(said)

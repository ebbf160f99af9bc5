"""Labels the pictures of every fragment, after they were measured: no picture is opened for it.

A threshold, another head or another word of the lexicon costs this alone. The images of a fragment get what is known
of them put together (`filters/modality.py`), the texts of all fragments that speak of them included.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from filters.lexicon import VERSION as LEXICON
from filters.measurer import AnyMeasurer
from filters.modality import Labels, Modality
from filters.modality_features import EfficientNetFeatures, PanelCount
from filters.modality_head import SHIPPED, load_head
from filters.text import TextQuality
from pipelines.errors import UsageError
from pipelines.flow import Flow
from pipelines.label_settings import ModalitySettings, QualitySettings
from pipelines.label_words import VERSION as WORDS_VERSION
from pipelines.label_words import heard, said_in
from pipelines.session import Session
from pipelines.steps import own_fingerprint
from pipelines.view import View
from pipelines.work import Commit, Part, key_of

NODE = "modality_images"


@dataclass(frozen=True)
class Labelling:
    """The modality step, taken apart: what measures, what labels, and what decides."""

    model: str
    measurers: tuple[AnyMeasurer, ...]
    labels: Labels
    step: Modality


@dataclass(frozen=True)
class LabelTask:
    """Labels the pictures of one fragment."""

    labels: Labels
    view: View
    number: int
    words: Part
    answer: Part
    """What the texts say (`pipelines/label_words.py`)."""

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"modality {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `images` anew, and how many were decided by what."""
        work, view = session.work, self.view
        said = [self.words.digest, self.answer.digest]
        key = key_of(own_fingerprint(self.labels), view.digests((), "images"), said)
        found = work.find(NODE, key)
        if found is not None:
            return found
        images = work.read(view.parts["images"])
        heard = said_in(work.read(self.words), work.read(self.answer), images["image_id"].to_pylist())
        images = self.labels.labelled(images, heard)
        decided = Counter(images["modality_from"].to_pylist())
        return work.put(NODE, key, {"images": images}, {"decided": dict(sorted(decided.items()))})


def label_pictures(flow: Flow, labelling: Labelling) -> None:
    """Label the pictures of every fragment, and tell which evidence decided how often."""
    said = heard(flow.each, flow.views, LEXICON)
    tasks = [LabelTask(labelling.labels, view, number, *said[number]) for number, view in enumerate(flow.views)]
    commits = flow.each("modality labels", tasks)
    decided: Counter[str] = Counter()
    for number, commit in enumerate(commits):
        flow.views[number] = flow.views[number].with_parts(images=commit.parts["images"])
        decided.update(commit.facts["decided"])
    flow.reporter.event("modality", model=labelling.model, decided=dict(sorted(decided.items())))
    shown = ", ".join(f"{decided[name]:,} {words}" for name, words in WORDS.items() if decided[name])
    flow.reporter.say(f"modality of {sum(decided.values()):,} pictures ({labelling.model}): {shown or 'none'}")


WORDS = {
    "dicom": "by DICOM headers",
    "card": "by the source's card",
    "model": "by the model",
    "text": "by the text",
    "none": "unknown",
}


def labelling_of(settings: ModalitySettings) -> Labelling:
    """The step as configured.

    Raises:
        UsageError: the model that is asked for is not installed, or its files are not named.
        HeadError, WeightsError: a file is not what it should be.
    """
    model = chosen_model(settings)
    if model == "biomedclip":
        labels, measurers = _biomedclip(settings)
    elif model == "efficientnet-lite0":
        from filters.efficientnet import check

        check()  # better told now than by a worker
        head, digest = load_head(SHIPPED)
        labels, measurers = Labels(head, digest, settings.confidence), (EfficientNetFeatures(),)
    else:
        labels, measurers = Labels(None, None, settings.confidence), ()
    step = Modality(
        settings.keep,
        settings.not_medical,
        settings.unknown,
        "drop" if settings.compound == "drop" else "keep",
        {"model": model, "labels": labels.version, "lexicon": LEXICON, "words": WORDS_VERSION, **labels.parameters()},
    )
    return Labelling(model, (PanelCount(), *measurers), labels, step)


def text_quality_of(settings: QualitySettings, labelling: Labelling | None) -> TextQuality:
    """What measures texts: with BiomedCLIP's text tower where agreement with the pictures is asked for.

    Raises:
        UsageError: it is asked for, and BiomedCLIP is not the model.
    """
    if settings.min_agreement is None:
        return TextQuality()
    if labelling is None or labelling.model != "biomedclip":
        raise UsageError(
            "steps.quality.min_agreement: needs BiomedCLIP as the model of steps.modality",
            "write `modality: {biomedclip: {path: DIR, sha256: ...}}`; docs/modality.md says how to fetch it",
        )
    from filters.biomedclip import BiomedClip

    (tower,) = (one for one in labelling.measurers if isinstance(one, BiomedClip))
    return TextQuality(tower)


def chosen_model(settings: ModalitySettings) -> str:
    """The model that is used here.

    Raises:
        UsageError: it cannot be.
    """
    from filters.efficientnet import HINT, is_installed

    if settings.model == "none":
        return "none"
    if settings.model == "biomedclip" or (settings.model == "auto" and settings.biomedclip is not None):
        if settings.biomedclip is None:
            raise UsageError(
                "steps.modality.model: biomedclip needs its files",
                "write `biomedclip: {path: DIR, sha256: ...}`; docs/modality.md says how to fetch them",
            )
        return "biomedclip"
    if settings.model == "efficientnet-lite0" and not is_installed():
        raise UsageError("steps.modality.model: efficientnet-lite0 is not installed", HINT)
    return "efficientnet-lite0" if is_installed() else "none"


def _biomedclip(settings: ModalitySettings) -> tuple[Labels, tuple[AnyMeasurer, ...]]:
    from filters.biomedclip import BiomedClip

    files = settings.biomedclip
    assert files is not None, "chosen_model has looked"
    measurer = BiomedClip(
        files.path,
        files.sha256,
        device=files.device,
        gpus=files.gpus,
        batch=files.batch,
        prompts=files.head is None,
    )
    if files.head is None:
        return Labels(None, None, settings.confidence), (measurer,)
    head, digest = load_head(Path(files.head))
    if head.network != measurer.network:
        raise UsageError(
            f"steps.modality.biomedclip.head: it was trained on {head.network}, not on these weights",
            "fit it again with `curate label fit --model biomedclip`",
        )
    return Labels(head, digest, settings.confidence), (measurer,)

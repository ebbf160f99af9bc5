"""The near-duplicate steps in the flow of a build."""

from dedup.images import NearImage
from dedup.text import NearText
from pipelines.flow import Flow
from pipelines.near import decide, pictures, propose, resolve, settle, texts, travel, verify
from pipelines.near.decide import NearDecideTask
from pipelines.near.pictures import Pictures
from pipelines.near.search import Found, search
from pipelines.near.settle import Settling
from pipelines.near.texts import ANSWERS, FURTHER, PictureTexts, Texts


def versions_of(step: NearText | NearImage) -> list[int]:
    """Of everything that the step's answers come from, besides the step itself."""
    both = [module.VERSION for module in (texts, propose, travel, verify, resolve, decide)]
    return both if isinstance(step, NearText) else [*both, pictures.VERSION, settle.VERSION, step.text.version]


def drop_near(flow: Flow, step: NearText | NearImage) -> None:
    """Run a near-duplicate step over all fragments."""
    if isinstance(step, NearText):
        drop_near_texts(flow, step)
    else:
        drop_near_images(flow, step)


def drop_near_texts(flow: Flow, step: NearText) -> None:
    """Drop samples without pictures whose text is nearly that of a kept one."""
    kind = Texts(step.name, step, _sources(flow))
    _drop(flow, step, search(flow.each, flow.session.work, kind, flow.views))


def drop_near_images(flow: Flow, step: NearImage) -> None:
    """Drop samples whose pictures and text are nearly those of a kept one."""
    work, measure = flow.session.work, flow.session.recipe.steps.measure
    pictures = Pictures(step, measure.max_pixels, measure.ct_windows)
    found = search(flow.each, work, pictures, flow.views)
    flow.views = [
        view.with_parts(**{ANSWERS: answers, FURTHER: further})
        for view, answers, further in zip(flow.views, found.answers, found.further, strict=True)
    ]
    kind = PictureTexts(step.name, step.text, _sources(flow))
    settle = Settling(flow.each, work, (kind, pictures), flow.views, [part for parts in found.edges for part in parts])
    _drop(flow, step, search(flow.each, work, kind, flow.views, settle))


def _drop(flow: Flow, step: NearText | NearImage, found: Found) -> None:
    found_there = zip(flow.views, found.answers, found.edges, strict=True)
    tasks = [
        NearDecideTask(step, view, number, answers, edges) for number, (view, answers, edges) in enumerate(found_there)
    ]
    flow.decide_with(step.name, tasks)


def _sources(flow: Flow) -> tuple[str, ...]:
    return tuple(corpus.name for corpus in flow.session.corpora)

"""What the pages about corpora say: the table of the catalogue, and the example of a new card."""

import re
from pathlib import Path

import pytest
import yaml

from sources.cards import Card, catalogue
from sources.find import find_corpus
from sources.identity import Identity
from sources.storage import LocalFolder
from tests.sources.corpora import samples
from tests.sources.corpora_fixtures import writing

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_corpora_is_the_catalogue() -> None:
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| (\S+) \| (\w+) \| ([^|]+) \|", re.MULTILINE)
    rows = row.findall((DOCS / "corpora.md").read_text())
    cards = catalogue().values()
    assert rows == [(card.name, card.task, card.license, card.access, ", ".join(card.groups) or "-") for card in cards]


def test_the_page_names_the_corpora_that_no_shipped_recipe_takes() -> None:
    recipes = (DOCS.parent / "pipelines" / "recipes").glob("*.yaml")
    taken = {source["name"] for path in recipes for source in yaml.safe_load(path.read_text())["sources"]}
    told = (DOCS / "corpora.md").read_text().partition("**In no shipped recipe**")[2].partition("Of the others")[0]
    named = {name for name in re.findall(r"`(\w+)`", told) if name in catalogue()}
    assert catalogue().keys() - taken == named - taken
    assert named & taken == {"pmc_oa_jsonl", "pmc_vqa_v2"}, "named as the forms that the recipes take instead"


@pytest.fixture
def page() -> str:
    return (DOCS / "adding_a_corpus.md").read_text()


def test_the_card_of_the_page_reads_the_fixture_of_the_page(page: str, tmp_path: Path) -> None:
    card = Card.model_validate(yaml.safe_load(re.findall(r"```yaml\n(name: .*?)```", page, re.DOTALL)[0]))
    [maker] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"Path": Path, "put_jsonl": writing.put_jsonl, "put_pictures": writing.put_pictures}
    exec(maker, names)
    names["_chest_quiz"](tmp_path)  # type: ignore[operator]
    corpus = find_corpus(card, card.name, [LocalFolder(tmp_path)], Identity(card.name))
    assert corpus is not None
    first, second = samples(corpus)
    assert (first["options"], first["answer"]) == (["Yes", "No"], "Yes")
    assert (second["options"], second["answer"]) == (["1", "2", "3"], "3")
    assert first["groups"] == [{"kind": "patient", "id": "chest_quiz-p1"}]

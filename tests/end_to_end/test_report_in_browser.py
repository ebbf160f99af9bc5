"""The build report in a real Chromium: its numbers, its layout, its silence, and hostile text that stays text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.end_to_end.browser import Tab, browser, chromium
from tests.end_to_end.runs import curate_json
from workflows.demo_corpus import write_demo_corpus

SCRIPT = "<script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"
LONG = "pneumonoultramicroscopicsilicovolcanoconiosis" * 230
RTL = "\u202eאבג \u2067 صورة للصدر </div></main><style>*{display:none}</style>"
HOSTILE = (SCRIPT, LONG, RTL, "]]>--><!-- {{ 7 * 7 }} {% raw %}", "\ufeff\u0000\u200bzero")


def hostile_sources(root: Path) -> list[dict[str, Any]]:
    """A source of one text each, since the page shows the first of every source."""
    entries = []
    for place, text in enumerate(HOSTILE):
        row = {"id": "h", "text": f"{text} and ten more words that make it long enough to keep", "lang": text}
        (root / f"hostile{place}.jsonl").write_bytes(orjson.dumps(row))
        entries.append(
            {"name": f"hostile{place}", "reader": "jsonl", "path": f"hostile{place}.jsonl", "task": "text",
             "access": "open", "license": "CC0-1.0", "fields": {"id": "id", "text": "text", "language": "lang"}}
        )  # fmt: skip
    return entries


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    place = tmp_path_factory.mktemp("report")
    recipe = write_demo_corpus(place / "corpora")
    document = yaml.safe_load(recipe.read_bytes())
    document["sources"] += hostile_sources(place / "corpora")
    document["steps"]["tokens"]["max"] = 10_000
    recipe.write_text(yaml.safe_dump(document))
    answer = curate_json(
        "build", "--recipe", recipe, "--data", place / "corpora", "--out", place / "run", contracts=True
    )
    return place / "run", answer


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(tab: Tab, built: tuple[Path, dict[str, Any]]) -> Tab:
    tab.requests.clear()
    tab.complaints.clear()
    tab.open((built[0] / "reports" / "build.html").as_uri(), 1400)
    return tab


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_its_totals_are_those_of_the_command(page: Tab, built: tuple[Path, dict[str, Any]]) -> None:
    answer = built[1]
    shown = {
        name: number(page.value(f"document.getElementById('{name}').innerText"))
        for name in ("ingested", "kept", "dropped", "quarantined", "images", "shards", "written")
    }
    counts = answer["counts"]
    assert shown == {
        "ingested": counts["ingested"],
        "kept": counts["kept"],
        "dropped": sum(counts["dropped"].values()),
        "quarantined": counts["quarantined"],
        "images": answer["images"],
        "shards": answer["shards"],
        "written": answer["samples_written"],
    }


def test_its_funnel_is_that_of_the_command(page: Tab, built: tuple[Path, dict[str, Any]]) -> None:
    rows = page.value(
        "[...document.querySelectorAll('[data-step]')].map(row => [row.dataset.step, Object.fromEntries("
        "[...row.querySelectorAll('[data-label]')].map(cell => [cell.dataset.label, cell.innerText]))])"
    )
    names = ("in", "kept", "dropped", "quarantined")
    shown = [(step, {name: number(cells[name]) for name in names}) for step, cells in rows]
    assert shown == [(step["name"], {name: step[name] for name in names}) for step in built[1]["steps"]]


def test_every_reason_has_its_count(page: Tab, built: tuple[Path, dict[str, Any]]) -> None:
    shown = page.value(
        "Object.fromEntries([...document.querySelectorAll('[data-reason]')].map(row => "
        "[row.dataset.reason, row.querySelector('[data-label=samples]').innerText]))"
    )
    dropped = built[1]["counts"]["dropped"]
    assert {reason: number(text) for reason, text in shown.items() if reason in dropped} == dropped
    assert sum(number(text) for text in shown.values()) - sum(dropped.values()) == built[1]["counts"]["quarantined"]


def test_it_loads_nothing_and_nothing_goes_wrong(page: Tab, built: tuple[Path, dict[str, Any]]) -> None:
    assert page.complaints == []
    own = (built[0] / "reports" / "build.html").as_uri()
    assert [url for url in page.requests if not url.startswith("data:")] == [own]
    assert any(url.startswith("data:image/jpeg") for url in page.requests)


def test_a_request_and_a_script_that_fails_would_have_been_noticed(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<img src='http://127.0.0.1:9/x.png'><script>nothing_there()</script>")
    tab.requests.clear()
    tab.complaints.clear()
    tab.open((tmp_path / "bad.html").as_uri(), 800)
    assert "http://127.0.0.1:9/x.png" in tab.requests
    assert any("nothing_there" in complaint for complaint in tab.complaints)


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1400, 2560])
def test_it_fits_every_width(tab: Tab, built: tuple[Path, dict[str, Any]], width: int) -> None:
    tab.open((built[0] / "reports" / "build.html").as_uri(), width)
    assert tab.value("document.documentElement.scrollWidth") <= width
    outside = tab.value(
        "[...document.querySelectorAll('main *, header *')]"
        ".filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 120))"
    )
    assert outside == []


def test_hostile_text_stays_text(page: Tab) -> None:
    assert page.value("document.title").startswith("Build ")
    assert page.value("document.scripts.length") == 0
    assert page.value("document.querySelectorAll('style').length") == 1
    assert page.value("[...document.images].every(one => one.src.startsWith('data:image/jpeg'))")
    text = page.value("document.body.innerText")
    assert "<script>document.title='taken over'</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert page.value("getComputedStyle(document.querySelector('footer')).display") != "none"


def test_text_that_runs_from_right_to_left_turns_nothing_around_it(page: Tab) -> None:
    turned = page.value(
        "[...document.querySelectorAll('.turn bdi')].filter(one => getComputedStyle(one).direction === 'rtl').length"
    )
    assert turned >= 1
    assert page.value("getComputedStyle(document.querySelector('.sample')).direction") == "ltr"
    assert page.value("![...document.body.innerText].some(one => '\\u202e\\u2067\\u0000\\u200b'.includes(one))")


def test_dark_and_light_are_told_apart_and_both_can_be_read(tab: Tab, built: tuple[Path, dict[str, Any]]) -> None:
    contrast = """(() => {
      const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => { v /= 255;
        return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126*r + 0.7152*g + 0.0722*b };
      const card = light(getComputedStyle(document.querySelector('section')).backgroundColor);
      return ['td.name', '.soft', '.chip', 'th'].map(name => {
        const ink = light(getComputedStyle(document.querySelector(name)).color);
        return (Math.max(ink, card) + 0.05) / (Math.min(ink, card) + 0.05) }) })()"""
    backgrounds = []
    for scheme in ("light", "dark"):
        tab.open((built[0] / "reports" / "build.html").as_uri(), 1400, scheme=scheme)
        backgrounds.append(tab.value("getComputedStyle(document.body).backgroundColor"))
        assert min(tab.value(contrast)) >= 4.5  # WCAG 2.1, level AA
    assert backgrounds[0] != backgrounds[1]

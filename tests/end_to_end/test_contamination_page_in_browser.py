"""The contamination report in a real Chromium, with one, a hundred and five thousand findings."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.audit.report.evidence import told
from pipelines.audit.report.page import render
from pipelines.audit.report.public import public_document, public_sources, public_told, salt_of
from tests.end_to_end.browser import Tab, browser, chromium
from tests.pipelines.audit.report.findings import made

COUNTS = (1, 100, 5000)
MOST_BYTES = 12_000_000
SLOWEST_S = 15
"""To open 5,000 findings on a machine that others use: alone it takes one second."""
SHOWN = "[...document.querySelectorAll('.finding')].filter(one => one.checkVisibility()).length"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Count -> page; and the page for outsiders."""
    root = tmp_path_factory.mktemp("pages")
    found = {}
    for count in COUNTS:
        whole = made(count)
        document = whole.document()
        found[str(count)] = root / f"{count}.html"
        found[str(count)].write_text(render(document, told(whole.table, whole, ()), count))
    whole, salt = made(100), salt_of(b"")
    found["public"] = root / "public.html"
    document = whole.document()
    shown = public_told(whole.table, whole, (), salt, public_sources(document))
    page = render(public_document(document, salt), shown, 100, salt=salt)
    found["public"].write_text(page)
    return found


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def chosen(tab: Tab, name: str, value: str) -> None:
    tab.value(
        f"(() => {{ const one = document.querySelector(\"#filters select[data-name='{name}']\");"
        f" one.value = '{value}'; one.dispatchEvent(new Event('change')) }})()"
    )


def rendered(tab: Tab) -> None:
    """Wait for two frames."""
    tab.call(
        "Runtime.evaluate",
        expression="new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))",
        awaitPromise=True,
    )


@pytest.mark.parametrize("name", ["1", "100", "5000", "public"])
def test_it_opens_loads_nothing_and_nothing_goes_wrong(tab: Tab, pages: dict[str, Path], name: str) -> None:
    tab.requests.clear()
    tab.complaints.clear()
    started = time.monotonic()
    tab.open(pages[name].as_uri(), 1300)
    assert time.monotonic() - started < SLOWEST_S
    assert pages[name].stat().st_size < MOST_BYTES
    assert tab.value(SHOWN) == (100 if name == "public" else int(name))
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [pages[name].as_uri()]


def test_filters_show_what_they_say(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["5000"].as_uri(), 1300)
    whole = made(5000).rows
    chosen(tab, "grade", "partial")
    assert tab.value(SHOWN) == sum(row["grade"] == "partial" for row in whole)
    chosen(tab, "evalSet", "slake")
    chosen(tab, "source", "roco")
    wanted = ("partial", "slake", "roco")
    count = sum((row["grade"], row["eval_set"], row["source"]) == wanted for row in whole)
    assert tab.value(SHOWN) == count
    assert tab.value("document.getElementById('shown').innerText") == f"{count:,} of 5,000 shown"
    assert tab.value("[...document.querySelectorAll('.of-set > h3')].filter(e => e.checkVisibility()).length") == 1
    tab.value("document.querySelector('#filters button').click()")
    assert tab.value(SHOWN) == 5000


def test_a_cell_of_the_table_of_sources_leads_to_its_findings(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["100"].as_uri(), 1300)
    tab.value("document.querySelector(\"a[data-eval-set='slake'][data-source='roco']\").click()")
    found = tab.value(
        "[...new Set([...document.querySelectorAll('.finding')].filter(one => one.checkVisibility())"
        ".map(one => one.dataset.evalSet + ' ' + one.dataset.source))]"
    )
    assert found == ["slake roco"]


def test_a_finding_is_searched_by_any_of_its_ids(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["5000"].as_uri(), 1300)
    row = made(5000).rows[4321]
    for words in (row["finding_id"], row["eval_id"].upper(), row["sample_id"]):
        tab.value(
            f"(() => {{ const one = document.querySelector('#filters input'); one.value = '{words}';"
            " one.dispatchEvent(new Event('input')) })()"
        )
        assert tab.value(SHOWN) == 1


def test_a_link_leads_to_its_finding_wherever_it_stands(tab: Tab, pages: dict[str, Path]) -> None:
    name = made(5000).rows[4321]["finding_id"]
    tab.open(pages["1"].as_uri(), 1300)  # from another page: a link into the page that is open loads nothing
    tab.open(f"{pages['5000'].as_uri()}#{name}", 1300)
    rendered(tab)
    top = f"document.getElementById('{name}').getBoundingClientRect().top"
    assert 0 <= tab.value(top) < 900
    tab.value("scrollTo(0, 0)")
    chosen(tab, "grade", "exact")
    assert not tab.value(f"document.getElementById('{name}').checkVisibility()")
    tab.value("location.hash = ''")
    tab.value(f"location.hash = '{name}'")
    rendered(tab)
    assert tab.value(f"document.getElementById('{name}').checkVisibility()")
    assert 0 <= tab.value(top) < 900


def test_parts_of_a_long_page_are_reached_from_its_navigation(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["5000"].as_uri(), 1300)
    tab.value("document.querySelector(\"nav a[href='#calibration']\").click()")
    rendered(tab)
    assert -50 < tab.value("document.getElementById('calibration').getBoundingClientRect().top") < 450


def test_text_of_the_data_runs_and_turns_nothing(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["100"].as_uri(), 1300)
    assert tab.value("document.title") == "Contamination report: leaks"
    assert tab.value("document.scripts.length") == 1
    assert tab.value("document.querySelectorAll('main').length") == 1
    assert "<script>document.title='taken over'</script>" in tab.value("document.body.innerText")


def test_the_region_that_was_matched_is_drawn_where_it_is(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["1"].as_uri(), 1300)
    seen = tab.value(
        "(() => { const of = one => { const b = one.getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height] };"
        " return [of(document.querySelector('.seen img')), of(document.querySelector('.seen rect:not(.under)'))] })()"
    )
    (left, top, width, height), region = seen
    assert region == pytest.approx([left + 0.1 * width, top + 0.2 * height, 0.7 * width, 0.7 * height], abs=1.5)


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1400, 2560])
def test_it_fits_every_width(tab: Tab, pages: dict[str, Path], width: int) -> None:
    tab.open(pages["100"].as_uri(), width)
    assert tab.value("document.documentElement.scrollWidth") <= width


def test_dark_and_light_can_both_be_read(tab: Tab, pages: dict[str, Path]) -> None:
    contrast = """(() => {
      const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => { v /= 255;
        return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126*r + 0.7152*g + 0.0722*b };
      const card = light(getComputedStyle(document.querySelector('section')).backgroundColor);
      return ['td.name', '.soft', '.finding .facts', '.side .of', '.side .text', '.verdict h2', '#shown'].map(name => {
        const ink = light(getComputedStyle(document.querySelector(name)).color);
        return (Math.max(ink, card) + 0.05) / (Math.min(ink, card) + 0.05) }) })()"""
    backgrounds = []
    for scheme in ("light", "dark"):
        tab.open(pages["1"].as_uri(), 1300, scheme=scheme)
        backgrounds.append(tab.value("getComputedStyle(document.body).backgroundColor"))
        assert min(tab.value(contrast)) >= 4.5  # WCAG 2.1, level AA
    assert backgrounds[0] != backgrounds[1]


def test_everything_can_be_reached_by_keyboard_and_has_a_name(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["100"].as_uri(), 1300)
    assert tab.value("[...document.querySelectorAll('select, input')].every(one => one.labels.length === 1)")
    assert tab.value("[...document.images].every(one => one.alt !== '')")
    assert tab.value("[...document.querySelectorAll('svg')].every(one => one.getAttribute('aria-label'))")
    assert tab.value("document.querySelectorAll('[tabindex], a:not([href])').length") == 0
    assert tab.value("document.documentElement.lang") == "en"


def test_it_prints_every_finding_and_no_controls(tab: Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["100"].as_uri(), 1000)
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.value("getComputedStyle(document.getElementById('filters')).display") == "none"
    assert tab.value("getComputedStyle(document.querySelector('.finding')).contentVisibility") == "visible"
    tab.call("Emulation.setEmulatedMedia", media="")

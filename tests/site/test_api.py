"""Names in code lead to the API pages, which are complete and lead back."""

import inspect
import pkgutil
from importlib import import_module

import jupytext
import pytest
from checks import soup
from conftest import HTML, ROOT

import pgbook

CHAPTER = "book/advantages.html"
CHAPTERS = sorted(
    path.stem for path in (ROOT / "pgbook").glob("[!_]*.py")
    if (ROOT / "book" / path.name).with_suffix(".md").exists()
)  # fmt: skip


MODULES = [module.name for module in pkgutil.walk_packages(pgbook.__path__, "pgbook.")]
SOLUTIONS = {f"pgbook.exercises.{stem}" for stem in CHAPTERS}  # are not given away


@pytest.mark.parametrize(
    "module", [name for name in MODULES if "._" not in name and name not in SOLUTIONS]
)
def test_every_public_name_has_an_entry_that_leads_on(module):
    room = module.split(".")[1]
    page = soup(HTML / f"book/api/{room}.html")
    index = soup(HTML / "book/api.html")
    for name, thing in inspect.getmembers(import_module(module)):
        public = inspect.isfunction(thing) or inspect.isclass(thing)
        if not public or name.startswith("_") or thing.__module__ != module:
            continue
        entry = page.find(id=f"{module}.{name}")
        assert entry, name
        assert entry.select_one(f'a[href$="#{name}"] .viewcode-link'), name
        assert index.select(f'a[href="api/{room}.html#{module}.{name}"]'), name


@pytest.mark.parametrize("stem", CHAPTERS)
def test_code_of_a_chapter_leads_to_the_api_and_back(stem):
    links = soup(HTML / f"book/{stem}.html").select(".highlight a.api")
    own = [a for a in links if a["href"].startswith(f"api/{stem}.html#pgbook.")]
    assert len(links) > 30 and own
    back = soup(HTML / f"book/api/{stem}.html").select(".chapters-of a")
    assert any(a["href"].startswith(f"../{stem}.html#code-{stem}-") for a in back)


def test_the_copy_button_copies_plain_code(reader, served):
    page = reader(
        f"{served}/{CHAPTER}", permissions=["clipboard-read", "clipboard-write"]
    )
    cell = page.locator(".cell_input:has(a.api)").first
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    source = jupytext.read(ROOT / "book" / "advantages.md", fmt="md:myst")
    assert copied.strip() in [c.source.strip() for c in source.cells]


def test_a_name_is_reached_once_per_cell_by_keyboard(reader, served):
    page = reader(f"{served}/{CHAPTER}")
    for block in page.locator(".highlight:has(a.api)").all()[:5]:
        targets = block.locator("a.api:not([tabindex='-1'])").evaluate_all(
            "links => links.map(link => link.href)"
        )
        assert len(targets) == len(set(targets))

"""`make lab`: a double click on a chapter opens it as a notebook with its formulas."""

import jupytext
import pytest
from conftest import ROOT
from lab_server import running_lab

BOOK = ROOT / "book"


@pytest.fixture(scope="module")
def lab():
    """The address of a running JupyterLab."""

    def command(flags):
        return ["make", "lab", f"LAB_FLAGS={' '.join(flags)}"]

    with running_lab(command, ROOT) as address:
        yield address


def open_chapter(browser, lab, name):
    """Double click a chapter; the page, and the notebook on it."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab?reset")
    files = page.locator(".jp-DirListing-item")
    files.filter(has_text="book").first.dblclick()
    files.filter(has_text=name).first.dblclick()
    notebook = page.locator(".jp-NotebookPanel .jp-Notebook")
    notebook.locator(".jp-CodeCell").first.wait_for()
    page.get_by_text("| Idle").wait_for()  # the kernel; before, cells do not run
    return page, notebook


def test_a_double_click_opens_a_chapter_as_a_notebook(browser, lab):
    page, notebook = open_chapter(browser, lab, "score_function.md")
    notebook.locator(".jp-MarkdownCell .katex").first.wait_for()
    theorem = notebook.get_by_text("Theorem").first
    theorem.wait_for(state="attached")
    assert "{prf:theorem}" not in notebook.inner_text()
    notebook.locator(".jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    notebook.get_by_text("[1]:").wait_for()
    page.close()


def test_a_slider_moves_once_its_cell_has_run(browser, lab):
    page, notebook = open_chapter(browser, lab, "baselines.md")
    sources = [cell.source for cell in jupytext.read(BOOK / "baselines.md").cells]
    moves = ["\nSlider(" in source for source in sources].index(True)
    notebook.locator(".jp-Cell").first.click()
    for _ in range(moves + 1):  # no further: what is out of sight is not there
        page.keyboard.press("Shift+Enter")
    knob, image = notebook.locator(".slider input"), notebook.locator(".slider img")
    knob.click()
    seen = []
    for key in ("Home", "ArrowRight", "Home"):
        knob.press(key)
        seen.append(image.get_attribute("alt"))
    assert seen[0] == seen[2] != seen[1]
    page.close()

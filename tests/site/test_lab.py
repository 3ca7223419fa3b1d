"""`make lab`: a double click on a chapter opens it as a notebook with its formulas."""

import pytest
from conftest import ROOT
from lab_server import running_lab


@pytest.fixture(scope="module")
def lab():
    """The address of a running JupyterLab."""

    def command(flags):
        return ["make", "lab", f"LAB_FLAGS={' '.join(flags)}"]

    with running_lab(command, ROOT) as address:
        yield address


def test_a_double_click_opens_a_chapter_as_a_notebook(browser, lab):
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab?reset")
    files = page.locator(".jp-DirListing-item")
    files.filter(has_text="book").first.dblclick()
    files.filter(has_text="score_function.md").first.dblclick()
    notebook = page.locator(".jp-NotebookPanel .jp-Notebook")
    notebook.locator(".jp-CodeCell").first.wait_for()
    notebook.locator(".jp-MarkdownCell .katex").first.wait_for()
    theorem = notebook.get_by_text("Theorem").first
    theorem.wait_for(state="attached")
    assert "{prf:theorem}" not in notebook.inner_text()
    notebook.locator(".jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    notebook.get_by_text("[1]:").wait_for()
    page.close()

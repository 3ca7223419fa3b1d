"""What a reader sees in the JupyterLab of Binder, and in one without extensions."""

import os
import shutil
from pathlib import Path

import pytest
from browsers import browser  # noqa: F401
from lab_server import running_lab

ROOT = Path(__file__).parents[2]
FRESH = Path(os.environ.get("FRESH", ROOT / ".venv" / "fresh"))
DOWNLOAD = ROOT / "_build" / "html" / "book" / "score_function.ipynb"
BINDER = Path(os.environ.get("BINDER", ROOT / ".venv" / "binder"))


@pytest.fixture
def lab(request, tmp_path):
    """The address of the JupyterLab of an environment, beside a copy of a page.

    A copy, since JupyterLab saves what it has opened.
    """
    environment, page = request.param
    shutil.copy(page, tmp_path)

    def command(flags):
        return [str(environment / "bin" / "jupyter"), "lab", *flags]

    clean = {"PYTHONPATH": "", "IPYTHONDIR": str(tmp_path), "JUPYTER_CONFIG_PATH": ""}
    clean["PATH"] = f"{environment / 'bin'}:{os.environ['PATH']}"
    with running_lab(command, tmp_path, **clean) as address:
        yield f"{address}/lab/tree/{page.name}?reset"  # no notebook of an earlier visit


def opened(browser, address):  # noqa: F811
    """The notebook at an address, with its first formula."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(address)
    notebook = page.locator(".jp-NotebookPanel .jp-Notebook")
    notebook.locator(".jp-CodeCell").first.wait_for()
    page.get_by_text("| Idle").wait_for()  # the kernel; before, cells do not run
    return page, notebook


@pytest.mark.parametrize(
    "lab", [(BINDER, ROOT / "book/score_function.md")], indirect=True
)
def test_binder_opens_a_chapter_as_a_notebook(browser, lab):  # noqa: F811
    page, notebook = opened(browser, lab)
    notebook.locator(".jp-MarkdownCell .katex").first.wait_for()
    notebook.locator(".jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    notebook.get_by_text("[1]:").wait_for()
    page.close()


@pytest.mark.parametrize("lab", [(FRESH, DOWNLOAD)], indirect=True)
def test_a_download_reads_well_without_extensions(browser, lab):  # noqa: F811
    page, notebook = opened(browser, lab)
    notebook.locator(".jp-MarkdownCell mjx-container").first.wait_for()
    page.wait_for_timeout(2000)
    assert notebook.locator("mjx-merror").count() == 0
    text = notebook.locator(".jp-RenderedMarkdown").all_inner_texts()
    assert "$" not in "".join(text)
    page.close()

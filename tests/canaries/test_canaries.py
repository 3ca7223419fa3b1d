"""The gates can fail: each change to a small book turns its gate red."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERIFY = 'verify("eq-coin", mean, p, by="enumeration")\n'
REFUTE = 'refute("not-coin", mean_square, p**2)\n'
RECORD = '{"label": "eq-coin", "mark": "✓", "by": "enumeration", "text": ""}'
NBVAL = ["--nbval", "--nbval-current-env", "-p", "no:xdist"]


def run(*command, cwd=ROOT, **environment):
    """Run a command to its end, with what it printed as one text."""
    with tempfile.TemporaryFile("w+") as printed:
        status = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            timeout=240,
        ).returncode
        printed.seek(0)
        return status, printed.read()


@pytest.fixture
def book(tmp_path):
    """A copy of the small book, beside what the build needs."""
    shutil.copytree(HERE / "book", tmp_path / "book")
    shutil.copy(HERE / "_toc.yml", tmp_path)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    for name in ("_ext", "_static", "_templates"):
        (tmp_path / "book" / name).symlink_to(ROOT / "book" / name)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    return tmp_path


def change(book, old, new):
    """Change the page of the coin."""
    page = book / "book" / "coin.md"
    text = page.read_text("utf8")
    assert old in text
    page.write_text(text.replace(old, new), "utf8")


def build(book):
    """Build it as `make book` does."""
    return run(
        *("jupyter-book", "build", ".", "-n", "-W", "--keep-going", "-q"), cwd=book
    )


def test_the_small_book_is_green(book):
    status, printed = build(book)
    assert status == 0, printed
    assert "verify-eq-coin" in (book / "_build/html/book/coin.html").read_text("utf8")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"eq-coin", mean', '"eq-coin", mean + 1e-9', "AssertionError"),
        ("p**2)\n", "p)\n", "not refuted"),
        (VERIFY, "", "eq-coin is not verified"),
        (REFUTE, "", "not-coin is not refuted"),
        ("(eq-coin)\n\n$$", "(eq-dice)\n\n$$", "names 'eq-coin', which is no claim"),
        ("$$ (eq-coin)", "$$", "displayed equation without a label"),
        ("$$ (eq-coin)", "$$ (coin)", "displayed equation without a label"),
        ("print(f", "%no_such_magic\nprint(f", "no_such_magic"),
        ("print(f", "undefined_name\nprint(f", "undefined_name"),
        ("{eq}`eq-coin`", "{eq}`eq-toss`", "eq-toss"),
        ("By {eq}", "{glue:text}`heads` {eq}", "heads"),
        ("By {eq}", "{verified}`" + RECORD + "` {eq}", "is for `verify` alone"),
    ],
)  # fmt: skip
def test_the_build_turns_red(book, old, new, message):
    change(book, old, new)
    status, printed = build(book)
    assert status != 0
    assert message in printed, printed


def test_an_unknown_macro_is_found_in_the_page(book):
    sys.path.insert(0, str(ROOT / "tests" / "site"))
    from checks import bad_formulas

    change(book, r"\mathbb{E}[x] =", r"\expectation{x} =")
    build(book)
    assert bad_formulas(book / "_build/html/book/coin.html") != []


@pytest.fixture
def references(book):
    """The small book with the reference of its only chapter."""
    folders = {
        "PGBOOK_BOOK": str(book / "book"),
        "PGBOOK_REFERENCES": str(book / "references"),
    }
    script = ROOT / "tests" / "notebooks" / "references.py"
    status, printed = run(sys.executable, str(script), **folders)
    assert status == 0, printed

    def notebooks():
        tests = str(book / "references")
        plugin = ["-p", "conftest", "--rootdir", str(book), "-c", os.devnull]
        folders["PYTHONPATH"] = str(ROOT / "tests" / "notebooks")
        return run(sys.executable, "-m", "pytest", *NBVAL, *plugin, tests, **folders)

    return book / "references" / "coin.json", notebooks


def test_nbval_is_green_on_its_own_reference(references):
    status, printed = references[1]()
    assert status == 0, printed
    assert "1 passed" in printed


def test_nbval_turns_red_on_a_changed_digit(references):
    reference, notebooks = references
    text = reference.read_text("utf8")
    assert "0.25" in text
    reference.write_text(text.replace("0.25", "0.26"), "utf8")
    status, printed = notebooks()
    assert status == 1 and "0.26" in printed


def test_nbval_turns_red_on_a_cell_that_prints_more(references):
    reference, notebooks = references
    text = reference.read_text("utf8")
    reference.write_text(text.replace("probability of heads: 0.25\\n", ""), "utf8")
    assert notebooks()[0] == 1


def test_nbval_turns_red_on_a_changed_cell(book, references):
    change(book, "p = 0.25", "p = 0.5")
    status, printed = references[1]()
    assert status not in (0, 5) and "code cell 1 has changed" in printed


def test_nbval_turns_red_on_a_missing_reference(references):
    reference, notebooks = references
    reference.unlink()
    status, printed = notebooks()
    assert status not in (0, 5) and "no reference" in printed


def test_nbval_turns_red_on_an_unused_reference(references):
    reference, notebooks = references
    shutil.copy(reference, reference.with_name("dice.json"))
    status, printed = notebooks()
    assert status not in (0, 5) and "unused" in printed


def links(book):
    """Where the page of the coin leads, by the text of the link."""
    page = BeautifulSoup(
        (book / "_build/html/book/coin.html").read_text("utf8"), "html.parser"
    )
    return {link.text.strip(): link["href"] for link in page.select("a[href]")}


def test_the_launch_buttons_lead_to_files_that_exist(book):
    config = book / "_config.yml"
    text = config.read_text("utf8")
    assert 'url: ""' in text and 'baseurl: ""' in text
    text = text.replace('baseurl: ""', "baseurl: https://owner.github.io/name/")
    config.write_text(text.replace(' url: ""', " url: https://github.com/owner/name"))
    status, printed = build(book)
    assert status == 0, printed
    found = links(book)
    binder, _, source = found["Binder"].partition("?urlpath=lab/tree/")
    assert binder == "https://mybinder.org/v2/gh/owner/name/main"
    assert (book / source).is_file()
    colab, _, notebook = found["Colab"].partition("/blob/gh-pages/")
    assert colab == "https://colab.research.google.com/github/owner/name"
    assert notebook == f"book/{found['.ipynb']}"
    text = (book / "_build" / "html" / notebook).read_text("utf8")
    assert "git clone --quiet --depth 1 https://github.com/owner/name" in text
    assert "[*Policy Gradients, Executed*](https://owner.github.io/name/)" in text


def test_a_repository_that_binder_and_colab_cannot_read_stops_the_build(book):
    config = book / "_config.yml"
    text = config.read_text("utf8")
    config.write_text(text.replace(' url: ""', " url: https://gitlab.com/owner/name"))
    status, printed = build(book)
    assert status != 0 and "read from GitHub" in printed

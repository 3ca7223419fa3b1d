"""Pages without a number count by a letter, which no two of them share."""

from types import SimpleNamespace

import pytest
from letters import number_by_letters
from sphinx.errors import ExtensionError


def numbered(**pages):
    """The numbers of an environment, after a pass; `returns` is chapter 6."""
    fignumbers = {f"book/{page}": kinds for page, kinds in pages.items()}
    secnumbers = {"book/returns": {"": (6,)}}
    env = SimpleNamespace(toc_fignumbers=fignumbers, toc_secnumbers=secnumbers)
    number_by_letters(None, env)
    return fignumbers


def test_equations_of_a_page_without_a_number_count_by_its_letter():
    kinds = {"displaymath": {"eq-a": (1,), "eq-b": (2,)}, "figure": {"fig": (1,)}}
    found = numbered(prerequisites=kinds)["book/prerequisites"]
    assert found["displaymath"] == {"eq-a": ("P", 1), "eq-b": ("P", 2)}
    assert found["figure"] == {"fig": ("P", 1)}


def test_a_chapter_keeps_its_numbers_and_a_page_may_have_none():
    kinds = {"displaymath": {"eq-a": (6, 1)}}
    found = numbered(returns=kinds, reproducing={"figure": {}}, references={})
    assert found["book/returns"] == {"displaymath": {"eq-a": (6, 1)}}


def test_two_pages_with_one_letter_are_refused():
    kinds = {"figure": {"fig": (1,)}}
    with pytest.raises(ExtensionError, match="book/paths, book/prerequisites"):
        numbered(paths=kinds, prerequisites=kinds)

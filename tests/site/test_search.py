"""A search shows first where a term is defined, or a subject has its section."""

import pytest
from checks import open_page
from conftest import HTML

FIRST = {
    "GAE": ("advantages", "From n steps to all of them"),
    "log-derivative": ("score_function", "The log-derivative trick"),
    "log-derivative trick": ("score_function", "The log-derivative trick"),
    "baseline": ("baselines", None),
    "reward-to-go": ("returns", "Reward-to-go"),
    "natural gradient": ("natural_gradient", None),
    "explained variance": ("ppo", None),
    "V-trace": ("off_policy", None),
    "performance difference lemma": ("trust_region", None),
    "importance sampling": ("off_policy", None),
    "truncation": ("advantages", None),
}


@pytest.fixture(scope="module")
def results(browser):
    """The results of a search in their order: address and title."""
    page = open_page(browser, HTML / "search.html")

    def search(query):
        found = page.evaluate(
            "q => Search._performSearch(...Search._parseQuery(q))", query
        )
        return [(f"{r[0]}{r[2]}", r[1]) for r in reversed(found)]

    page.wait_for_function("() => Search.hasIndex()")
    yield search
    page.close()


@pytest.mark.parametrize("query", FIRST)
def test_the_right_section_comes_first(results, query):
    stem, section = FIRST[query]
    address, title = results(query)[0]
    assert address.startswith(f"book/{stem}#")
    assert section is None or title.endswith(f"> {section}")


def test_other_words_are_found_as_before(results):
    assert any("ppo" in address for address, _ in results("minibatch"))
    assert results("xylophone") == []

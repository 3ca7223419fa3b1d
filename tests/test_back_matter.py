"""The cheat sheet and the timeline agree with the package and the bibliography."""

import importlib
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[1] / "book"
CHEAT_SHEET = (BOOK / "cheat_sheet.md").read_text("utf8")
TIMELINE = (BOOK / "timeline.md").read_text("utf8")
YEARS = dict(
    re.findall(
        r"^@\w+\{(\w+),.*?^  year = \{(\d{4})\}",
        (BOOK / "references.bib").read_text("utf8"),
        flags=re.S | re.M,
    )
)
ENTRIES = re.findall(r"^\*\*(\d{4})\*\*\n((?:: .*\n)+)", TIMELINE, flags=re.M)


@pytest.mark.parametrize("name", re.findall(r"\{func\}`~([\w.]+)`", CHEAT_SHEET))
def test_each_function_of_the_cheat_sheet_exists(name):
    module, function = name.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), function))


def test_each_bias_of_the_cheat_sheet_names_its_equation():
    weights, steps = (
        [line.split(" | ") for line in table.splitlines() if "{func}" in line]
        for table in CHEAT_SHEET.split(":::{table} Steps")
    )
    assert len(weights) > 10 and len(steps) > 4
    for row in weights + steps:
        assert "{eq}" in row[2], row[0]


@pytest.mark.parametrize("year, lines", ENTRIES, ids=[year for year, _ in ENTRIES])
def test_each_line_of_the_timeline_cites_a_work_of_its_year(year, lines):
    for line in lines.splitlines():
        cited = re.findall(r"\{cite:t\}`(\w+)`", line)
        assert cited and YEARS[cited[0]] == year


def test_each_section_of_the_timeline_is_in_order():
    for section in TIMELINE.split("\n## ")[1:]:
        years = re.findall(r"^\*\*(\d{4})\*\*$", section, flags=re.M)
        assert years and years == sorted(years)

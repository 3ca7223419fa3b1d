"""The ways through the book lead where they say: map, paths, glossary and index."""

import re
from random import Random

import chapter_map
import index_entries
import outline
import pytest

SIDE = ("off_policy", "gaussian_policies", "entropy")


def path_steps() -> list[str]:
    """What each line of a path names."""
    tables = re.findall(
        r"^```\{path\}\n(.*?)^```", outline.source("paths"), outline.BLOCKS
    )
    return [
        line.partition("|")[0].strip()
        for table in tables
        for line in table.splitlines()
    ]


def test_no_chapter_needs_a_later_one():
    order = outline.pages()
    for stem in order:
        assert all(order.index(one) < order.index(stem) for one in outline.needs(stem))
        assert stem not in outline.rests_on(stem)


@pytest.mark.parametrize("stem", outline.chapters())
def test_what_a_chapter_needs_is_what_it_says_and_imports(stem):
    line = re.search(r"^\*\*You need\*\*(.*)$", outline.source(stem), re.M)[1]
    for label in re.findall(r"\{(?:ref|eq)\}`([\w-]+)`", line):
        page = next(
            other
            for other in outline.pages()
            if re.search(rf"^(\$\$ )?\({label}\)=?$", outline.source(other), re.M)
        )
        assert page in outline.needs(stem)
    module = (outline.ROOT / "pgbook" / f"{stem}.py").read_text("utf8")
    for other in re.findall(r"^from pgbook\.(\w+) import", module, re.M):
        assert other in outline.needs(stem) or other not in outline.chapters()


def test_lines_of_the_map_imply_all_needs_and_none_twice():
    rows = outline.pages()
    edges = set(chapter_map.edges(rows))

    def reached(end, without=None):
        starts = {a for a, b in edges - {without} if b == end}
        return starts.union(*(reached(start, without) for start in starts))

    for row in rows:
        assert reached(row) == outline.rests_on(row)
    for start, end in edges:
        assert start not in reached(end, without=(start, end))


def lines_over_chapters(rows: list[str]) -> list[tuple[str, str]]:
    """Lines that run through a chapter between their ends."""
    lane = chapter_map.lanes(rows)
    return [
        (start, end)
        for start, end in chapter_map.edges(rows)
        for row in rows[rows.index(start) + 1 : rows.index(end)]
        if lane[row] == (lane[end] or lane[start])
    ]


def test_no_line_of_the_map_runs_over_another_chapter():
    assert lines_over_chapters(outline.pages()) == []


@pytest.mark.parametrize("seed", range(50))
def test_nor_does_one_on_the_map_of_another_book(monkeypatch, seed):
    draw = Random(seed)
    rows = [f"chapter {k}" for k in range(draw.randint(2, 14))]
    share = draw.choice([0.1, 0.3, 0.5])
    needs = {
        row: {one for one in rows[:k] if draw.random() < share}
        for k, row in enumerate(rows)
    }
    monkeypatch.setattr(outline, "needs", needs.get)
    monkeypatch.setattr(outline, "rests_on", outline.rests_on.__wrapped__)
    assert lines_over_chapters(rows) == []


def test_chapters_that_the_short_course_leaves_out_carry_no_other():
    for stem in outline.chapters():
        assert not set(SIDE) & outline.needs(stem)
    short = outline.source("paths").split("with eight weeks")[1].splitlines()[0]
    assert re.findall(r"<ch-([\w-]+)>", short) == [s.replace("_", "-") for s in SIDE]


def test_steps_of_the_paths_exist_and_take_time():
    for step in path_steps():
        if step.startswith("ex-"):
            assert outline.exercises()[step].minutes > 0
        else:
            stem, _, heading = step.partition(": ")
            assert stem in outline.pages()
            assert outline.reading_minutes(stem, heading or None) > 0


def test_the_course_reads_every_chapter_once_and_in_order():
    course = outline.source("paths").split("(course)=")[1]
    steps = re.findall(r"^(\w+) \|", course, re.M)
    assert steps == outline.chapters()
    assert len(re.findall(r"^### Week \d+\.", course, re.M)) == 10


def test_the_course_sets_exercises_of_the_week():
    course = outline.source("paths").split("(course)=")[1]
    for week in course.split("### ")[1:]:
        read = re.findall(r"^(\w+)(?:: .*)? \|", week, re.M)
        for label in re.findall(r"^(ex-[\w-]+) \|", week, re.M):
            assert outline.exercises()[label].chapter in read


def test_every_exercise_is_found_with_its_minutes():
    starts = sum(
        outline.source(s).count("{exercise-start}") for s in outline.chapters()
    )
    assert len(outline.exercises()) == starts


def test_minutes_count_words_displays_and_cells_but_no_proofs():
    words = "word " * 400
    assert outline.minutes(words) == 2
    assert outline.minutes(f"{words}\n$$\nx\n$$ (def-x)\n") == 3
    assert outline.minutes(f"{words}\n```{{code-cell}} ipython3\nx = 1\n```\n") == 2.5
    assert outline.minutes(f"{words}\n```{{prf:proof}}\n{words}\n```\n") == 2


def test_every_word_that_a_chapter_defines_is_in_the_glossary():
    explained = {word for words in outline.glossary().values() for word in words}
    for stem in outline.pages():
        assert set(outline.definitions(stem)) - explained == set()


def test_a_word_is_defined_in_a_sentence_not_in_a_table_or_a_heading(monkeypatch):
    page = """
A **new word** is defined.

| **1/2** | **sum** |

**A paragraph with a heading.**

```{code-cell} ipython3
x = [2**n for n in range(3)] + [3**2]
```
"""
    monkeypatch.setattr(outline, "source", lambda stem: page)
    assert outline.definitions.__wrapped__("objective") == ["new word"]


def test_every_entry_of_the_glossary_leads_to_a_definition():
    defined = {word for stem in outline.pages() for word in outline.definitions(stem)}
    for words in outline.glossary().values():
        assert set(words) <= defined
    body = outline.source("glossary").split(":sorted:\n\n")[1].rsplit(":::", 1)[0]
    for entry in body.strip().split("\n\n"):
        assert re.search(r"\{(?:defined|ref|prf:ref)\}`", entry), entry
        assert entry.count("\n  ") == 1, f"more than a sentence: {entry}"


def test_bold_words_that_are_no_definitions_are_still_there():
    for stem, words in outline.EMPHASIS.items():
        text = "".join(map(outline.source, [stem] if stem else outline.chapters()))
        assert all(f"**{word}**" in text.replace("$", "") for word in words)


def test_subjects_of_the_index_point_to_sections():
    subjects = index_entries.subjects()
    lines = (outline.ROOT / "genindex.md").read_text("utf8").splitlines()
    assert len(subjects) == sum(" = " in line for line in lines) > 50
    assert subjects == sorted(subjects, key=lambda found: found[0].lower())
    for _, stem, heading in subjects:
        assert heading in outline.sections(stem)


def test_authors_are_written_as_people_write_them():
    names = {name for names in index_entries.authors().values() for name in names}
    assert not [name for name in names if re.search(r"[{}\\]", name)]
    assert {"Araújo, João G. M.", "Williams, Ronald J."} <= names

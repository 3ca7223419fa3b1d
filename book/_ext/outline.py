"""What the sources of the book say about its chapters, read without building it.

The map, the reading paths, the index and the tests of the sources rest on this.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORDS_PER_MINUTE, MINUTES_PER_DISPLAY, MINUTES_PER_CELL = 200, 1, 0.5
LEFT_OUT = ("Exercises", "Further reading")
EMPHASIS = {  # bold words that are not defined there, by page
    "": {"You need", "Inputs"},
    "score_function": {"baselines"},
    "trajectory_probability": {"ice", "vanish", "the running product never becomes 0"},
    "returns": {"objective", "reduces variance"},
    "actor_critic": {"critic", "fillers"},
    "off_policy": {r"its variance stays bounded if \gamma^2 \Lambda < 1"},
    "gaussian_policies": {
        "store the draw, and let the world clip it",
        "the policy gradient does not need it",
    },
    "trust_region": {"The direction of the divergence"},
    "ppo": {"entropy", "KL"},
}

NOT_PROSE = (
    r"\A---\n.*?\n---\n",  # front matter
    r"^(`{3,}|:{3,})\{(?:code-cell|literalinclude|figure)\}.*?^\1$",
    r"^```(?:python|bash|bibtex)\n.*?^```$",
    r"\$\$.*?\$\$(?: \([\w-]+\))?",
    r"\$[^$]*\$",
    r"\{[\w:-]+\}`[^`]*`|`[^`]*`",
    r"^:[\w-]+:.*$|^[`:]{3,}.*$|^\(.*\)=$",
    r"\]\([^)]*\)|<[^>]*>",
)
CELL = r"^(`{3,})\{code-cell\}.*?^\1$"
PROOF = r"^(`{3,})\{prf:proof\}.*?^\1$"
BLOCKS = re.S | re.M
EXERCISE = re.compile(
    r"\{exercise-start\} (?P<title>.*)\n:label: (?P<label>\S+)\n"
    r"(?:.*\n)*?```\n\*(?P<kind>.*?), (?P<minutes>\d+) minutes(?:, (?P<level>\w+))?\.\*"
)


@dataclass(frozen=True)
class Exercise:
    """An exercise as its first line describes it."""

    chapter: str
    title: str
    kind: str
    minutes: int


@cache
def source(stem: str) -> str:
    """The text of a page."""
    return (ROOT / "book" / f"{stem}.md").read_text("utf8")


def parts() -> dict[str, list[str]]:
    """The parts of the book by their captions, each with the stems of its chapters."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    return {
        part["caption"]: [Path(chapter["file"]).stem for chapter in part["chapters"]]
        for part in contents["parts"]
        if part["caption"].startswith("Part ")
    }


def chapters() -> list[str]:
    """Stems of the chapters, in the order of the book."""
    return [stem for stems in parts().values() for stem in stems]


def pages() -> list[str]:
    """The chapters, and before them the page of what one needs to know."""
    return ["prerequisites", *chapters()]


def is_page(docname: str) -> bool:
    """Whether a document is one of these pages, and not the API page of its module."""
    return docname in {f"book/{stem}" for stem in pages()}


def title(stem: str) -> str:
    """The title of a page."""
    return re.search(r"^# (.*)$", source(stem), re.M)[1]


def prose(text: str) -> str:
    """A text without front matter, code, formulas and options of directives."""
    for pattern in NOT_PROSE:
        text = re.sub(pattern, " ", text, flags=BLOCKS if ".*?" in pattern else re.M)
    return text


def imported(path: Path) -> set[str]:
    """The rooms of the package that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("pgbook.")}


@cache
def homes() -> dict[str, str]:
    """Labels of chapters and equations, each with the stem of its page."""
    label = re.compile(r"^\((ch-[\w-]+)\)=$|^\$\$ \(([\w-]+)\)$", re.M)
    return {
        found[1] or found[2]: stem
        for stem in pages()
        for found in label.finditer(source(stem))
    }


def stated_needs(stem: str) -> set[str]:
    """The pages to which the line "You need" of a chapter points."""
    line = re.search(r"^\*\*You need\*\*.*$", source(stem), re.M)
    labels = re.findall(r"\{(?:ref|eq)\}`([\w-]+)`", line[0] if line else "")
    return {homes()[label] for label in labels}


def needs(stem: str) -> set[str]:
    """What a chapter needs: as it says, and as its module imports."""
    if stem not in chapters():
        return set()
    module = ROOT / "pgbook" / f"{stem}.py"
    return stated_needs(stem) | imported(module) & set(chapters())


@cache
def rests_on(stem: str) -> frozenset[str]:
    """Everything that a chapter needs, directly or through others."""
    direct = needs(stem)
    return frozenset(direct).union(*(rests_on(other) for other in direct))


def nearest(stem: str) -> set[str]:
    """What a chapter needs and no other of its needs brings along."""
    direct = needs(stem)
    return {one for one in direct if not any(one in rests_on(it) for it in direct)}


def sections(stem: str) -> dict[str, str]:
    """Texts of the sections of a chapter by their headings; "" is the opening."""
    pieces = re.split(r"^## (.*)$", source(stem), flags=re.M)
    return dict(zip(["", *pieces[1::2]], pieces[::2], strict=True))


def minutes(text: str) -> float:
    """How long a text takes to read, proofs and solutions not counted."""
    text = re.sub(PROOF, "", text, flags=BLOCKS)
    cells = len(re.findall(CELL, text, flags=BLOCKS))
    displays = len(re.findall(r"^\$\$ \([\w-]+\)$", text, flags=re.M))
    words = len(prose(text).split())
    return (
        words / WORDS_PER_MINUTE
        + MINUTES_PER_DISPLAY * displays
        + MINUTES_PER_CELL * cells
    )


def reading_minutes(stem: str, section: str | None = None) -> int:
    """Minutes for a section, or for a chapter without its exercises."""
    texts = sections(stem)
    if section is not None:
        return ceil(minutes(texts[section]))
    return ceil(sum(minutes(texts[name]) for name in texts if name not in LEFT_OUT))


@cache
def exercises() -> dict[str, Exercise]:
    """The exercises of the book by their labels, in the order of the book."""
    return {
        found["label"]: Exercise(
            stem,
            found["title"],
            found["kind"] + (f", {found['level']}" if found["level"] else ""),
            int(found["minutes"]),
        )
        for stem in chapters()
        for found in EXERCISE.finditer(source(stem))
    }


@cache
def definitions(stem: str) -> list[str]:
    """The words that a page sets in bold in a sentence, as it does to define them."""
    text = re.sub(CELL, "", source(stem), flags=BLOCKS)
    text = re.sub(r"^\|.*$", "", text, flags=re.M)
    bold = re.findall(r"(?<![*\w])\*\*(?! )([^*\n]+?)\*\*", text)
    words = dict.fromkeys(found.replace("$", "") for found in bold)
    emphasis = EMPHASIS[""] | EMPHASIS.get(stem, set())
    return [word for word in words if word[-1] not in ".?:" and word not in emphasis]


@cache
def glossary_entries() -> list[list[str]]:
    """The lines of each entry of the glossary: its names, and indented what it says."""
    body = re.search(r"\{glossary\}\n:sorted:\n(.*?)^:::$", source("glossary"), BLOCKS)
    return [entry.split("\n") for entry in body[1].strip().split("\n\n")]


def glossary() -> dict[str, list[str]]:
    """The terms of the glossary, each with the bold words that its entry points to."""
    return {
        entry[0]: re.findall(r"\{defined\}`([^`]+)`", entry[-1])
        for entry in glossary_entries()
    }


def names(term: str) -> list[str]:
    """What a term of the glossary is called: the term, and its other names."""
    (entry,) = [lines for lines in glossary_entries() if lines[0] == term]
    return [line for line in entry if not line.startswith(" ")]

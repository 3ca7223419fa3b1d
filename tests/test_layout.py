"""The house is as its plan says: three stems, one direction of imports, no flags."""

import ast
from pathlib import Path

import pytest
from outline import chapters, imported

import pgbook

ROOT = Path(__file__).parents[1]
ROOMS = {
    "mdp",
    "environments",
    "policies",
    "trajectories",
    "verification",
    "reporting",
    "statistics",
    "experiments",
    "plotting",
    "slider",
    "_checks",
}
EXERCISES = "exercises"


def modules() -> list[Path]:
    """The files of the package."""
    return sorted((ROOT / "pgbook").rglob("*.py"))


def name_of(path: Path) -> str:
    """The room that a file belongs to."""
    return path.relative_to(ROOT / "pgbook").parts[0].removesuffix(".py")


def test_each_chapter_has_a_module_and_a_test():
    for stem in chapters():
        for path in (f"book/{stem}.md", f"pgbook/{stem}.py", f"tests/test_{stem}.py"):
            assert (ROOT / path).exists(), f"missing: {path}"


def test_each_module_is_a_room_or_a_chapter():
    names = {name_of(path) for path in modules()} - {"__init__"}
    assert names - ROOMS - {EXERCISES} == set(chapters())


def test_each_module_of_exercises_belongs_to_a_chapter():
    names = {path.stem for path in (ROOT / "pgbook" / EXERCISES).glob("*.py")}
    assert names - {"__init__", "exercise"} <= set(chapters())


def test_each_room_has_a_test():
    for room in ROOMS - {"_checks", "reporting"} | {EXERCISES}:
        assert (ROOT / f"tests/test_{room}.py").exists(), f"missing: test of {room}"


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_point_to_rooms_and_earlier_chapters(path):
    order, own = chapters(), name_of(path)
    allowed = ROOMS | {own}
    if own in order:
        allowed |= set(order[: order.index(own)])
    if own == EXERCISES:
        allowed |= set(order)
    assert imported(path) <= allowed


def test_the_map_of_the_house_lists_every_room_in_order():
    listed = [
        line.split()[0]
        for line in pgbook.__doc__.splitlines()
        if line.startswith("    ") and not line.startswith("     ")
    ]
    rooms, order = listed[: -len(chapters()) - 1], listed[-len(chapters()) - 1 :]
    assert set(rooms) == ROOMS - {"_checks"}
    assert order == [*chapters(), EXERCISES]


def test_init_exports_nothing():
    tree = ast.parse((ROOT / "pgbook" / "__init__.py").read_text("utf8"))
    assert len(tree.body) == 1


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_modules_and_functions_are_short(path):
    text = path.read_text("utf8")
    tree = ast.parse(text)
    code = {node.lineno for node in ast.walk(tree) if hasattr(node, "lineno")}
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    strings = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node)
    ]
    for string in strings:
        code -= set(range(string.lineno, string.end_lineno + 1))
    assert len(code) <= 200, f"{len(code)} lines of code"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.body[0].lineno + 1
            if ast.get_docstring(node):
                length -= node.body[0].end_lineno - node.body[0].lineno + 1
            assert length <= 30, f"{node.name} has {length} lines"

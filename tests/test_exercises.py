"""`check` says what is wrong, and exercises agree with their pages."""

import ast
import inspect
import re

import jupytext
import pytest
import torch
from test_layout import ROOT, chapters

from pgbook.exercises import EXERCISES, check
from pgbook.exercises.exercise import Exercise, fault

MODULES = ROOT / "pgbook" / "exercises"
CHECKED = [stem for stem in chapters() if (MODULES / f"{stem}.py").exists()]
PAGES = {stem: (ROOT / "book" / f"{stem}.md").read_text("utf8") for stem in chapters()}
BOX = r"^```\{exercise-start\}.*?\n:label: (\S+)\n.*?^```\n(.*?)^```\{exercise-end\}"
BLOCK = r"^```python\n(.*?)^```$"

of_exercises = pytest.mark.parametrize(
    "exercise", EXERCISES.values(), ids=lambda exercise: exercise.label
)
of_checked = pytest.mark.parametrize("stem", CHECKED)
of_mistakes = pytest.mark.parametrize(
    ("exercise", "message"),
    [(exercise, text) for exercise in EXERCISES.values() for text in exercise.mistakes],
    ids=lambda value: getattr(value, "label", None) or value[:40],
)


def boxes(stem: str) -> dict[str, str]:
    """The exercises of a chapter, by label."""
    return dict(re.findall(BOX, PAGES[stem], flags=re.S | re.M))


def asks_for_a_function(text: str) -> bool:
    """Whether an exercise is to be coded, and has one right answer."""
    kind = text.split("*")[1]
    return bool(re.search(r"\bcode\b", kind, flags=re.I)) and "open" not in kind


def doubled(x, factor):
    return factor * x


@pytest.fixture
def exercise():
    """Two cases, one mistake."""
    numbers = torch.tensor([1.0, 2.0], dtype=torch.float64)
    found = Exercise("ex-x", doubled, {"one": (numbers, 1.0), "two": (numbers, 2.0)})
    found.mistake("You add.")(lambda x, factor: x + factor)
    return found


@of_exercises
def test_the_solution_is_right(exercise):
    answer = check(exercise.label, exercise.solution)
    assert answer.right, answer
    assert repr(answer).startswith(f"{exercise.label} ✓ right on ")


@of_mistakes
def test_each_mistake_gets_its_own_message(exercise, message):
    answer = check(exercise.label, exercise.mistakes[message])
    assert not answer.right
    assert answer.text == message


def test_messages_are_sentences_and_differ():
    messages = [text for exercise in EXERCISES.values() for text in exercise.mistakes]
    assert len(set(messages)) == len(messages)
    assert [m for m in messages if not re.fullmatch(r"[A-Z].*[.?]", m)] == []


@of_exercises
def test_there_are_cases_to_tell_apart_and_mistakes_to_tell(exercise):
    assert 2 <= len(exercise.cases) <= 6
    assert "," not in "".join(exercise.cases)
    assert len(exercise.mistakes) >= 3
    for function in exercise.mistakes.values():
        parameters = inspect.signature(function).parameters
        assert list(parameters) == list(inspect.signature(exercise.solution).parameters)


@of_exercises
def test_no_solution_and_no_mistake_is_mistaken_for_a_general_fault(exercise):
    def raises(*arguments):
        raise IndexError("too far")

    for function, found in (
        (raises, "raises an error"),
        (lambda *arguments: None, "nothing"),
        (lambda *arguments: torch.zeros(7, 7, 7), "shape [7, 7, 7]"),
        (lambda: 0.0, "TypeError"),
    ):
        answer = check(exercise.label, function)
        assert not answer.right
        assert found in answer.text


@of_checked
def test_every_coding_exercise_of_a_checked_chapter_has_a_check(stem):
    asked = {label for label, text in boxes(stem).items() if asks_for_a_function(text)}
    module = f"pgbook.exercises.{stem}"
    found = {e.label for e in EXERCISES.values() if e.solution.__module__ == module}
    assert asked == found


@of_checked
def test_the_page_states_the_function_and_its_check(stem):
    for label, text in boxes(stem).items():
        if label in EXERCISES:
            (block,) = re.findall(BLOCK, text, flags=re.S | re.M)
            function, call = ast.parse(block).body
            solution = EXERCISES[label].solution
            arguments = [argument.arg for argument in function.args.args]
            assert function.name == solution.__name__
            assert arguments == list(inspect.signature(solution).parameters)
            assert len(ast.get_docstring(function)) > 20
            assert ast.unparse(call) == f"check({label!r}, {function.name})"


@of_checked
def test_the_solution_on_the_page_is_checked_in_sight(stem):
    notebook = jupytext.reads(PAGES[stem], fmt="md:myst")
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for label in set(boxes(stem)) & set(EXERCISES):
        call = f'check("{label}", {EXERCISES[label].name})'
        (source,) = [source for source in sources if call in source]
        assert f"def {EXERCISES[label].name}(" in source


@of_checked
def test_hints_come_before_solutions(stem):
    for label, text in boxes(stem).items():
        if label in EXERCISES:
            assert re.search(r"^:::\{hint\}\n:class: dropdown\n", text, flags=re.M)


@of_mistakes
def test_equations_in_messages_exist(exercise, message):
    stem = exercise.solution.__module__.split(".")[-1]
    for label in re.findall(r"\b(?:eq|def|not)-[a-z-]+", message):
        assert f"$$ ({label})" in PAGES[stem], label


def test_a_wrong_label_gets_the_nearest(exercise):
    label = next(iter(EXERCISES))
    answer = check(f"{label}s", doubled)
    assert not answer.right
    assert label in answer.text


def test_a_result_in_place_of_the_function_is_told_apart():
    answer = check(next(iter(EXERCISES)), 3.0)
    assert not answer.right
    assert "3.0 is no function" in answer.text


def test_a_mistake_is_recognized_by_its_results(exercise):
    assert exercise.judge(lambda x, factor: factor + x).text == "You add."


def test_the_first_wrong_case_is_shown_as_a_call(exercise):
    answer = exercise.judge(lambda x, factor: x)
    assert repr(answer) == (
        "ex-x ✗ wrong on 1 of 2 cases, first on this one\n"
        "  case: two\n"
        "  call: doubled(x=[1, 2], factor=2)\n"
        "  got: [1, 2]\n"
        "  expected: [2, 4]"
    )


def test_an_error_is_shown_with_its_call(exercise):
    answer = exercise.judge(lambda x, factor: x[2])
    assert "raises an error" in answer.text and "case: one" in answer.text
    assert "IndexError: index 2 is out of bounds" in answer.text


def test_changed_arguments_are_told(exercise):
    answer = exercise.judge(lambda x, factor: x.mul_(factor))
    assert not answer.right
    assert "changes its argument x" in answer.text


def test_a_nan_in_an_argument_is_no_change():
    padded = Exercise("ex-y", doubled, {"padded": (torch.tensor([torch.nan]), 1.0)})
    assert padded.judge(doubled).right


def test_cases_are_the_same_after_a_function_that_changes_them(exercise):
    exercise.judge(lambda x, factor: x.zero_())
    assert exercise.judge(doubled).right


def test_small_differences_between_formats_are_no_fault():
    third = torch.tensor(1 / 3)
    assert fault(third, 1 / 3) is None
    assert fault(0, torch.tensor(0.0)) is None
    assert fault(1.0003 / 3, 1 / 3) == ("0.333433", "0.333333")


@pytest.mark.parametrize(
    ("got", "found"),
    [
        (None, "nothing (is there a `return`?)"),
        ([1.0, 2.0], "a tuple of 2"),
        ("text", "a str"),
        (torch.ones(2, 1).double(), "a tensor of shape [2, 1]"),
        (torch.ones(2), "numbers of torch.float32"),
        (torch.ones(2).double().requires_grad_(), "numbers that require a gradient"),
        (torch.tensor([1.0, torch.nan]).double(), "[1, nan]"),
        (torch.tensor([1.0, 3.0]).double(), "[1, 3]"),
    ],
)
def test_faults_say_what_was_got(got, found):
    assert fault(got, torch.tensor([1.0, 2.0]).double())[0] == found


def test_faults_name_the_part_and_the_index():
    expected = (0.0, torch.zeros(20))
    got = torch.zeros(20)
    got[7] = 1
    assert fault((0.0, got), expected)[0] == "1 at index [7], as part 2 of the result"
    assert fault((0.0,), expected) == ("a tuple of 1", "a tuple of 2")

"""An exercise whose answer is a function, and what can be said about an answer."""

import copy
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Number

import torch
from torch import Tensor

RTOL, ATOL = 1e-4, 1e-6  # loose: 1.96 and the exact quantile are both right
MOST_NUMBERS = 12  # of a tensor that is shown in full
WIDTH = 72
Fault = tuple[str, str]  # what was got, and what was expected


@dataclass(frozen=True)
class Answer:
    """What `check` found.

    Attributes:
        label: label of the exercise.
        right: whether the function is right.
        text: what is right or wrong; the same on every machine.
    """

    label: str
    right: bool
    text: str

    def __repr__(self) -> str:
        lines = f"{self.label} {'✓' if self.right else '✗'} {self.text}".splitlines()
        return "\n".join(
            textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in lines
        )


@dataclass(frozen=True)
class Exercise:
    """A function to write, calls to try it on, and what goes wrong with it.

    Attributes:
        label: label of the exercise on its page, "ex-…".
        solution: a right function, with the name and the arguments on the page.
        cases: arguments of each call, by a name that says what is special about it.
        mistakes: wrong functions of the same arguments, each by the message for whoever
            wrote it.
    """

    label: str
    solution: Callable
    cases: dict[str, tuple]
    mistakes: dict[str, Callable] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the function to write."""
        return self.solution.__name__

    def mistake(self, message: str) -> Callable[[Callable], Callable]:
        """Decorate a wrong function with the message for whoever wrote it."""

        def add(function: Callable) -> Callable:
            self.mistakes[message] = function
            return function

        return add

    def judge(self, function: Callable) -> Answer:
        """Say what is right or wrong about a function."""
        results, changed = [], []
        for case, arguments in self.cases.items():
            own = copy.deepcopy(arguments)
            try:
                results.append(function(*own))
            except Exception as error:
                raised = f"{type(error).__name__}: {error}"
                return self._wrong(f"raises an error\n{self._call(case, got=raised)}")
            changed += self._changed(arguments, own)
        faults = self._faults(results, self.solution)
        if faults:
            return self._wrong(self._known(results) or self._first(faults))
        if changed:
            text = f"returns what it should, but changes its argument {changed[0]}"
            return self._wrong(f"{text}: work on a copy.")
        text = f"right on {len(self.cases)} cases: {', '.join(self.cases)}"
        return Answer(self.label, True, text)

    def _wrong(self, text: str) -> Answer:
        return Answer(self.label, False, text)

    def _faults(self, results: list, reference: Callable) -> dict[str, Fault]:
        """How results differ from those of a function, for the cases where they do."""
        pairs = zip(self.cases.items(), results, strict=True)
        faults = {
            case: fault(got, reference(*copy.deepcopy(arguments)))
            for (case, arguments), got in pairs
        }
        return {case: found for case, found in faults.items() if found}

    def _known(self, results: list) -> str:
        """The message for the mistake that gives these results, if one does."""
        for message, function in self.mistakes.items():
            if not self._faults(results, function):
                return message
        return ""

    def _first(self, faults: dict[str, Fault]) -> str:
        """The first case that fails, and how many do."""
        case, (got, expected) = next(iter(faults.items()))
        score = f"wrong on {len(faults)} of {len(self.cases)} cases, first on this one"
        return f"{score}\n{self._call(case, got=got, expected=expected)}"

    def _call(self, case: str, **findings: str) -> str:
        """A case with the call that it is, and what was found, a line each."""
        values = map(show, self.cases[case])
        pairs = zip(self._parameters(), values, strict=True)
        call = f"{self.name}({', '.join(map('='.join, pairs))})"
        lines = {"case": case, "call": call} | findings
        return "\n".join(f"  {name}: {text}" for name, text in lines.items())

    def _changed(self, before: tuple, after: tuple) -> list[str]:
        """Names of the tensors that a call has changed."""
        return [
            name
            for name, old, new in zip(self._parameters(), before, after, strict=True)
            if isinstance(old, Tensor) and fault(new, old)
        ]

    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.solution).parameters)


def numbers(*values: float | list) -> Tensor:
    """A tensor for a case; float64, whatever the default of the page is."""
    return torch.tensor(values, dtype=torch.float64)


def fault(got: object, expected: object) -> Fault | None:
    """The first thing to mend in a result: type, shape, format, gradient, or number.

    Args:
        got: the result of a reader's function.
        expected: a number, a tensor, or a tuple of these.

    Returns:
        What was got and what was expected, in words; None if nothing is wrong.
    """
    if isinstance(expected, tuple):
        return _fault_of_parts(got, expected)
    want = torch.as_tensor(expected)
    have = torch.as_tensor(got) if isinstance(got, Number) and not want.ndim else got
    if not isinstance(have, Tensor):
        return kind(got), kind(want)
    if have.shape != want.shape:
        return kind(have), kind(want)
    if want.ndim and have.dtype != want.dtype:
        return f"numbers of {have.dtype}", f"numbers of {want.dtype}"
    if have.requires_grad != want.requires_grad:
        kinds = "constants", "numbers that require a gradient"
        return kinds[have.requires_grad], kinds[want.requires_grad]
    close = torch.isclose(have.double(), want.double(), RTOL, ATOL, equal_nan=True)
    if close.all():
        return None
    if want.numel() <= MOST_NUMBERS:
        return show(have), show(want)
    index = (~close).nonzero()[0].tolist()
    number = f"{show(have[tuple(index)])} at index {index}"
    return number, show(want[tuple(index)])


def _fault_of_parts(got: object, expected: tuple) -> Fault | None:
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        return kind(got), kind(expected)
    for number, (part, want) in enumerate(zip(got, expected, strict=True), 1):
        if found := fault(part, want):
            return f"{found[0]}, as part {number} of the result", found[1]
    return None


def kind(value: object) -> str:
    """What sort of thing a result is."""
    if value is None:
        return "nothing (is there a `return`?)"
    if isinstance(value, Tensor) and value.ndim:
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a tuple of {len(value)}"
    number = isinstance(value, Number | Tensor)
    return "a number" if number else f"a {type(value).__name__}"


def show(value: object) -> str:
    """A value in few characters."""
    if isinstance(value, Tensor):
        many = value.numel() > MOST_NUMBERS
        return f"<{kind(value)}>" if many else show(value.tolist())
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Number):
        return str(value)
    return getattr(value, "__name__", f"<a {type(value).__name__}>")

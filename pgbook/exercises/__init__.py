"""`check`: tells a reader what is wrong with her solution of a coding exercise.

A third kind of room, beside shared rooms and chapters: it may open any other room, and
no other room opens it. The module `pgbook.exercises.<chapter>` has one `Exercise` per
coding exercise of that chapter and is found by its name. To add one:

1. On the page the exercise ends with the function to write, as a block of Python: the
   line `def`, a docstring with shapes and result, and `check("ex-…", function)`. Hints
   follow in a dropdown; the solution's cell defines the function and checks it, too.
2. In the module stands the solution, under the same name with the same arguments; an
   `Exercise` with two to five small calls, each by a name that tells what is special
   about it; and under its decorator `mistake` what readers get wrong, each with the
   message for her.
3. `tests/test_exercises.py` asks for the rest: the page and the module agree, the
   solution is right, and each mistake differs from all others in some call. If two do
   not, a case is missing.

A message says what was done and which idea of which equation it misses. It does not
give the code away.
"""

import importlib
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches

from pgbook.exercises.exercise import Answer, Exercise

EXERCISES: dict[str, Exercise] = {
    value.label: value
    for module in pkgutil.iter_modules(__path__, f"{__name__}.")
    for value in vars(importlib.import_module(module.name)).values()
    if isinstance(value, Exercise)
}


def check(label: str, function: Callable) -> Answer:
    """Try a reader's function on the cases of an exercise.

    Never raises for a wrong answer, so that a notebook runs on.

    Args:
        label: label of the exercise, "ex-…".
        function: her function, with the arguments that the exercise names.

    Returns:
        The answer, whose text says what is right or wrong; `right` is a bool.
    """
    if label not in EXERCISES:
        (nearest,) = get_close_matches(str(label), EXERCISES, n=1, cutoff=0)
        text = f"no coding exercise has this label; the nearest is {nearest}"
        return Answer(str(label), False, text)
    exercise = EXERCISES[label]
    if not callable(function):
        text = f"{function!r:.40} is no function; hand over the function itself, "
        return Answer(label, False, f"{text}check({label!r}, {exercise.name})")
    return exercise.judge(function)

"""Wrong versions (mutants) of the estimators; the test suite rejects every one.

A mutant replaces the function that it names while `tests/test_<module>.py` runs, and
that run must fail. The docstring says what is wrong.

`python tests/mutants.py monte_carlo` prints which mutants of a module were rejected.
"""

import importlib
import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import torch


class Mutant(NamedTuple):
    """A wrong version, and the name of what it replaces."""

    module: str
    name: str
    wrong: Callable


MUTANTS: list[Mutant] = []


def mutant_of(target: str) -> Callable:
    """Register a wrong version of `target`, "module.function" or with a class."""

    def register(wrong: Callable) -> Callable:
        MUTANTS.append(Mutant(*target.split(".", 1), wrong))
        return wrong

    return register


def install(mutant: Mutant) -> None:
    """Put the wrong version in the place of the right one."""
    owner = importlib.import_module(f"pgbook.{mutant.module}")
    *path, name = mutant.name.split(".")
    for attribute in path:
        owner = getattr(owner, attribute)
    getattr(owner, name)  # an AttributeError here: the mutant names nothing
    setattr(owner, name, mutant.wrong)


def is_rejected(mutant: Mutant) -> bool:
    """Run the module's tests with the mutant in place, in a forked process."""
    import pytest

    child = os.fork()
    if child == 0:
        status = 70  # installing it failed
        try:
            install(mutant)
            tests = Path(__file__).parent / f"test_{mutant.module}.py"
            with redirect_stdout(io.StringIO()):
                status = int(pytest.main(["-x", "-p", "no:xdist", str(tests)]))
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, 1):
        raise RuntimeError(f"{mutant.wrong.__name__}: pytest ended with {status}")
    return status == 1


def main(module: str) -> int:
    """Print each mutant of a module; the exit code counts those that live."""
    survivors = 0
    for mutant in MUTANTS:
        if mutant.module == module:
            rejected = is_rejected(mutant)
            survivors += not rejected
            print("rejected" if rejected else "LIVES", mutant.wrong.__name__)
    return survivors


@mutant_of("monte_carlo.monte_carlo")
def bounds_are_ignored(sampler, value, samples, rng):
    """Draws from [0, 1] whatever the sampler is."""
    from pgbook.monte_carlo import Estimate

    values = value(torch.rand(samples, 1, generator=rng, dtype=torch.float64))
    return Estimate(values.mean().item(), values.std().item() / samples**0.5)


@mutant_of("monte_carlo.monte_carlo")
def standard_error_without_root(sampler, value, samples, rng):
    """Divides the standard deviation by N instead of its root."""
    from pgbook.monte_carlo import Estimate

    values = value(sampler(samples, rng))
    return Estimate(values.mean().item(), values.std().item() / samples)


@mutant_of("monte_carlo.monte_carlo")
def variance_divided_by_n(sampler, value, samples, rng):
    """Divides the squared distances by N instead of N - 1."""
    from pgbook.monte_carlo import Estimate

    values = value(sampler(samples, rng))
    spread = values.std(correction=0).item()
    return Estimate(values.mean().item(), spread / samples**0.5)


@mutant_of("monte_carlo.riemann_sum")
def width_of_one_axis(value, cells, dimension=1, position=0.5):
    """Multiplies by h instead of h^d."""
    axis = (torch.arange(cells, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells


@mutant_of("monte_carlo.riemann_sum")
def always_midpoints(value, cells, dimension=1, position=0.5):
    """Ignores where in its cell the node lies."""
    axis = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells**dimension


@mutant_of("monte_carlo.riemann_sum")
def one_cell_too_many(value, cells, dimension=1, position=0.5):
    """Has n + 1 nodes on each axis."""
    axis = (torch.arange(cells + 1, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells**dimension


@mutant_of("monte_carlo.uniform_sampler")
def upper_bound_as_width(lower, upper, dimension=1):
    """Takes the upper bound for the width."""

    def sample(samples, rng):
        u = torch.rand(samples, dimension, generator=rng, dtype=torch.float64)
        return lower + upper * u

    return sample


@mutant_of("monte_carlo.uniform_sampler")
def one_number_for_all_axes(lower, upper, dimension=1):
    """Gives every coordinate the same number."""

    def sample(samples, rng):
        u = torch.rand(samples, 1, generator=rng, dtype=torch.float64)
        return (lower + (upper - lower) * u).expand(samples, dimension)

    return sample


@mutant_of("monte_carlo.uniform_sampler")
def global_generator(lower, upper, dimension=1):
    """Draws from the global generator."""

    def sample(samples, rng):
        u = torch.rand(samples, dimension, dtype=torch.float64)
        return lower + (upper - lower) * u

    return sample


if __name__ == "__main__":
    sys.modules["mutants"] = sys.modules["__main__"]
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1]))

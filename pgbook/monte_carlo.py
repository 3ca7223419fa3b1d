"""Estimates of an expectation by sampling, and of an integral by a grid.

Chapter `monte_carlo`. No time index: samples are the first axis.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pgbook._checks import require, require_count, require_finite, require_unit_interval


class Estimate(NamedTuple):
    """A sample mean and its standard error, in the unit of the value."""

    mean: float
    standard_error: float


def monte_carlo(
    sampler: Callable[[int, torch.Generator], Tensor],
    value: Callable[[Tensor], Tensor],
    samples: int,
    rng: torch.Generator,
) -> Estimate:
    """Estimate E[value(x)] by the mean over draws of x.

        mean = sum_i value(x_i) / N
        standard_error² = sum_i (value(x_i) - mean)² / (N - 1) / N

    Args:
        sampler: draws x, [N, ...], given N and a generator.
        value: maps x, [N, ...], to numbers, [N].
        samples: N, at least 2.
        rng: generator that the sampler draws from.

    Returns:
        The mean and its standard error.

    Raises:
        ValueError: if N < 2, or the values are not N finite numbers.
    """
    require_count(2, samples=samples)
    values = value(sampler(samples, rng))
    require(
        values.shape == (samples,),
        "value",
        f"a function with values of shape {list(values.shape)}",
        f"one number per sample, [{samples}]",
    )
    require_finite(value=values)
    return Estimate(values.mean().item(), values.std().item() / samples**0.5)


def uniform_sampler(
    lower: float, upper: float, dimension: int = 1
) -> Callable[[int, torch.Generator], Tensor]:
    """A sampler of points that are uniform in a cube.

        x = lower + (upper - lower) u,  u uniform in [0, 1)^d

    Args:
        lower: lower bound of each coordinate.
        upper: upper bound of each coordinate, larger.
        dimension: number of coordinates, d.

    Returns:
        A function of N and a generator with values [N, d].

    Raises:
        ValueError: if the bounds are not finite and ordered, or d < 1.
    """
    require_finite(lower=torch.tensor(lower), upper=torch.tensor(upper))
    require(upper > lower, "upper", upper, f"more than lower = {lower}")
    require_count(dimension=dimension)

    def sample(samples: int, rng: torch.Generator) -> Tensor:
        u = torch.rand(samples, dimension, generator=rng, dtype=torch.float64)
        return lower + (upper - lower) * u

    return sample


def riemann_sum(
    value: Callable[[Tensor], Tensor],
    cells: int,
    dimension: int = 1,
    position: float = 0.5,
) -> float:
    """Integrate over the unit cube by a grid of equal cells.

        sum_i value(x_i) h^d,  h = 1 / cells,  x_i the node of cell i

    Args:
        value: maps points, [cells^d, d], to numbers, [cells^d].
        cells: number of cells along each axis.
        dimension: d; the sum has cells^d terms.
        position: where in its cell the node lies, from 0 (left) over 1/2
            (midpoint) to 1 (right).

    Returns:
        The sum.

    Raises:
        ValueError: if a count is below 1, the position is outside [0, 1], or the
            values are not one finite number per node.
    """
    require_count(cells=cells, dimension=dimension)
    require_unit_interval(position=position)
    axis = (torch.arange(cells, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*itertools.repeat(axis, dimension))
    values = value(nodes.reshape(-1, dimension))
    require(
        values.shape == (cells**dimension,),
        "value",
        f"a function with values of shape {list(values.shape)}",
        f"one number per node, [{cells**dimension}]",
    )
    require_finite(value=values)
    return values.sum().item() / cells**dimension

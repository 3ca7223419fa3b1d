"""Sample means and grids against integrals and naive sums."""

import itertools
import math

import pytest
import torch

from pgbook.monte_carlo import monte_carlo, riemann_sum, uniform_sampler
from pgbook.verification import verify_unbiased


def mean_square(x):
    return x.square().mean(-1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def counting(samples, rng):
    """A sampler of 1, 2, …, N that draws nothing."""
    return torch.arange(1, samples + 1, dtype=torch.float64)


def test_estimate_of_four_numbers_by_hand():
    estimate = monte_carlo(counting, lambda x: x, 4, generator())
    assert estimate.mean == 2.5
    assert estimate.standard_error == pytest.approx(math.sqrt(5 / 3 / 4), abs=1e-15)


def test_estimate_asks_the_sampler_it_was_given():
    estimate = monte_carlo(uniform_sampler(3.0, 5.0), mean_square, 10_000, generator())
    exact = (5**3 - 3**3) / 3 / 2
    assert abs(estimate.mean - exact) < 5 * estimate.standard_error


def test_estimates_are_unbiased_in_three_dimensions():
    rng = generator()
    draw = uniform_sampler(-1.0, 2.0, 3)
    means = [monte_carlo(draw, mean_square, 10, rng).mean for _ in range(3000)]
    exact = (2**3 + 1) / 3 / 3
    verify_unbiased("eq-mean", torch.tensor(means)[:, None], torch.tensor([exact]))


def test_uniform_points_have_the_moments_of_a_cube():
    x = uniform_sampler(-1.0, 3.0, 2)(20_000, generator())
    assert x.shape == (20_000, 2) and x.min() >= -1 and x.max() < 3
    moments = torch.stack([x[:, 0], x[:, 1], x[:, 0] * x[:, 1], x[:, 0] ** 2], dim=1)
    verify_unbiased("eq-moments", moments, torch.tensor([1.0, 1.0, 1.0, 7 / 3]))


def test_uniform_points_follow_the_generator():
    draw = uniform_sampler(0.0, 1.0)
    assert torch.equal(draw(5, generator(3)), draw(5, generator(3)))
    assert not torch.equal(draw(5, generator(3)), draw(5, generator(4)))


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("position", [0.0, 0.5, 1.0])
def test_riemann_sum_is_a_loop_over_cells(dimension, position):
    def skewed(x):
        return (x * torch.arange(1, dimension + 1)).sum(-1).exp()

    total = 0.0
    for cell in itertools.product(range(5), repeat=dimension):
        node = [(i + position) / 5 for i in cell]
        total += math.exp(sum(k * x for k, x in enumerate(node, 1))) / 5**dimension
    assert riemann_sum(skewed, 5, dimension, position) == pytest.approx(
        total, rel=1e-14
    )


def test_riemann_sum_of_four_cells_by_hand():
    assert riemann_sum(mean_square, 4, position=0.0) == 14 / 64
    assert riemann_sum(mean_square, 4) == 21 / 64


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: monte_carlo(counting, mean_square, 1, generator()), "samples"),
        (lambda: monte_carlo(counting, mean_square, 2.5, generator()), "samples"),
        (lambda: monte_carlo(counting, lambda x: x[:, None], 4, generator()), "value"),
        (lambda: monte_carlo(counting, torch.sum, 4, generator()), "value"),
        (lambda: monte_carlo(counting, lambda x: x / 0, 4, generator()), "value"),
        (lambda: uniform_sampler(1.0, 1.0), "upper"),
        (lambda: uniform_sampler(float("nan"), 1.0), "lower"),
        (lambda: uniform_sampler(0.0, float("inf")), "upper"),
        (lambda: uniform_sampler(0.0, 1.0, 0), "dimension"),
        (lambda: riemann_sum(mean_square, 0), "cells"),
        (lambda: riemann_sum(mean_square, 2, 0), "dimension"),
        (lambda: riemann_sum(mean_square, 2, position=1.5), "position"),
        (lambda: riemann_sum(lambda x: x, 2), "value"),
        (lambda: riemann_sum(lambda x: mean_square(x) / 0, 2), "value"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

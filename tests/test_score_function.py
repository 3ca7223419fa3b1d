"""Gradient estimates and scores against loops, enumeration, quadrature, autograd."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian
from torch.distributions import Bernoulli, Categorical, Normal

from pgbook.score_function import (
    bernoulli_score,
    categorical_score,
    finite_difference_estimates,
    gaussian_score,
    pathwise_estimates,
    score_function_estimates,
)
from pgbook.verification import verify_unbiased


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def normal_nodes():
    """Nodes and weights that integrate polynomials exactly against N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    return torch.tensor(nodes), torch.tensor(weights) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("estimates", [score_function_estimates, pathwise_estimates])
def test_products_of_two_samples_and_three_parameters_by_hand(estimates):
    factor, rows = tensor(2, -3), tensor([1, 0, 4], [5, 6, -7])
    expected = tensor([2, 0, 8], [-15, -18, 21])
    assert torch.equal(estimates(factor, rows), expected)


@pytest.mark.parametrize("estimates", [score_function_estimates, pathwise_estimates])
def test_products_do_not_mix_samples(estimates):
    rng = torch.Generator().manual_seed(1)
    factor = torch.randn(5, generator=rng, dtype=torch.float64)
    rows = torch.randn(5, 5, generator=rng, dtype=torch.float64)
    actual = estimates(factor, rows)
    for i, k in itertools.product(range(5), range(5)):
        assert actual[i, k] == factor[i].item() * rows[i, k].item()


def test_score_estimates_of_a_coin_by_hand():
    theta = math.log(1 / 3)  # heads with probability 1/4
    score = bernoulli_score(tensor(1, 0), theta)
    estimates = score_function_estimates(tensor(3, 1), score)
    torch.testing.assert_close(score, tensor([3 / 4], [-1 / 4]))
    torch.testing.assert_close(estimates, tensor([9 / 4], [-1 / 4]))


def test_score_estimates_of_three_outcomes_enumerate_to_the_gradient():
    value, logits = tensor(1.0, -2.0, 5.0), tensor(0.3, -1.0, 0.8)
    logits.requires_grad_()
    (exact,) = torch.autograd.grad(logits.softmax(0) @ value, logits)
    p, x = logits.detach().softmax(0), torch.arange(3)
    estimates = score_function_estimates(value, categorical_score(x, logits.detach()))
    torch.testing.assert_close(p @ estimates, exact, rtol=0, atol=1e-14)


def test_score_estimates_of_a_cubic_integrate_to_the_gradient():
    z, weights = normal_nodes()
    mean, std = 0.7, 1.3
    x = mean + std * z
    estimates = score_function_estimates(x**3, gaussian_score(x, mean, std))
    # E[x³] = mean³ + 3 mean std², so these are its derivatives in mean and log(std)
    expected = tensor(3 * mean**2 + 3 * std**2, 6 * mean * std**2)
    torch.testing.assert_close(weights @ estimates, expected, rtol=0, atol=1e-11)


def test_a_constant_in_the_value_does_not_change_the_mean():
    z, weights = normal_nodes()
    score = gaussian_score(z, 0.0, 1.0)
    plain, shifted = (score_function_estimates(z**2 + b, score) for b in (0.0, 10.0))
    torch.testing.assert_close(weights @ plain, weights @ shifted, rtol=0, atol=1e-11)


def test_pathwise_estimates_of_a_cubic_integrate_to_the_gradient():
    z, weights = normal_nodes()
    mean, std = 0.7, 1.3
    x = mean + std * z
    slope = torch.stack([torch.ones_like(z), std * z], dim=1)
    estimates = pathwise_estimates(3 * x**2, slope)
    expected = tensor(3 * mean**2 + 3 * std**2, 6 * mean * std**2)
    torch.testing.assert_close(weights @ estimates, expected, rtol=0, atol=1e-11)


def test_estimates_of_three_kinds_are_unbiased_on_samples():
    rng = torch.Generator().manual_seed(2)
    z = torch.randn(20_000, generator=rng, dtype=torch.float64)
    x, ones = 0.5 + z, torch.ones(20_000, 1, dtype=torch.float64)
    score = score_function_estimates(x**2, gaussian_score(x, 0.5, 1.0)[:, :1])
    pathwise = pathwise_estimates(2 * x, ones)
    ahead, behind = (x + 0.1)[:, None] ** 2, (x - 0.1)[:, None] ** 2
    central = finite_difference_estimates(ahead, behind, 0.2)
    samples = torch.cat([score, pathwise, central], dim=1)
    verify_unbiased("eq-three-kinds", samples, torch.full((3,), 1.0))


def test_finite_differences_of_two_parameters_by_hand():
    ahead, behind = tensor([3, 5], [1, 1]), tensor([1, 6], [0, 1])
    actual = finite_difference_estimates(ahead, behind, 0.5)
    assert torch.equal(actual, tensor([4, -2], [2, 0]))


def test_finite_differences_of_a_line_are_its_slope_whatever_the_width():
    for width in (1e-3, 0.1, 7.0):
        ahead, behind = tensor([5 + 2 * width]), tensor([5.0])
        actual = finite_difference_estimates(ahead, behind, width)
        assert actual.item() == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (-1.5, 0.3), (2.0, 4.0)])
def test_gaussian_score_is_autograd_of_the_log_density(mean, std):
    x = tensor(-3.0, -0.2, 0.0, 1.7, 6.0)

    def log_prob(parameters):
        return Normal(parameters[0], parameters[1].exp()).log_prob(x)

    expected = jacobian(log_prob, tensor(mean, math.log(std)))
    torch.testing.assert_close(gaussian_score(x, mean, std), expected)


def test_gaussian_score_by_hand():
    # Two standard deviations to the right of the mean
    actual = gaussian_score(tensor(7.0), 1.0, 3.0)
    torch.testing.assert_close(actual, tensor([2 / 3, 3]))


@pytest.mark.parametrize("logit", [-4.0, 0.0, 1.1])
def test_bernoulli_score_is_autograd_of_the_log_probability(logit):
    x = tensor(0.0, 1.0, 1.0)
    expected = jacobian(lambda w: Bernoulli(logits=w).log_prob(x), tensor(logit))
    torch.testing.assert_close(bernoulli_score(x, logit), expected)


def test_categorical_score_is_autograd_of_the_log_probability():
    logits, x = tensor(0.3, -1.0, 0.8, 2.0), torch.tensor([3, 0, 0, 2])
    expected = jacobian(lambda w: Categorical(logits=w).log_prob(x), logits)
    torch.testing.assert_close(categorical_score(x, logits), expected)


def test_categorical_score_of_two_outcomes_is_that_of_the_coin():
    x = torch.tensor([1, 0, 1])
    two = categorical_score(x, tensor(0.0, 0.9))
    torch.testing.assert_close(two[:, 1:], bernoulli_score(x.double(), 0.9))


def test_every_score_has_mean_zero():
    z, weights = normal_nodes()
    gaussian = weights @ gaussian_score(2.0 + 0.5 * z, 2.0, 0.5)
    coin = 1 / (1 + math.exp(-0.9))
    bernoulli = tensor(1 - coin, coin) @ bernoulli_score(tensor(0, 1), 0.9)
    logits = tensor(1.0, 0.0, -2.0)
    categorical = logits.softmax(0) @ categorical_score(torch.arange(3), logits)
    for mean in (gaussian, bernoulli, categorical):
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-14)


VALUE, ROWS, NAN = torch.ones(4), torch.ones(4, 2), float("nan")
LEARNED = torch.ones(4, requires_grad=True)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: score_function_estimates(VALUE[:, None], ROWS), "value"),
        (lambda: score_function_estimates(VALUE[:0], ROWS[:0]), "value"),
        (lambda: score_function_estimates(VALUE / 0, ROWS), "value"),
        (lambda: score_function_estimates(LEARNED, ROWS), "value"),
        (lambda: score_function_estimates(VALUE, ROWS[:3]), "score"),
        (lambda: score_function_estimates(VALUE, VALUE), "score"),
        (lambda: score_function_estimates(VALUE, ROWS * NAN), "score"),
        (lambda: score_function_estimates(VALUE, LEARNED[:, None]), "score"),
        (lambda: pathwise_estimates(ROWS, ROWS), "value_slope"),
        (lambda: pathwise_estimates(VALUE[:0], ROWS[:0]), "value_slope"),
        (lambda: pathwise_estimates(VALUE * NAN, ROWS), "value_slope"),
        (lambda: pathwise_estimates(LEARNED, ROWS), "value_slope"),
        (lambda: pathwise_estimates(VALUE, ROWS.T), "sample_slope"),
        (lambda: pathwise_estimates(VALUE, ROWS / 0), "sample_slope"),
        (lambda: finite_difference_estimates(VALUE, VALUE, 0.1), "ahead"),
        (lambda: finite_difference_estimates(ROWS[:0], ROWS[:0], 0.1), "ahead"),
        (lambda: finite_difference_estimates(ROWS / 0, ROWS, 0.1), "ahead"),
        (lambda: finite_difference_estimates(ROWS, ROWS[:, :1], 0.1), "behind"),
        (lambda: finite_difference_estimates(ROWS, ROWS * NAN, 0.1), "behind"),
        (lambda: finite_difference_estimates(ROWS, ROWS, 0.0), "width"),
        (lambda: finite_difference_estimates(ROWS, ROWS, NAN), "width"),
        (lambda: gaussian_score(ROWS, 0.0, 1.0), "x"),
        (lambda: gaussian_score(VALUE[:0], 0.0, 1.0), "x"),
        (lambda: gaussian_score(VALUE / 0, 0.0, 1.0), "x"),
        (lambda: gaussian_score(VALUE, NAN, 1.0), "mean"),
        (lambda: gaussian_score(VALUE, 0.0, 0.0), "std"),
        (lambda: gaussian_score(VALUE, 0.0, float("inf")), "std"),
        (lambda: bernoulli_score(ROWS, 0.0), "x"),
        (lambda: bernoulli_score(VALUE / 2, 0.0), "x"),
        (lambda: bernoulli_score(VALUE, float("inf")), "logit"),
        (lambda: categorical_score(torch.arange(3), torch.ones(2)), "x"),
        (lambda: categorical_score(torch.tensor([-1]), torch.ones(2)), "x"),
        (lambda: categorical_score(VALUE, torch.ones(2)), "x"),
        (lambda: categorical_score(torch.arange(2)[:0], torch.ones(2)), "x"),
        (lambda: categorical_score(torch.arange(2), ROWS), "logits"),
        (lambda: categorical_score(torch.arange(2), torch.ones(0)), "logits"),
        (lambda: categorical_score(torch.arange(2), torch.ones(2) / 0), "logits"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

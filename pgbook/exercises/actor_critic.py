"""Exercises of the chapter `actor_critic`: a stream, squared TD errors, bad critics."""

import torch
from torch import Tensor

from pgbook.actor_critic import stream_policy_gradient_loss
from pgbook.exercises.exercise import Exercise, numbers
from pgbook.statistics import enumerated_moments


def stream_difference(
    theta: Tensor,
    s_t: Tensor,
    a_t: Tensor,
    delta_t: Tensor,
    valid_t: Tensor,
    target: Tensor,
) -> Tensor:
    """Sum of scores times TD errors minus what as many decisions sum to on average."""
    steps, _ = _counts(valid_t)
    return _summed(theta, s_t, a_t, delta_t, valid_t) - steps * target


def _counts(valid_t: Tensor) -> tuple[int, int]:
    """Number of decisions, and of environments."""
    return int(valid_t.sum()), valid_t.shape[1]


def _summed(
    theta: Tensor, s_t: Tensor, a_t: Tensor, delta_t: Tensor, valid_t: Tensor
) -> Tensor:
    """Sum of scores times TD errors over the decisions, of the shape of theta."""
    log_prob_t = theta.log_softmax(-1)[s_t, a_t]
    loss = stream_policy_gradient_loss(log_prob_t, delta_t, valid_t)
    (slope,) = torch.autograd.grad(loss, theta)
    return -slope * valid_t.sum()


THETA = numbers([0.5, -0.5], [0, 1]).requires_grad_()
TARGET = numbers([0.1, -0.1], [-0.3, 0.3])
SIMULATED_STREAM = Exercise(
    "ex-simulated-stream",
    stream_difference,
    cases={
        "no filler": (
            THETA,
            torch.tensor([[0], [1]]),
            torch.tensor([[1], [0]]),
            numbers([1], [-2]),
            torch.tensor([[True], [True]]),
            TARGET,
        ),
        "a filler": (
            THETA,
            torch.tensor([[0], [1], [0]]),
            torch.tensor([[0], [1], [1]]),
            numbers([2], [7], [-1]),
            torch.tensor([[True], [False], [True]]),
            TARGET,
        ),
        "two environments": (
            THETA,
            torch.tensor([[0, 1], [1, 0], [0, 0]]),
            torch.tensor([[0, 1], [1, 1], [0, 1]]),
            numbers([1, 3], [-2, 5], [0.5, 1]),
            torch.tensor([[True, True], [True, False], [True, True]]),
            TARGET,
        ),
    },
)


@SIMULATED_STREAM.mistake(
    "You leave the ratio as it is. Its divisor is random, too, so its mean misses "
    "eq-stream-gradient a little in every finite record; what gets rid of a divisor?"
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    difference = stream_difference(theta, s_t, a_t, delta_t, valid_t, target)
    return difference / valid_t.sum()


@SIMULATED_STREAM.mistake(
    "You take a sum over the decisions from the record, but hold it against the target "
    "for one decision. Both terms of the difference need the same unit."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    return _summed(theta, s_t, a_t, delta_t, valid_t) - target


@SIMULATED_STREAM.mistake(
    "You expect something of every row, also of fillers. eq-stream-gradient is the "
    "mean over decisions."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    return _summed(theta, s_t, a_t, delta_t, valid_t) - valid_t.numel() * target


@SIMULATED_STREAM.mistake(
    "Your fillers count as decisions. They enter neither the sum nor the number: what "
    "stands in such a row means nothing."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    every = torch.ones_like(valid_t)
    return stream_difference(theta, s_t, a_t, delta_t, every, target)


@SIMULATED_STREAM.mistake(
    "Your number of decisions is right, but fillers enter the sum of the products."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    every = torch.ones_like(valid_t)
    return _summed(theta, s_t, a_t, delta_t, every) - valid_t.sum() * target


@SIMULATED_STREAM.mistake(
    "You subtract the estimate from the target; it should come first."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    return -stream_difference(theta, s_t, a_t, delta_t, valid_t, target)


@SIMULATED_STREAM.mistake(
    "You add where you want to subtract: a loss is minimized, so its gradient is minus "
    "the estimate."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    return -_summed(theta, s_t, a_t, delta_t, valid_t) - valid_t.sum() * target


@SIMULATED_STREAM.mistake(
    "You divide by the number of environments. That is the divisor for one whole "
    "episode per column; in a stream a column holds pieces of several."
)
def _(theta, s_t, a_t, delta_t, valid_t, target):
    _, columns = _counts(valid_t)
    return _summed(theta, s_t, a_t, delta_t, valid_t) / columns - target


def residual_minimum(p: float) -> tuple[float, float, float, float]:
    """Values of start, A, B with least mean squared TD errors, and the bias there."""
    return _with_gap(p, (2 - 3 * p) / 2)


def _with_gap(p: float, gap: float) -> tuple[float, float, float, float]:
    """Values of start, A, B for which 1 + V_A - V_B is the gap, and the bias there."""
    q = 1 - p
    v_a, v_b = q - q * gap, 2 * p + p * gap
    return p * (1 + v_a) + q * v_b, v_a, v_b, -p * q * gap


RESIDUAL = Exercise(
    "ex-residual",
    residual_minimum,
    cases={
        "p = 1/2": (0.5,),
        "p = 0.2": (0.2,),
        "both first actions worth the same": (2 / 3,),
        "p = 0.9": (0.9,),
    },
)


@RESIDUAL.mistake(
    "You return the true values. They make the mean of each TD error vanish, and with "
    "it the semi-gradient of def-two-critics; the mean of the square holds a variance "
    "as well, which other values make smaller."
)
def _(p):
    return _with_gap(p, 0)


@RESIDUAL.mistake(
    "A and B count equally in your loss. It is a mean over trajectories, and how many "
    "of them come through A depends on p."
)
def _(p):
    q = 1 - p
    gap = (2 - 3 * p) / (1 + 2 * p * q)
    v_a, v_b = q - p * q * gap, 2 * p + p * q * gap
    return p * (1 + v_a) + q * v_b, v_a, v_b, -2 * (p * q) ** 2 * gap


@RESIDUAL.mistake(
    "You return the numbers of p = 1/2 for every p. How often A is visited, and what "
    "is paid there on average, depend on p."
)
def _(p):
    return residual_minimum(0.5)


@RESIDUAL.mistake(
    "Your values are right, but your bias has the wrong sign. The error in "
    "eq-critic-bias-by-hand is what the critic says minus what is true."
)
def _(p):
    *values, bias = residual_minimum(p)
    return *values, -bias


@RESIDUAL.mistake(
    "Your values are right, but your bias is one in p. The gradient is taken in the "
    "logit, whose score brings the factor pq of eq-critic-bias-by-hand."
)
def _(p):
    *values, bias = residual_minimum(p)
    return *values, bias / (p * (1 - p))


@RESIDUAL.mistake(
    "Your values are right. You return the mean update at them; the bias is its "
    "distance from the gradient."
)
def _(p):
    *values, bias = residual_minimum(p)
    return *values, bias + (4 - 6 * p) * p * (1 - p)


@RESIDUAL.mistake(
    "Your values are right, but the errors in A and B have a plus between them. By "
    "eq-critic-bias-by-hand only their difference counts."
)
def _(p):
    q, (*values, _) = 1 - p, residual_minimum(p)
    return *values, p * q * (values[1] - q + values[2] - 2 * p)


@RESIDUAL.mistake(
    "Your values are right, but your bias is that of A alone. An error in B pulls the "
    "other way in eq-critic-bias-by-hand."
)
def _(p):
    q, (*values, _) = 1 - p, residual_minimum(p)
    return *values, p * q * (values[1] - q)


def batch_error(
    update: Tensor, probability: Tensor, gradient: Tensor, episodes: int
) -> Tensor:
    """Mean squared error of the mean of N updates, drawn from the M rows [M, D]."""
    bias, variance = _bias_and_variance(update, probability, gradient)
    return bias + variance / episodes


def _bias_and_variance(
    update: Tensor, probability: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Squared length of the bias, and variance of one episode."""
    mean, variance = enumerated_moments(update, probability)
    return (mean - gradient).square().sum(), variance


UPDATES = numbers([3, 0], [-1, 2], [1, 1])
CHANCES = numbers(0.5, 0.3, 0.2)
HOW_BAD = Exercise(
    "ex-how-bad",
    batch_error,
    cases={
        "no bias": (UPDATES, CHANCES, numbers(1.4, 0.8), 10),
        "no variance": (numbers([2, 1], [2, 1]), numbers(0.4, 0.6), numbers(1, 3), 10),
        "both": (UPDATES, CHANCES, numbers(1, 1.5), 10),
        "a single episode": (UPDATES, CHANCES, numbers(1, 1.5), 1),
    },
)


@HOW_BAD.mistake(
    "Your variance is that of one episode. The mean of N independent ones has less."
)
def _(update, probability, gradient, episodes):
    return batch_error(update, probability, gradient, 1)


@HOW_BAD.mistake(
    "You divide the bias by N as well. The bias of eq-n-step-critic-bias is the same "
    "in every episode, so no batch averages it out."
)
def _(update, probability, gradient, episodes):
    return batch_error(update, probability, gradient, 1) / episodes


@HOW_BAD.mistake(
    "You add the length of the bias. In a mean squared error it is squared."
)
def _(update, probability, gradient, episodes):
    bias, variance = _bias_and_variance(update, probability, gradient)
    return bias.sqrt() + variance / episodes


@HOW_BAD.mistake("You leave out the bias: this is the error of a perfect critic.")
def _(update, probability, gradient, episodes):
    return _bias_and_variance(update, probability, gradient)[1] / episodes


@HOW_BAD.mistake(
    "You leave out the variance: this is the error of a batch without end."
)
def _(update, probability, gradient, episodes):
    return _bias_and_variance(update, probability, gradient)[0]


@HOW_BAD.mistake(
    "You take the mean square of the updates for their variance. The square of their "
    "mean is no noise."
)
def _(update, probability, gradient, episodes):
    bias, _ = _bias_and_variance(update, probability, gradient)
    return bias + probability @ update.square().sum(1) / episodes


@HOW_BAD.mistake(
    "You count each trajectory once. Some are likelier than others, in the mean and in "
    "the variance."
)
def _(update, probability, gradient, episodes):
    equal = torch.full_like(probability, 1 / len(probability))
    return batch_error(update, equal, gradient, episodes)


@HOW_BAD.mistake(
    "You average over the components. The squared length of a vector is a sum over "
    "them."
)
def _(update, probability, gradient, episodes):
    error = batch_error(update, probability, gradient, episodes)
    return error / update.shape[1]


@HOW_BAD.mistake("You return the root of the mean squared error.")
def _(update, probability, gradient, episodes):
    return batch_error(update, probability, gradient, episodes).sqrt()

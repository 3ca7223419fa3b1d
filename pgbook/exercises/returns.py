"""Exercises of the chapter `returns`: what is settled early, stopping at random."""

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers
from pgbook.exercises.reinforce import ACTIONS, REWARDS, chances
from pgbook.returns import random_horizon_weights, reward_to_go_weights

Listed = tuple[Tensor, Tensor, Tensor]  # scores [T, N], rewards [T, N], probability [N]


def running(p: float) -> Listed:
    """The running example."""
    return (ACTIONS - p).double(), REWARDS, chances(p)


def late_prize(p: float) -> Listed:
    """The game of the late prize, c = 0.95."""
    a_t = torch.cartesian_prod(*[numbers(0, 1)] * 3).T
    r_t = torch.stack([0 * a_t[0], a_t[0], 0.95 * (1 - a_t[2])])
    return a_t - p, r_t, (p**a_t * (1 - p) ** (1 - a_t)).prod(0)


def kept_weights(
    score_t: Tensor, r_t: Tensor, probability: Tensor
) -> tuple[Tensor, Tensor]:
    """Means of all products, [T, T], and weights without those that are 0, [T, N]."""
    means = torch.einsum("n,tn,kn->tk", probability, score_t, r_t)
    return means, _kept(means.abs() > 1e-12, r_t)


def _kept(keep: Tensor, r_t: Tensor) -> Tensor:
    """Sum of the rewards that a decision keeps, keep [T, T], decision first."""
    return keep.to(r_t.dtype) @ r_t


SETTLED_EARLY = Exercise(
    "ex-settled-early",
    kept_weights,
    cases={
        "the late prize": late_prize(0.5),
        "a less likely prize": late_prize(0.3),
        "the running example": running(0.3),
    },
)


@SETTLED_EARLY.mistake(
    "Your means have the reward first. Rows belong to the decision t, and a decision "
    "keeps the rewards t' of its own row."
)
def _(score_t, r_t, probability):
    means = kept_weights(score_t, r_t, probability)[0].T
    return means, _kept(means.abs() > 1e-12, r_t)


@SETTLED_EARLY.mistake(
    "Your weights drop the past and nothing else, which is reward-to-go. Some means "
    "with t' >= t are 0 as well."
)
def _(score_t, r_t, probability):
    weight_t = reward_to_go_weights(r_t)
    return kept_weights(score_t, r_t, probability)[0], weight_t


@SETTLED_EARLY.mistake(
    "You keep the products with a positive mean only. One with a negative mean is part "
    "of the gradient as well, and without it the mean of the estimate changes."
)
def _(score_t, r_t, probability):
    means = kept_weights(score_t, r_t, probability)[0]
    return means, _kept(means > 1e-12, r_t)


@SETTLED_EARLY.mistake(
    "You have kept what should go: your weights hold the rewards whose product with "
    "the score has mean 0."
)
def _(score_t, r_t, probability):
    means = kept_weights(score_t, r_t, probability)[0]
    return means, _kept(means.abs() <= 1e-12, r_t)


@SETTLED_EARLY.mistake(
    "You take a plain mean over the trajectories, as if all were equally likely. Then "
    "products with the past no longer cancel, eq-past-times-score."
)
def _(score_t, r_t, probability):
    even = torch.full_like(probability, 1 / len(probability))
    return kept_weights(score_t, r_t, even)


@SETTLED_EARLY.mistake(
    "Your weights contain the score. A weight is what the score is multiplied by, a "
    "sum of rewards; see eq-reward-to-go."
)
def _(score_t, r_t, probability):
    means, weight_t = kept_weights(score_t, r_t, probability)
    return means, score_t * weight_t


@SETTLED_EARLY.mistake(
    "Your weights are sums of means, the same in every trajectory. The means only say "
    "which rewards to keep; each trajectory then brings its own."
)
def _(score_t, r_t, probability):
    means, weight_t = kept_weights(score_t, r_t, probability)
    return means, means.sum(1, keepdim=True).expand_as(weight_t)


def random_stopping(
    score_t: Tensor, r_t: Tensor, probability: Tensor, gamma: float
) -> tuple[Tensor, Tensor]:
    """Variance of the estimate with random stopping, and its mean number of steps."""
    law = _law(len(r_t), gamma)
    estimates = _estimates(_cut_weights(r_t), score_t)
    return _variance(estimates, law, probability), law @ _lengths(r_t)


def _lengths(r_t: Tensor) -> Tensor:
    return torch.arange(1, len(r_t) + 1, dtype=r_t.dtype)


def _law(steps: int, gamma: float) -> Tensor:
    """Probability that 1 … T steps are played, [T]."""
    law = (1 - gamma) * gamma ** numbers(*range(steps))
    law[-1] = gamma ** (steps - 1)
    return law


def _cut_weights(r_t: Tensor) -> Tensor:
    """Weights when 1 … T steps are played, [T, T, N], number of steps first."""
    whole = torch.ones(r_t.shape[1], dtype=torch.long)
    lengths = range(1, len(r_t) + 1)
    return torch.stack([random_horizon_weights(r_t, n * whole) for n in lengths])


def _estimates(weights: Tensor, score_t: Tensor) -> Tensor:
    return torch.einsum("ltn,tnd->lnd", weights, score_t)


def _variance(estimates: Tensor, law: Tensor, probability: Tensor) -> Tensor:
    mean = torch.einsum("l,n,lnd->d", law, probability, estimates)
    return law @ estimates.square().sum(-1) @ probability - mean.square().sum()


def one_parameter(
    score_t: Tensor, r_t: Tensor, probability: Tensor, gamma: float
) -> tuple[Tensor, Tensor, Tensor, float]:
    """A case whose scores, [T, N], get an axis for the one parameter."""
    return score_t[..., None], r_t, probability, gamma


TWO_PARAMETERS = (
    numbers(
        [[1, 0], [0, 2], [-1, 1]],
        [[-1, 1], [2, 0], [0, -1]],
        [[0, 1], [1, 1], [1, 0]],
    ),
    numbers([1, 2, 0], [0, 1, -2], [3, -1, 1]),
    numbers(0.3, 0.5, 0.2),
)
STOP_OR_DISCOUNT = Exercise(
    "ex-stop-or-discount",
    random_stopping,
    cases={
        "the running example": one_parameter(*running(0.7), 0.5),
        "the late prize": one_parameter(*late_prize(0.5), 0.9),
        "two parameters": (*TWO_PARAMETERS, 0.8),
        "a single step": (
            numbers([[0.7], [-0.3]]),
            numbers([1, 2]),
            numbers(0.3, 0.7),
            0.5,
        ),
        "no stopping": one_parameter(*running(0.3), 1.0),
    },
)


@STOP_OR_DISCOUNT.mistake(
    "Your probabilities of the lengths do not sum to 1. Every L beyond the last step "
    "plays all T steps, so that number of steps has the probability that is left."
)
def _(score_t, r_t, probability, gamma):
    law = (1 - gamma) * gamma ** (_lengths(r_t) - 1)
    estimates = _estimates(_cut_weights(r_t), score_t)
    return _variance(estimates, law, probability), law @ _lengths(r_t)


@STOP_OR_DISCOUNT.mistake(
    "Your episodes are a step too short: some stop before the first decision. They "
    "stop after a step, and P(L > 0) = 1."
)
def _(score_t, r_t, probability, gamma):
    law = _law(len(r_t) + 1, gamma)[1:]  # no steps, no gradient
    estimates = _estimates(_cut_weights(r_t), score_t)
    return _variance(estimates, law, probability), law @ _lengths(r_t)


@STOP_OR_DISCOUNT.mistake(
    "Your steps are the mean of L. An episode that stops by itself after T steps plays "
    "no more than these."
)
def _(score_t, r_t, probability, gamma):
    variance, steps = random_stopping(score_t, r_t, probability, gamma)
    return variance, 1 / (1 - gamma) if gamma < 1 else steps


@STOP_OR_DISCOUNT.mistake(
    "Your steps are those of an episode that is never stopped. Step t is played only "
    "if L > t, and fewer episodes live to see the late ones."
)
def _(score_t, r_t, probability, gamma):
    return random_stopping(score_t, r_t, probability, gamma)[0], float(len(r_t))


@STOP_OR_DISCOUNT.mistake(
    "You average the variances of the lengths. The means differ between lengths as "
    "well, and the law of total variance counts that, too."
)
def _(score_t, r_t, probability, gamma):
    estimates = _estimates(_cut_weights(r_t), score_t)
    each = [_variance(g[None], torch.ones(1).double(), probability) for g in estimates]
    law = _law(len(r_t), gamma)
    return law @ torch.stack(each), law @ _lengths(r_t)


@STOP_OR_DISCOUNT.mistake(
    "Your variance is that of the discounted estimate, the mean over L. The length is "
    "one more thing that is drawn, and adds noise of its own."
)
def _(score_t, r_t, probability, gamma):
    weight_t = reward_to_go_weights(r_t, None, gamma)
    estimates = _estimates(weight_t[None], score_t)
    variance = _variance(estimates, torch.ones(1).double(), probability)
    return variance, random_stopping(score_t, r_t, probability, gamma)[1]


@STOP_OR_DISCOUNT.mistake(
    "You discount the rewards of episodes that stop at random. Stopping is the "
    "discount, eq-random-horizon; with both every reward is discounted twice."
)
def _(score_t, r_t, probability, gamma):
    discounted = gamma ** (_lengths(r_t) - 1)[:, None] * r_t
    return random_stopping(score_t, discounted, probability, gamma)


@STOP_OR_DISCOUNT.mistake(
    "You return the mean of the square. For the variance subtract the squared length "
    "of the mean."
)
def _(score_t, r_t, probability, gamma):
    law = _law(len(r_t), gamma)
    squares = _estimates(_cut_weights(r_t), score_t).square().sum(-1)
    return law @ squares @ probability, law @ _lengths(r_t)


@STOP_OR_DISCOUNT.mistake(
    "You credit each decision with all rewards of its episode. The sum of "
    "eq-random-horizon starts at the decision; the past has mean 0, but adds noise."
)
def _(score_t, r_t, probability, gamma):
    law = _law(len(r_t), gamma)
    weights = _cut_weights(r_t)
    played = _lengths(r_t)[:, None] >= _lengths(r_t)
    totals = weights[:, :1] * played[..., None]
    return _variance(_estimates(totals, score_t), law, probability), law @ _lengths(r_t)

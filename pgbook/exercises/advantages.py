"""Exercises of the chapter `advantages`: lookahead, no critic, a cut for an end."""

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers
from pgbook.exercises.returns import TWO_PARAMETERS, late_prize, one_parameter, running
from pgbook.returns import reward_to_go_weights, rewards_to_go
from pgbook.statistics import enumerated_moments


def mean_lookahead(M: int, lambda_: float) -> float:
    """Mean number of rewards in the λ-return, with M steps left."""
    return sum(lambda_**k for k in range(M))


MEAN_LOOKAHEAD = Exercise(
    "ex-mean-lookahead",
    mean_lookahead,
    cases={
        "six steps left": (6, 0.9),
        "one step left": (1, 0.5),
        "the critic asked at once": (4, 0.0),
        "the critic asked last": (4, 1.0),
    },
)


@MEAN_LOOKAHEAD.mistake(
    "Your mean has infinitely many steps left. With M left, def-lambda-return gives no "
    "weight to a longer return than the M-step one."
)
def _(M, lambda_):
    return 1 / (1 - lambda_) if lambda_ < 1 else M


@MEAN_LOOKAHEAD.mistake(
    "Your weights do not sum to 1. In def-lambda-return the longest return gets all "
    "that is left, with no factor 1 - lambda."
)
def _(M, lambda_):
    return sum(n * (1 - lambda_) * lambda_ ** (n - 1) for n in range(1, M + 1))


@MEAN_LOOKAHEAD.mistake(
    "You leave out the longest return, which in def-lambda-return stands apart from "
    "the sum."
)
def _(M, lambda_):
    return sum(n * (1 - lambda_) * lambda_ ** (n - 1) for n in range(1, M))


@MEAN_LOOKAHEAD.mistake(
    "You count the rewards behind the first one. An n-step return has n rewards, and "
    "the shortest has one."
)
def _(M, lambda_):
    return mean_lookahead(M, lambda_) - 1


@MEAN_LOOKAHEAD.mistake(
    "Your longest return has one power of lambda too many: lambda^(M - 1) is what the "
    "weights of the shorter ones leave."
)
def _(M, lambda_):
    return mean_lookahead(M, lambda_) - M * lambda_ ** (M - 1) * (1 - lambda_)


@MEAN_LOOKAHEAD.mistake(
    "You have exchanged lambda and 1 - lambda. Which of them asks the critic early?"
)
def _(M, lambda_):
    return mean_lookahead(M, 1 - lambda_)


def without_critic(
    score_t: Tensor, r_t: Tensor, probability: Tensor, c: float
) -> tuple[Tensor, Tensor]:
    """Squared bias and variance if the critic says 0 and gamma times lambda is c."""
    return _against(1.0, _discounted(r_t, c), score_t, r_t, probability)


def _discounted(r_t: Tensor, c: float) -> Tensor:
    return rewards_to_go(r_t, torch.full_like(r_t, c))


def _moments(
    weight_t: Tensor, score_t: Tensor, probability: Tensor
) -> tuple[Tensor, Tensor]:
    return enumerated_moments(
        torch.einsum("tn,tnd->nd", weight_t, score_t), probability
    )


def _against(
    c: float, weight_t: Tensor, score_t: Tensor, r_t: Tensor, probability: Tensor
) -> tuple[Tensor, Tensor]:
    """Squared bias of the weights against those of the product c, and variance."""
    target = _moments(_discounted(r_t, c), score_t, probability)[0]
    mean, variance = _moments(weight_t, score_t, probability)
    return (mean - target).square().sum(), variance


USELESS_CRITIC = Exercise(
    "ex-useless-critic",
    without_critic,
    cases={
        "the running example": one_parameter(*running(0.7), 0.5),
        "the late prize": one_parameter(*late_prize(0.3), 0.9),
        "two parameters": (*TWO_PARAMETERS, 0.5),
        "a product of 0": (*TWO_PARAMETERS, 0.0),
        "a product of 1": (*TWO_PARAMETERS, 1.0),
    },
)


@USELESS_CRITIC.mistake(
    "Your powers count from the start of the episode. In eq-gae they count from the "
    "decision: its next reward has the power 0."
)
def _(score_t, r_t, probability, c):
    weight_t = reward_to_go_weights(r_t, None, c)
    return _against(1.0, weight_t, score_t, r_t, probability)


@USELESS_CRITIC.mistake(
    "Your bias is 0 for every product. The target is the undiscounted gradient, as in "
    "the map, and not the mean of the estimate itself."
)
def _(score_t, r_t, probability, c):
    return _against(c, _discounted(r_t, c), score_t, r_t, probability)


@USELESS_CRITIC.mistake(
    "You return the length of the bias. Its square is what is added to a variance, "
    "eq-mean-squared-error."
)
def _(score_t, r_t, probability, c):
    bias, variance = without_critic(score_t, r_t, probability, c)
    return bias.sqrt(), variance


@USELESS_CRITIC.mistake("The variance comes first in your result; put the bias there.")
def _(score_t, r_t, probability, c):
    return without_critic(score_t, r_t, probability, c)[::-1]


@USELESS_CRITIC.mistake(
    "You return the mean of the squared estimate for its variance. Subtract the "
    "squared length of its mean."
)
def _(score_t, r_t, probability, c):
    bias, variance = without_critic(score_t, r_t, probability, c)
    mean = _moments(_discounted(r_t, c), score_t, probability)[0]
    return bias, variance + mean @ mean


@USELESS_CRITIC.mistake(
    "Your episodes are all equally likely. Mean and variance are over the trajectories "
    "with their probabilities."
)
def _(score_t, r_t, probability, c):
    even = torch.full_like(probability, 1 / len(probability))
    return without_critic(score_t, r_t, even, c)


@USELESS_CRITIC.mistake(
    "Your first number is the mean squared error of one episode. The squared bias is "
    "one of its two parts in eq-mean-squared-error."
)
def _(score_t, r_t, probability, c):
    bias, variance = without_critic(score_t, r_t, probability, c)
    return bias + variance, variance


def shortfall(v_end: Tensor, T: int, gamma: float, lambda_: float) -> Tensor:
    """What advantages lose if a cut after T steps is taken for an end, [T, N]."""
    return _carried(gamma * v_end, T, gamma * lambda_)


def _carried(last: Tensor, T: int, factor: float) -> Tensor:
    """What the last step loses, times a factor for each step before it."""
    return factor ** numbers(*range(T)).flip(0)[:, None] * last


LONG_ENOUGH = Exercise(
    "ex-long-enough",
    shortfall,
    cases={
        "four steps": (numbers(10, -20), 4, 0.9, 0.8),
        "the critic asked at once": (numbers(10, -20), 3, 0.9, 0.0),
        "the critic asked last": (numbers(5), 3, 0.5, 1.0),
        "a single step": (numbers(5, 1), 1, 0.5, 0.5),
    },
)


@LONG_ENOUGH.mistake(
    "Your last decision loses V(s_T) itself. In def-td-error the value of the next "
    "state is discounted."
)
def _(v_end, T, gamma, lambda_):
    return _carried(v_end, T, gamma * lambda_)


@LONG_ENOUGH.mistake(
    "Only your last decision loses something. Its TD error is the only wrong one, but "
    "eq-gae-recursion hands it on to the decisions before."
)
def _(v_end, T, gamma, lambda_):
    return _carried(gamma * v_end, T, 0.0)


@LONG_ENOUGH.mistake(
    "You hand the loss on with gamma, as a return would. eq-gae-recursion has another "
    "factor in front of the next advantage."
)
def _(v_end, T, gamma, lambda_):
    return _carried(gamma * v_end, T, gamma)


@LONG_ENOUGH.mistake(
    "You hand the loss on with lambda alone; in eq-gae-recursion every step discounts."
)
def _(v_end, T, gamma, lambda_):
    return _carried(gamma * v_end, T, lambda_)


@LONG_ENOUGH.mistake(
    "Your last decision has a factor lambda already. Its TD error, def-td-error, knows "
    "of no lambda; that enters with the decision before."
)
def _(v_end, T, gamma, lambda_):
    return _carried(gamma * lambda_ * v_end, T, gamma * lambda_)


@LONG_ENOUGH.mistake(
    "Your first decision loses most. The cut is behind the last one; count the steps "
    "from a decision to the cut."
)
def _(v_end, T, gamma, lambda_):
    return shortfall(v_end, T, gamma, lambda_).flip(0)


@LONG_ENOUGH.mistake(
    "You return what is added to the advantages. How much is missing is asked for: the "
    "right advantage minus the wrong one."
)
def _(v_end, T, gamma, lambda_):
    return -shortfall(v_end, T, gamma, lambda_)

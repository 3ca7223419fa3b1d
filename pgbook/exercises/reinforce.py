"""Exercises of the chapter `reinforce`: Adam's first step, products, imitation."""

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers


def adam_first_step(p: float, r_1: float, r_0: float) -> tuple[float, float]:
    """Mean of Adam's first step over its step size, and the gradient in theta."""
    return p * _sign(r_1) - (1 - p) * _sign(r_0), p * (1 - p) * (r_1 - r_0)


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)


ADAM_LEANS = Exercise(
    "ex-adam-leans",
    adam_first_step,
    cases={
        "the likelier action pays less": (0.8, 1.0, 2.0),
        "the likelier action pays more": (0.8, 2.0, 1.0),
        "both pay the same": (0.3, 1.0, 1.0),
        "one action costs": (0.6, -1.0, 3.0),
    },
)


@ADAM_LEANS.mistake(
    "You take the sign of the mean. With N = 1 Adam sees one estimate, and its step is "
    "the sign of that; average over the two steps it may take."
)
def _(p, r_1, r_0):
    return _sign(r_1 - r_0), p * (1 - p) * (r_1 - r_0)


@ADAM_LEANS.mistake(
    "Your mean step holds for positive rewards. Where an action costs, its estimate "
    "has the other sign."
)
def _(p, r_1, r_0):
    return 2 * p - 1, p * (1 - p) * (r_1 - r_0)


@ADAM_LEANS.mistake(
    "Your mean step takes both actions for equally likely. Action 1 is drawn with "
    "probability p."
)
def _(p, r_1, r_0):
    return (_sign(r_1) - _sign(r_0)) / 2, p * (1 - p) * (r_1 - r_0)


@ADAM_LEANS.mistake(
    "Your gradient is the derivative in p. The parameter is theta, and p its sigmoid."
)
def _(p, r_1, r_0):
    return adam_first_step(p, r_1, r_0)[0], r_1 - r_0


@ADAM_LEANS.mistake(
    "You move down. Adam minimizes the loss, whose gradient is minus the estimate, so "
    "the parameter moves with the estimate."
)
def _(p, r_1, r_0):
    step, gradient = adam_first_step(p, r_1, r_0)
    return -step, gradient


@ADAM_LEANS.mistake("You return the gradient first; the mean step comes first.")
def _(p, r_1, r_0):
    return adam_first_step(p, r_1, r_0)[::-1]


def products(score_t: Tensor, r_t: Tensor, probability: Tensor, gamma: float) -> Tensor:
    """Mean of score t times gamma^t' r_t' for each pair of times, [T, T, D]."""
    discounted = _powers(gamma, r_t)[:, None] * r_t
    return torch.einsum("n,tnd,un->tud", probability, score_t, discounted)


def _powers(gamma: float, r_t: Tensor) -> Tensor:
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype)


ACTIONS = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]])
REWARDS = numbers([0, 0, 1, 1], [0, 2, 1, 0])


def chances(p: float) -> Tensor:
    """Probabilities of the four trajectories of the running example."""
    return numbers((1 - p) ** 2, p * (1 - p), p * (1 - p), p**2)


WHICH_PRODUCTS = Exercise(
    "ex-which-products",
    products,
    cases={
        "the running example": (
            (ACTIONS - 0.7).double()[..., None],
            REWARDS,
            chances(0.7),
            1.0,
        ),
        "the running example discounted": (
            (ACTIONS - 0.7).double()[..., None],
            REWARDS,
            chances(0.7),
            0.5,
        ),
        "two parameters and three steps": (
            numbers(
                [[1, 0], [0, 2]],
                [[-1, 1], [2, 0]],
                [[0, 1], [1, 1]],
            ),
            numbers([1, 2], [0, 1], [3, -1]),
            numbers(0.3, 0.7),
            0.9,
        ),
    },
)


@WHICH_PRODUCTS.mistake(
    "Rows and columns are exchanged: the first axis is the time t of the score, the "
    "second the time t' of the reward."
)
def _(score_t, r_t, probability, gamma):
    return products(score_t, r_t, probability, gamma).transpose(0, 1)


@WHICH_PRODUCTS.mistake(
    "You leave out the discount. In eq-final-gradient it belongs to the reward."
)
def _(score_t, r_t, probability, gamma):
    return products(score_t, r_t, probability, 1.0)


@WHICH_PRODUCTS.mistake(
    "Your discount has the time of the score. In eq-final-gradient the power of gamma "
    "is the time t' at which the reward is paid."
)
def _(score_t, r_t, probability, gamma):
    discounted = _powers(gamma, r_t)[:, None, None] * score_t
    return products(discounted, r_t, probability, 1.0)


@WHICH_PRODUCTS.mistake(
    "You average over the trajectories as if they were equally likely. Each counts "
    "with its probability."
)
def _(score_t, r_t, probability, gamma):
    return products(
        score_t, r_t, torch.full_like(probability, 1 / len(probability)), gamma
    )


@WHICH_PRODUCTS.mistake(
    "You divide a weighted sum by the number of trajectories. The probabilities sum "
    "to 1 already, so the weighted sum is the mean."
)
def _(score_t, r_t, probability, gamma):
    return products(score_t, r_t, probability, gamma) / len(probability)


@WHICH_PRODUCTS.mistake(
    "You multiply the mean of the score by the mean of the reward. The mean of a "
    "product is another number where the two depend on each other."
)
def _(score_t, r_t, probability, gamma):
    score = torch.einsum("n,tnd->td", probability, score_t)
    reward = _powers(gamma, r_t) * (r_t @ probability)
    return score[:, None] * reward[:, None]


def imitate(a_t: Tensor, returns: Tensor, probability: Tensor) -> Tensor:
    """Probability of action 1 that maximizes the weighted likelihood of a_t [T, N]."""
    weight = probability * returns
    return (weight * a_t).sum() / (weight.sum() * len(a_t))


RETURNS = REWARDS.sum(0)
IMITATE = Exercise(
    "ex-imitate-to-the-end",
    imitate,
    cases={
        "from p = 0.05": (ACTIONS, RETURNS, chances(0.05)),
        "from p = 0.5": (ACTIONS, RETURNS, chances(0.5)),
        "from p = 2/3": (ACTIONS, RETURNS, chances(2 / 3)),
        "three decisions": (
            torch.tensor([[1, 0], [1, 0], [0, 0]]),
            numbers(3, 1),
            numbers(0.2, 0.8),
        ),
    },
)


@IMITATE.mistake(
    "You imitate without weights, and find the policy that played. Every action counts "
    "with the return of its trajectory; see eq-self-imitation."
)
def _(a_t, returns, probability):
    return (probability * a_t).sum() / len(a_t)


@IMITATE.mistake(
    "You count each trajectory once. In a large batch it occurs in proportion to its "
    "probability."
)
def _(a_t, returns, probability):
    return imitate(a_t, returns, torch.ones_like(probability))


@IMITATE.mistake(
    "Your weights do not sum to 1. The maximum lies at the share of the ones in all "
    "weighted decisions, ones and zeros."
)
def _(a_t, returns, probability):
    return (probability * returns * a_t).sum() / len(a_t)


@IMITATE.mistake(
    "You divide by the weight of the trajectories. Each of them has T decisions."
)
def _(a_t, returns, probability):
    return imitate(a_t, returns, probability) * len(a_t)


@IMITATE.mistake(
    "You return the probability of action 0. Which action has probability p?"
)
def _(a_t, returns, probability):
    return 1 - imitate(a_t, returns, probability)


@IMITATE.mistake(
    "You return the ones over the zeros, which are the odds. What is the share?"
)
def _(a_t, returns, probability):
    share = imitate(a_t, returns, probability)
    return share / (1 - share)

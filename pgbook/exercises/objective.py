"""Exercises of the chapter `objective`: death for a discount, a discounted corridor."""

from dataclasses import replace

import torch
from torch import Tensor

from pgbook.environments import short_corridor
from pgbook.exercises.exercise import Exercise, numbers
from pgbook.mdp import TabularMDP


def dying(r_t: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of what r_t [T] earns until death; life goes on with gamma."""
    alive_t = _alive(r_t, gamma)
    last_t = alive_t - torch.cat([alive_t[1:], alive_t.new_zeros(1)])
    earned_t = r_t.cumsum(0)
    mean = last_t @ earned_t
    return mean, last_t @ (earned_t - mean).square()


def _alive(r_t: Tensor, gamma: float) -> Tensor:
    """Probability that step t is played, [T]."""
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype)


DYING = Exercise(
    "ex-objective-dying",
    dying,
    cases={
        "three rewards": (numbers(1, 2, 4), 0.5),
        "rewards of both signs": (numbers(3, -1, 0, -2), 0.8),
        "a single step": (numbers(3), 0.9),
        "nobody dies": (numbers(1, 2, 4), 1.0),
        "everybody dies after one step": (numbers(1, 2, 4), 0.0),
    },
)


@DYING.mistake(
    "Your mean is right, but your variance is that of the discounted return, which is "
    "certain here. Whether step t is played is not."
)
def _(r_t, gamma):
    return dying(r_t, gamma)[0], 0.0


@DYING.mistake(
    "Your variance adds up over the steps as if they were independent. Whoever plays "
    "step t has played all the steps before."
)
def _(r_t, gamma):
    alive_t = _alive(r_t, gamma)
    return dying(r_t, gamma)[0], (r_t**2 * alive_t * (1 - alive_t)).sum()


@DYING.mistake(
    "Your players may die before their first step. The episode goes on with "
    "probability gamma after a step, so step t is played with probability gamma^t."
)
def _(r_t, gamma):
    mean, variance = dying(r_t, gamma)
    return gamma * mean, gamma * (variance + mean**2) - (gamma * mean) ** 2


@DYING.mistake(
    "Your probabilities do not sum to 1. Whoever plays the last step earns all, alive "
    "or dead afterward."
)
def _(r_t, gamma):
    last_t, earned_t = (1 - gamma) * _alive(r_t, gamma), r_t.cumsum(0)
    mean = last_t @ earned_t
    return mean, last_t @ (earned_t - mean).square()


@DYING.mistake(
    "You weigh the reward of the last step played. Whoever dies after step t keeps "
    "what she earned before."
)
def _(r_t, gamma):
    alive_t = _alive(r_t, gamma)
    last_t = alive_t - torch.cat([alive_t[1:], alive_t.new_zeros(1)])
    mean = last_t @ r_t
    return mean, last_t @ (r_t - mean).square()


@DYING.mistake(
    "Your second number is the mean of the squared return. A variance is measured "
    "from the mean."
)
def _(r_t, gamma):
    mean, variance = dying(r_t, gamma)
    return mean, variance + mean**2


@DYING.mistake("Your second number is the standard deviation, not its square.")
def _(r_t, gamma):
    mean, variance = dying(r_t, gamma)
    return mean, variance**0.5


def discounted_corridor(p: Tensor, gamma: float) -> Tensor:
    """Discounted return of the short corridor, for probabilities p [K] of right."""
    return _returns(replace(short_corridor(), discount=gamma), p)


def _returns(mdp: TabularMDP, p: Tensor) -> Tensor:
    """Objective of the policies with pi(1|s) = p in all three places, [K]."""
    tables = torch.stack([1 - p, p], -1)[:, None].expand(-1, 3, 2)
    return torch.stack([mdp.expected_return(pi) for pi in tables])


DISCOUNTED_CORRIDOR = Exercise(
    "ex-objective-discounted-corridor",
    discounted_corridor,
    cases={
        "half of what follows counts": (numbers(0.2, 0.5, 0.8), 0.5),
        "a far sight": (numbers(0.2, 0.5, 0.8), 0.99),
        "a policy that never arrives": (numbers(0, 1), 0.9),
        "only the first step counts": (numbers(0.2, 0.5), 0.0),
    },
)


@DISCOUNTED_CORRIDOR.mistake(
    "You return what eq-corridor-objective gives, without a discount. Where does gamma "
    "enter eq-corridor-values?"
)
def _(p, gamma):
    return -2 * (2 - p) / (p * (1 - p))


@DISCOUNTED_CORRIDOR.mistake(
    "In your corridor the middle place is like the others. There the two actions are "
    "exchanged."
)
def _(p, gamma):
    corridor = short_corridor()
    straight = corridor.transition.clone()
    straight[1] = straight[1].flip(0)
    return _returns(replace(corridor, transition=straight, discount=gamma), p)


@DISCOUNTED_CORRIDOR.mistake("You take p for the probability of left.")
def _(p, gamma):
    return discounted_corridor(1 - p, gamma)


@DISCOUNTED_CORRIDOR.mistake(
    "You discount the first step already. By def-trajectory-return r_0 counts in full."
)
def _(p, gamma):
    return gamma * discounted_corridor(p, gamma)


@DISCOUNTED_CORRIDOR.mistake(
    "You return a cost. The reward is -1 per step, so J is not positive."
)
def _(p, gamma):
    return -discounted_corridor(p, gamma)


@DISCOUNTED_CORRIDOR.mistake(
    "You discount as if every episode took the mean number of steps. The discounted "
    "sum is no straight line in their number, so its mean is another."
)
def _(p, gamma):
    steps = 2 * (2 - p) / (p * (1 - p))
    return -(1 - gamma**steps) / (1 - gamma)

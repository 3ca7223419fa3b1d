"""Exercises of the chapter `trust_region`: the worst case, and steps without rest."""

import math

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers
from pgbook.mdp import TabularMDP
from pgbook.trust_region import surrogate_return

NEUTRAL, GOOD, BAD = torch.eye(3, dtype=torch.float64)


def worst_case(rho: float, gamma: float) -> tuple[Tensor, float]:
    """Policy with the largest error within rho, and the error over the third bound."""
    return _judged(rho, gamma, BAD - GOOD, GOOD - BAD)


def _judged(
    rho: float, gamma: float, first: Tensor, second: Tensor
) -> tuple[Tensor, float]:
    """Policy that moves rho along first in state 0 and second in state 1; its share."""
    moves = torch.zeros(2, 3, 2, dtype=torch.float64)
    moves[0, [0, 2], 0] = moves[0, 1, 1] = moves[1, :, 1] = 1
    task = TabularMDP(moves, (GOOD - BAD).expand(2, 3), numbers(1, 0), discount=gamma)
    old = ((1 - 2 * rho) * NEUTRAL + rho * (GOOD + BAD)).expand(2, 3)
    new = old + rho * torch.stack([first, second])
    error = surrogate_return(task, old, new) - task.expected_return(new)
    return new, abs(error.item()) / _third_bound(rho, gamma)


def _third_bound(rho: float, gamma: float) -> float:
    return 4 * gamma * rho**2 / (1 - gamma) ** 2


WORST_CASE = Exercise(
    "ex-worst-case",
    worst_case,
    cases={
        "rho is a tenth": (0.1, 0.9),
        "rho is a hundredth": (0.01, 0.9),
        "a shorter view": (0.1, 0.5),
    },
)


@WORST_CASE.mistake(
    "Your new policy goes to state 1 more often than the old one. Its visits move as "
    "far only in the limit: how long one stays in state 0 changes faster where it is "
    "left more rarely. Which policy never leaves?"
)
def _(rho, gamma):
    return _judged(rho, gamma, GOOD - BAD, BAD - GOOD)


@WORST_CASE.mistake(
    "You move probability from and to the neutral action. The mean advantage changes "
    "twice as much if what one of the other two actions gives up goes to its opposite."
)
def _(rho, gamma):
    return _judged(rho, gamma, NEUTRAL - GOOD, NEUTRAL - BAD)


@WORST_CASE.mistake(
    "You leave the old policy in state 1. An error is a change of visits times a mean "
    "advantage, eq-surrogate-error, and that of state 1 counts too."
)
def _(rho, gamma):
    return _judged(rho, gamma, BAD - GOOD, 0 * GOOD)


@WORST_CASE.mistake(
    "You do the same in both states. Then both have the same mean advantage, and "
    "visits that move from one to the other change nothing: eq-surrogate-error."
)
def _(rho, gamma):
    return _judged(rho, gamma, BAD - GOOD, BAD - GOOD)


@WORST_CASE.mistake(
    "You gain in both states, as an improved policy would. Then moved visits change "
    "nothing: in eq-surrogate-error it is the difference of the mean advantages that "
    "counts."
)
def _(rho, gamma):
    return _judged(rho, gamma, GOOD - BAD, GOOD - BAD)


@WORST_CASE.mistake(
    "You move only half of what is allowed. The total variation is half the sum of the "
    "absolute differences."
)
def _(rho, gamma):
    return _judged(rho, gamma, (BAD - GOOD) / 2, (GOOD - BAD) / 2)


@WORST_CASE.mistake(
    "Your policy is right. Your share is the bound over the error; turn it over."
)
def _(rho, gamma):
    new, share = worst_case(rho, gamma)
    return new, 1 / share


@WORST_CASE.mistake(
    "Your policy is right, and your share is its limit. For this rho the visits move "
    "less than to lowest order."
)
def _(rho, gamma):
    return worst_case(rho, gamma)[0], 1.0


@WORST_CASE.mistake(
    "Your policy is right. In your share the bound has the constant 2, which in "
    "eq-lower-bound belongs to the divergence."
)
def _(rho, gamma):
    new, share = worst_case(rho, gamma)
    return new, 2 * share


@WORST_CASE.mistake(
    "Your policy is right. In your share the distance is not squared: it stands once "
    "for the visits and once for the actions."
)
def _(rho, gamma):
    new, share = worst_case(rho, gamma)
    return new, share * rho


@WORST_CASE.mistake(
    "Your policy is right. Your share takes one factor 1 / (1 - gamma) for two: one is "
    "for how far visits move, the other for how many there are."
)
def _(rho, gamma):
    new, share = worst_case(rho, gamma)
    return new, share / (1 - gamma)


@WORST_CASE.mistake(
    "Your policy is right. You return the error itself; divide it by the third bound."
)
def _(rho, gamma):
    new, share = worst_case(rho, gamma)
    return new, share * _third_bound(rho, gamma)


@WORST_CASE.mistake(
    "Your policy is right. Your share is negative: eq-lower-bound is about the "
    "absolute value of the error."
)
def _(rho, gamma):
    new, share = worst_case(rho, gamma)
    return new, -share


def next_p(p: float, radius: float) -> float:
    """The p after a full step of TRPO on the running example."""
    return _moved(p, _direction(p) * math.sqrt(2 * radius / (p * (1 - p))))


def _moved(p: float, step: float) -> float:
    """Probability after a step of the logit."""
    return 1 / (1 + (1 - p) / p * math.exp(-step))


def _direction(p: float) -> float:
    """Sign of the gradient, 4 - 6 p times a positive number."""
    return math.copysign(1, 4 - 6 * p)


NO_REST = Exercise(
    "ex-no-rest",
    next_p,
    cases={
        "from the start": (0.1, 0.01),
        "just below the best": (0.66, 0.01),
        "above the best": (0.8, 0.01),
        "a larger radius": (0.3, 0.04),
    },
)


@NO_REST.mistake(
    "You come to rest at 2/3. The surrogate does not turn there: it is a straight line "
    "in p, and eq-full-step goes to the edge of the region."
)
def _(p, radius):
    lower, upper = sorted((p, next_p(p, radius)))
    return min(max(2 / 3, lower), upper)


@NO_REST.mistake(
    "You always go up. Above p = 2/3 the gradient of the running example is negative."
)
def _(p, radius):
    return _moved(p, math.sqrt(2 * radius / (p * (1 - p))))


@NO_REST.mistake(
    "You go down where the return goes up. In eq-full-step the step has the direction "
    "of the gradient, which is one of ascent."
)
def _(p, radius):
    return _moved(p, -_direction(p) * math.sqrt(2 * radius / (p * (1 - p))))


@NO_REST.mistake(
    "Your step is too short by the root of 2. Either the 2 of eq-full-step is missing, "
    "or your Fisher information is that of an episode, with its two decisions; the "
    "radius bounds a mean over decisions."
)
def _(p, radius):
    return _moved(p, _direction(p) * math.sqrt(radius / (p * (1 - p))))


@NO_REST.mistake(
    "You add the step to p. The gradient and the Fisher information p (1 - p) are "
    "those of the logit, so it is the logit that moves."
)
def _(p, radius):
    return p + _direction(p) * math.sqrt(2 * radius / (p * (1 - p)))


@NO_REST.mistake(
    "You move p by what is the step to lowest order. The logit moves in a straight "
    "line, and p is its sigmoid."
)
def _(p, radius):
    return p + _direction(p) * math.sqrt(2 * radius * p * (1 - p))


@NO_REST.mistake(
    "You multiply by the Fisher information where eq-full-step divides: the less "
    "random the policy, the farther its logit may move."
)
def _(p, radius):
    return _moved(p, _direction(p) * math.sqrt(2 * radius * p * (1 - p)))


@NO_REST.mistake(
    "You forget the root in eq-full-step. A divergence grows with the square of the "
    "step."
)
def _(p, radius):
    return _moved(p, _direction(p) * 2 * radius / (p * (1 - p)))


@NO_REST.mistake(
    "You take the radius for a step size. In eq-full-step the length of the step does "
    "not depend on how steep the surrogate is."
)
def _(p, radius):
    return _moved(p, radius * (4 - 6 * p))


@NO_REST.mistake("You return the new logit. Which p belongs to it?")
def _(p, radius):
    new = next_p(p, radius)
    return math.log(new / (1 - new))

"""Exercises of the chapter `ppo`: climbing to the top, and one length for two."""

from collections.abc import Callable

import torch
from torch import Tensor

from pgbook.environments import two_step
from pgbook.exercises.exercise import Exercise, numbers


def top(p_old: float, epsilon: float, grid: Tensor) -> float:
    """The p of a grid where the clipped surrogate of the running example is largest."""
    return _top(p_old, epsilon, grid, *_played(p_old))


def _played(p_old: float) -> tuple[Tensor, Tensor]:
    """How often each action is taken per episode, and its advantage, [H, S, A]."""
    pi = numbers([1 - p_old, p_old]).expand(3, 2)
    return two_step().occupancy(pi)[..., None] * pi, two_step().advantages(pi)


def _clipped(ratio: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    """Terms of the clipped surrogate."""
    return torch.minimum(ratio * adv, _clip_alone(ratio, adv, epsilon))


def _clip_alone(ratio: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    return ratio.clamp(1 - epsilon, 1 + epsilon) * adv


def _unclipped(ratio: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    return ratio * adv


def _top(
    p_old: float,
    epsilon: float,
    grid: Tensor,
    weight: Tensor,
    adv: Tensor,
    terms: Callable[[Tensor, Tensor, float], Tensor] = _clipped,
) -> float:
    """The first p of the grid where a weighted sum of terms is largest."""
    ratio = torch.stack([(1 - grid) / (1 - p_old), grid / p_old], -1)  # [K, A]
    found = weight * terms(ratio[:, None, None], adv, epsilon)
    return grid[found.sum((1, 2, 3)).argmax()].item()


GRID = torch.arange(100, dtype=torch.float64) / 100 + 0.003  # no kink is on it
TO_THE_TOP = Exercise(
    "ex-to-the-top",
    top,
    cases={
        "from p = 1/2": (0.5, 0.2, GRID),
        "far below the best": (0.1, 0.2, GRID),
        "close below the best": (0.6, 0.2, GRID),
        "above the best": (0.7, 0.2, GRID),
        "a narrow clip": (0.4, 0.05, GRID),
    },
)


@TO_THE_TOP.mistake(
    "You climb to an end: nothing stops you. By eq-clip-cases a good action is clipped "
    "at 1 + epsilon and a bad one at 1 - epsilon, and both have to be."
)
def _(p_old, epsilon, grid):
    return _top(p_old, epsilon, grid, *_played(p_old), _unclipped)


@TO_THE_TOP.mistake(
    "You drop the minimum, or take it once over the whole sum. In "
    "def-clipped-surrogate it belongs to each decision: those on the wrong side pull "
    "back."
)
def _(p_old, epsilon, grid):
    return _top(p_old, epsilon, grid, *_played(p_old), _clip_alone)


@TO_THE_TOP.mistake(
    "You leave out action 0. It becomes rarer as action 1 becomes more probable, and "
    "its decisions are in the record, with a ratio of their own."
)
def _(p_old, epsilon, grid):
    weight, adv = _played(p_old)
    return _top(p_old, epsilon, grid, weight * numbers(0, 1), adv)


@TO_THE_TOP.mistake(
    "You find the top of the return. The surrogate does not know it: between two kinks "
    "it is a straight line, with visits and advantages of the old policy."
)
def _(p_old, epsilon, grid):
    return grid[(4 * grid - 3 * grid**2).argmax()].item()


@TO_THE_TOP.mistake(
    "You go to where the surrogate is smallest. A loss is minus the surrogate, and it "
    "is the loss that is to be minimized."
)
def _(p_old, epsilon, grid):
    weight, adv = _played(p_old)
    return _top(p_old, epsilon, grid, -weight, adv)


@TO_THE_TOP.mistake(
    "You count the three states alike. A decision is in the record as often as the old "
    "policy came to its state."
)
def _(p_old, epsilon, grid):
    weight, adv = _played(p_old)
    alike = weight / weight.sum(-1, keepdim=True).clamp(1e-9)
    return _top(p_old, epsilon, grid, alike, adv)


@TO_THE_TOP.mistake(
    "You count the actions of a state alike. The record holds each as often as the old "
    "policy takes it, which is why the ratio divides by that probability."
)
def _(p_old, epsilon, grid):
    weight, adv = _played(p_old)
    return _top(p_old, epsilon, grid, weight.sum(-1, keepdim=True), adv)


@TO_THE_TOP.mistake(
    "Your visits and advantages are those of p = 1/2. Each update records anew, with "
    "the policy that the last one left."
)
def _(p_old, epsilon, grid):
    weight, adv = _played(0.5)
    return _top(p_old, epsilon, grid, 2 * weight * numbers(1 - p_old, p_old), adv)


def cut_actor_gradient(
    actor: Tensor, critic: Tensor, scale: float, max_norm: float
) -> Tensor:
    """What one limit leaves of the actor's gradient, for rewards times scale."""
    norm = torch.cat([actor, scale * critic]).norm().item()
    return actor * min(1.0, max_norm / norm)


ACTOR, CRITIC = numbers(0.6, -0.8), numbers(1.2, 0.0, -0.5)  # lengths 1 and 1.3
SHARED_NORM = Exercise(
    "ex-shared-norm",
    cut_actor_gradient,
    cases={
        "rewards as they are": (ACTOR, CRITIC, 1.0, 0.5),
        "a hundred times the rewards": (ACTOR, CRITIC, 100.0, 0.5),
        "small rewards and a limit out of reach": (ACTOR, CRITIC, 0.1, 5.0),
        "no limit": (ACTOR, CRITIC, 100.0, float("inf")),
    },
)


@SHARED_NORM.mistake(
    "You limit the actor's gradient alone. `update` hands the parameters of both "
    "networks to one limit, so both gradients share one length."
)
def _(actor, critic, scale, max_norm):
    return actor * min(1.0, max_norm / actor.norm().item())


@SHARED_NORM.mistake(
    "You measure the critic's gradient alone. The length is that of both together."
)
def _(actor, critic, scale, max_norm):
    return actor * min(1.0, max_norm / (scale * critic.norm().item()))


@SHARED_NORM.mistake(
    "You scale the actor's gradient. Normalized advantages do not hear the unit of the "
    "rewards, as long as the critic says 0."
)
def _(actor, critic, scale, max_norm):
    return cut_actor_gradient(scale * actor, critic, scale, max_norm)


@SHARED_NORM.mistake(
    "You scale the advantages, and forget the critic. Its error is what it should say, "
    "and that grows with the rewards, while the normalized advantages do not."
)
def _(actor, critic, scale, max_norm):
    return cut_actor_gradient(scale * actor, critic, 1.0, max_norm)


@SHARED_NORM.mistake(
    "You leave the critic's gradient as it is. Its error is what it should say, and "
    "that grows with the rewards."
)
def _(actor, critic, scale, max_norm):
    return cut_actor_gradient(actor, critic, 1.0, max_norm)


@SHARED_NORM.mistake(
    "You scale the critic's gradient by the square. The loss grows like that; its "
    "gradient is an error, which is scaled once, times a slope, which is not."
)
def _(actor, critic, scale, max_norm):
    return cut_actor_gradient(actor, critic, scale**2, max_norm)


@SHARED_NORM.mistake(
    "You add the two lengths. Parameters of both networks are components of one "
    "vector, so their squares add."
)
def _(actor, critic, scale, max_norm):
    norm = (actor.norm() + scale * critic.norm()).item()
    return actor * min(1.0, max_norm / norm)


@SHARED_NORM.mistake(
    "You stretch a gradient that is shorter than the limit. A limit only shortens."
)
def _(actor, critic, scale, max_norm):
    norm = torch.cat([actor, scale * critic]).norm()
    return actor * (max_norm / norm if max_norm < float("inf") else 1.0)


@SHARED_NORM.mistake(
    "You cut each component on its own, so the direction changes. The limit is one for "
    "the length of the whole gradient."
)
def _(actor, critic, scale, max_norm):
    return actor.clamp(-max_norm, max_norm)

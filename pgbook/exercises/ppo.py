"""Exercises of the chapter `ppo`: climbing to the top, and one length for two."""

from collections.abc import Callable

import torch
from torch import Tensor

from pgbook.environments import two_step
from pgbook.exercises.exercise import Exercise, numbers


def top(p_old: float, epsilon: float) -> float:
    """The p where the clipped surrogate of the running example is largest."""
    return _top(p_old, epsilon, *_played(p_old))


def _played(p_old: float) -> tuple[Tensor, Tensor]:
    """How often each action is taken per episode, and its advantage, [H, S, A]."""
    pi = numbers([1 - p_old, p_old]).expand(3, 2)
    return two_step().occupancy(pi)[..., None] * pi, two_step().advantages(pi)


def _clipped(ratio: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    """Terms of the clipped surrogate."""
    return torch.minimum(ratio * adv, ratio.clamp(1 - epsilon, 1 + epsilon) * adv)


def _top(
    p_old: float,
    epsilon: float,
    weight: Tensor,
    adv: Tensor,
    terms: Callable[[Tensor, Tensor, float], Tensor] = _clipped,
) -> float:
    """The kink or end where a weighted sum of terms is largest, the nearest of ties."""

    def value(p: float) -> float:
        ratio = numbers(1 - p, p) / numbers(1 - p_old, p_old)
        return round((weight * terms(ratio, adv, epsilon)).sum().item(), 12)

    places = [0.0, 1.0, *_kinks(p_old, epsilon), *_kinks(p_old, -epsilon)]
    return max(sorted(places, key=lambda p: abs(p - p_old)), key=value)


def _kinks(p_old: float, epsilon: float) -> tuple[float, float]:
    """Where the ratio of action 1 or of action 0 leaves the clip, upward."""
    return p_old * (1 + epsilon), 1 - (1 - p_old) * (1 - epsilon)


def _toward(p_old: float, epsilon: float) -> float:
    """Epsilon, with the sign of the direction in which the surrogate rises."""
    return epsilon if p_old < 2 / 3 else -epsilon


TO_THE_TOP = Exercise(
    "ex-to-the-top",
    top,
    cases={
        "from p = 1/2": (0.5, 0.2),
        "far below the best": (0.1, 0.2),
        "close below the best": (0.6, 0.2),
        "above the best": (0.7, 0.2),
        "a narrow clip": (0.4, 0.05),
    },
)


@TO_THE_TOP.mistake(
    "You climb to an end: nothing stops you. By eq-clip-cases a good action is clipped "
    "at 1 + epsilon and a bad one at 1 - epsilon, and both have to be."
)
def _(p_old, epsilon):
    return float(p_old < 2 / 3)


@TO_THE_TOP.mistake(
    "You drop the minimum, or take it once over the whole sum. In "
    "def-clipped-surrogate it belongs to each decision: those on the wrong side pull "
    "back."
)
def _(p_old, epsilon):
    weight, adv = _played(p_old)
    return _top(p_old, epsilon, weight, adv, _without_minimum)


def _without_minimum(ratio: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    return ratio.clamp(1 - epsilon, 1 + epsilon) * adv


@TO_THE_TOP.mistake(
    "You stop where the ratio of action 1 leaves the clip. In the same state the "
    "ratio of action 0 moves the other way, and has its own kink."
)
def _(p_old, epsilon):
    return _kinks(p_old, _toward(p_old, epsilon))[0]


@TO_THE_TOP.mistake(
    "You stop at the first kink. There only one action falls silent; compare the "
    "slopes of what is left, upward and downward."
)
def _(p_old, epsilon):
    return min(_kinks(p_old, _toward(p_old, epsilon)), key=lambda p: abs(p - p_old))


@TO_THE_TOP.mistake(
    "You clip the probability. It is the ratio of new to old, def-ratio-surrogate, "
    "that stops paying at a distance of epsilon from 1."
)
def _(p_old, epsilon):
    return p_old + _toward(p_old, epsilon)


@TO_THE_TOP.mistake(
    "You stop at the best policy. The surrogate does not know it: between two kinks it "
    "is a straight line, with visits and advantages of the old policy."
)
def _(p_old, epsilon):
    lower, upper = sorted((top(p_old, epsilon), p_old))
    return min(max(2 / 3, lower), upper)


@TO_THE_TOP.mistake(
    "You count the three states alike. A decision is in the record as often as the old "
    "policy came to its state."
)
def _(p_old, epsilon):
    weight, adv = _played(p_old)
    return _top(p_old, epsilon, weight / weight.sum(-1, keepdim=True).clamp(1e-9), adv)


@TO_THE_TOP.mistake(
    "You count the actions of a state alike. The record holds each as often as the old "
    "policy takes it, which is why the ratio divides by that probability."
)
def _(p_old, epsilon):
    weight, adv = _played(p_old)
    return _top(p_old, epsilon, weight.sum(-1, keepdim=True), adv)


@TO_THE_TOP.mistake(
    "Your visits and advantages are those of p = 1/2. Each update records anew, with "
    "the policy that the last one left."
)
def _(p_old, epsilon):
    _, adv = _played(0.5)
    old = numbers(1 - p_old, p_old)
    return _top(p_old, epsilon, _played(0.5)[0] * 2 * old, adv)


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

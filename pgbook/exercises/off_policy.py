"""Exercises of the chapter `off_policy`: mixtures, many dimensions, left-out states."""

import math

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers


def mixed_growth(
    pi: Tensor, other: Tensor, share: float, transition: Tensor
) -> tuple[Tensor, Tensor]:
    """Largest ratio and Lambda if the behavior mixes other [S, A] with pi [S, A]."""
    behavior = (1 - share) * other + share * pi
    return (pi / behavior).max(), _largest(pi**2 / behavior, transition)


def _largest(weight: Tensor, transition: Tensor) -> Tensor:
    """Largest eigenvalue of the weighted transitions, a matrix without symmetry."""
    return torch.linalg.eigvals(_moves(weight, transition)).abs().max()


def _moves(weight: Tensor, transition: Tensor) -> Tensor:
    return torch.einsum("sa,sau->su", weight, transition)


PI = numbers([0.9, 0.1], [0.3, 0.7], [0.5, 0.5])
OTHER = numbers([0.5, 0.5], [0.6, 0.4], [0.2, 0.8])
LOOP = numbers(
    [[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]],
    [[0.1, 0.9, 0.0], [0.3, 0.3, 0.4]],
    [[0.8, 0.1, 0.1], [0.0, 0.5, 0.5]],
)
ENDING = 0.8 * LOOP  # each step is the last one with probability 0.2
DEFENSIVE = Exercise(
    "ex-defensive",
    mixed_growth,
    cases={
        "a fifth is the target": (PI, OTHER, 0.2, LOOP),
        "a tenth is the target and episodes end": (PI, OTHER, 0.1, ENDING),
        "the other policy hardly ever takes an action": (
            PI,
            numbers([0.99, 0.01], [0.99, 0.01], [0.01, 0.99]),
            0.5,
            LOOP,
        ),
        "all is the target": (PI, OTHER, 1.0, LOOP),
    },
)


@DEFENSIVE.mistake(
    "You exchange the parts of the mixture: epsilon is the share of the target."
)
def _(pi, other, share, transition):
    return mixed_growth(pi, other, 1 - share, transition)


@DEFENSIVE.mistake(
    "You divide by the other policy alone. The denominator of a ratio is the policy "
    "that sampled, and that is the mixture."
)
def _(pi, other, share, transition):
    return mixed_growth(pi, other, 0.0, transition)


@DEFENSIVE.mistake(
    "Your Lambda belongs to the target's own transitions. A mean of the ratio is 1 "
    "whatever the behavior is; eq-second-moments is about its square."
)
def _(pi, other, share, transition):
    return mixed_growth(pi, other, share, transition)[0], _largest(pi, transition)


@DEFENSIVE.mistake(
    "Your Lambda adds squared ratios as if each action were drawn once. In M each "
    "counts with the probability by which the behavior draws it."
)
def _(pi, other, share, transition):
    ratio = pi / ((1 - share) * other + share * pi)
    return ratio.max(), _largest(ratio**2, transition)


@DEFENSIVE.mistake(
    "You return bounds: both numbers are at most 1 / epsilon. How large are they for "
    "these policies?"
)
def _(pi, other, share, transition):
    return 1 / share, 1 / share


@DEFENSIVE.mistake(
    "Your Lambda is the largest row sum of M, which bounds its eigenvalues. By "
    "eq-second-moments the growth per decision is the eigenvalue."
)
def _(pi, other, share, transition):
    ratio, _ = mixed_growth(pi, other, share, transition)
    behavior = (1 - share) * other + share * pi
    return ratio, _moves(pi**2 / behavior, transition).sum(1).max()


@DEFENSIVE.mistake(
    "Your Lambda takes M for symmetric. `eigvalsh` reads one triangle of its argument; "
    "M needs the function for any square matrix."
)
def _(pi, other, share, transition):
    behavior = (1 - share) * other + share * pi
    M = _moves(pi**2 / behavior, transition)
    return (pi / behavior).max(), torch.linalg.eigvalsh(M).abs().max()


@DEFENSIVE.mistake("You return Lambda first; the largest ratio comes first.")
def _(pi, other, share, transition):
    return mixed_growth(pi, other, share, transition)[::-1]


def gaussian_divergences(m: float, d: int) -> tuple[float, float]:
    """1 + chi² and KL of two normal distributions whose means differ by m in d axes."""
    return math.exp(d * m**2), d * m**2 / 2


GAUSSIAN_SIZE = Exercise(
    "ex-gaussian-size",
    gaussian_divergences,
    cases={
        "one dimension": (0.5, 1),
        "ten dimensions": (0.5, 10),
        "the same mean": (0.0, 3),
    },
)


@GAUSSIAN_SIZE.mistake(
    "You count one dimension. Densities of independent entries multiply, and so do the "
    "means of their ratios."
)
def _(m, d):
    return gaussian_divergences(m, 1)


@GAUSSIAN_SIZE.mistake(
    "You add 1 + chi² over dimensions, as one adds KL. It is the mean of a product."
)
def _(m, d):
    return d * math.exp(m**2), d * m**2 / 2


@GAUSSIAN_SIZE.mistake(
    "You return chi² itself. Asked is 1 + chi², by which the data is divided; see "
    "eq-weighted-limits."
)
def _(m, d):
    return math.expm1(d * m**2), d * m**2 / 2


@GAUSSIAN_SIZE.mistake(
    "Your exponent is the KL divergence. Completing the square leaves m² over, in each "
    "dimension, and not half of it."
)
def _(m, d):
    return math.exp(d * m**2 / 2), d * m**2 / 2


@GAUSSIAN_SIZE.mistake(
    "You average the squared ratio over the target. In eq-weighted-limits the square "
    "is averaged over the behavior, or the ratio over the target."
)
def _(m, d):
    return math.exp(3 * d * m**2), d * m**2 / 2


@GAUSSIAN_SIZE.mistake(
    "Your first number is right. In the KL divergence half of the squared distance of "
    "the means remains."
)
def _(m, d):
    return math.exp(d * m**2), d * m**2


@GAUSSIAN_SIZE.mistake(
    "You return the share of the data that is left. Asked is what it is divided by."
)
def _(m, d):
    return math.exp(-d * m**2), d * m**2 / 2


@GAUSSIAN_SIZE.mistake("You return the KL divergence first; 1 + chi² comes first.")
def _(m, d):
    return gaussian_divergences(m, d)[::-1]


def emphasis(d_b: Tensor, pi: Tensor, transition: Tensor, gamma: float) -> Tensor:
    """Factor m(s) / d_b(s) of each state, [S], where m = d_b + gamma m P."""
    return _visits(d_b, pi, transition, gamma) / d_b


def _visits(d_b: Tensor, pi: Tensor, transition: Tensor, gamma: float) -> Tensor:
    P = _moves(pi, transition)
    return torch.linalg.solve(torch.eye(len(P), dtype=P.dtype) - gamma * P.T, d_b)


D_B = numbers(1.0, 1.5, 0.5)
RUNNING = numbers(
    [[0, 0, 1], [0, 1, 0]],  # from the start, action 0 leads to B and action 1 to A
    [[0, 0, 0], [0, 0, 0]],
    [[0, 0, 0], [0, 0, 0]],
)
EMPHASIS = Exercise(
    "ex-emphasis",
    emphasis,
    cases={
        "the running example": (
            numbers(1.0, 0.5, 0.5),
            numbers([0.2, 0.8], [0.2, 0.8], [0.2, 0.8]),
            RUNNING,
            1.0,
        ),
        "episodes that go on": (D_B, PI, LOOP, 0.9),
        "episodes that end": (D_B, PI, ENDING, 1.0),
        "nothing is to come": (D_B, PI, LOOP, 0.0),
    },
)


@EMPHASIS.mistake(
    "Your transitions run backward in time. In m = d_b + gamma m P the vector stands "
    "on the left of P: visits are carried from s to s', values from s' to s."
)
def _(d_b, pi, transition, gamma):
    P = _moves(pi, transition)
    identity = torch.eye(len(P), dtype=P.dtype)
    return torch.linalg.solve(identity - gamma * P, d_b) / d_b


@EMPHASIS.mistake(
    "You let all actions count alike. P is how the target moves: each action counts "
    "with its probability under pi."
)
def _(d_b, pi, transition, gamma):
    return emphasis(d_b, torch.full_like(pi, 1 / pi.shape[1]), transition, gamma)


@EMPHASIS.mistake(
    "You follow the target for one step only. m appears on both sides of its equation, "
    "since from the next state the target goes on."
)
def _(d_b, pi, transition, gamma):
    return 1 + gamma * d_b @ _moves(pi, transition) / d_b


@EMPHASIS.mistake(
    "You count only the states to which the target goes on. The visit of the behavior "
    "itself counts, too: it is the first sum of eq-left-out."
)
def _(d_b, pi, transition, gamma):
    return emphasis(d_b, pi, transition, gamma) - 1


@EMPHASIS.mistake(
    "You return m. The update of off-policy actor-critic has d_b already, so the "
    "factor that corrects it is a quotient."
)
def _(d_b, pi, transition, gamma):
    return _visits(d_b, pi, transition, gamma)


@EMPHASIS.mistake(
    "Your quotient stands on its head. Where the target goes again and again, the "
    "weight d_b of the state is too small, and has to grow."
)
def _(d_b, pi, transition, gamma):
    return d_b / _visits(d_b, pi, transition, gamma)


@EMPHASIS.mistake(
    "You make d_b a distribution in one of two places. Numerator and denominator need "
    "the same d_b."
)
def _(d_b, pi, transition, gamma):
    return _visits(d_b / d_b.sum(), pi, transition, gamma) / d_b

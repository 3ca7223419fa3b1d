"""Exercises of the chapter `entropy`: tied arms, and the worst factor of a gradient."""

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers


def tied_limit(actions: int, best: int, alpha: float) -> float:
    """Limit of k times the gap, for one state with several best actions."""
    return (actions - best) / (alpha * _growth(actions, best))


def _growth(actions: int, best: int) -> float:
    """How much 1/w grows per update and unit of step size."""
    return (actions - best) / best + 1


TIED_ARMS = Exercise(
    "ex-tied-arms",
    tied_limit,
    cases={
        "two of four": (4, 2, 1.0),
        "one of three": (3, 1, 1.0),
        "three of five with half the step": (5, 3, 0.5),
    },
)


@TIED_ARMS.mistake(
    "Your limit is that of one best action, eq-universal-gap. Here the best actions "
    "share what the others give up, and there are fewer others."
)
def _(actions, best, alpha):
    return (actions - 1) / (alpha * actions)


@TIED_ARMS.mistake(
    "You let each best logit rise by all that the others give up. The logits of a "
    "state move by 0 in total, so each of the best gets its share."
)
def _(actions, best, alpha):
    return (actions - best) / (alpha * (actions - best + 1))


@TIED_ARMS.mistake(
    "You hold the best logits still. A log-ratio falls from both ends: the bad logit "
    "falls, and the best ones rise."
)
def _(actions, best, alpha):
    return (actions - best) / alpha


@TIED_ARMS.mistake(
    "You hold the bad logit still. A log-ratio falls from both ends: the best logits "
    "rise, and the bad one falls by what it gives up itself."
)
def _(actions, best, alpha):
    return best / alpha


@TIED_ARMS.mistake(
    "You return the limit of k times w, the part of one bad action. The gap is the sum "
    "over all of them."
)
def _(actions, best, alpha):
    return best / (alpha * actions)


@TIED_ARMS.mistake(
    "You sum over all actions but one. The best ones leave no gap, so there are fewer "
    "terms."
)
def _(actions, best, alpha):
    return (actions - 1) * best / (alpha * actions)


@TIED_ARMS.mistake(
    "You return how much 1 over w grows per update. After k updates w is 1 over k "
    "times that, and the gap is a sum of such terms."
)
def _(actions, best, alpha):
    return alpha * _growth(actions, best)


@TIED_ARMS.mistake(
    "You multiply by the step size. Larger steps close the gap faster, so the limit is "
    "smaller."
)
def _(actions, best, alpha):
    return alpha**2 * tied_limit(actions, best, alpha)


@TIED_ARMS.mistake(
    "You leave out the step size. After k updates of half the size a climb has come as "
    "far as after half as many of the full size."
)
def _(actions, best, alpha):
    return tied_limit(actions, best, 1.0)


def worst_factor(star: Tensor, visits: Tensor, alpha: float, beta: float) -> float:
    """Factor of the slowest error of the logits, per update of the softmax gradient."""
    return 1 - alpha * beta * (visits * _eigenvalues(star)[:, 1]).min().item()


def _eigenvalues(star: Tensor) -> Tensor:
    """Eigenvalues of the Fisher matrix of each state, from small to large, [S, A]."""
    outer = star[:, :, None] * star[:, None]
    return torch.linalg.eigvalsh(torch.diag_embed(star) - outer)


STAR, VISITS = numbers([0.7, 0.2, 0.1], [0.4, 0.3, 0.3]), numbers(6, 0.5)
SOFT_HESSIAN = Exercise(
    "ex-soft-hessian",
    worst_factor,
    cases={
        "a state that is hardly visited": (STAR, VISITS, 1.0, 0.5),
        "an action that is hardly taken": (
            numbers([0.9, 0.09, 0.01], [0.4, 0.4, 0.2]),
            numbers(2, 3),
            1.0,
            0.25,
        ),
        "two actions and a larger step": (numbers([0.8, 0.2]), numbers(2), 1.5, 0.5),
    },
)


@SOFT_HESSIAN.mistake(
    "You take the eigenvalue 0. It belongs to a constant added to all logits of a "
    "state, which changes no probability and is no error."
)
def _(star, visits, alpha, beta):
    return 1.0


@SOFT_HESSIAN.mistake(
    "You take the largest eigenvalue. Errors along it vanish first; which are left?"
)
def _(star, visits, alpha, beta):
    return 1 - alpha * beta * (visits * _eigenvalues(star)[:, -1]).max().item()


@SOFT_HESSIAN.mistake(
    "You take the smallest probability. It has the right order, but the Fisher matrix "
    "is not diagonal: see what the probabilities of a state have in common."
)
def _(star, visits, alpha, beta):
    return 1 - alpha * beta * (visits * star.min(-1).values).min().item()


@SOFT_HESSIAN.mistake(
    "You leave out the visits. In eq-soft-gap a state counts with its occupancy, and "
    "so does its block of the Hessian."
)
def _(star, visits, alpha, beta):
    return worst_factor(star, torch.ones_like(visits), alpha, beta)


@SOFT_HESSIAN.mistake(
    "You take the fewest visits of one state and the smallest eigenvalue of another. "
    "The blocks are separate: multiply in each state, and then take the smallest."
)
def _(star, visits, alpha, beta):
    return worst_factor(star, visits.min().expand_as(visits), alpha, beta)


@SOFT_HESSIAN.mistake(
    "You make the visits sum to 1. In eq-soft-gap they are an occupancy, which sums to "
    "the discounted number of decisions."
)
def _(star, visits, alpha, beta):
    return worst_factor(star, visits / visits.sum(), alpha, beta)


@SOFT_HESSIAN.mistake(
    "You leave out the temperature. In eq-soft-gap the divergence is multiplied by it."
)
def _(star, visits, alpha, beta):
    return worst_factor(star, visits, alpha, 1.0)


@SOFT_HESSIAN.mistake(
    "You leave out the step size. The error is multiplied by the identity minus step "
    "size times Hessian."
)
def _(star, visits, alpha, beta):
    return worst_factor(star, visits, 1.0, beta)


@SOFT_HESSIAN.mistake(
    "Your Hessian still has the half of the expansion. What is half of x F x, "
    "differentiated twice?"
)
def _(star, visits, alpha, beta):
    return worst_factor(star, visits, alpha, beta / 2)


@SOFT_HESSIAN.mistake(
    "You square the factor. That is how the gap in eq-soft-gap shrinks; the error of "
    "the logits shrinks by its root."
)
def _(star, visits, alpha, beta):
    return worst_factor(star, visits, alpha, beta) ** 2


@SOFT_HESSIAN.mistake(
    "You return the factor of mirror descent, which divides by visits and Fisher "
    "matrix. The ordinary gradient keeps both."
)
def _(star, visits, alpha, beta):
    return 1 - alpha * beta


@SOFT_HESSIAN.mistake(
    "You return by how much the error shrinks. The factor is what is left of it."
)
def _(star, visits, alpha, beta):
    return 1 - worst_factor(star, visits, alpha, beta)

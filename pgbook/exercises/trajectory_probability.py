"""Exercises of the chapter `trajectory_probability`: fog, formats, log-sum-exp."""

import math

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers


def fog_score(s_t: Tensor, o_t: Tensor, a_t: Tensor, logits: Tensor) -> Tensor:
    """Score of one trajectory in the logits [O], one per observation."""
    return torch.zeros_like(logits).index_add(0, o_t, a_t - logits[o_t].sigmoid())


FOG_LOGITS = numbers(-1, 0.5, 2)
FOG = Exercise(
    "ex-fog",
    fog_score,
    cases={
        "a clear view": (
            torch.tensor([0, 2]),
            torch.tensor([0, 2]),
            torch.tensor([1, 0]),
            FOG_LOGITS,
        ),
        "a misleading view": (
            torch.tensor([0, 2]),
            torch.tensor([2, 1]),
            torch.tensor([0, 1]),
            FOG_LOGITS,
        ),
        "the same observation twice": (
            torch.tensor([0, 1, 2]),
            torch.tensor([1, 1, 0]),
            torch.tensor([1, 0, 0]),
            FOG_LOGITS,
        ),
    },
)


@FOG.mistake(
    "Your scores belong to the states. The agent chose by what it saw, so each score "
    "belongs to the logit of the observation."
)
def _(s_t, o_t, a_t, logits):
    return fog_score(s_t, s_t, a_t, logits)


@FOG.mistake(
    "Where an observation comes twice, you keep its last step. The score of "
    "eq-trajectory-score is a sum over all steps."
)
def _(s_t, o_t, a_t, logits):
    score = torch.zeros_like(logits)
    for o, a in zip(o_t, a_t, strict=True):
        score[o] = a - logits[o].sigmoid()
    return score


@FOG.mistake(
    "You take the mean over the steps. The logarithm of a product is a sum, and so is "
    "its gradient; see eq-trajectory-score."
)
def _(s_t, o_t, a_t, logits):
    return fog_score(s_t, o_t, a_t, logits) / len(a_t)


@FOG.mistake(
    "Your steps with action 0 have no score. Choosing action 0 tells something about "
    "the logit as well: which sign does it have in eq-logit-score?"
)
def _(s_t, o_t, a_t, logits):
    score = a_t * (1 - logits[o_t].sigmoid())
    return torch.zeros_like(logits).index_add(0, o_t, score)


@FOG.mistake(
    "You differentiate the probabilities of the actions. A score is the derivative of "
    "their logarithm."
)
def _(s_t, o_t, a_t, logits):
    p = logits[o_t].sigmoid()
    return torch.zeros_like(logits).index_add(0, o_t, (2 * a_t - 1) * p * (1 - p))


@FOG.mistake(
    "You differentiate in the probability of action 1. The parameter is its logit, "
    "and eq-logit-score is shorter."
)
def _(s_t, o_t, a_t, logits):
    p = logits.sigmoid()
    return fog_score(s_t, o_t, a_t, logits) / (p * (1 - p))


def ends(factor: float, dtype: torch.dtype) -> tuple[int, int]:
    """First n at which the power is 0, and the k at which the product stays."""
    return _ends(torch.tensor(factor, dtype=dtype).item(), _least(dtype) - 1)


def _least(dtype: torch.dtype) -> float:
    """Exponent of the smallest positive number."""
    return math.log2(torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps)


def _ends(q: float, exponent: float) -> tuple[int, int]:
    return math.floor(exponent / math.log2(q)) + 1, math.floor(1 / (2 * (1 - q)))


ANOTHER_FACTOR = Exercise(
    "ex-another-factor",
    ends,
    cases={
        "0.99 in bfloat16": (0.99, torch.bfloat16),
        "0.9 in float16": (0.9, torch.float16),
        "0.9 in float32": (0.9, torch.float32),
        "0.55 in float64": (0.55, torch.float64),
    },
)


@ANOTHER_FACTOR.mistake(
    "You compute with the factor itself. Both equations are about the q that the "
    "format stores, and few bits store another number."
)
def _(factor, dtype):
    return _ends(factor, _least(dtype) - 1)


@ANOTHER_FACTOR.mistake(
    "Your power is 0 as soon as it is below the smallest positive number. What lies "
    "between that number and its half is rounded up to it."
)
def _(factor, dtype):
    return _ends(torch.tensor(factor, dtype=dtype).item(), _least(dtype))


@ANOTHER_FACTOR.mistake(
    "Your power is 0 where it leaves the normal numbers. The subnormal ones lie "
    "beneath; how far down do they go?"
)
def _(factor, dtype):
    normal = math.log2(torch.finfo(dtype).smallest_normal)
    return _ends(torch.tensor(factor, dtype=dtype).item(), normal)


@ANOTHER_FACTOR.mistake(
    "Your first number is the last power that is not 0. See the last line of "
    "eq-first-below."
)
def _(factor, dtype):
    n, k = ends(factor, dtype)
    return n - 1, k


@ANOTHER_FACTOR.mistake(
    "Your product stays where it loses less than one unit in a step. A loss of more "
    "than half a unit is already rounded down; see eq-product-sticks."
)
def _(factor, dtype):
    q = torch.tensor(factor, dtype=dtype).item()
    return ends(factor, dtype)[0], math.floor(1 / (1 - q))


@ANOTHER_FACTOR.mistake(
    "You divide an exponent of 2 by a natural logarithm. Both sides of eq-first-below "
    "need the same base."
)
def _(factor, dtype):
    n, k = ends(factor, dtype)
    q = torch.tensor(factor, dtype=dtype).item()
    return math.floor((_least(dtype) - 1) / math.log(q)) + 1, k


def log_sum_exp(ell: Tensor) -> Tensor:
    """Logarithm of the sum of exp(ell), ell [K], that neither over- nor underflows."""
    m = ell.max()
    return m + (ell - m).exp().sum().log()


LOGSUMEXP = Exercise(
    "ex-logsumexp",
    log_sum_exp,
    cases={
        "ordinary probabilities": (numbers(0.2, 0.3, 0.1).log(),),
        "probabilities that are 0 as floats": (numbers(-1000, -1001, -999.5),),
        "numbers that are infinite as floats": (numbers(1000, 1000),),
        "two numbers far apart": (numbers(-1500, 0.5),),
        "a single number": (numbers(-3),),
    },
)


@LOGSUMEXP.mistake(
    "You add the probabilities before anything else. exp(-1000) is 0 and exp(1000) is "
    "infinite in float64; subtract m first."
)
def _(ell):
    return ell.exp().sum().log()


@LOGSUMEXP.mistake("You have taken m out of the sum, and it has to be added back.")
def _(ell):
    return (ell - ell.max()).exp().sum().log()


@LOGSUMEXP.mistake(
    "Your m is not the largest number, so an exponent can still be large and positive, "
    "and overflow."
)
def _(ell):
    m = ell.mean()
    return m + (ell - m).exp().sum().log()


@LOGSUMEXP.mistake(
    "You return the largest number. It is a good guess, too small by up to the "
    "logarithm of how many there are."
)
def _(ell):
    return ell.max()


@LOGSUMEXP.mistake(
    "You average the probabilities. One of several events happens with the sum of "
    "their probabilities."
)
def _(ell):
    return log_sum_exp(ell) - math.log(len(ell))


@LOGSUMEXP.mistake(
    "Your last logarithm has another base than your exponential, which is natural."
)
def _(ell):
    m = ell.max()
    return m + (ell - m).exp().sum().log2()

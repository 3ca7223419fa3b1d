"""Exercises of the chapter `natural_gradient`: a Gaussian, products, a plateau."""

import math

import torch
from torch import Tensor

from pgbook.exercises.exercise import Exercise, numbers


def two_moves(
    a: Tensor, advantage: Tensor, m: float, sigma: float
) -> tuple[Tensor, Tensor]:
    """Advantage times the score in m and log(sigma), [N, 2], and F^-1 times that."""
    score, fisher = _score(a, m, sigma), _fisher(sigma)
    ordinary = advantage[:, None] * score
    return ordinary, ordinary / fisher


def _score(a: Tensor, m: float, sigma: float) -> Tensor:
    xi = (a - m) / sigma
    return torch.stack([xi / sigma, xi**2 - 1], -1)


def _fisher(sigma: float) -> Tensor:
    return numbers(1 / sigma**2, 2)


PLAYED, WORTH = numbers(1.2, 0.4, 0.9), numbers(1.0, -0.5, 2.0)
GAUSSIAN_FISHER = Exercise(
    "ex-gaussian-fisher",
    two_moves,
    cases={
        "a wide policy": (PLAYED, WORTH, 0.5, 2.0),
        "a narrow policy": (PLAYED, WORTH, 0.8, 0.1),
        "sigma is 1": (PLAYED, WORTH, 0.0, 1.0),
        "one action": (numbers(3), numbers(1), -1.0, 0.5),
    },
)


@GAUSSIAN_FISHER.mistake(
    "Your second parameter is sigma. In log(sigma) the score is sigma times as large, "
    "and F sigma² times."
)
def _(a, advantage, m, sigma):
    ordinary, natural = two_moves(a, advantage, m, sigma)
    return ordinary / numbers(1, sigma), natural * numbers(1, sigma)


@GAUSSIAN_FISHER.mistake(
    "Your score of log(sigma) has no -1, so its mean is not 0. The density is divided "
    "by sigma, and that depends on the parameter."
)
def _(a, advantage, m, sigma):
    ordinary = advantage[:, None] * (_score(a, m, sigma) + numbers(0, 1))
    return ordinary, ordinary / _fisher(sigma)


@GAUSSIAN_FISHER.mistake(
    "Your score of the mean is the standardized action. The chain rule divides by "
    "sigma once more."
)
def _(a, advantage, m, sigma):
    ordinary = advantage[:, None] * _score(a, m, sigma) * numbers(sigma, 1)
    return ordinary, ordinary / _fisher(sigma)


@GAUSSIAN_FISHER.mistake(
    "You multiply by F. In def-natural-gradient its inverse stands before the gradient."
)
def _(a, advantage, m, sigma):
    ordinary, _ = two_moves(a, advantage, m, sigma)
    return ordinary, ordinary * _fisher(sigma)


@GAUSSIAN_FISHER.mistake(
    "Your F is 1 for log(sigma). It is the mean square of the score, in which the "
    "fourth power of a standard normal number has the mean 3."
)
def _(a, advantage, m, sigma):
    ordinary, _ = two_moves(a, advantage, m, sigma)
    return ordinary, ordinary / numbers(1 / sigma**2, 1)


@GAUSSIAN_FISHER.mistake(
    "Your F of the mean is 1 / sigma. It is the mean of the squared score."
)
def _(a, advantage, m, sigma):
    ordinary, _ = two_moves(a, advantage, m, sigma)
    return ordinary, ordinary / numbers(1 / sigma, 2)


@GAUSSIAN_FISHER.mistake(
    "You divide by the square of the score of this action. F is a mean over all "
    "actions that the policy may play; see def-fisher-policy."
)
def _(a, advantage, m, sigma):
    ordinary, _ = two_moves(a, advantage, m, sigma)
    return ordinary, ordinary / _score(a, m, sigma) ** 2


@GAUSSIAN_FISHER.mistake(
    "You leave out the advantage. It says whether the action becomes likelier."
)
def _(a, advantage, m, sigma):
    return two_moves(a, torch.ones_like(advantage), m, sigma)


@GAUSSIAN_FISHER.mistake("You return the natural move first; the ordinary comes first.")
def _(a, advantage, m, sigma):
    return two_moves(a, advantage, m, sigma)[::-1]


def products_enough(F: Tensor) -> int:
    """Number of different positive eigenvalues, up to 1e-9 of the largest."""
    eigenvalues = torch.linalg.eigvalsh(F)
    return _different(eigenvalues[eigenvalues > _close(F)], _close(F))


def _close(F: Tensor) -> Tensor:
    return 1e-9 * torch.linalg.eigvalsh(F).max()


def _different(ascending: Tensor, close: Tensor | float) -> int:
    return int((ascending.diff() > close).sum()) + 1


def _turned(eigenvalues: Tensor) -> Tensor:
    """A matrix with these eigenvalues that is not diagonal."""
    axis = torch.arange(1, len(eigenvalues) + 1).double()
    mirror = torch.eye(len(axis)).double() - 2 * axis.outer(axis) / (axis @ axis)
    matrix = mirror @ eigenvalues.diag() @ mirror
    return (matrix + matrix.T) / 2


HOW_MANY_PRODUCTS = Exercise(
    "ex-how-many-products",
    products_enough,
    cases={
        "a diagonal matrix": (numbers(3, 2, 1, 1).diag(),),
        "a uniform policy over three actions in two states": (
            torch.block_diag(*[(torch.eye(3).double() - 1 / 3) / 3] * 2),
        ),
        "a matrix that is not diagonal": (_turned(numbers(0, 0, 1, 2, 2, 5)),),
        "small eigenvalues": (_turned(numbers(0, 1, 2, 2, 4)) * 1e-8,),
    },
)


@HOW_MANY_PRODUCTS.mistake(
    "You count the parameters. Directions of one eigenvalue share one product, and "
    "those of eigenvalue 0 need none."
)
def _(F):
    return len(F)


@HOW_MANY_PRODUCTS.mistake(
    "You count the rank, an eigenvalue as often as it occurs. All of its directions "
    "are stretched alike, so one product serves them together."
)
def _(F):
    return int((torch.linalg.eigvalsh(F) > _close(F)).sum())


@HOW_MANY_PRODUCTS.mistake(
    "You count the eigenvalue 0. By eq-null-directions a gradient has no part there."
)
def _(F):
    return _different(torch.linalg.eigvalsh(F), _close(F))


@HOW_MANY_PRODUCTS.mistake(
    "You take differences of rounding for differences. Eigenvalues come out with an "
    "error of about 1e-16 of the largest."
)
def _(F):
    eigenvalues = torch.linalg.eigvalsh(F)
    return len(eigenvalues[eigenvalues > _close(F)].unique())


@HOW_MANY_PRODUCTS.mistake(
    "You compare with a fixed number. Whether an eigenvalue is small depends on the "
    "unit of the parameters; compare with the largest."
)
def _(F):
    eigenvalues = torch.linalg.eigvalsh(F)
    return _different(eigenvalues[eigenvalues > 1e-7], 1e-7)


def plateau_length(p: float, q: float) -> float:
    """1 over the smallest p on the path of the ordinary gradient from p and q > 1/3."""
    return math.exp(4 + _level_of_q(1 / 3) - 4 / (1 - p) - _level_of_q(q)) / _odds(p)


def _level_of_q(q: float) -> float:
    return math.log(_odds(q)) - 2 / (1 - q)


def _odds(p: float) -> float:
    return p / (1 - p)


PLATEAU_LENGTH = Exercise(
    "ex-plateau-length",
    plateau_length,
    cases={
        "the start of the chapter": (0.225, 0.9),
        "a state that is seldom left": (0.1, 0.92),
        "a state that is often left": (0.4, 0.95),
    },
)


@PLATEAU_LENGTH.mistake(
    "You return the smallest p. The number of steps is of the order of its inverse."
)
def _(p, q):
    return 1 / plateau_length(p, q)


@PLATEAU_LENGTH.mistake(
    "You lose the 4: where p is 0, the term 4 / (1 - p) of eq-plateau-path is not."
)
def _(p, q):
    return plateau_length(p, q) / math.exp(4)


@PLATEAU_LENGTH.mistake(
    "You leave out what the terms of q are at the bottom. There q is 1/3, and neither "
    "of its two terms in eq-plateau-path is 0."
)
def _(p, q):
    return plateau_length(p, q) / math.exp(_level_of_q(1 / 3))


@PLATEAU_LENGTH.mistake(
    "You change the last term only. On the way from q to 1/3 the second and the third "
    "term of eq-plateau-path fall, too."
)
def _(p, q):
    return math.exp(2 / (1 - q) - 3) / _odds(p)


@PLATEAU_LENGTH.mistake(
    "Your logarithms are those of p and q. In eq-plateau-path they are of the odds."
)
def _(p, q):
    return math.exp(1 + math.log(1 / 3) - 4 / (1 - p) + 2 / (1 - q)) / (p * q)


@PLATEAU_LENGTH.mistake(
    "You follow the natural gradient. The plateau belongs to the ordinary one, whose "
    "components have p (1 - p) and q (1 - q) in them."
)
def _(p, q):
    now = p * q * (1 - q) ** 2 / (1 - p) ** 4
    return 1 / 3 * (2 / 3) ** 2 / now


@PLATEAU_LENGTH.mistake(
    "Your path ends at q = 1/2. Where in eq-plateau does the first component of the "
    "gradient change its sign?"
)
def _(p, q):
    turn = math.exp(_level_of_q(1 / 2) - _level_of_q(1 / 3))
    return plateau_length(p, q) * turn

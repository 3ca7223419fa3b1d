"""Exercises of the chapter `baselines`: the best number, its bias, its price."""

import torch
from torch import Tensor

from pgbook.baselines import whitened
from pgbook.exercises.exercise import Exercise, numbers
from pgbook.exercises.reinforce import RETURNS
from pgbook.exercises.returns import running
from pgbook.returns import reward_to_go_weights
from pgbook.statistics import enumerated_moments


def estimated_best(score: Tensor, returns: Tensor) -> Tensor:
    """Returns [N] minus the best baseline, estimated from the same batch."""
    return returns - _mean_by(score.square().sum(1), returns).nan_to_num()


def _mean_by(weight: Tensor, returns: Tensor) -> Tensor:
    return weight @ returns / weight.sum()


ESTIMATED_BEST = Exercise(
    "ex-estimated-best",
    estimated_best,
    cases={
        "four episodes": (numbers([1, 0, -1, -1]).T, numbers(1, 2, 0, 4)),
        "two parameters": (numbers([1, 1], [2, -1], [0, 1]), numbers(3, 1, 2)),
        "scores that are all 0": (numbers([0], [0]), numbers(2, 4)),
    },
)


@ESTIMATED_BEST.mistake(
    "You subtract the mean return. In eq-optimal-baseline only episodes that move "
    "theta are asked, each as much as its squared score."
)
def _(score, returns):
    return returns - returns.mean()


@ESTIMATED_BEST.mistake(
    "You weigh by the length of the score. In eq-optimal-baseline it is squared, since "
    "a variance is a mean of squares."
)
def _(score, returns):
    return returns - _mean_by(score.norm(dim=1), returns).nan_to_num()


@ESTIMATED_BEST.mistake(
    "You square the sum of the components. The squared length of a score is the sum of "
    "the squares of its components."
)
def _(score, returns):
    return returns - _mean_by(score.sum(1) ** 2, returns).nan_to_num()


@ESTIMATED_BEST.mistake(
    "Your weights do not sum to 1. eq-optimal-baseline divides by the mean of the "
    "squared scores."
)
def _(score, returns):
    return returns - (score.square().sum(1) * returns).mean()


@ESTIMATED_BEST.mistake(
    "Where all scores are 0 you divide 0 by 0. No episode moves theta there, and "
    "nothing is to be subtracted."
)
def _(score, returns):
    return returns - _mean_by(score.square().sum(1), returns)


@ESTIMATED_BEST.mistake(
    "You leave each episode out of its own baseline. That is the remedy; estimate from "
    "the whole batch first, to see what it heals."
)
def _(score, returns):
    kept = [[m for m in range(len(returns)) if m != i] for i in range(len(returns))]
    others = [returns[k] - estimated_best(score[k], returns[k]) for k in kept]
    return returns - torch.stack([b[0] for b in others])


@ESTIMATED_BEST.mistake("You return the baseline. The weights are what it leaves.")
def _(score, returns):
    return returns - estimated_best(score, returns)


def squared_errors(slope: Tensor, u: float, N: int) -> tuple[float, Tensor]:
    """Mean squared errors of leave-one-out and of the batch mean."""
    return u / N, (1 - 1 / N) ** 2 * u / N + slope @ slope / N**2


BIASED_AND_BETTER = Exercise(
    "ex-biased-and-better",
    squared_errors,
    cases={
        "a noisy estimate": (numbers(0.25), 1.5, 4),
        "a batch of two": (numbers(0.6, -0.8), 2.0, 2),
        "no noise": (numbers(0.5, 0.0), 0.0, 4),
    },
)


@BIASED_AND_BETTER.mistake(
    "The errors are exchanged: that of leave-one-out comes first."
)
def _(slope, u, N):
    return squared_errors(slope, u, N)[::-1]


@BIASED_AND_BETTER.mistake(
    "You give both estimates one variance. The batch mean is a shorter estimate in "
    "every batch, eq-leave-one-out-stretches, and so less noisy."
)
def _(slope, u, N):
    return u / N, u / N + slope @ slope / N**2


@BIASED_AND_BETTER.mistake(
    "You multiply the variance by the factor between the estimates. A variance takes "
    "the square of a factor."
)
def _(slope, u, N):
    return u / N, (1 - 1 / N) * u / N + slope @ slope / N**2


@BIASED_AND_BETTER.mistake(
    "You add the bias as it is. A mean squared error has the square of the bias."
)
def _(slope, u, N):
    return u / N, (1 - 1 / N) ** 2 * u / N + slope.norm() / N


@BIASED_AND_BETTER.mistake(
    "You add the squared mean of the batch-mean estimate. Its bias is what that mean "
    "lacks to the gradient, eq-batch-mean-shrinks."
)
def _(slope, u, N):
    return u / N, (1 - 1 / N) ** 2 * (u / N + slope @ slope)


@BIASED_AND_BETTER.mistake(
    "You take u for the variance of a batch's estimate. It is N times that variance, "
    "as in the table of the chapter."
)
def _(slope, u, N):
    return u, (1 - 1 / N) ** 2 * u + slope @ slope / N**2


@BIASED_AND_BETTER.mistake(
    "You leave out the bias. That of the batch mean is what eq-batch-mean-shrinks says."
)
def _(slope, u, N):
    return u / N, (1 - 1 / N) ** 2 * u / N


def leave_one_out_variance(
    score: Tensor, returns: Tensor, probability: Tensor, N: int
) -> Tensor:
    """N times the variance of the leave-one-out estimate from N episodes."""
    alone, squares, spread, gradient = _parts(score, returns, probability)
    return alone + (squares * spread + gradient) / (N - 1)


def _parts(score: Tensor, returns: Tensor, probability: Tensor) -> tuple[Tensor, ...]:
    """Var[z (r - J)], mean of |z|², Var[r] and the squared length of the gradient."""
    off = returns - probability @ returns
    gradient, alone = enumerated_moments(score * off[:, None], probability)
    squares = probability @ score.square().sum(1)
    return alone, squares, probability @ off**2, gradient @ gradient


def summed(p: float) -> tuple[Tensor, Tensor, Tensor]:
    """Scores [4, 1], returns and probabilities of the running example."""
    score_t, _, probability = running(p)
    return score_t.sum(0)[:, None], RETURNS, probability


LEAVE_ONE_OUT_COST = Exercise(
    "ex-leave-one-out-cost",
    leave_one_out_variance,
    cases={
        "the running example in pairs": (*summed(0.5), 2),
        "the running example in fours": (*summed(0.3), 4),
        "two parameters": (
            numbers([0.5, 0.2], [-0.5, 0.2], [0, -0.4]),
            numbers(1, -1, 3),
            numbers(1 / 3, 1 / 3, 1 / 3),
            3,
        ),
    },
)


@LEAVE_ONE_OUT_COST.mistake(
    "You divide the price by N. The baseline is a mean of the other N - 1 returns."
)
def _(score, returns, probability, N):
    return leave_one_out_variance(score, returns, probability, N + 1)


@LEAVE_ONE_OUT_COST.mistake(
    "You leave out the squared gradient. Of the products of two pairs, those of (i, j) "
    "with (j, i) have a mean as well."
)
def _(score, returns, probability, N):
    alone, squares, spread, _ = _parts(score, returns, probability)
    return alone + squares * spread / (N - 1)


@LEAVE_ONE_OUT_COST.mistake(
    "You take one mean, of the squared score times the squared return. In the price "
    "they belong to different episodes, so it is the product of two means."
)
def _(score, returns, probability, N):
    alone, _, _, gradient = _parts(score, returns, probability)
    return alone + (alone + gradient + gradient) / (N - 1)


@LEAVE_ONE_OUT_COST.mistake(
    "You start from the variance of z r. With leave-one-out J drops out, so the "
    "variance without a price is that of z (r - J)."
)
def _(score, returns, probability, N):
    bare = enumerated_moments(score * returns[:, None], probability)[1]
    cost = leave_one_out_variance(score, returns, probability, N)
    return bare + cost - _parts(score, returns, probability)[0]


@LEAVE_ONE_OUT_COST.mistake(
    "You take the mean of the squared return for its variance. Subtract J first."
)
def _(score, returns, probability, N):
    alone, squares, _, gradient = _parts(score, returns, probability)
    return alone + (squares * (probability @ returns**2) + gradient) / (N - 1)


@LEAVE_ONE_OUT_COST.mistake(
    "You return the price. The variance is that of z (r - J) and the price."
)
def _(score, returns, probability, N):
    cost = leave_one_out_variance(score, returns, probability, N)
    return cost - _parts(score, returns, probability)[0]


@LEAVE_ONE_OUT_COST.mistake(
    "You return the variance of the batch's estimate; N times it is asked for."
)
def _(score, returns, probability, N):
    return leave_one_out_variance(score, returns, probability, N) / N


def whitened_over_time(score_t: Tensor, r_t: Tensor, probability: Tensor) -> Tensor:
    """Mean of the estimate with rewards-to-go whitened in each episode, a number."""
    return _mean(score_t, _whiten(reward_to_go_weights(r_t)), probability)


def _whiten(weight_t: Tensor) -> Tensor:
    """Each column minus its mean, over its standard deviation; 0 where that is 0."""
    sd = weight_t.std(0)
    return ((weight_t - weight_t.mean(0)) / sd).where(sd > 0, 0)


def _mean(score_t: Tensor, weight_t: Tensor, probability: Tensor) -> Tensor:
    return (score_t * weight_t).sum(0) @ probability


WHITEN_ONE_EPISODE = Exercise(
    "ex-whiten-one-episode",
    whitened_over_time,
    cases={
        "the running example": running(0.3),
        "beyond its best policy": running(0.8),
        "three steps": (
            numbers([0.5, -0.5, 0.5], [0.5, 0.5, -0.5], [-0.5, 0.5, 0.5]),
            numbers([0, 1, 0], [2, 1, 0], [1, 4, 3]),
            numbers(0.2, 0.3, 0.5),
        ),
    },
)


@WHITEN_ONE_EPISODE.mistake(
    "Your standard deviation divides by T, and torch.std divides by T - 1, as asked. "
    "Two libraries, two defaults."
)
def _(score_t, r_t, probability):
    stretch = (len(r_t) / (len(r_t) - 1)) ** 0.5
    return stretch * whitened_over_time(score_t, r_t, probability)


@WHITEN_ONE_EPISODE.mistake(
    "You whiten over all episodes together. The script sees one at a time, so mean and "
    "standard deviation are those of a column."
)
def _(score_t, r_t, probability):
    return_t = reward_to_go_weights(r_t)
    return _mean(score_t, whitened(return_t, return_t == return_t), probability)


@WHITEN_ONE_EPISODE.mistake(
    "You whiten over the episodes at each time. The script has no other episode; its "
    "mean and standard deviation are over time."
)
def _(score_t, r_t, probability):
    return _mean(score_t, _whiten(reward_to_go_weights(r_t).T).T, probability)


@WHITEN_ONE_EPISODE.mistake(
    "An episode whose rewards-to-go are equal has no standard deviation, and 0/0 is "
    "not a number. What are its weights?"
)
def _(score_t, r_t, probability):
    return_t = reward_to_go_weights(r_t)
    weight_t = (return_t - return_t.mean(0)) / return_t.std(0)
    return _mean(score_t, weight_t, probability)


@WHITEN_ONE_EPISODE.mistake(
    "You subtract the mean and stop. Whitening also divides by the standard deviation, "
    "def-whitened."
)
def _(score_t, r_t, probability):
    return_t = reward_to_go_weights(r_t)
    return _mean(score_t, return_t - return_t.mean(0), probability)


@WHITEN_ONE_EPISODE.mistake(
    "You whiten the rewards. The script whitens the sum of what follows each decision."
)
def _(score_t, r_t, probability):
    return _mean(score_t, _whiten(r_t), probability)


@WHITEN_ONE_EPISODE.mistake(
    "You take a plain mean over the episodes. They are not equally likely."
)
def _(score_t, r_t, probability):
    even = torch.full_like(probability, 1 / len(probability))
    return whitened_over_time(score_t, r_t, even)


@WHITEN_ONE_EPISODE.mistake(
    "You take the mean over time. The estimate of an episode is the sum over its steps."
)
def _(score_t, r_t, probability):
    return whitened_over_time(score_t, r_t, probability) / len(r_t)

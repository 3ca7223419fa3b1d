"""Intervals by hand, by definition, and by counting how often they cover."""

from math import comb, exp, inf, log, sqrt

import numpy as np
import pytest
import scipy.stats
import torch

from pgbook.statistics import (
    Interval,
    bootstrap_interval,
    enumerated_moments,
    interquartile_mean,
    mean_interval,
    median_interval,
    proportion_interval,
    slope_interval,
)

FALSE_ALARM = 1e-6
POWER = 0.999


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def student_2(confidence):
    """Quantile of Student's t with two degrees of freedom, in closed form."""
    return confidence * sqrt(2 / (1 - confidence**2))


def assert_covers(intervals, truth, confidence, wrong):
    """Count the covering intervals, with POWER to see the coverage `wrong`."""
    n = len(intervals)
    low, high = scipy.stats.binom.interval(1 - FALSE_ALARM, n, confidence)
    assert scipy.stats.binom.cdf(low - 1, n, wrong) > POWER
    covered = sum(interval.low <= truth <= interval.high for interval in intervals)
    assert low <= covered <= high


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_mean_interval_of_three_numbers_by_hand(confidence):
    """Mean 4, standard deviation 2."""
    half = student_2(confidence) * 2 / sqrt(3)
    got = mean_interval([2, 4, 6], confidence)
    assert got == pytest.approx((4, 4 - half, 4 + half), abs=1e-12)


def test_mean_interval_is_95_percent_unless_told():
    assert mean_interval([2, 4, 6]) == mean_interval([2, 4, 6], 0.95)


def test_mean_interval_of_equal_numbers_is_a_point():
    assert mean_interval(np.full(3, 7.0)) == (7, 7, 7)


def test_mean_interval_covers_as_often_as_it_says():
    """3,000 samples of five see the normal quantile in place of Student's."""
    wrong = 2 * scipy.stats.t.cdf(scipy.stats.norm.ppf(0.95), 4) - 1
    intervals = [mean_interval(3 + 2 * row, 0.9) for row in normal(3000, 5)]
    assert_covers(intervals, 3, 0.9, wrong)


def binomial_tail(p, trials, counts):
    return sum(comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in counts)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("successes", [1, 3, 9])
def test_proportion_interval_by_its_two_tails(successes, confidence):
    estimate, low, high = proportion_interval(successes, 10, confidence)
    tail = (1 - confidence) / 2
    assert estimate == successes / 10
    above = binomial_tail(low, 10, range(successes, 11))
    below = binomial_tail(high, 10, range(successes + 1))
    assert (above, below) == pytest.approx((tail, tail), abs=1e-9)


def test_proportion_interval_without_a_success_or_a_failure_by_hand():
    edge = 0.025 ** (1 / 8)
    assert proportion_interval(0, 8) == pytest.approx((0, 0, 1 - edge))
    assert proportion_interval(8, 8) == pytest.approx((1, edge, 1))


@pytest.mark.parametrize(
    ("scores", "want"),
    [
        ([5.0], 5),
        ([1, 2, 3], 2),
        ([0, 10, 20, 1000], 15),
        ([7, -1e6, 1, 4, 2, 1e6, 3, 0], 2.5),
        ([[0, 3], [1, 100]], 2),
        (range(6), 2.5),
    ],
    ids=str,
)
def test_interquartile_mean_by_hand(scores, want):
    assert interquartile_mean(scores) == pytest.approx(want)


@pytest.mark.parametrize("runs", [1, 4, 5, 6, 7])
def test_interquartile_mean_by_definition(runs):
    scores = normal(runs, 3)
    ordered = sorted(scores.flatten().tolist())
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    assert interquartile_mean(scores) == pytest.approx(sum(middle) / len(middle))


def first_task(scores):
    return scores[:, 0].mean()


@pytest.mark.parametrize(
    ("confidence", "low", "high"), [(0.95, 0, 1), (0.6, 0, 1), (0.4, 0.5, 0.5)]
)
def test_bootstrap_of_two_runs_by_enumeration(confidence, low, high):
    """The resampled mean of 0 and 1 is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4."""
    scores = [[0.0, 5], [1, 5]]
    got = bootstrap_interval(scores, first_task, seeded(), confidence)
    assert got == (0.5, low, high)


def test_bootstrap_draws_the_runs_of_each_task_on_its_own():
    """Runs drawn together would make every resampled sum zero."""
    scores = [[1.0, -1.0], [2.0, -2.0], [4.0, -4.0]]
    seen = []

    def total(drawn):
        seen.append(drawn)
        return drawn.sum()

    estimate, low, high = bootstrap_interval(scores, total, seeded(), resamples=300)
    assert estimate == 0 and low < 0 < high
    assert len(seen) == 301
    for drawn in seen:
        assert drawn.shape == (3, 2)
        assert set(drawn[:, 0].tolist()) <= {1, 2, 4}
        assert set(drawn[:, 1].tolist()) <= {-1, -2, -4}


def test_bootstrap_draws_every_run_equally_often():
    """60,000 draws see a run that is drawn 10 % too rarely."""
    runs, expected, wrong = 5, np.full(5, 0.2), np.array([0.18] + 4 * [0.205])
    counts = np.zeros(runs)

    def count(drawn):
        counts.__iadd__(np.bincount(drawn.flatten().long(), minlength=runs))
        return 0.0

    scores = torch.arange(5.0)[:, None].expand(5, 4)
    bootstrap_interval(scores, count, seeded(), resamples=3000)
    counts -= 4  # the statistic of the scores themselves
    n, threshold = counts.sum(), scipy.stats.chi2.isf(FALSE_ALARM, runs - 1)
    shift = n * ((wrong - expected) ** 2 / expected).sum()
    assert n == 60_000 and scipy.stats.ncx2.sf(threshold, runs - 1, shift) > POWER
    assert ((counts - n * expected) ** 2 / (n * expected)).sum() < threshold


def test_bootstrap_of_a_mean_is_as_wide_as_the_central_limit_says():
    """400 runs, two tasks: the standard error is sqrt(v_1 / n + v_2 / n) / 2."""
    scores = normal(400, 2) * torch.tensor([1.0, 3.0])
    v_1, v_2 = scores.var(0, correction=0).tolist()
    width = 2 * scipy.stats.norm.ppf(0.95) * sqrt((v_1 + v_2) / 400) / 2
    got = bootstrap_interval(scores, torch.mean, seeded(), 0.9, 5000)
    assert got.estimate == pytest.approx(scores.mean().item())
    assert got.high - got.low == pytest.approx(width, rel=0.06)
    assert got.high + got.low == pytest.approx(2 * got.estimate, abs=0.1 * width)


def test_bootstrap_covers_as_often_as_it_says():
    """500 samples of 60 runs see a 90 % interval that covers 75 %."""
    intervals = [
        bootstrap_interval(row, torch.mean, seeded(i), 0.9, 200)
        for i, row in enumerate(normal(500, 60, 1))
    ]
    assert_covers(intervals, 0, 0.9, 0.75)


def test_bootstrap_repeats_with_rng_and_leaves_the_global_generators_alone():
    state, old = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    scores = normal(10, 2)
    one, same, other = (
        bootstrap_interval(scores, interquartile_mean, seeded(seed), resamples=200)
        for seed in (0, 0, 1)
    )
    assert one == same != other
    assert torch.equal(state, torch.get_rng_state())
    assert (old == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("slope", [-0.5, 0, 2])
def test_slope_of_a_power_law_is_its_exponent(slope):
    x = torch.tensor([1.0, 10, 100, 1000], dtype=torch.float64)
    got = slope_interval(x, 3 * x**slope)
    assert got == pytest.approx([slope] * 3, abs=1e-12)


def test_slope_interval_of_four_points_by_hand():
    """Log x is 0, 1, 2, 3, log y is 0, 1, 1, 2: slope 0.6, residuals ±0.1, ±0.3.

    Residual variance 0.2 / 2, divided by 5, the sum of squares of log x.
    """
    x, y = ([exp(u) for u in logs] for logs in ((0, 1, 2, 3), (0, 1, 1, 2)))
    half = student_2(0.9) * sqrt(0.1 / 5)
    assert slope_interval(x, y, 0.9) == pytest.approx((0.6, 0.6 - half, 0.6 + half))


def test_slope_interval_covers_as_often_as_it_says():
    """3,000 lines through five points see the normal quantile in place of Student's."""
    x = np.array([1, 2, 5, 10, 30])
    wrong = 2 * scipy.stats.t.cdf(scipy.stats.norm.ppf(0.95), 3) - 1
    noise = np.exp(normal(3000, 5).numpy())
    intervals = [slope_interval(x, x**-0.5 * row, 0.9) for row in noise]
    assert_covers(intervals, -0.5, 0.9, wrong)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_lists_arrays_and_tensors_give_the_same_floats(kind):
    x, y = kind([1.0, 2.0, 4.0]), kind([2.0, 3.0, 9.0])
    table = kind([[1.0, 2.0], [4.0, 3.0]])
    results = [
        mean_interval(x),
        slope_interval(x, y),
        proportion_interval(2, 3),
        bootstrap_interval(table, torch.mean, seeded(), resamples=9),
    ]
    assert all(type(result) is Interval for result in results)
    numbers = [interquartile_mean(table), *(v for row in results for v in row)]
    assert all(type(number) is float for number in numbers)
    assert results[0].estimate == pytest.approx(7 / 3)
    assert results[1].estimate == pytest.approx(log(9 / 2) / log(4))


def bootstrap(scores=((1.0,), (2.0,)), **rest):
    return lambda: bootstrap_interval(scores, torch.mean, seeded(), **rest)


def test_enumerated_moments_by_hand():
    estimates = torch.tensor([[0.0, 2.0], [4.0, 2.0]]).double()
    mean, variance = enumerated_moments(estimates, torch.tensor([0.75, 0.25]).double())
    assert mean.tolist() == [1, 2] and variance == 0.75 * 1 + 0.25 * 9


ONE, PAIR = torch.ones(1).double(), torch.zeros(2, 3).double()


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: mean_interval([]), "samples"),
        (lambda: mean_interval([1.0]), "samples"),
        (lambda: mean_interval([[1.0, 2.0]]), "samples"),
        (lambda: mean_interval([1.0, float("nan")]), "samples"),
        (lambda: mean_interval([1.0, 2.0], 95), "confidence"),
        (lambda: proportion_interval(1, 0), "trials"),
        (lambda: proportion_interval(-1, 3), "successes"),
        (lambda: proportion_interval(0.5, 3), "successes"),
        (lambda: proportion_interval(4, 3), "successes"),
        (lambda: proportion_interval(1, 3, 0), "confidence"),
        (lambda: interquartile_mean([]), "scores"),
        (lambda: interquartile_mean([1.0, float("inf")]), "scores"),
        (bootstrap([]), "scores"),
        (bootstrap([1.0, 2.0]), "scores"),
        (bootstrap([[1.0, 2.0]]), "scores"),
        (bootstrap([[1.0], [float("nan")]]), "scores"),
        (bootstrap(confidence=1), "confidence"),
        (bootstrap(resamples=0), "resamples"),
        (lambda: enumerated_moments(ONE, ONE), "estimates"),
        (lambda: enumerated_moments(PAIR[:0], ONE), "estimates"),
        (lambda: enumerated_moments(PAIR / 0, ONE), "estimates"),
        (lambda: enumerated_moments(PAIR, ONE), "probability"),
        (lambda: enumerated_moments(PAIR, PAIR[:, 0]), "probability"),
        (lambda: slope_interval([1, 2], [1, 2]), "x"),
        (lambda: slope_interval([[1, 2, 3]], [[1, 2, 3]]), "x"),
        (lambda: slope_interval([0, 1, 2], [1, 2, 3]), "x"),
        (lambda: slope_interval([2, 2, 2], [1, 2, 3]), "x"),
        (lambda: slope_interval([1, 2, 3], [1, 2]), "y"),
        (lambda: slope_interval([1, 2, 3], [1, 2, -3]), "y"),
        (lambda: slope_interval([1, 2, 3], [1, 2, float("nan")]), "y"),
        (lambda: slope_interval([1, 2, 3], [1, 2, 3], float("nan")), "confidence"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def test_median_interval_by_hand():
    assert median_interval([9, 1, 4]) == (4, 1, 9)
    assert median_interval([9, 1, 4, 3], 1) == (3.5, 3, 4)
    assert median_interval([inf, 2, 5, inf, inf], 1) == (inf, 5, inf)


@pytest.mark.parametrize("n, outside", [(5, 0), (10, 1), (9, 3)])
def test_median_interval_covers_as_often_as_its_order_statistics(n, outside):
    within = 1 - 2 * sum(comb(n, k) for k in range(outside + 1)) / 2**n
    runs = normal(40_000, n, seed=n).exp()  # of median 1
    intervals = [median_interval(run, outside) for run in runs]
    assert_covers(intervals, 1, within, within - 0.02)


def test_an_interval_is_written_with_its_ends():
    assert f"{Interval(1234.5, 2, float('inf')):,.0f}" == "1,234 (2 to ∞)"
    assert format(Interval(0.5, 0.25, 0.75), ".1%") == "50.0% (25.0% to 75.0%)"


@pytest.mark.parametrize(
    "samples, outside, argument",
    [
        ([], 0, "samples"),
        ([[1.0]], 0, "samples"),
        ([1.0, float("nan")], 0, "samples"),
        ([1.0, 2.0], 1, "outside"),
        ([1.0, 2.0], -1, "outside"),
        ([1.0, 2.0], 0.5, "outside"),
    ],
)
def test_median_interval_names_a_bad_argument(samples, outside, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        median_interval(samples, outside)

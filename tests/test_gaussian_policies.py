"""Gaussian policies against quadrature, scipy and loops; the linear task exactly."""

import math
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from scipy.integrate import quad
from torch.autograd import grad
from torch.autograd.functional import jacobian

from pgbook.experiments import read_rows
from pgbook.gaussian_policies import (
    BetaPolicy,
    LinearQuadratic,
    clipped_log_prob,
    diagonal_kl,
    diagonal_log_prob,
    linear_quadratic_episodes,
    log_tanh_slope,
    squashed_log_prob,
)
from pgbook.policies import LinearGaussian
from pgbook.verification import verify_unbiased

torch.set_num_threads(1)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def some(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def integral(f, low, high):
    return quad(f, low, high, epsabs=1e-12, epsrel=1e-12)[0]


def close(actual, expected, atol=1e-12):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=atol)


def test_log_prob_of_two_dimensions_by_hand():
    # one standard deviation off, then two: -1/2 - 2, and the constants
    actual = diagonal_log_prob(
        doubles([3.0, 1.0]), doubles([1.0, 0.0]), doubles([2.0, 0.5]).log()
    )
    assert actual.item() == pytest.approx(-2.5 - math.log(2 * math.pi), abs=1e-14)


def test_log_prob_is_scipys_summed_over_the_last_axis():
    u, mean, log_std = some(4, 5, 3), some(4, 5, 3, seed=1), some(3, seed=2)
    single = scipy.stats.norm.logpdf(u.numpy(), mean.numpy(), log_std.exp().numpy())
    actual = diagonal_log_prob(u, mean, log_std)
    assert actual.shape == (4, 5)
    close(actual, single.sum(-1))


def test_log_prob_has_the_textbook_scores():
    u, mean, log_std = some(3), some(3, seed=1), some(3, seed=2)
    by_mean, by_log_std = jacobian(
        lambda m, s: diagonal_log_prob(u, m, s), (mean, log_std)
    )
    z = (u - mean) / log_std.exp()
    close(by_mean, z / log_std.exp())
    close(by_log_std, z**2 - 1)


def test_kl_of_two_dimensions_by_hand():
    one, log_two = doubles([0.0, 0.0]), doubles([math.log(2), 0.0])
    # first: std 1 against 2, means 2 apart; second: equal
    actual = diagonal_kl(doubles([2.0, 5.0]), one, doubles([0.0, 5.0]), log_two)
    assert actual.item() == pytest.approx(math.log(2) + 5 / 8 - 1 / 2, abs=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_kl_is_the_integral_of_the_log_ratio(seed):
    p_mean, p_log, q_mean, q_log = some(4, seed=seed).tolist()
    p = scipy.stats.norm(p_mean, math.exp(p_log))
    q = scipy.stats.norm(q_mean, math.exp(q_log))
    low, high = p_mean - 12 * math.exp(p_log), p_mean + 12 * math.exp(p_log)
    exact = integral(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), low, high)
    actual = diagonal_kl(*(doubles([x]) for x in (p_mean, p_log, q_mean, q_log)))
    assert actual.item() == pytest.approx(exact, abs=1e-9)


def test_kl_adds_over_dimensions_and_keeps_the_others():
    parts = [some(2, 3, seed=seed) for seed in range(4)]
    single = [diagonal_kl(*(part[:, k : k + 1] for part in parts)) for k in range(3)]
    close(diagonal_kl(*parts), sum(single))
    close(diagonal_kl(parts[0], parts[1], parts[0], parts[1]), torch.zeros(2))


def test_clipped_log_prob_is_a_probability_at_the_bounds_and_a_density_inside():
    norm = scipy.stats.norm(0.3, 0.7)
    mean, log_std = doubles([[0.3]] * 5), doubles([0.7]).log()
    u = doubles([-3.0, -1.0, 0.5, 2.0, 9.0])[:, None]
    actual = clipped_log_prob(u, mean, log_std, -1.0, 2.0)
    low, high = norm.logcdf(-1), norm.logsf(2)
    close(actual, [low, low, norm.logpdf(0.5), high, high])


def test_clipped_log_prob_holds_all_the_probability():
    mean, log_std = doubles([0.4]), doubles([-0.2])

    def chance(u):
        return clipped_log_prob(doubles([u]), mean, log_std, -1.0, 0.8).exp().item()

    inside = integral(chance, -1 + 1e-12, 0.8 - 1e-12)
    assert chance(-1.0) + inside + chance(0.8) == pytest.approx(1, abs=1e-10)


def test_clipped_log_prob_of_the_draw_is_that_of_the_clipped_action():
    u, mean, log_std = 2 * some(50, 2), some(50, 2, seed=1), some(2, seed=2)
    expected = clipped_log_prob(u.clamp(-1, 1.5), mean, log_std, -1.0, 1.5)
    assert torch.equal(clipped_log_prob(u, mean, log_std, -1.0, 1.5), expected)


def test_clipped_score_far_behind_a_bound_is_finite_and_right():
    mean = doubles([-40.0]).requires_grad_()
    log_prob = clipped_log_prob(doubles([1.0]), mean, doubles([0.0]), -1.0, 1.0)
    # the hazard of a normal variable at z = 41 is 41 + 1/41 - 2/41³ to seven digits
    assert grad(log_prob, mean)[0].item() == pytest.approx(
        41 + 1 / 41 - 2 / 41**3, abs=1e-6
    )


def test_clipped_score_is_the_mean_score_behind_a_bound():
    log_std = doubles([-0.3])
    norm = scipy.stats.norm(0.2, math.exp(-0.3))

    def mean_score(low, high):
        def score(u):
            z = (u - 0.2) / math.exp(-0.3)
            return np.array([z / math.exp(-0.3), z**2 - 1])

        parts = [
            integral(lambda u, k=k: norm.pdf(u) * score(u)[k], low, high)
            for k in (0, 1)
        ]
        return np.array(parts) / (norm.cdf(high) - norm.cdf(low))

    for action, tail in ((1.0, (1.0, 12.0)), (-0.5, (-12.0, -0.5))):
        slopes = jacobian(
            lambda m, s, a=action: clipped_log_prob(doubles([a]), m, s, -0.5, 1.0),
            (doubles([0.2]), log_std),
        )
        close(torch.cat(slopes), mean_score(*tail), atol=1e-8)


def test_slope_of_tanh_is_that_of_autograd_where_tanh_is_below_one():
    u = torch.linspace(-6, 6, 49, dtype=torch.float64, requires_grad=True)
    (slope,) = grad(u.tanh().sum(), u)
    close(log_tanh_slope(u), slope.log(), atol=1e-9)


def test_slope_of_tanh_is_exact_in_the_tails_and_in_float32():
    for u in (-300.0, -40.0, 40.0, 300.0):  # 1 - tanh² = 4 exp(-2|u|)
        close(log_tanh_slope(doubles([u])), [math.log(4) - 2 * abs(u)], atol=1e-10)
    single = log_tanh_slope(torch.tensor([30.0]))
    assert single.dtype == torch.float32
    close(single, [math.log(4) - 60], atol=1e-5)


def test_squashed_density_holds_all_the_probability():
    mean, log_std = doubles([0.5]), doubles([-0.4])

    def density(a):
        u = doubles([math.atanh(a / 2)])
        return squashed_log_prob(u, mean, log_std, 2.0).exp().item()

    assert integral(density, -2 + 1e-13, 2 - 1e-13) == pytest.approx(1, abs=1e-7)


def test_squashed_density_is_the_slope_of_the_distribution():
    norm, step = scipy.stats.norm(-0.3, 0.8), 1e-5
    for a in (-1.8, 0.2, 1.5):
        rise = norm.cdf(math.atanh((a + step) / 2)) - norm.cdf(
            math.atanh((a - step) / 2)
        )
        u, log_std = doubles([math.atanh(a / 2)]), doubles([0.8]).log()
        actual = squashed_log_prob(u, doubles([-0.3]), log_std, 2.0).exp()
        assert actual.item() == pytest.approx(rise / (2 * step), rel=1e-7)


def test_squashed_log_prob_adds_over_dimensions():
    u, mean, log_std = some(4, 3), some(4, 3, seed=1), some(3, seed=2)
    single = [
        squashed_log_prob(u[:, k : k + 1], mean[:, k : k + 1], log_std[k : k + 1], 1.7)
        for k in range(3)
    ]
    close(squashed_log_prob(u, mean, log_std, 1.7), sum(single))


def test_squashed_log_prob_has_scale_one_by_default():
    u = some(3, 2)
    args = u, torch.zeros_like(u), torch.zeros(2, dtype=torch.float64)
    assert torch.equal(squashed_log_prob(*args), squashed_log_prob(*args, 1.0))


def beta_policy(seed=3, actions=2):
    return BetaPolicy(3, actions, rng=torch.Generator().manual_seed(seed))


def loud(policy):
    """The same with a last layer that is not small: parameters vary with the state."""
    with torch.no_grad():
        policy.network.network[-1].weight.mul_(300)
    return policy


def test_beta_policy_starts_symmetric_with_one_peak():
    alpha = beta_policy().distribution(torch.randn(20, 3)).base_dist
    expected = torch.full((20, 2), 1 + math.log(2))
    torch.testing.assert_close(alpha.concentration1, expected, atol=0.05, rtol=0)
    torch.testing.assert_close(alpha.concentration0, expected, atol=0.05, rtol=0)


def test_beta_policy_keeps_its_density_bounded():
    base = loud(beta_policy()).distribution(torch.randn(200, 3)).base_dist
    assert base.concentration1.min() >= 1 and base.concentration0.min() >= 1
    assert base.concentration1.std() > 0.3


def test_beta_log_prob_is_scipys_summed_over_dimensions():
    policy, s = loud(beta_policy()), torch.randn(6, 3)
    distribution = policy.distribution(s)
    a = policy.sample(s, torch.Generator().manual_seed(1))
    assert a.shape == (6, 2) and a.dtype == torch.float32
    base = distribution.base_dist
    parameters = base.concentration1.detach().numpy(), base.concentration0.detach()
    expected = scipy.stats.beta.logpdf(a.double(), *parameters).sum(-1)
    close(distribution.log_prob(a), expected, atol=1e-4)


def test_beta_samples_follow_the_distribution():
    policy = loud(beta_policy(actions=1))
    s = torch.tensor([[0.3, -1.0, 0.5]]).expand(20_000, 3)
    draws = policy.sample(s, torch.Generator().manual_seed(4))[:, 0]
    base = policy.distribution(s[:1]).base_dist
    alpha, beta = base.concentration1.item(), base.concentration0.item()
    assert abs(alpha - beta) > 0.1  # so that exchanging them is seen
    test = scipy.stats.kstest(draws.numpy(), scipy.stats.beta(alpha, beta).cdf)
    assert test.pvalue > 1e-3


def test_beta_samples_stay_inside_and_repeat_with_the_generator():
    policy = beta_policy(actions=1)
    with torch.no_grad():
        policy.network.network[-1].bias.copy_(torch.tensor([1e4, -30.0]))
    s = torch.zeros(1000, 3)
    first, second = (policy.sample(s, torch.Generator().manual_seed(5)) for _ in "ab")
    assert torch.equal(first, second) and not first.requires_grad
    assert first.max() < 1 and policy.distribution(s).log_prob(first).isfinite().all()


def test_beta_policy_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    policy = beta_policy()
    policy.sample(torch.zeros(4, 3), torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())


def integrator(discount=0.9):
    """Position and velocity, pushed: two states, one action."""
    return LinearQuadratic(
        dynamics=doubles([[1.0, 0.5], [0.0, 0.9]]),
        control=doubles([[0.1], [0.4]]),
        state_cost=doubles([[1.0, 0.2], [0.2, 0.3]]),
        action_cost=doubles([[0.5]]),
        start=doubles([[1.0, 0.3], [0.3, 0.8]]),
        discount=discount,
    )


def two_motors():
    """One state and two actions."""
    return LinearQuadratic(
        dynamics=doubles([[1.1]]),
        control=doubles([[0.5, 0.2]]),
        state_cost=doubles([[1.0]]),
        action_cost=doubles([[0.3, 0.1], [0.1, 0.6]]),
        start=doubles([[2.0]]),
        discount=0.8,
    )


TASKS = [
    (integrator(), doubles([[-0.4, -0.6]])),
    (two_motors(), doubles([[-0.5], [0.3]])),
]
of_tasks = pytest.mark.parametrize("task, weights", TASKS, ids=["integrator", "motors"])


def rolled_out(task, weights, std, steps=400):
    """Return and occupancy by carrying second moments forward, step by step."""
    moment, total, visits = task.start, 0.0, torch.zeros_like(task.start)
    for t in range(steps):
        acting = (
            weights @ moment @ weights.T + std**2 * torch.eye(len(weights)).double()
        )
        cost = (task.state_cost @ moment).trace() + (task.action_cost @ acting).trace()
        total -= task.discount**t * cost.item()
        visits = visits + task.discount**t * moment
        moved = task.dynamics + task.control @ weights
        moment = moved @ moment @ moved.T + std**2 * task.control @ task.control.T
    return total, visits


@of_tasks
def test_return_and_occupancy_are_the_sums_over_time(task, weights):
    total, visits = rolled_out(task, weights, 0.7)
    assert task.expected_return(weights, 0.7).item() == pytest.approx(total, abs=1e-9)
    close(task.occupancy(weights, 0.7), visits, atol=1e-9)


@of_tasks
def test_cost_matrix_satisfies_its_equation(task, weights):
    cost = task.cost_matrix(weights)
    moved = task.dynamics + task.control @ weights
    now = task.state_cost + weights.T @ task.action_cost @ weights
    close(cost, now + task.discount * moved.T @ cost @ moved, atol=1e-11)


def test_cost_of_one_dimension_by_hand():
    # s' = s + a, a = -s/2: p = (1 + 1/4) / (1 - 0.9/4)
    one = doubles([[1.0]])
    task = LinearQuadratic(one, one, one, one, one, 0.9)
    p = task.cost_matrix(doubles([[-0.5]])).item()
    assert p == pytest.approx(1.25 / 0.775, abs=1e-13)
    expected = -p - 0.25 / 0.1 * (1 + 0.9 * p)
    assert task.expected_return(doubles([[-0.5]]), 0.5).item() == pytest.approx(
        expected
    )


@of_tasks
def test_gradient_is_autograd_of_the_return(task, weights):
    (expected,) = grad(task.expected_return(weights.requires_grad_(), 0.7), weights)
    weights.requires_grad_(False)
    close(task.gradient(weights, 0.7), expected, atol=1e-10)


@of_tasks
def test_gradient_vanishes_at_riccatis_solution(task, weights):
    root = task.discount**0.5
    matrices = task.dynamics * root, task.control * root
    p = scipy.linalg.solve_discrete_are(*matrices, task.state_cost, task.action_cost)
    a, b = (x.numpy() for x in matrices)
    best = -np.linalg.solve(task.action_cost.numpy() + b.T @ p @ b, b.T @ p @ a)
    close(task.gradient(torch.tensor(best), 0.4), np.zeros_like(best), atol=1e-9)
    close(task.cost_matrix(torch.tensor(best)), p, atol=1e-9)


@of_tasks
def test_episodes_have_the_expected_return(task, weights):
    policy = LinearGaussian(weights, 0.7)
    rng = torch.Generator().manual_seed(6)
    played = linear_quadratic_episodes(task, policy, 8_000, rng)
    total, _ = rolled_out(task, weights, 0.7)
    returns = played.rewards.sum(0)[:, None]
    verify_unbiased("eq-return-of-the-linear-task", returns, doubles([total]))


def test_episodes_follow_the_dynamics_and_pay_the_costs():
    task, weights = TASKS[0]
    rng = torch.Generator().manual_seed(7)
    played = linear_quadratic_episodes(task, LinearGaussian(weights, 0.7), 30, rng)
    lengths = played.valid.sum(0)
    assert lengths.max() == len(played.rewards) and not played.truncated.any()
    for n in range(30):
        for t in range(len(played.rewards)):
            s, a = played.observations[t, n], played.actions[t, n]
            after = task.dynamics @ s + task.control @ a
            close(played.observations[t + 1, n], after, atol=1e-10)
            valid = t < lengths[n]
            pay = -(s @ task.state_cost @ s + a @ task.action_cost @ a)
            close(played.rewards[t, n], pay if valid else 0.0, atol=1e-10)
            assert played.valid[t, n] == valid
            assert played.terminated[t, n] == (t == lengths[n] - 1)


def test_starts_lengths_and_actions_have_their_distributions():
    task, weights = TASKS[0]
    rng = torch.Generator().manual_seed(8)
    played = linear_quadratic_episodes(task, LinearGaussian(weights, 0.7), 10_000, rng)
    first = played.observations[0]
    products = torch.stack([first[:, 0] ** 2, first[:, 1] ** 2, first.prod(1)], 1)
    verify_unbiased("eq-start", products, doubles([1.0, 0.8, 0.3]))
    noise = (played.actions[0] - first @ weights.T) ** 2
    verify_unbiased("eq-noise", noise, doubles([0.49]))
    lengths = played.valid.sum(0).double()[:, None]
    verify_unbiased("eq-length", lengths, doubles([10.0]))
    verify_unbiased("eq-one", (lengths == 1).double(), doubles([0.1]))


def test_the_first_rounds_of_a_run_on_pendulum_come_out_again():
    """Exactly on one machine; elsewhere rounding leads to slightly other returns."""
    file = Path(__file__).parents[1] / "experiments" / "gaussian_policies_pendulum.py"
    pendulum = run_path(str(file))
    rows = read_rows(pendulum["RESULTS"])
    for way in ("drawn", "beta"):
        pairs = list(zip(rows["seed"], rows["way"], strict=True))
        expected = rows["return_10000"][pairs.index((0, way))]
        rng = torch.Generator().manual_seed(0)
        log, broken, _ = pendulum["learn"](way, 8_000, rng)
        assert broken is None and len(log) == 1 and log[0][0] == 6400
        assert log[0][1] == pytest.approx(expected, abs=30)


ONE, TWO = torch.zeros(1), torch.zeros(2)
NAN = torch.tensor([math.nan, 0.0])
TASK, WEIGHTS = TASKS[0]
POLICY = LinearGaussian(WEIGHTS, 1.0)
BAD = [
    (lambda: diagonal_log_prob(torch.zeros(3, 1), torch.zeros(3), ONE), "mean"),
    (lambda: diagonal_log_prob(torch.zeros(3, 2), torch.zeros(3, 2), ONE), "log_std"),
    (lambda: diagonal_log_prob(NAN, TWO, TWO), "u"),
    (lambda: diagonal_log_prob(TWO, NAN, TWO), "mean"),
    (lambda: diagonal_log_prob(TWO, TWO, NAN), "log_std"),
    (lambda: diagonal_log_prob(torch.zeros(()), torch.zeros(()), ONE), "u"),
    (lambda: diagonal_log_prob(torch.zeros(0, 2), torch.zeros(0, 2), TWO), "u"),
    (lambda: diagonal_kl(TWO, TWO, TWO, ONE), "log_std_q"),
    (lambda: diagonal_kl(TWO, TWO, ONE, TWO), "mean_q"),
    (lambda: diagonal_kl(TWO, NAN, TWO, TWO), "log_std_p"),
    (lambda: diagonal_kl(torch.zeros(0), *[torch.zeros(0)] * 3), "mean_p"),
    (lambda: clipped_log_prob(TWO, TWO, TWO, 1.0, 1.0), "low"),
    (lambda: clipped_log_prob(TWO, TWO, TWO, math.nan, 1.0), "low"),
    (lambda: clipped_log_prob(TWO, ONE, TWO, -1.0, 1.0), "mean"),
    (lambda: clipped_log_prob(NAN, TWO, TWO, -1.0, 1.0), "u"),
    (lambda: log_tanh_slope(NAN), "u"),
    (lambda: squashed_log_prob(TWO, TWO, TWO, 0.0), "scale"),
    (lambda: squashed_log_prob(TWO, TWO, TWO, math.nan), "scale"),
    (lambda: squashed_log_prob(TWO, TWO, ONE), "log_std"),
    (lambda: squashed_log_prob(torch.tensor([math.inf, 0.0]), TWO, TWO), "u"),
    (lambda: BetaPolicy(0, 1, rng=torch.Generator()), "observation_size"),
    (lambda: BetaPolicy(3, 1.5, rng=torch.Generator()), "action_size"),
    (lambda: beta_policy().distribution(torch.zeros(4, 2)), "observation"),
    (lambda: beta_policy().sample(torch.tensor([math.nan] * 3), None), "observation"),
    (lambda: replace(TASK, control=torch.zeros(2)), "control"),
    (lambda: replace(TASK, dynamics=torch.zeros(2, 3)), "dynamics"),
    (lambda: replace(TASK, state_cost=torch.zeros(1, 1)), "state_cost"),
    (lambda: replace(TASK, action_cost=torch.zeros(2, 2)), "action_cost"),
    (lambda: replace(TASK, start=torch.zeros(2, 2).double()), "start"),
    (lambda: replace(TASK, dynamics=torch.full((2, 2), math.inf)), "dynamics"),
    (lambda: replace(TASK, discount=1.0), "discount"),
    (lambda: TASK.cost_matrix(doubles([[1.0, 5.0]])), "weights"),
    (lambda: TASK.expected_return(doubles([[1.0]]), 1.0), "weights"),
    (lambda: TASK.occupancy(doubles([[math.nan, 0.0]]), 1.0), "weights"),
    (lambda: TASK.gradient(doubles([1.0, 0.0]), 1.0), "weights"),
    (
        lambda: linear_quadratic_episodes(TASK, POLICY, 0, torch.Generator()),
        "episodes",
    ),
]


@pytest.mark.parametrize("call, argument", BAD)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

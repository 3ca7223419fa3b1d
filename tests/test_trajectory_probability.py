"""Log-probabilities against products, scores by hand, products against fractions."""

import dataclasses
import math
from collections import defaultdict
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch

from pgbook.environments import TabularVectorEnv, short_corridor, two_step
from pgbook.mdp import TabularMDP
from pgbook.policies import SharedLogit, TabularSoftmax
from pgbook.trajectories import Trajectories, collect_episodes
from pgbook.trajectory_probability import (
    dynamics_log_prob,
    first_beyond,
    full_log_probability,
    initial_log_prob,
    policy_log_prob,
    running_product,
    trajectory_log_prob,
    trajectory_score,
)

torch.set_num_threads(1)

double = partial(torch.tensor, dtype=torch.float64)
near = partial(torch.testing.assert_close, rtol=0, atol=1e-11)
NAN, INF = float("nan"), float("inf")


def random_mdp(seed, *, keep=1.0, horizon=3):
    """Random tables of 3 states and 2 actions; with keep below 1 each may end."""
    rng = torch.Generator().manual_seed(seed)
    uniform = partial(torch.rand, generator=rng, dtype=torch.float64)
    transition = uniform(3, 2, 3)
    transition = keep * transition / transition.sum(-1, keepdim=True)
    initial = uniform(3)
    return TabularMDP(transition, uniform(3, 2), initial / initial.sum(), 1.0, horizon)


def random_theta(seed):
    rng = torch.Generator().manual_seed(100 + seed)
    theta = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    return theta.requires_grad_()


def record(states, actions, ended=True, valid=None):
    """One column of a record from lists."""
    T = len(actions)
    valid = torch.ones(T, 1).bool() if valid is None else torch.tensor(valid)[:, None]
    terminated = torch.zeros(T, 1).bool()
    terminated[int(valid.sum()) - 1] = ended
    return Trajectories(
        observations=torch.tensor(states)[:, None],
        actions=torch.tensor(actions)[:, None],
        rewards=torch.zeros(T, 1, dtype=torch.float64),
        terminated=terminated,
        truncated=torch.zeros(T, 1).bool(),
        valid=valid,
    )


def column(trajectories, n):
    """What a record says about episode n, as tuples: states, actions, ended."""
    length = int(trajectories.valid[:, n].sum())
    return (
        tuple(trajectories.observations[: length + 1, n].tolist()),
        tuple(trajectories.actions[:length, n].tolist()),
        bool(trajectories.terminated[length - 1, n]),
    )


def probability_by_loop(mdp, pi, states, actions, ended):
    """Product of all factors for a record without a horizon in sight."""
    product = mdp.initial[states[0]].item()
    for t, action in enumerate(actions):
        row = mdp.transition[states[t], action].tolist()
        stops = ended and t == len(actions) - 1
        product *= pi[states[t], action].item()
        product *= 1 - math.fsum(row) if stops else row[states[t + 1]]
    return product


# Log-probabilities


def test_log_probabilities_are_added_over_valid_steps_only():
    log_prob_t = double([[-1.0, -2.0], [-3.0, NAN], [0.5, -INF]])
    valid_t = torch.tensor([[True, True], [True, False], [True, False]])
    assert trajectory_log_prob(log_prob_t, valid_t).tolist() == [-3.5, -2.0]


def test_without_a_mask_every_step_counts():
    log_prob_t = double([[-1.0, -2.0], [-3.0, -4.0], [-5.0, 2.5]])
    assert trajectory_log_prob(log_prob_t).tolist() == [-9.0, -3.5]


def test_padding_gets_no_gradient():
    log_prob_t = double([[-1.0, -2.0], [-3.0, NAN]]).requires_grad_()
    valid_t = torch.tensor([[True, True], [True, False]])
    trajectory_log_prob(log_prob_t, valid_t).sum().backward()
    assert log_prob_t.grad.tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_action_log_probabilities_are_a_table_lookup(keep):
    mdp, pi = random_mdp(0, keep=keep, horizon=2), random_theta(0).softmax(-1).detach()
    trajectories, _ = mdp.trajectories(pi)
    found = policy_log_prob(pi, trajectories)
    for n in range(found.shape[1]):
        states, actions, _ = column(trajectories, n)
        pairs = zip(states, actions, strict=False)
        looked_up = [math.log(pi[s, a]) for s, a in pairs]
        padding = [0.0] * (2 - len(actions))
        near(found[:, n], double(looked_up + padding))


def test_the_four_trajectories_of_the_running_example():
    policy = SharedLogit(math.log(0.3 / 0.7))
    pi = policy.table(3)
    trajectories, _ = two_step().trajectories(pi)
    log_p = full_log_probability(two_step(), pi, trajectories)
    near(log_p.exp(), double([0.49, 0.21, 0.21, 0.09]))
    near(trajectory_score(log_p, policy.theta), double([-0.6, 0.4, 0.4, 1.4]))


@pytest.mark.parametrize("seed", range(3))
def test_full_log_probability_is_the_logarithm_of_the_product(seed):
    mdp, pi = random_mdp(seed), random_theta(seed).softmax(-1)
    trajectories, probability = mdp.trajectories(pi)
    near(full_log_probability(mdp, pi, trajectories), probability.log())


@pytest.mark.parametrize("seed", range(3))
def test_equal_records_share_their_probability(seed):
    """At the horizon a record does not tell an end from staying in the same state."""
    mdp, pi = random_mdp(seed, keep=0.6), random_theta(seed).softmax(-1).detach()
    trajectories, probability = mdp.trajectories(pi)
    expected, found = defaultdict(float), {}
    log_p = full_log_probability(mdp, pi, trajectories)
    for n, p in enumerate(probability.tolist()):
        expected[column(trajectories, n)] += p
        found[column(trajectories, n)] = math.exp(log_p[n])
    assert len(found) < len(probability)
    assert found == pytest.approx(dict(expected), abs=1e-13)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)


def test_start_of_a_record_by_hand():
    start = random_mdp(0).initial
    mdp, pi = random_mdp(0), random_theta(0).softmax(-1).detach()
    trajectories, _ = mdp.trajectories(pi)
    found = initial_log_prob(mdp, trajectories)
    for n in range(len(found)):
        assert found[n].item() == math.log(start[column(trajectories, n)[0][0]])


def test_dynamics_of_a_record_by_hand():
    transition = torch.zeros(2, 1, 2, dtype=torch.float64)
    transition[0, 0] = double([0.25, 0.5])
    transition[1, 0] = double([0.125, 0.375])
    initial = double([1.0, 0.0])
    mdp = TabularMDP(transition, torch.zeros(2, 1).double(), initial, 1.0)
    limited = dataclasses.replace(mdp, horizon=3)
    path = record([0, 1, 0, 0], [0, 0, 0])
    cut = record([0, 1, 0, 0], [0, 0, 0], ended=False)
    short = record([0, 1, 1, 1], [0, 0, 0], valid=[True, True, False])
    leaves = record([0, 1, 0, 1], [0, 0, 0])

    def exp(mdp, trajectories):
        return dynamics_log_prob(mdp, trajectories).exp()[:, 0]

    near(exp(mdp, path), double([0.5, 0.125, 0.25]))  # the end of state 0
    near(exp(mdp, cut), double([0.5, 0.125, 0.25]))  # state 0 follows itself
    near(exp(mdp, short), double([0.5, 0.5, 1.0]))
    near(exp(limited, short), double([0.5, 0.5, 1.0]))
    near(exp(limited, path), double([0.5, 0.125, 0.5]))  # both
    near(exp(limited, leaves), double([0.5, 0.125, 0.5]))


@pytest.mark.parametrize("make", [short_corridor, lambda: random_mdp(1, keep=0.7)])
def test_played_episodes_have_the_probability_of_their_steps(make):
    mdp = dataclasses.replace(make(), horizon=None)
    policy, rng = TabularSoftmax(3, 2), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(policy.theta, 0.0, 0.3, generator=rng)
    envs = TabularVectorEnv(num_envs=8, mdp=mdp)
    played = collect_episodes(envs, policy, 40, rng)
    assert not played.valid.all()
    log_p = full_log_probability(mdp, policy.table(), played)
    for n in range(40):
        expected = probability_by_loop(mdp, policy.table(), *column(played, n))
        assert log_p[n].exp().item() == pytest.approx(expected, rel=1e-9)


def test_padding_may_hold_anything():
    mdp, pi = random_mdp(0, keep=0.6), random_theta(0).softmax(-1)
    trajectories, _ = mdp.trajectories(pi)
    spoiled = dataclasses.replace(
        trajectories, actions=trajectories.actions.masked_fill(~trajectories.valid, -7)
    )
    expected = full_log_probability(mdp, pi, trajectories)
    near(full_log_probability(mdp, pi, spoiled), expected)


def test_padding_with_an_impossible_action_keeps_the_score_finite():
    chance = double(0.4).requires_grad_()
    zero = torch.zeros(())
    pi = torch.stack([torch.stack([1 - chance, chance]), torch.stack([zero, zero + 1])])
    path = record([0, 1, 1], [1, 0], valid=[True, False])
    score = trajectory_score(policy_log_prob(pi, path).sum(0), chance)
    near(score, double([2.5]))


# Scores


@pytest.mark.parametrize("seed", range(3))
def test_score_is_the_sum_of_softmax_scores(seed):
    mdp, theta = random_mdp(seed, keep=0.7), random_theta(seed)
    pi = theta.softmax(-1)
    trajectories, _ = mdp.trajectories(pi)
    score = trajectory_score(full_log_probability(mdp, pi, trajectories), theta)
    assert score.shape == (trajectories.rewards.shape[1], 3, 2)
    for n in range(len(score)):
        states, actions, _ = column(trajectories, n)
        expected = torch.zeros(3, 2, dtype=torch.float64)
        for s, a in zip(states, actions, strict=False):
            expected[s] -= pi[s].detach()
            expected[s, a] += 1
        near(score[n], expected)


@pytest.mark.parametrize("seed", range(3))
def test_score_does_not_feel_the_dynamics(seed):
    theta = random_theta(seed)
    pi = theta.softmax(-1)
    scores, log_ps = [], []
    for world in (random_mdp(seed), random_mdp(seed + 10)):
        trajectories, _ = world.trajectories(pi)
        log_ps.append(full_log_probability(world, pi, trajectories))
        scores.append(trajectory_score(log_ps[-1], theta))
    assert torch.equal(*scores)
    assert (log_ps[0] - log_ps[1]).abs().max() > 0.1


def test_score_feels_dynamics_that_contain_the_parameter():
    theta = double(0.7).requires_grad_()
    p = theta.sigmoid()
    transition = torch.stack([torch.stack([1 - p, p]), torch.stack([1 - p, p])])
    mdp = TabularMDP(
        transition[:, None], torch.zeros(2, 1).double(), double([1.0, 0.0]), 1.0, 4
    )
    trajectories, _ = mdp.trajectories(torch.ones(2, 1).double())
    log_p = full_log_probability(mdp, torch.ones(2, 1).double(), trajectories)
    ups = trajectories.observations[1:].sum(0)
    near(trajectory_score(log_p, theta), (ups - 4 * p).detach())


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_scores_are_one_gradient_per_trajectory(shape):
    rng = torch.Generator().manual_seed(0)
    theta = torch.rand(shape, generator=rng, dtype=torch.float64).requires_grad_()
    weights = torch.rand(5, *shape, generator=rng, dtype=torch.float64)
    log_prob = (weights * theta**2).reshape(5, -1).sum(-1)
    near(trajectory_score(log_prob, theta), (2 * weights * theta).detach())
    near(trajectory_score(log_prob, theta), (2 * weights * theta).detach())  # again


# Products


def rounded(x, bits, least):
    """The nearest number of a format, ties to even, in exact arithmetic."""
    exponent = math.floor(math.log2(x)) if x else least
    while Fraction(2) ** exponent > x > 0:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - bits + 1, least)
    return round(x / unit) * unit


@pytest.mark.parametrize(
    "dtype, bits, least",
    [
        (torch.float16, 11, -24),
        (torch.bfloat16, 8, -133),
        (torch.float32, 24, -149),
        (torch.float64, 53, -1074),
    ],
    ids=str,
)
@pytest.mark.parametrize("factor", [0.9, 0.55, 0.3, 1.7])
def test_running_product_rounds_after_every_step(dtype, bits, least, factor):
    factor = torch.tensor(factor, dtype=dtype)
    steps = 15 if factor > 1 else 170
    found, exact = running_product(factor.expand(steps)), Fraction(1)
    for product in found:
        exact = rounded(exact * Fraction(factor.item()), bits, least)
        assert Fraction(product.item()) == exact


def test_running_product_of_different_factors():
    product = running_product(double([3.0, 0.5, -4.0, 0.25]))
    assert product.tolist() == [3.0, 1.5, -6.0, -1.5]


def test_running_product_agrees_with_a_numpy_loop_in_float32():
    factors = np.linspace(0.2, 0.99, 300, dtype=np.float32)
    product, expected = np.float32(1), []
    for factor in factors:
        product = product * factor
        expected.append(product)
    assert running_product(torch.from_numpy(factors)).tolist() == expected


@pytest.mark.parametrize(
    "dtype, stays, k",
    [(torch.float16, 143, 4), (torch.bfloat16, 850, 4), (torch.float32, 965, 4)],
    ids=str,
)
def test_running_product_of_nine_tenths_never_reaches_zero(dtype, stays, k):
    product = running_product(torch.full((stays + 50,), 0.9, dtype=dtype))
    information = torch.finfo(dtype)
    smallest = information.tiny * information.eps
    assert (product[stays - 2 :].double() == k * smallest).all()
    assert product[stays - 3] > product[stays - 2]


def exact_first(q, exponent):
    """Count with integers until the power has left."""
    m, k = Fraction(q).as_integer_ratio()
    up, down = 2 ** max(exponent, 0), 2 ** max(-exponent, 0)
    power, unit, n = m, k, 1
    while (power * down < unit * up) == (q > 1) or power * down == unit * up:
        power, unit, n = power * m, unit * k, n + 1
    return n


@pytest.mark.parametrize(
    "factor, exponent",
    [(0.9, -126), (0.9, -150), (0.5, -126), (0.25, -3), (1 / 50257, -126), (0.99, -24)]
    + [(39.9, 128), (2.0, 128), (8.0, 128), (1.1, 16), (1e-3, -1), (1e3, 1)],
)
def test_first_power_beyond_a_bound_by_counting(factor, exponent):
    assert first_beyond(factor, exponent) == exact_first(factor, exponent)


def test_thresholds_of_the_formats():
    q = torch.tensor(0.9).item()
    assert (first_beyond(q, -126), first_beyond(q, -150)) == (829, 987)
    q = torch.tensor(0.9, dtype=torch.float16).item()
    assert (first_beyond(q, -14), first_beyond(q, -25)) == (93, 165)
    assert (first_beyond(0.9, -1022), first_beyond(0.9, -1075)) == (6724, 7073)


PI = torch.full((3, 2), 0.5, dtype=torch.float64)
NEVER = double([[1.0, 0.0]] * 3)
TWO_STEP = two_step()
RECORD = TWO_STEP.trajectories(PI)[0]
LATE = dataclasses.replace(RECORD, valid=torch.tensor([[False] * 4, [True] * 4]))
TELEPORT = dataclasses.replace(RECORD, observations=RECORD.observations.flip(0))
OUTSIDE = dataclasses.replace(RECORD, observations=RECORD.observations + 1)
NO_ACTION = dataclasses.replace(RECORD, actions=RECORD.actions + 1)
FLOATS = dataclasses.replace(RECORD, observations=RECORD.observations.double())
UNUSED = torch.ones(2, requires_grad=True)
USED = torch.ones(2, requires_grad=True)
LOG = torch.zeros(2, 3).double()
MASK = torch.ones(2, 3).bool()


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: trajectory_log_prob(LOG[0]), "log_prob_t"),
        (lambda: trajectory_log_prob(LOG[:0]), "log_prob_t"),
        (lambda: trajectory_log_prob(LOG - INF), "log_prob_t"),
        (lambda: trajectory_log_prob(LOG / 0, MASK), "log_prob_t"),
        (lambda: trajectory_log_prob(LOG, MASK[:, :1]), "valid_t"),
        (lambda: trajectory_log_prob(LOG, MASK.double()), "valid_t"),
        (lambda: policy_log_prob(PI[0], RECORD), "pi"),
        (lambda: policy_log_prob(2 * PI, RECORD), "pi"),
        (lambda: policy_log_prob(NEVER, RECORD), "pi"),
        (lambda: policy_log_prob(PI, OUTSIDE), "trajectories"),
        (lambda: policy_log_prob(PI, NO_ACTION), "trajectories"),
        (lambda: policy_log_prob(PI, FLOATS), "trajectories"),
        (lambda: dynamics_log_prob(TWO_STEP, TELEPORT), "mdp"),
        (lambda: dynamics_log_prob(TWO_STEP, OUTSIDE), "trajectories"),
        (lambda: initial_log_prob(TWO_STEP, TELEPORT), "mdp"),
        (lambda: initial_log_prob(TWO_STEP, LATE), "trajectories"),
        (lambda: initial_log_prob(TWO_STEP, OUTSIDE), "trajectories"),
        (lambda: full_log_probability(TWO_STEP, PI[:2], RECORD), "pi"),
        (lambda: full_log_probability(TWO_STEP, NEVER, RECORD), "pi"),
        (lambda: full_log_probability(TWO_STEP, PI, TELEPORT), "mdp"),
        (lambda: full_log_probability(TWO_STEP, PI, LATE), "trajectories"),
        (lambda: full_log_probability(TWO_STEP, PI, OUTSIDE), "trajectories"),
        (lambda: trajectory_score(USED.sum(), USED), "log_prob"),
        (lambda: trajectory_score(USED[:0], USED), "log_prob"),
        (lambda: trajectory_score(torch.ones(2), USED), "log_prob"),
        (lambda: trajectory_score(USED * 2, torch.ones(2)), "theta"),
        (lambda: trajectory_score(USED * 2, UNUSED), "theta"),
        (lambda: running_product(torch.ones(2, 2)), "factor_t"),
        (lambda: running_product(torch.ones(0)), "factor_t"),
        (lambda: running_product(torch.ones(2).long()), "factor_t"),
        (lambda: running_product(double([0.5, NAN])), "factor_t"),
        (lambda: first_beyond(1.0, -126), "factor"),
        (lambda: first_beyond(0.0, -126), "factor"),
        (lambda: first_beyond(-0.5, -126), "factor"),
        (lambda: first_beyond(INF, 126), "factor"),
        (lambda: first_beyond(NAN, 126), "factor"),
        (lambda: first_beyond(0.9, 126), "exponent"),
        (lambda: first_beyond(1.1, -126), "exponent"),
        (lambda: first_beyond(0.9, -INF), "exponent"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

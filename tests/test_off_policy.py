"""Off-policy estimators against loops, by hand and by enumeration of trajectories."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from pgbook.environments import two_step
from pgbook.mdp import TabularMDP
from pgbook.off_policy import (
    effective_sample_size,
    implied_policy,
    importance_ratios,
    importance_weights,
    off_policy_semi_gradient,
    per_decision_weights,
    vtrace_advantages,
    vtrace_operator,
    vtrace_targets,
)
from pgbook.policies import SharedLogit, TabularSoftmax

NAMES = ("r_t", "discount_t", "v_t", "v_tp1")


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def tables(states, actions, rng):
    rows = torch.rand(states, actions, generator=rng).double() + 0.1
    return rows / rows.sum(-1, keepdim=True)


def drawn_task(seed, horizon=None, ends=0.2):
    """A task of two states and two actions, a target, a behavior."""
    rng = torch.Generator().manual_seed(seed)
    outcome = torch.rand(2, 2, 2, generator=rng).double()
    transition = (1 - ends) * outcome / outcome.sum(-1, keepdim=True)
    reward = torch.randn(2, 2, generator=rng).double()
    mdp = TabularMDP(transition, reward, doubles([0.4, 0.6]), 0.9, horizon)
    return mdp, tables(2, 2, rng), tables(2, 2, rng)


def ratios_by_loop(tau, pi, behavior):
    """Ratio of every recorded step, NaN where there was no decision, [T, N]."""
    steps, columns = tau.rewards.shape
    ratio = torch.full((steps, columns), math.nan).double()
    for t, n in product(range(steps), range(columns)):
        s, a = tau.observations[t, n], tau.actions[t, n]
        if tau.valid[t, n]:
            ratio[t, n] = pi[s, a] / behavior[s, a]
    return ratio


def moment_by_decision(tau, probability, weight_t):
    """Sum over trajectories of probability * weight, by (t, s, a)."""
    steps, columns = tau.rewards.shape
    total = torch.zeros(steps, 2, 2).double()
    for t, n in product(range(steps), range(columns)):
        if tau.valid[t, n]:
            s, a = tau.observations[t, n], tau.actions[t, n]
            total[t, s, a] += probability[n] * weight_t[t, n]
    return total


def test_ratio_is_quotient_of_probabilities():
    target, behavior = doubles([[0.2], [0.5]]), doubles([[0.4], [0.25]])
    ratio_t = importance_ratios(target.log(), behavior.log())
    assert torch.allclose(ratio_t, doubles([[0.5], [2]]))


def test_ratio_is_one_where_nothing_was_decided_and_zero_for_what_is_never_done():
    log_prob = doubles([[-math.inf, math.nan], [0, -1]])
    behavior = doubles([[-1, math.inf], [0, -1]])
    valid_t = torch.tensor([[True, False], [True, True]])
    ratio_t = importance_ratios(log_prob, behavior, valid_t)
    assert ratio_t.tolist() == [[0, 1], [1, 1]]


def test_derivative_of_ratio_is_ratio_times_score():
    log_prob = doubles([math.log(0.2), math.nan]).requires_grad_()
    valid_t = torch.tensor([True, False])
    behavior = doubles([math.log(0.4), 0])
    importance_ratios(log_prob, behavior, valid_t).sum().backward()
    assert torch.allclose(log_prob.grad, doubles([0.5, 0]))


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_weights_of_two_steps_by_hand(gamma):
    r_t, ratio_t = doubles([[2], [3]]), doubles([[0.5], [4]])
    whole = importance_weights(r_t, ratio_t, None, gamma)
    single = per_decision_weights(r_t, ratio_t, None, gamma)
    assert whole[:, 0].tolist() == [2 * (2 + gamma * 3), 2 * gamma * 3]
    assert single[:, 0].tolist() == [0.5 * 2 + 2 * gamma * 3, 2 * gamma * 3]


@pytest.mark.parametrize("weights", [importance_weights, per_decision_weights])
@pytest.mark.parametrize("seed", range(3))
def test_mean_weights_are_action_values_of_the_target(weights, seed):
    mdp, pi, behavior = drawn_task(seed, horizon=3)
    tau, probability = mdp.trajectories(behavior)
    ratio_t = ratios_by_loop(tau, pi, behavior)
    weight_t = weights(tau.rewards, ratio_t, tau.valid, mdp.discount)
    assert weight_t[~tau.valid].eq(0).all()
    found = moment_by_decision(tau, probability, weight_t)
    expected = mdp.occupancy(pi)[..., None] * pi * mdp.action_values(pi)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_per_decision_weight_ignores_ratios_behind_the_reward():
    r_t = doubles([[1], [0], [0]])
    ratio_t = doubles([[2], [5], [7]])
    assert per_decision_weights(r_t, ratio_t)[:, 0].tolist() == [2, 0, 0]
    assert importance_weights(r_t, ratio_t)[:, 0].tolist() == [70, 0, 0]


def test_steps_not_valid_may_hold_anything():
    r_t = doubles([[1, 1], [1, math.nan]])
    ratio_t = doubles([[2, 3], [2, math.inf]])
    valid_t = torch.tensor([[True, True], [True, False]])
    for weights, first in ((importance_weights, 8), (per_decision_weights, 6)):
        assert weights(r_t, ratio_t, valid_t)[:, 1].tolist() == [3, 0]
        assert weights(r_t, ratio_t, valid_t)[0, 0] == first


def test_effective_size_by_hand():
    assert effective_sample_size(doubles([3, 3, 3, 3])) == 4
    assert effective_sample_size(doubles([5, 0, 0])) == 1
    assert effective_sample_size(doubles([1, 3])) == pytest.approx(16 / 10)


def test_effective_size_survives_numbers_whose_squares_overflow():
    weight = torch.tensor([1e30, 3e30])
    assert effective_sample_size(weight) == pytest.approx(1.6)
    assert effective_sample_size(weight * 1e-30 * 1e-28) == pytest.approx(1.6)


def test_semi_gradient_is_a_sum_over_states_of_the_behavior():
    mdp, _, behavior = drawn_task(4)
    policy = TabularSoftmax(2, 2)
    torch.nn.init.normal_(policy.theta, generator=torch.Generator().manual_seed(0))
    pi = policy.table()
    table = pi.detach()
    # Occupancy by its series, values by iteration, derivative of softmax by hand.
    move_b = torch.einsum("sa,sau->su", behavior, mdp.transition)
    move_pi = torch.einsum("sa,sau->su", table, mdp.transition)
    d_b, visits, v = torch.zeros(2).double(), mdp.initial, torch.zeros(2).double()
    for _ in range(400):
        d_b, visits = d_b + visits, 0.9 * visits @ move_b
        v = (table * mdp.reward).sum(1) + 0.9 * move_pi @ v
    q = mdp.reward + 0.9 * mdp.transition @ v
    expected = d_b[:, None] * table * (q - v[:, None])
    found = off_policy_semi_gradient(mdp, pi, policy.theta, behavior)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("p_b", [0.2, 0.5, 0.9])
def test_semi_gradient_of_the_running_example_by_hand(p_b):
    game = replace(two_step(), horizon=None)
    policy = SharedLogit(math.log(0.7 / 0.3))
    behavior = doubles([[1 - p_b, p_b]] * 3)
    found = off_policy_semi_gradient(game, policy.table(3), policy.theta, behavior)
    assert found.item() == pytest.approx(0.21 * (4 - 3 * 0.7 - 3 * p_b))


def test_semi_gradient_on_the_policy_is_the_gradient():
    mdp, _, _ = drawn_task(5)
    policy = TabularSoftmax(2, 2)
    torch.nn.init.normal_(policy.theta, generator=torch.Generator().manual_seed(1))
    pi = policy.table()
    (exact,) = torch.autograd.grad(mdp.expected_return(pi), policy.theta)
    found = off_policy_semi_gradient(mdp, policy.table(), policy.theta, pi.detach())
    assert torch.allclose(found, exact, rtol=0, atol=1e-12)


def test_implied_policy_by_hand():
    pi, behavior = doubles([[0.5, 0.5, 0]]), doubles([[0.1, 0.6, 0.3]])
    assert torch.allclose(implied_policy(pi, behavior, 1), doubles([[1, 5, 0]]) / 6)
    assert torch.allclose(implied_policy(pi, behavior, 2), doubles([[2, 5, 0]]) / 7)
    assert torch.allclose(implied_policy(pi, behavior, math.inf), pi)


def test_implied_policy_is_behavior_for_a_low_bar_and_target_for_a_high_one():
    _, pi, behavior = drawn_task(6)
    ratio = pi / behavior
    low, high = ratio.min().item(), ratio.max().item()
    assert torch.allclose(implied_policy(pi, behavior, 0.99 * low), behavior)
    assert torch.allclose(implied_policy(pi, behavior, 1.01 * high), pi)
    between = implied_policy(pi, behavior, (low * high) ** 0.5)
    assert (between - pi).abs().max() > 1e-3 < (between - behavior).abs().max()


def mean_target_by_loop(mdp, pi, behavior, v, ratio_bar, trace_bar, steps=300):
    """E[sum_t gamma^t c_0 … c_{t-1} delta_t], summed over time with loops."""
    mean = v.clone()
    for start in range(2):
        weight = torch.zeros(2).double()  # E[gamma^t c_0 … c_{t-1} ; s_t = s]
        weight[start] = 1
        for _ in range(steps):
            later = torch.zeros(2).double()
            for s, a in product(range(2), range(2)):
                ratio = pi[s, a] / behavior[s, a]
                ahead = mdp.transition[s, a] @ v
                error = mdp.reward[s, a] + mdp.discount * ahead - v[s]
                chance = weight[s] * behavior[s, a]
                mean[start] += chance * min(ratio, ratio_bar) * error
                kept = mdp.discount * chance * min(ratio, trace_bar)
                later += kept * mdp.transition[s, a]
            weight = later
    return mean


@pytest.mark.parametrize("bars", [(1.0, 1.0), (1.5, 0.7), (0.6, 0.2)])
def test_operator_is_the_summed_mean_of_corrections(bars):
    mdp, pi, behavior = drawn_task(7, ends=0.1)
    v = doubles([1, -2])
    found = vtrace_operator(mdp, pi, behavior, v, *bars)
    expected = mean_target_by_loop(mdp, pi, behavior, v, *bars)
    assert torch.allclose(found, expected, rtol=0, atol=1e-10)


def test_operator_on_the_policy_with_full_traces_gives_the_values_at_once():
    mdp, pi, _ = drawn_task(8, ends=0)
    found = vtrace_operator(mdp, pi, pi, doubles([5, 7]), 1.0, 1.0)
    assert torch.allclose(found, mdp.values(pi), rtol=0, atol=1e-10)


@pytest.mark.parametrize("bars", [(1.0, 1.0), (1.5, 0.7), (0.6, 0.2)])
def test_mean_targets_of_recorded_data_follow_the_operator(bars):
    """The horizon only cuts the recording here, so the discount is gamma throughout."""
    mdp, pi, behavior = drawn_task(9, horizon=3, ends=0)
    tau, probability = mdp.trajectories(behavior)
    v = doubles([1, -2])
    s_t, ratio_t = tau.observations, ratios_by_loop(tau, pi, behavior)
    bar_t, c_t = ratio_t.clamp(max=bars[0]), ratio_t.clamp(max=bars[1])
    gammas = torch.full_like(ratio_t, 0.9)
    target_t = vtrace_targets(tau.rewards, gammas, v[s_t[:-1]], v[s_t[1:]], bar_t, c_t)
    found = torch.stack([probability @ (target_t[0] * (s_t[0] == s)) for s in (0, 1)])
    free = replace(mdp, horizon=None)
    expected = mean_target_by_loop(free, pi, behavior, v, *bars, steps=3)
    assert torch.allclose(found / mdp.initial, expected, rtol=0, atol=1e-12)


def test_targets_by_hand():
    r_t, discount_t = doubles([1, 2, 3, 4]), doubles([0.5, 0.5, 0, 0.5])
    v_t, v_tp1 = doubles([1, 2, 3, 4]), doubles([2, 3, 9, 6])
    ratio, c = doubles([2, 1, 0.5, 1]), doubles([0.5, 1, 0, 1])
    # Errors 1, 1.5, 0, 3; times the ratios 2, 1.5, 0, 3.
    second = 2 + 1.5 + 0.5 * 0
    first = 1 + 2 + 0.5 * 0.5 * 1.5
    found = vtrace_targets(r_t, discount_t, v_t, v_tp1, ratio, c)
    assert found.tolist() == [first, second, 3, 4 + 3]


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_targets_on_the_policy_are_lambda_returns(lambda_):
    rng = torch.Generator().manual_seed(3)
    r_t, v = torch.randn(6, generator=rng).double(), torch.randn(7, generator=rng)
    v = v.double()
    ones = torch.ones(6).double()
    found = vtrace_targets(r_t, 0.9 * ones, v[:-1], v[1:], ones, lambda_ * ones)
    expected, later = [], v[-1]
    for t in reversed(range(6)):
        later = r_t[t] + 0.9 * ((1 - lambda_) * v[t + 1] + lambda_ * later)
        expected.insert(0, later)
    assert torch.allclose(found, torch.stack(expected), rtol=0, atol=1e-13)


def test_targets_of_a_batch_are_those_of_its_columns_and_inputs_stay():
    rng = torch.Generator().manual_seed(4)
    inputs = torch.rand(6, 5, 3, generator=rng).double()
    before = inputs.clone()
    together = vtrace_targets(*inputs)
    apart = [vtrace_targets(*inputs[..., n]) for n in range(3)]
    assert torch.allclose(together, torch.stack(apart, 1), rtol=0, atol=1e-14)
    assert torch.equal(inputs, before)


def test_advantages_by_hand():
    r_t, discount_t = doubles([1, 2, 3, 4]), doubles([0.5, 0.5, 0.5, 0])
    v_t, v_tp1 = doubles([1, 2, 3, 4]), doubles([2, 8, 4, 6])
    target_t, trace_t = doubles([10, 20, 30, 40]), doubles([1, 0, 1, 1])
    found = vtrace_advantages(r_t, discount_t, v_t, v_tp1, target_t, trace_t)
    assert found.tolist() == [1 + 10 - 1, 2 + 4 - 2, 3 + 20 - 3, 4 - 4]


def test_last_advantage_bootstraps_from_the_critic():
    r_t, v_t, v_tp1 = doubles([1.0]), doubles([2.0]), doubles([6.0])
    ones = torch.ones(1).double()
    found = vtrace_advantages(r_t, 0.5 * ones, v_t, v_tp1, 100 * ones, ones)
    assert found.item() == 1 + 3 - 2


@pytest.mark.parametrize("seed", range(2))
def test_mean_advantage_at_the_fixed_point_is_that_of_the_implied_policy(seed):
    mdp, pi, behavior = drawn_task(seed, horizon=3, ends=0)
    free = replace(mdp, horizon=None)
    mass = torch.minimum(pi, behavior)
    implied = mass / mass.sum(1, keepdim=True)
    v, q = free.values(implied), free.action_values(implied)
    tau, probability = mdp.trajectories(behavior)
    s_t, ratio_t = tau.observations, ratios_by_loop(tau, pi, behavior).clamp(max=1)
    gammas, ones = torch.full_like(ratio_t, 0.9), torch.ones_like(ratio_t)
    data = tau.rewards, gammas, v[s_t[:-1]], v[s_t[1:]]
    target_t = vtrace_targets(*data, ratio_t, ratio_t)
    adv_t = vtrace_advantages(*data, target_t, ones)
    found = moment_by_decision(tau, probability, adv_t)
    visits = moment_by_decision(tau, probability, ones)
    assert torch.allclose(found / visits, (q - v[:, None]).expand(3, 2, 2), atol=1e-12)


ONES = torch.ones(3, 2).double()
NAN = ONES.clone()
NAN[1, 1] = math.nan
EMPTY = torch.ones(0, 2).double()
FLAGS = torch.ones(3, 2).bool()
RESUMED = torch.tensor([[True, True], [False, True], [True, True]])
GRADIENT = ONES.clone().requires_grad_()
MDP, PI, B = drawn_task(0)
SOFT = TabularSoftmax(2, 2)
V = torch.zeros(2).double()
LACKS = doubles([[1, 0], [0.5, 0.5]])


def with_one(form, **wrong):
    """Call a function of recorded steps with ones, but for one argument."""
    extra = {
        vtrace_targets: ("ratio_bar_t", "trace_bar_t"),
        vtrace_advantages: ("target_t", "trace_t"),
    }[form]
    return lambda: form(**(dict.fromkeys(NAMES + extra, ONES) | wrong))


def semi(mdp=MDP, pi=None, behavior=B):
    pi = SOFT.table() if pi is None else pi
    return lambda: off_policy_semi_gradient(mdp, pi, SOFT.theta, behavior)


def operator(mdp=MDP, pi=PI, behavior=B, v=V, ratio_bar=1.0, trace_bar=1.0):
    return lambda: vtrace_operator(mdp, pi, behavior, v, ratio_bar, trace_bar)


BAD = [
    (lambda: importance_ratios(EMPTY, EMPTY), "log_prob_t"),
    (lambda: importance_ratios(NAN, ONES), "log_prob_t"),
    (lambda: importance_ratios(ONES / 0, ONES), "log_prob_t"),
    (lambda: importance_ratios(ONES, NAN), "behavior_log_prob_t"),
    (lambda: importance_ratios(ONES, -ONES / 0), "behavior_log_prob_t"),
    (lambda: importance_ratios(ONES, ONES[:2]), "behavior_log_prob_t"),
    (lambda: importance_ratios(ONES, ONES, FLAGS[:2]), "valid_t"),
    (lambda: importance_ratios(ONES, ONES, ONES), "valid_t"),
    (lambda: effective_sample_size(ONES), "weight"),
    (lambda: effective_sample_size(EMPTY[:, 0]), "weight"),
    (lambda: effective_sample_size(-ONES[0]), "weight"),
    (lambda: effective_sample_size(0 * ONES[0]), "weight"),
    (lambda: effective_sample_size(NAN[1]), "weight"),
    (lambda: implied_policy(PI, 2 * B, 1.0), "behavior"),
    (lambda: implied_policy(PI, B[:1], 1.0), "behavior"),
    (lambda: implied_policy(PI, LACKS, 1.0), "behavior"),
    (lambda: implied_policy(2 * PI, B, 1.0), "pi"),
    (lambda: implied_policy(PI[0], B[0], 1.0), "pi"),
    (lambda: implied_policy(PI, B, 0.0), "ratio_bar"),
    (lambda: implied_policy(PI, B, math.nan), "ratio_bar"),
    (semi(mdp=replace(MDP, horizon=2)), "mdp"),
    (semi(pi=PI), "pi"),
    (semi(pi=2 * PI), "pi"),
    (semi(behavior=B[:1]), "behavior"),
    (semi(behavior=2 * B), "behavior"),
    (operator(mdp=replace(MDP, horizon=2)), "mdp"),
    (operator(pi=PI[:1]), "pi"),
    (operator(behavior=LACKS), "behavior"),
    (operator(behavior=B[:1]), "behavior"),
    (operator(v=V[:1]), "v"),
    (operator(v=V / 0), "v"),
    (operator(ratio_bar=-1.0), "ratio_bar"),
    (operator(trace_bar=0.0), "trace_bar"),
]
for weights in (importance_weights, per_decision_weights):
    BAD += [
        (lambda weights=weights: weights(NAN, ONES), "r_t"),
        (lambda weights=weights: weights(ONES[0], ONES[0]), "r_t"),
        (lambda weights=weights: weights(EMPTY, EMPTY), "r_t"),
        (lambda weights=weights: weights(ONES, ONES[:2]), "ratio_t"),
        (lambda weights=weights: weights(ONES, -ONES), "ratio_t"),
        (lambda weights=weights: weights(ONES, NAN), "ratio_t"),
        (lambda weights=weights: weights(ONES, GRADIENT), "ratio_t"),
        (lambda weights=weights: weights(ONES, ONES, RESUMED), "valid_t"),
        (lambda weights=weights: weights(ONES, ONES, ONES), "valid_t"),
        (lambda weights=weights: weights(ONES, ONES, FLAGS, 1.5), "gamma"),
    ]
for form, more in (
    (vtrace_targets, ("ratio_bar_t", "trace_bar_t")),
    (vtrace_advantages, ("target_t", "trace_t")),
):
    BAD += [
        (with_one(form, **{name: wrong}), name)
        for name in (*NAMES, *more)
        for wrong in (NAN, ONES[:2])
        if not (name == "r_t" and wrong is not NAN)
    ]
    BAD += [
        (with_one(form, discount_t=1.5 * ONES), "discount_t"),
        (with_one(form, **dict.fromkeys((*NAMES, *more), EMPTY)), "r_t"),
    ]
BAD += [
    (with_one(vtrace_targets, ratio_bar_t=-ONES), "ratio_bar_t"),
    (with_one(vtrace_targets, trace_bar_t=-ONES), "trace_bar_t"),
    (with_one(vtrace_advantages, trace_t=1.5 * ONES), "trace_t"),
]


@pytest.mark.parametrize("call, argument", BAD)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

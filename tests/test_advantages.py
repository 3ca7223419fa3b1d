"""Advantages against naive sums, by hand, by enumeration; the fast form against all."""

import math

import pytest
import torch

from pgbook.advantages import (
    fast_gae,
    gae,
    lambda_returns,
    n_step_returns,
    td_errors,
)
from pgbook.environments import two_step
from pgbook.mdp import TabularMDP

LAMBDAS = (0.0, 0.3, 0.9, 1.0)
both_forms = pytest.mark.parametrize("form", [gae, fast_gae])


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def random_stream(steps=12, columns=3, seed=0, ends=0.25):
    """Rewards, values and ends of a stream; values of the successors are unrelated."""
    rng = torch.Generator().manual_seed(seed)
    r, v, v_next = torch.randn(3, steps, columns, generator=rng).double()
    kind = torch.rand(steps, columns, generator=rng)
    return r, v, v_next, kind < ends / 2, (kind > ends / 2) & (kind < ends)


def arguments(stream, gamma=0.9):
    """What the functions under test take: r_t, discount_t, v_t, v_tp1, trace_t."""
    r, v, v_next, terminated, truncated = stream
    discount_t = gamma * (1 - terminated.double())
    return r, discount_t, v, v_next, 1 - (terminated | truncated).double()


def naive_return(stream, t, i, n, gamma=0.9):
    """At most n rewards from t on in column i, then a value unless it is over."""
    r, _, v_next, terminated, truncated = stream
    total = 0.0
    for k in range(n):
        total += gamma**k * r[t + k, i].item()
        if terminated[t + k, i]:
            return total
        if truncated[t + k, i] or t + k == len(r) - 1 or k == n - 1:
            return total + gamma ** (k + 1) * v_next[t + k, i].item()


def steps_left(stream, t, i):
    """Steps from t on, up to the end of its episode or of the recording."""
    ended = (stream[3] | stream[4])[t:, i].tolist()
    return ended.index(True) + 1 if True in ended else len(ended)


def everywhere(function, stream):
    steps, columns = stream[0].shape
    rows = [[function(stream, t, i) for i in range(columns)] for t in range(steps)]
    return doubles(rows)


def naive_lambda_return(stream, lambda_):
    """Each n-step return times its weight; the last takes the weights beyond it."""

    def average(stream, t, i):
        last = steps_left(stream, t, i)
        total = lambda_ ** (last - 1) * naive_return(stream, t, i, last)
        for n in range(1, last):
            weight = (1 - lambda_) * lambda_ ** (n - 1)
            total += weight * naive_return(stream, t, i, n)
        return total

    return everywhere(average, stream)


def naive_gae(stream, lambda_, gamma=0.9):
    """Discounted sum of errors up to the end of the episode."""
    r, v, v_next, terminated, _ = stream

    def total(stream, t, i):
        result = 0.0
        for k in range(steps_left(stream, t, i)):
            later = 0.0 if terminated[t + k, i] else gamma * v_next[t + k, i].item()
            error = r[t + k, i].item() + later - v[t + k, i].item()
            result += (gamma * lambda_) ** k * error
        return result

    return everywhere(total, stream)


def random_mdp(seed=0):
    """Two states, two actions, three decisions at most; each may be the last."""
    rng = torch.Generator().manual_seed(seed)
    outcome = torch.rand(2, 2, 3, generator=rng).double()
    transition = (outcome / outcome.sum(-1, keepdim=True))[..., :2]
    reward = torch.randn(2, 2, generator=rng).double()
    pi = torch.rand(2, 2, generator=rng).double()
    mdp = TabularMDP(transition, reward, doubles([0.4, 0.6]), discount=0.9, horizon=3)
    return mdp, pi / pi.sum(1, keepdim=True)


def mean_by_decision(mdp, pi, weight_of):
    """Mean weight given (t, s, a), [H, S, A], over every trajectory.

    `weight_of(tau, v)` takes the trajectories and the exact values, [H+1, S].
    """
    tau, probability = mdp.trajectories(pi)
    weight_t = weight_of(tau, mdp.values(pi))
    mean = torch.zeros(mdp.horizon, *mdp.reward.shape).double()
    for t in range(mdp.horizon):
        for s in range(2):
            for a in range(2):
                here = tau.valid[t] & (tau.observations[t] == s) & (tau.actions[t] == a)
                chance = probability * here
                mean[t, s, a] = chance @ weight_t[t] / chance.sum()
    return mean


def recorded(tau, v, gamma=0.9):
    """r_t, discount_t, v_t, v_tp1 of enumerated trajectories; v is [H+1, S]."""
    t = torch.arange(len(tau.rewards))[:, None]
    s = tau.observations
    return tau.rewards, tau.discount_t(gamma), v[t, s[:-1]], v[t + 1, s[1:]]


def test_td_errors_by_hand():
    r_t, discount_t = doubles([1, 2, 3]), doubles([0.1, 0.1, 0])
    v_t, v_tp1 = doubles([10, 20, 30]), doubles([20, 30, 40])
    expected = doubles([1 + 2 - 10, 2 + 3 - 20, 3 - 30])
    assert torch.allclose(td_errors(r_t, discount_t, v_t, v_tp1), expected)


def test_td_errors_of_a_stream_are_rewards_and_differences():
    stream = random_stream()
    r_t, discount_t, v_t, v_tp1, _ = arguments(stream)
    error = td_errors(r_t, discount_t, v_t, v_tp1)
    assert torch.allclose(error, naive_gae(stream, 0.0), rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_true_values_make_td_errors_advantages_on_average(seed):
    mdp, pi = random_mdp(seed)
    mean = mean_by_decision(mdp, pi, lambda tau, v: td_errors(*recorded(tau, v)))
    assert torch.allclose(mean, mdp.advantages(pi), rtol=0, atol=1e-12)


def test_gradients_flow_through_td_errors():
    v_t = torch.zeros(2, 1, requires_grad=True)
    td_errors(torch.ones(2, 1), torch.ones(2, 1), v_t, v_t.detach()).sum().backward()
    assert v_t.grad.tolist() == [[-1], [-1]]


def test_n_step_returns_by_hand():
    r_t, discount_t = doubles([1, 2, 3, 4]), doubles([0.1] * 4)
    v_tp1, trace_t = doubles([50, 60, 70, 80]), doubles([1, 1, 0, 1])
    one = n_step_returns(r_t, discount_t, v_tp1, 1, trace_t)
    two = n_step_returns(r_t, discount_t, v_tp1, 2, trace_t)
    assert torch.allclose(one, doubles([6, 8, 10, 12]))
    assert torch.allclose(two, doubles([1 + 0.2 + 0.6, 2 + 0.3 + 0.7, 10, 12]))


@pytest.mark.parametrize("n", [1, 2, 3, 12, 20])
@pytest.mark.parametrize("seed", range(3))
def test_n_step_returns_are_naive_sums(n, seed):
    stream = random_stream(seed=seed)
    r_t, discount_t, _, v_tp1, trace_t = arguments(stream)
    expected = everywhere(lambda *where: naive_return(*where, n), stream)
    actual = n_step_returns(r_t, discount_t, v_tp1, n, trace_t)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("lambda_", LAMBDAS)
@pytest.mark.parametrize("seed", range(3))
def test_lambda_returns_are_averages_of_naive_sums(lambda_, seed):
    stream = random_stream(seed=seed)
    r_t, discount_t, _, v_tp1, trace_t = arguments(stream)
    actual = lambda_returns(r_t, discount_t, v_tp1, lambda_, trace_t)
    expected = naive_lambda_return(stream, lambda_)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-13)


def test_lambda_returns_of_two_steps_by_hand():
    r_t, discount_t, v_tp1 = doubles([1, 2]), doubles([0.1, 0.1]), doubles([50, 60])
    actual = lambda_returns(r_t, discount_t, v_tp1, 0.25)
    assert torch.allclose(actual, doubles([0.75 * 6 + 0.25 * (1 + 0.2 + 0.6), 8]))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_true_values_make_n_step_returns_action_values_on_average(n):
    mdp, pi = random_mdp()

    def returns(tau, v):
        r_t, discount_t, _, v_tp1 = recorded(tau, v)
        return n_step_returns(r_t, discount_t, v_tp1, n, tau.trace_t)

    mean = mean_by_decision(mdp, pi, returns)
    assert torch.allclose(mean, mdp.action_values(pi), rtol=0, atol=1e-12)


@pytest.mark.parametrize("lambda_", LAMBDAS)
def test_true_values_make_lambda_returns_action_values_on_average(lambda_):
    mdp, pi = random_mdp()

    def returns(tau, v):
        r_t, discount_t, _, v_tp1 = recorded(tau, v)
        return lambda_returns(r_t, discount_t, v_tp1, lambda_, tau.trace_t)

    mean = mean_by_decision(mdp, pi, returns)
    assert torch.allclose(mean, mdp.action_values(pi), rtol=0, atol=1e-12)


@both_forms
def test_advantages_of_a_stream_by_hand(form):
    r_t, discount_t = doubles([1, 2, 3, 4]), doubles([0.5, 0.5, 0, 0.5])
    v_t, v_tp1 = doubles([1, 2, 3, 4]), doubles([2, 4, 9, 6])
    trace_t = doubles([1, 0, 0, 1])
    adv_t = form(r_t, discount_t, v_t, v_tp1, 0.5, trace_t)
    assert adv_t.tolist() == [1 + 0.25 * 2, 2, 0, 3]


@both_forms
@pytest.mark.parametrize("lambda_", LAMBDAS)
@pytest.mark.parametrize("seed", range(3))
def test_advantages_are_naive_sums_of_errors(form, lambda_, seed):
    stream = random_stream(seed=seed)
    *transitions, trace_t = arguments(stream)
    adv_t = form(*transitions, lambda_, trace_t)
    expected = naive_gae(stream, lambda_)
    assert torch.allclose(adv_t, expected, rtol=0, atol=1e-13)


@both_forms
@pytest.mark.parametrize("lambda_", LAMBDAS)
def test_advantage_and_value_make_the_lambda_return(form, lambda_):
    stream = random_stream(seed=5)
    r, v, v_next, terminated, truncated = stream
    *transitions, trace_t = arguments(stream)
    # A value is that of the successor, as in a record, except where an episode ends.
    ended = (terminated | truncated)[:-1]
    joined = torch.where(ended, v_next[:-1], v[1:])
    v_next = torch.cat([joined, v_next[-1:]])
    transitions[3] = v_next
    adv_t = form(*transitions, lambda_, trace_t)
    expected = naive_lambda_return((r, v, v_next, terminated, truncated), lambda_)
    assert torch.allclose(adv_t + v, expected, rtol=0, atol=1e-13)


@both_forms
def test_lambda_one_is_return_minus_value_and_zero_the_td_error(form):
    r_t, v = doubles([[1], [2], [3]]), doubles([[7], [5], [4], [100]])
    discount_t = doubles([[0.5], [0.5], [0]])
    whole = form(r_t, discount_t, v[:-1], v[1:], 1.0)
    assert whole[:, 0].tolist() == [1 + 1 + 0.75 - 7, 2 + 1.5 - 5, 3 - 4]
    single = form(r_t, discount_t, v[:-1], v[1:], 0.0)
    assert single[:, 0].tolist() == [1 + 2.5 - 7, 2 + 2 - 5, 3 - 4]


@both_forms
@pytest.mark.parametrize("lambda_", LAMBDAS)
@pytest.mark.parametrize("seed", range(2))
def test_true_values_make_the_mean_the_advantage(form, lambda_, seed):
    mdp, pi = random_mdp(seed)

    def estimates(tau, v):
        return form(*recorded(tau, v), lambda_, tau.trace_t)

    mean = mean_by_decision(mdp, pi, estimates)
    assert torch.allclose(mean, mdp.advantages(pi), rtol=0, atol=1e-12)


@both_forms
def test_lambda_one_forgives_any_critic(form):
    mdp, pi = random_mdp()
    critic = torch.randn(4, 2, generator=torch.Generator().manual_seed(1)).double()

    def estimates(tau, v):
        return form(*recorded(tau, critic), 1.0, tau.trace_t)

    mean = mean_by_decision(mdp, pi, estimates)
    expected = mdp.action_values(pi) - critic[:3, :, None]
    assert torch.allclose(mean, expected, rtol=0, atol=1e-12)


def test_running_example_with_ones_for_values_by_hand():
    tau, _ = two_step().trajectories(doubles([[0.5, 0.5]] * 3))
    ones = torch.ones_like(tau.rewards)
    adv_t = gae(tau.rewards, tau.discount_t(1.0), ones, ones, 0.5)
    by_actions = dict(zip(map(tuple, tau.actions.T.tolist()), adv_t.T, strict=True))
    by_hand = {(0, 0): (-0.5, -1), (0, 1): (0.5, 1), (1, 0): (1, 0), (1, 1): (0.5, -1)}
    assert {k: tuple(v.tolist()) for k, v in by_actions.items()} == by_hand


@pytest.mark.parametrize("shape", [(1,), (7,), (9, 1), (9, 4), (6, 2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_fast_form_equals_the_recursion(shape, dtype):
    rng = torch.Generator().manual_seed(2)
    r_t, v_t, v_tp1 = torch.randn(3, *shape, generator=rng, dtype=dtype)
    discount_t, trace_t = torch.rand(2, *shape, generator=rng, dtype=dtype)
    for trace in (trace_t, None):
        slow = gae(r_t, discount_t, v_t, v_tp1, 0.7, trace)
        fast = fast_gae(r_t, discount_t, v_t, v_tp1, 0.7, trace)
        assert fast.shape == slow.shape and fast.dtype == dtype
        tolerance = 1e-13 if dtype == torch.float64 else 1e-5
        assert torch.allclose(fast, slow, rtol=0, atol=tolerance)


def test_fast_form_reads_transposed_tensors_and_writes_into_none():
    rng = torch.Generator().manual_seed(3)
    r_t, v_t, v_tp1, discount_t, trace_t = (
        torch.rand(5, 4, 9, generator=rng).double().mT
    )
    before = [x.clone() for x in (r_t, discount_t, v_t, v_tp1, trace_t)]
    fast = fast_gae(r_t, discount_t, v_t, v_tp1, 0.7, trace_t)
    after = (r_t, discount_t, v_t, v_tp1, trace_t)
    assert all(map(torch.equal, before, after))
    one_by_one = [
        gae(r_t[:, i], discount_t[:, i], v_t[:, i], v_tp1[:, i], 0.7, trace_t[:, i])
        for i in range(r_t.shape[1])
    ]
    assert torch.allclose(fast, torch.stack(one_by_one, 1), rtol=0, atol=1e-14)


@both_forms
def test_large_numbers_are_not_mistaken_for_infinite_ones(form):
    r_t = torch.full((3, 2), 3e38)
    ones, zeros = torch.ones(3, 2), torch.zeros(3, 2)
    assert torch.equal(form(r_t, 0.0 * ones, zeros, zeros, 0.9), r_t)


ONES = torch.ones(3, 2)
NAN = ONES.clone()
NAN[1, 1] = math.nan
GRADIENT = ONES.clone().requires_grad_()


def swapped(form, names, name, wrong):
    """Call a function with ones, and something wrong for one argument."""
    given = dict.fromkeys(names, ONES)
    given |= (
        {"lambda_": 0.5} if "lambda" in form.__name__ or "gae" in form.__name__ else {}
    )
    given |= {"n": 2} if form is n_step_returns else {}
    return lambda: form(**(given | {name: wrong}))


ALIGNED = {
    td_errors: ("r_t", "discount_t", "v_t", "v_tp1"),
    n_step_returns: ("r_t", "discount_t", "v_tp1", "trace_t"),
    lambda_returns: ("r_t", "discount_t", "v_tp1", "trace_t"),
    gae: ("r_t", "discount_t", "v_t", "v_tp1", "trace_t"),
    fast_gae: ("r_t", "discount_t", "v_t", "v_tp1", "trace_t"),
}
BAD = [
    (swapped(form, names, name, wrong), name)
    for form, names in ALIGNED.items()
    for name in names
    for wrong in [
        NAN,
        *([ONES / 0] if name not in ("discount_t", "trace_t") else [ONES + 1, -ONES]),
        *([ONES.long(), torch.tensor(1.0)] if name == "r_t" else [ONES[:2], ONES.mT]),
        *([GRADIENT] if form is fast_gae else []),
    ]
]
BAD += [
    (swapped(form, ALIGNED[form], "lambda_", wrong), "lambda_")
    for form in (lambda_returns, gae, fast_gae)
    for wrong in (-0.1, 1.1, math.nan)
]
BAD += [
    (swapped(n_step_returns, ALIGNED[n_step_returns], "n", wrong), "n")
    for wrong in (0, 1.5, True)
]
EMPTY = torch.ones(0, 2)
BAD += [
    (lambda: td_errors(EMPTY, EMPTY, EMPTY, EMPTY), "r_t"),
    (lambda: n_step_returns(EMPTY, EMPTY, EMPTY, 2), "r_t"),
    (lambda: lambda_returns(EMPTY, EMPTY, EMPTY, 0.5), "r_t"),
    (lambda: gae(EMPTY, EMPTY, EMPTY, EMPTY, 0.5), "r_t"),
    (lambda: fast_gae(EMPTY, EMPTY, EMPTY, EMPTY, 0.5), "r_t"),
]


@pytest.mark.parametrize("call, argument", BAD)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

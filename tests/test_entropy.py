"""Entropies, soft values and mirror descent against loops, enumeration and limits."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch.autograd import grad

from pgbook.entropy import (
    entropy_bonus,
    entropy_gradient,
    entropy_rewards,
    mirror_descent_step,
    policy_entropy,
    soft_action_values,
    soft_bellman,
    soft_gradient,
    soft_optimal,
    soft_values,
)
from pgbook.environments import bandit, two_state_chain, two_step
from pgbook.mdp import TabularMDP, random_mdp

NAN, INF = float("nan"), float("inf")


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(seed=0, states=3, actions=2, discount=0.9, horizon=None):
    mdp = random_mdp(states, actions, discount, generator(seed))
    return replace(mdp, horizon=horizon)


def random_theta(seed=1, states=3, actions=2):
    theta = torch.randn(states, actions, generator=generator(seed)).double()
    return theta.requires_grad_()


def random_pi(seed=1, states=3, actions=2):
    return random_theta(seed, states, actions).detach().softmax(-1)


def nats(row):
    """Entropy of one distribution, by a loop over Python floats."""
    return -sum(p * math.log(p) for p in row if p > 0)


def soft_sums(mdp, pi, beta, sweeps):
    """Soft state values by sweeps over all states, starting from zero."""
    pi, reward, transition = (x.tolist() for x in (pi, mdp.reward, mdp.transition))
    earned = [
        sum(p * r for p, r in zip(*rows, strict=True)) + beta * nats(rows[0])
        for rows in zip(pi, reward, strict=True)
    ]
    v = [0.0] * len(pi)
    for _ in range(sweeps):
        later = [
            sum(
                p * m * x
                for p, row in zip(*rows, strict=True)
                for m, x in zip(row, v, strict=True)
            )
            for rows in zip(pi, transition, strict=True)
        ]
        v = [now + mdp.discount * then for now, then in zip(earned, later, strict=True)]
    return doubles(v)


def enumerated(mdp, pi, beta):
    """Return plus sampled entropies of every trajectory, weighed, differentiable."""
    tau, chance = mdp.trajectories(pi)
    gammas = mdp.discount ** torch.arange(len(tau.rewards)).double()[:, None]
    log_pi = pi.log()[tau.observations[:-1], tau.actions]
    paid = (tau.rewards - beta * log_pi.detach()).where(tau.valid, 0)
    return chance @ (gammas * paid).sum(0)


@pytest.mark.parametrize(
    "row, expected",
    [
        ([1.0, 0.0, 0.0], 0.0),
        ([0.5, 0.5, 0.0], math.log(2)),
        ([0.25, 0.25, 0.5], 1.5 * math.log(2)),
        ([0.75, 0.25, 0.0], 2 * math.log(2) - 0.75 * math.log(3)),
    ],
)
def test_entropy_by_hand(row, expected):
    assert policy_entropy(doubles([row])).item() == pytest.approx(expected, abs=1e-15)


def test_entropy_is_largest_at_the_uniform_policy_and_takes_any_leading_axes():
    pi = torch.rand(5, 7, 4, generator=generator()).double().softmax(-1)
    found = policy_entropy(pi)
    assert found.shape == (5, 7) and (found < math.log(4)).all()
    uniform = policy_entropy(torch.full((4,), 0.25).double())
    assert uniform.item() == pytest.approx(math.log(4), abs=1e-15)


def test_direction_of_the_bonus_for_softmax_is_pi_times_surprise_beyond_its_mean():
    theta, weight = random_theta(actions=4), doubles([1, 0.2, 3])
    pi = theta.detach().softmax(-1)
    expected = torch.zeros(3, 4).double()
    for s in range(3):
        for b in range(4):
            surprise = -math.log(pi[s, b]) - nats(pi[s].tolist())
            expected[s, b] = weight[s] * pi[s, b] * surprise
    gradient = entropy_gradient(theta.softmax(-1), theta, weight)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-15)


def test_direction_of_the_bonus_has_central_differences_with_states_held():
    theta, weight, h = random_theta(), doubles([1, 0.2, 3]), 1e-5
    gradient = entropy_gradient(theta.softmax(-1), theta, weight).flatten()
    for k in range(6):
        ends = []
        for sign in (1, -1):
            moved = theta.detach().flatten().clone()
            moved[k] += sign * h
            table = moved.reshape(3, 2).softmax(-1)
            ends.append(
                sum(
                    w * nats(row.tolist()) for w, row in zip(weight, table, strict=True)
                )
            )
        assert gradient[k].item() == pytest.approx(
            (ends[0] - ends[1]).item() / (2 * h), abs=1e-9
        )


def test_times_of_the_bonus_are_summed():
    theta, weight = random_theta(), doubles([[1, 0, 2], [0.5, 3, 0]])
    both = entropy_gradient(theta.softmax(-1), theta, weight)
    once = entropy_gradient(theta.softmax(-1), theta, weight.sum(0))
    assert torch.allclose(both, once, rtol=0, atol=1e-14)


def test_bonus_is_discounted_per_episode_and_ignores_what_padding_holds():
    entropy_t = doubles([[0.1, 0.5], [NAN, 0.6], [NAN, 0.2]])
    valid_t = torch.tensor([[True, True], [False, True], [False, True]])
    expected = (0.1 + 0.5 + 0.1 * 0.6 + 0.01 * 0.2) / 2
    assert entropy_bonus(entropy_t, 0.1, valid_t).item() == pytest.approx(expected)


def test_gradient_of_the_bonus_flows_through_the_entropy_and_stops_at_padding():
    entropy_t = doubles([[0.1, 0.5], [0.2, 0.6]]).requires_grad_()
    valid_t = torch.tensor([[True, True], [False, True]])
    (slope,) = grad(entropy_bonus(entropy_t, 0.4, valid_t), entropy_t)
    assert torch.allclose(slope, doubles([[0.5, 0.5], [0, 0.2]]))


def test_mean_gradient_of_the_bonus_holds_the_occupancy():
    mdp, theta = drawn(horizon=3), random_theta()
    pi = theta.softmax(-1)
    tau, chance = mdp.trajectories(pi.detach())
    table = torch.special.entr(pi).sum(-1)
    entropy_t, mean = table[tau.observations[:-1]], torch.zeros(3, 2).double()
    for n in range(len(chance)):
        one = entropy_bonus(entropy_t[:, n : n + 1], 0.9, tau.valid[:, n : n + 1])
        mean += chance[n] * grad(one, theta, retain_graph=True)[0]
    visits = torch.zeros(3).double()
    for t in range(3):
        for s in range(3):
            visits[s] += 0.9**t * chance[tau.observations[t] == s].sum()
    expected = grad(visits @ table, theta)[0]
    assert torch.allclose(mean, expected, rtol=0, atol=1e-13)


def test_entropy_rewards_by_hand():
    r_t, log_prob_t = doubles([[1, 2], [0, NAN]]), doubles([[-0.5, -1], [-2, NAN]])
    valid_t = torch.tensor([[True, True], [True, False]])
    found = entropy_rewards(r_t, log_prob_t, 0.1, valid_t)
    assert torch.allclose(found, doubles([[1.05, 2.1], [0.2, 0]]))


def test_entropy_rewards_have_the_soft_value_as_mean_return():
    mdp, pi = drawn(horizon=3), random_pi()
    tau, chance = mdp.trajectories(pi)
    log_prob_t = pi.log()[tau.observations[:-1], tau.actions]
    paid = entropy_rewards(tau.rewards, log_prob_t, 0.7, tau.valid)
    mean = sum(0.9**t * chance @ paid[t] for t in range(3))
    expected = mdp.initial @ soft_sums(mdp, pi, 0.7, 3)
    assert mean.item() == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.3, 2.0])
def test_soft_values_are_sweeps_with_paid_entropies(beta):
    mdp, pi = drawn(discount=0.6), random_pi()
    expected = soft_sums(mdp, pi, beta, 80)
    assert torch.allclose(soft_values(mdp, pi, beta), expected, rtol=0, atol=1e-13)


def test_soft_values_with_a_horizon_are_as_many_sweeps_as_are_left():
    mdp, pi = drawn(horizon=4), random_pi()
    expected = torch.stack([soft_sums(mdp, pi, 0.5, 4 - t) for t in range(5)])
    assert torch.allclose(soft_values(mdp, pi, 0.5), expected, rtol=0, atol=1e-13)


def test_soft_values_of_a_door_are_entropy_times_mean_length():
    door = TabularMDP(doubles([[[0], [1]]]), doubles([[0, 0]]), doubles([1]), 1)
    for p in (0.5, 0.9, 0.99):
        value = soft_values(door, doubles([[1 - p, p]]), 1.0).item()
        assert value == pytest.approx(nats([p, 1 - p]) / (1 - p), rel=1e-12)


def test_soft_values_exist_where_an_action_is_never_taken():
    pi = doubles([[1, 0], [1, 0]])
    assert torch.allclose(soft_values(two_state_chain(), pi, 5.0), doubles([10, 20]))


@pytest.mark.parametrize("horizon", [None, 3], ids=["endless", "horizon"])
def test_soft_action_values_leave_out_the_entropy_of_their_own_decision(horizon):
    mdp, pi = drawn(horizon=horizon), random_pi()
    q = soft_action_values(mdp, pi, 0.5)
    mean = (pi * q).sum(-1) + 0.5 * doubles([nats(row) for row in pi.tolist()])
    sweeps = (400,) if horizon is None else (3, 2, 1)
    expected = torch.stack([soft_sums(mdp, pi, 0.5, n) for n in sweeps])
    assert torch.allclose(mean, expected.reshape(mean.shape), rtol=0, atol=1e-12)
    assert q.shape == ((3, 2) if horizon is None else (3, 3, 2))


def test_soft_action_values_follow_one_step_by_hand():
    pi = doubles([[0.5, 0.5], [0.5, 0.5], [1, 0]])
    q = soft_action_values(two_step(), pi, 1.0)
    second = 0.5 + math.log(2)
    assert torch.allclose(q[0, 0], doubles([0, 1 + second]))
    assert torch.allclose(q[1], two_step().reward)


@pytest.mark.parametrize("discount", [0.0, 0.9])
@pytest.mark.parametrize("beta", [0.0, 0.4, 3.0])
def test_soft_gradient_is_that_of_every_trajectory_by_its_sampled_entropies(
    beta, discount
):
    mdp, theta = drawn(horizon=3, discount=discount), random_theta()
    pi = theta.softmax(-1)
    expected = grad(enumerated(mdp, pi, beta), theta, retain_graph=True)[0]
    gradient = soft_gradient(mdp, pi, theta, beta)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-13)


def test_soft_gradient_has_central_differences_of_the_sweeps():
    mdp, theta, h = drawn(discount=0.7), random_theta(), 1e-4
    gradient = soft_gradient(mdp, theta.softmax(-1), theta, 0.5).flatten()
    for k in range(6):
        ends = []
        for sign in (1, -1):
            moved = theta.detach().flatten().clone()
            moved[k] += sign * h
            table = moved.reshape(3, 2).softmax(-1)
            ends.append(mdp.initial @ soft_sums(mdp, table, 0.5, 80))
        slope = (ends[0] - ends[1]).item() / (2 * h)
        assert gradient[k].item() == pytest.approx(slope, abs=1e-7)


def test_soft_bellman_by_hand():
    mdp = two_state_chain(0.5)
    found = soft_bellman(mdp, doubles([2, 4]), 1.0)
    expected = [
        math.log(math.exp(2) + math.exp(2)),
        math.log(math.exp(4) + math.exp(1)),
    ]
    assert torch.allclose(found, doubles(expected), rtol=0, atol=1e-14)


def test_soft_bellman_survives_small_temperatures_and_tends_to_the_maximum():
    found = soft_bellman(two_state_chain(0.5), doubles([2, 4]), 1e-4)
    assert torch.allclose(found, doubles([2 + 1e-4 * math.log(2), 4]))


def test_soft_optimum_is_no_worse_than_any_policy_on_a_grid():
    mdp, beta = drawn(states=2, discount=0.8), 0.5
    pi, v = soft_optimal(mdp, beta)
    assert torch.allclose(v, soft_sums(mdp, pi, beta, 200), rtol=0, atol=1e-12)
    grid = torch.linspace(0, 1, 21).tolist()
    for x, y in itertools.product(grid, grid):
        table = doubles([[x, 1 - x], [y, 1 - y]])
        assert (soft_sums(mdp, table, beta, 30) <= v + 0.8**30 * 10).all()


def test_soft_optimum_has_no_gradient():
    mdp = drawn(states=4, actions=3)
    pi, _ = soft_optimal(mdp, 0.3)
    theta = pi.log().requires_grad_()
    value = mdp.initial @ soft_values(mdp, theta.softmax(-1), 0.3)
    assert grad(value, theta)[0].abs().max() < 1e-12


def test_soft_optimum_without_a_future_is_a_softmax_of_the_rewards():
    mdp = drawn(discount=0.0)
    pi, v = soft_optimal(mdp, 0.5)
    for s in range(3):
        weights = [math.exp(r / 0.5) for r in mdp.reward[s].tolist()]
        expected = doubles(weights) / sum(weights)
        assert torch.allclose(pi[s], expected, rtol=0, atol=1e-15)
        assert v[s].item() == pytest.approx(0.5 * math.log(sum(weights)), abs=1e-14)


def test_soft_optimum_is_accurate_when_the_future_is_long():
    mdp = drawn(discount=0.99)
    pi, v = soft_optimal(mdp, 0.3)
    assert torch.allclose(v, soft_bellman(mdp, v, 0.3), rtol=1e-13, atol=0)
    earned = (pi * mdp.reward).sum(1) - 0.3 * (pi * pi.log()).sum(1)
    moves = torch.einsum("sa,sau->su", pi, mdp.transition)
    solved = torch.linalg.solve(torch.eye(3) - 0.99 * moves, earned)
    assert torch.allclose(v, solved, rtol=1e-12, atol=0)


def test_mirror_step_by_hand():
    pi, q = doubles([[0.2, 0.8]]), doubles([[1.0, 0.0]])
    found = mirror_descent_step(pi, q, 0.5, 1.0)
    odds = math.sqrt(0.2 / 0.8) * math.exp(0.5)
    assert found[0, 0].item() == pytest.approx(odds / (1 + odds), abs=1e-15)


def test_mirror_step_without_entropy_is_exponential_weights():
    pi, q, eta = random_pi(actions=3), random_theta(2, actions=3).detach(), 0.7
    weights = pi * torch.exp(eta * q)
    expected = weights / weights.sum(1, keepdim=True)
    found = mirror_descent_step(pi, q, eta, 0.0)
    assert torch.allclose(found, expected, rtol=0, atol=1e-15)


def test_mirror_step_of_full_length_forgets_the_policy():
    q = random_theta(2).detach()
    steps = [mirror_descent_step(random_pi(k), q, 4.0, 0.25) for k in (1, 5)]
    expected = torch.exp(4 * q) / torch.exp(4 * q).sum(1, keepdim=True)
    for found in steps:
        assert torch.allclose(found, expected, rtol=0, atol=1e-14)


def test_mirror_step_maximizes_gain_plus_entropy_minus_divergence():
    rng, eta, beta = generator(3), 0.8, 0.5
    pi, q = random_pi(states=1, actions=3), random_theta(2, 1, 3).detach()

    def gain(new):
        kl = (new * (new / pi).log()).sum()
        return (new * q).sum() - beta * (new * new.log()).sum() - (1 / eta - beta) * kl

    best = gain(mirror_descent_step(pi, q, eta, beta))
    for _ in range(300):
        other = (2 * torch.randn(1, 3, generator=rng)).double().softmax(-1)
        assert gain(other) <= best + 1e-14


def test_mirror_descent_on_a_bandit_averages_log_odds():
    r, pi, eta, beta = (
        doubles([[1.0, 0.3, 0.0]]),
        random_pi(states=1, actions=3),
        1,
        0.4,
    )
    start = (pi[0, 0] / pi[0, 1]).log().item()
    for k in range(1, 6):
        pi = mirror_descent_step(pi, r, eta, beta)
        kept = 0.6**k
        expected = kept * start + (1 - kept) * 0.7 / beta
        assert (pi[0, 0] / pi[0, 1]).log().item() == pytest.approx(expected, abs=1e-13)


MDP, PI, Q = drawn(), random_pi(), torch.zeros(3, 2).double()
ONES = torch.ones(2, 2).double()
ALL = torch.ones(2, 2).bool()
THETA = random_theta()
SURE = doubles([[1, 0], [0.5, 0.5], [0.5, 0.5]])
SHORT = drawn(horizon=2)
BAD = {
    "no distribution": (lambda: policy_entropy(doubles([[0.5, 0.6]])), "pi"),
    "negative": (lambda: policy_entropy(doubles([[1.5, -0.5]])), "pi"),
    "nan policy": (lambda: policy_entropy(doubles([[NAN, 1]])), "pi"),
    "no action": (lambda: policy_entropy(torch.empty(2, 0).double()), "pi"),
    "sure bonus": (lambda: entropy_gradient(SURE, THETA, PI[:, 0]), "pi"),
    "constant policy": (lambda: entropy_gradient(PI, THETA, PI[:, 0]), "pi"),
    "weights of others": (
        lambda: entropy_gradient(THETA.softmax(-1), THETA, doubles([1, 2])),
        "weight",
    ),
    "weights with gradient": (
        lambda: entropy_gradient(THETA.softmax(-1), THETA, THETA.sum(1)),
        "weight",
    ),
    "other parameters": (
        lambda: entropy_gradient(THETA.softmax(-1), random_theta(), PI[:, 0]),
        "theta",
    ),
    "bonus shape": (lambda: entropy_bonus(ONES, 1, ALL[:1]), "valid_t"),
    "bonus dtype": (lambda: entropy_bonus(ONES, 1, ONES), "valid_t"),
    "bonus gamma": (lambda: entropy_bonus(ONES, 1.1, ALL), "gamma"),
    "bonus of nothing": (lambda: entropy_bonus(ONES[:0], 1, ALL[:0]), "entropy_t"),
    "bonus flat": (lambda: entropy_bonus(ONES[0], 1, ALL[0]), "entropy_t"),
    "bonus nan": (lambda: entropy_bonus(NAN * ONES, 1, ALL), "entropy_t"),
    "rewards shape": (lambda: entropy_rewards(ONES, ONES[:1], 1, ALL), "log_prob_t"),
    "rewards valid shape": (lambda: entropy_rewards(ONES, ONES, 1, ALL[:1]), "valid_t"),
    "rewards valid dtype": (lambda: entropy_rewards(ONES, ONES, 1, ONES), "valid_t"),
    "rewards nan": (lambda: entropy_rewards(NAN * ONES, ONES, 1, ALL), "r_t"),
    "impossible action": (
        lambda: entropy_rewards(ONES, -INF * ONES, 1, ALL),
        "log_prob_t",
    ),
    "rewards gradient": (
        lambda: entropy_rewards(ONES, ONES.clone().requires_grad_(), 1, ALL),
        "log_prob_t",
    ),
    "rewards beta": (lambda: entropy_rewards(ONES, ONES, -1, ALL), "beta"),
    "values beta": (lambda: soft_values(MDP, PI, -0.1), "beta"),
    "values nan": (lambda: soft_values(MDP, PI, NAN), "beta"),
    "values policy": (lambda: soft_values(MDP, PI[:2], 1), "pi"),
    "action values policy": (lambda: soft_action_values(MDP, 2 * PI, 1), "pi"),
    "action values beta": (lambda: soft_action_values(MDP, PI, INF), "beta"),
    "gradient policy": (lambda: soft_gradient(MDP, PI, THETA, 1), "pi"),
    "gradient sure": (lambda: soft_gradient(MDP, SURE, THETA, 1), "pi"),
    "gradient beta": (lambda: soft_gradient(MDP, PI, THETA, -1), "beta"),
    "gradient theta": (
        lambda: soft_gradient(MDP, THETA.softmax(-1), random_theta(), 1),
        "theta",
    ),
    "bellman horizon": (lambda: soft_bellman(SHORT, PI[:, 0], 1), "mdp"),
    "bellman shape": (lambda: soft_bellman(MDP, PI, 1), "v"),
    "bellman nan": (lambda: soft_bellman(MDP, NAN * PI[:, 0], 1), "v"),
    "bellman beta": (lambda: soft_bellman(MDP, PI[:, 0], 0), "beta"),
    "bellman infinite": (lambda: soft_bellman(MDP, PI[:, 0], INF), "beta"),
    "optimal horizon": (lambda: soft_optimal(SHORT, 1), "mdp"),
    "optimal beta": (lambda: soft_optimal(MDP, 0), "beta"),
    "optimal undiscounted": (
        lambda: soft_optimal(replace(bandit(), horizon=None), 1),
        "mdp",
    ),
    "step shape": (lambda: mirror_descent_step(PI, Q[:2], 1, 0), "q"),
    "step sure": (lambda: mirror_descent_step(SURE, Q, 1, 0), "pi"),
    "step no policy": (lambda: mirror_descent_step(2 * PI, Q, 1, 0), "pi"),
    "step flat": (lambda: mirror_descent_step(PI[0], Q[0], 1, 0), "pi"),
    "step nan": (lambda: mirror_descent_step(PI, NAN * Q, 1, 0), "q"),
    "step eta": (lambda: mirror_descent_step(PI, Q, 0, 0), "eta"),
    "step infinite": (lambda: mirror_descent_step(PI, Q, INF, 0), "eta"),
    "step too long": (lambda: mirror_descent_step(PI, Q, 2, 0.6), "beta"),
    "step beta": (lambda: mirror_descent_step(PI, Q, 1, -0.1), "beta"),
}


@pytest.mark.parametrize("call, argument", BAD.values(), ids=BAD)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

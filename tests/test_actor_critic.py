"""Actors with critics against naive sums, every trajectory and points found by hand."""

import math
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import gymnasium
import pytest
import torch

from pgbook.actor_critic import (
    compatible_weights,
    critic_gradient,
    critic_loss,
    monte_carlo_fixed_point,
    one_step_action_values,
    stream_policy_gradient_loss,
    td_fixed_point,
)
from pgbook.environments import two_step
from pgbook.experiments import read_rows
from pgbook.mdp import TabularMDP
from pgbook.policies import SharedLogit, TabularSoftmax
from pgbook.trajectories import collect
from pgbook.verification import verify_unbiased


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def layered_mdp(seed=0):
    """Three layers of two states; every step may be the last, the third one is.

    No state occurs twice in an episode, so values do not depend on time, and a horizon
    of 3 changes nothing but that every trajectory can be listed.
    """
    rng = generator(seed)
    outcome = torch.rand(4, 2, 3, generator=rng, dtype=torch.float64)
    outcome = (outcome / outcome.sum(-1, keepdim=True))[..., :2]
    transition = torch.zeros(6, 2, 6, dtype=torch.float64)
    transition[:2, :, 2:4], transition[2:4, :, 4:] = outcome[:2], outcome[2:]
    reward = torch.randn(6, 2, generator=rng, dtype=torch.float64)
    return TabularMDP(transition, reward, doubles([0.3, 0.7, 0, 0, 0, 0]), discount=0.9)


def endless_mdp(seed=0):
    rng = generator(seed)
    transition = torch.rand(3, 2, 3, generator=rng, dtype=torch.float64)
    transition = transition / transition.sum(-1, keepdim=True)
    reward = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    return TabularMDP(transition, reward, doubles([0.2, 0.3, 0.5]), discount=0.8)


def random_policy(states, seed=1):
    policy = TabularSoftmax(states, 2)
    with torch.no_grad():
        policy.theta.normal_(generator=generator(seed))
    return policy


def everything(mdp, pi):
    """Every trajectory as a list of (probability, [(t, s, a, r, s', ended)])."""
    tau, probability = replace(mdp, horizon=3).trajectories(pi)
    steps = []
    for n in range(len(probability)):
        steps.append(
            [
                (
                    t,
                    tau.observations[t, n].item(),
                    tau.actions[t, n].item(),
                    tau.rewards[t, n].item(),
                    tau.observations[t + 1, n].item(),
                    tau.terminated[t, n].item(),
                )
                for t in range(3)
                if tau.valid[t, n]
            ]
        )
    return list(zip(probability.tolist(), steps, strict=True))


def mean_update(mdp, policy, weigh):
    """E[sum_t gamma^t * weight * score], the score of a softmax written out."""
    pi = policy.table().detach()
    total = torch.zeros_like(pi)
    for probability, steps in everything(mdp, pi):
        for t, s, a, r, successor, ended in steps:
            score = -pi[s]
            score = score + torch.eye(2)[a]
            weight = weigh(s, a, r, successor, ended)
            total[s] += probability * mdp.discount**t * weight * score
    return total


@pytest.mark.parametrize("seed", range(3))
def test_critic_gradient_is_the_mean_update_over_every_trajectory(seed):
    mdp, policy = layered_mdp(seed), random_policy(6)
    q_hat = torch.randn(6, 2, generator=generator(seed), dtype=torch.float64)
    expected = mean_update(mdp, policy, lambda s, a, r, u, e: q_hat[s, a])
    actual = critic_gradient(mdp, policy.table(), policy.theta, q_hat)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_td_errors_have_the_mean_of_one_step_action_values(seed):
    mdp, policy = layered_mdp(seed), random_policy(6)
    v = torch.randn(6, generator=generator(seed), dtype=torch.float64)

    def delta(s, a, r, successor, ended):
        return r + (0 if ended else mdp.discount * v[successor]) - v[s]

    expected = mean_update(mdp, policy, delta)
    q_hat = one_step_action_values(mdp, v)
    actual = critic_gradient(mdp, policy.table(), policy.theta, q_hat)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mdp", [layered_mdp(), endless_mdp()], ids=["ends", "endless"])
def test_true_values_leave_no_bias(mdp):
    policy = random_policy(len(mdp.initial))
    pi = policy.table()
    q_hat = one_step_action_values(mdp, mdp.values(pi.detach()))
    (exact,) = torch.autograd.grad(mdp.expected_return(pi), policy.theta)
    actual = critic_gradient(mdp, policy.table(), policy.theta, q_hat)
    assert torch.allclose(actual, exact, rtol=0, atol=1e-12)


def test_one_step_action_values_by_hand():
    mdp = replace(two_step(), horizon=None, discount=0.1)
    q_hat = one_step_action_values(mdp, doubles([100, 2, 3]))
    expected = doubles([[0.3, 1.2], [1, 0], [0, 2]])
    assert torch.allclose(q_hat, expected, rtol=0, atol=1e-15)


def test_a_constant_error_is_harmless_without_an_end_and_not_with_one():
    for mdp, harmless in ((endless_mdp(), True), (layered_mdp(), False)):
        policy = random_policy(len(mdp.initial))
        v = mdp.values(policy.table().detach())
        right, wrong = (
            critic_gradient(
                mdp,
                policy.table(),
                policy.theta,
                one_step_action_values(mdp, v + shift),
            )
            for shift in (0, 100)
        )
        assert torch.allclose(right, wrong, rtol=0, atol=1e-11) is harmless


def visits(mdp, pi):
    """How often each state is met in an episode, by listing everything."""
    count = torch.zeros(len(pi), dtype=torch.float64)
    for probability, steps in everything(mdp, pi):
        for _, s, *_ in steps:
            count[s] += probability
    return count


FEATURES = doubles([[1, 0], [1, 1], [0, 1], [1, 0], [2, 1], [0, 3]])


@pytest.mark.parametrize("seed", range(3))
def test_at_the_td_fixed_point_the_mean_update_over_every_trajectory_is_zero(seed):
    mdp, pi = layered_mdp(seed), random_policy(6).table().detach()
    w = td_fixed_point(mdp, pi, FEATURES, visits(mdp, pi))
    v, update = FEATURES @ w, torch.zeros(2, dtype=torch.float64)
    for probability, steps in everything(mdp, pi):
        for _, s, _, r, successor, ended in steps:
            delta = r + (0 if ended else mdp.discount * v[successor]) - v[s]
            update += probability * delta * FEATURES[s]
    assert w.abs().min() > 1e-3
    assert torch.allclose(update, torch.zeros(2).double(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_at_the_monte_carlo_fixed_point_returns_pull_no_way(seed):
    mdp, pi = layered_mdp(seed), random_policy(6).table().detach()
    w = monte_carlo_fixed_point(mdp, pi, FEATURES, visits(mdp, pi))
    v, update = FEATURES @ w, torch.zeros(2, dtype=torch.float64)
    for probability, steps in everything(mdp, pi):
        for t, s, *_ in steps:
            to_go = sum(mdp.discount ** (k - t) * r for k, _, _, r, *_ in steps[t:])
            update += probability * (to_go - v[s]) * FEATURES[s]
    assert torch.allclose(update, torch.zeros(2).double(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("find", [td_fixed_point, monte_carlo_fixed_point])
def test_with_a_feature_per_state_both_fixed_points_are_the_values(find):
    mdp, pi = endless_mdp(), random_policy(3).table().detach()
    w = find(mdp, pi, torch.eye(3).double(), doubles([1, 2, 3]))
    assert torch.allclose(w, mdp.values(pi), rtol=0, atol=1e-12)


def test_two_states_that_look_alike_by_hand():
    mdp, p = replace(two_step(), horizon=None), 0.5
    pi, alike = doubles([[1 - p, p]] * 3), doubles([[1, 0], [0, 1], [1, 0]])
    met = doubles([1, p, 1 - p])
    assert td_fixed_point(mdp, pi, alike, met).tolist() == pytest.approx([5 / 4, 1 / 2])
    w = monte_carlo_fixed_point(mdp, pi, alike, met)
    assert w.tolist() == pytest.approx([7 / 6, 1 / 2])


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_compatible_weight_of_the_running_example_by_hand(p):
    mdp, policy = replace(two_step(), horizon=None), SharedLogit(math.log(p / (1 - p)))
    w = compatible_weights(mdp, policy.table(3), policy.theta)
    assert w.shape == () and w.item() == pytest.approx(2 - 3 * p, abs=1e-13)


@pytest.mark.parametrize("mdp", [layered_mdp(), endless_mdp()], ids=["ends", "endless"])
def test_compatible_critic_leaves_no_bias_and_is_the_natural_gradient(mdp):
    policy = random_policy(len(mdp.initial))
    w = compatible_weights(mdp, policy.table(), policy.theta)
    pi = policy.table().detach()
    d = mdp.occupancy(pi)
    fisher = torch.zeros(pi.numel(), pi.numel(), dtype=torch.float64)
    update = torch.zeros(pi.numel(), dtype=torch.float64)
    for s in range(len(pi)):
        for a in range(2):
            score = torch.zeros_like(pi)
            score[s] = torch.eye(2)[a] - pi[s]
            score = score.flatten()
            fisher += d[s] * pi[s, a] * torch.outer(score, score)
            update += d[s] * pi[s, a] * (w.flatten() @ score) * score
    (exact,) = torch.autograd.grad(mdp.expected_return(policy.table()), policy.theta)
    assert torch.allclose(update, exact.flatten(), rtol=0, atol=1e-12)
    natural = torch.linalg.pinv(fisher, hermitian=True) @ exact.flatten()
    assert torch.allclose(w.flatten(), natural, rtol=0, atol=1e-11)


def test_stream_loss_of_two_columns_by_hand():
    log_prob_t = doubles([[-1, -2], [math.nan, -3], [-4, -5]])
    weight_t = doubles([[5, 7], [math.inf, 1], [-1, 2]])
    valid_t = torch.tensor([[True, True], [False, True], [True, True]])
    loss = stream_policy_gradient_loss(log_prob_t, weight_t, valid_t)
    assert loss.item() == pytest.approx((5 + 14 + 3 - 4 + 10) / 5)


def test_critic_loss_of_two_columns_by_hand():
    v_t = doubles([[1, 2], [math.nan, 3], [4, 5]])
    target_t = doubles([[2, 2], [math.inf, 1], [1, 4]])
    valid_t = torch.tensor([[True, True], [False, True], [True, True]])
    loss = critic_loss(v_t, target_t, valid_t)
    assert loss.item() == pytest.approx((1 + 0 + 4 + 9 + 1) / 2 / 5)


@pytest.mark.parametrize(
    "loss, slope",
    [(stream_policy_gradient_loss, -2.0), (critic_loss, -2.0)],
    ids=["actor", "critic"],
)
def test_nothing_flows_through_fillers(loss, slope):
    predicted = torch.zeros(3, 1, dtype=torch.float64, requires_grad=True)
    valid_t = torch.tensor([[True], [False], [True]])
    loss(predicted, doubles([[2], [3], [2]]), valid_t).backward()
    assert predicted.grad[:, 0].tolist() == [slope / 2, 0, slope / 2]


def test_stream_gradient_is_the_policy_gradient_per_step():
    """Both means of the ratio are compared: neither has a bias in the long run."""
    mdp, policy, rng = replace(two_step(), horizon=None), SharedLogit(-0.6), generator()
    pi = policy.table(3)
    (exact,) = torch.autograd.grad(mdp.expected_return(pi), policy.theta)
    v = mdp.values(pi.detach())
    envs = gymnasium.make_vec("pgbook/TwoStep-v0", num_envs=3000)
    first = collect(envs, policy, 4, rng)
    tau = collect(envs, policy, 3, rng, after=first)  # a period: two steps, one filler
    s_t, s_tp1 = tau.observations[:-1], tau.observations[1:]
    delta_t = tau.rewards + tau.discount_t(1) * v[s_tp1] - v[s_t]
    assert (tau.valid.sum(0) == 2).all()
    gradients = []
    for n in range(0, 3000, 10):
        column = slice(n, n + 10)
        log_prob_t = policy.distribution(s_t[:, column]).log_prob(
            tau.actions[:, column]
        )
        loss = stream_policy_gradient_loss(
            log_prob_t, delta_t[:, column], tau.valid[:, column]
        )
        gradients.append(-torch.autograd.grad(loss, policy.theta)[0])
    verify_unbiased("eq-stream", torch.stack(gradients)[:, None], exact[None] / 2)


def test_a_row_of_the_scoreboard_comes_out_again():
    """To the last step on one machine; elsewhere rounding leads to another run."""
    file = Path(__file__).parents[1] / "experiments" / "actor_critic_scoreboard.py"
    board = run_path(str(file))
    rows, settings = read_rows(board["RESULTS"]), (2, "batch mean", 1e-2)
    names = ("seed", "estimator", "step_size")
    row = list(zip(*(rows[name] for name in names), strict=True)).index(settings)
    again = board["run"](*settings)
    assert again["solved_steps"] == pytest.approx(rows["solved_steps"][row], rel=0.5)
    assert again["last_100"] >= board["THRESHOLD"]


MDP, HORIZON = endless_mdp(), two_step()
PI = random_policy(3).table().detach()
POLICY = random_policy(3)
EYE, ONE = torch.eye(3).double(), torch.ones(3).double()
BATCH, BOOL = torch.ones(2, 3), torch.ones(2, 3).bool()
NEEDS = torch.ones(2, 3, requires_grad=True)


def actor(q_hat, mdp=MDP, pi=None, theta=POLICY.theta):
    return critic_gradient(mdp, POLICY.table() if pi is None else pi, theta, q_hat)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: actor(torch.ones(3, 2), mdp=HORIZON), "mdp"),
        (lambda: actor(torch.ones(3, 1)), "q_hat"),
        (lambda: actor(torch.ones(3, 2) / 0), "q_hat"),
        (lambda: actor(POLICY.table()), "q_hat"),
        (lambda: actor(torch.ones(3, 2), pi=PI), "pi"),
        (
            lambda: actor(torch.ones(3, 2), theta=torch.zeros(1, requires_grad=True)),
            "theta",
        ),
        (lambda: one_step_action_values(HORIZON, ONE), "mdp"),
        (lambda: one_step_action_values(MDP, ONE[:2]), "v"),
        (lambda: one_step_action_values(MDP, ONE / 0), "v"),
        (lambda: td_fixed_point(HORIZON, PI, EYE, ONE), "mdp"),
        (lambda: td_fixed_point(MDP, PI[:2], EYE, ONE), "pi"),
        (lambda: td_fixed_point(MDP, 2 * PI, EYE, ONE), "pi"),
        (lambda: td_fixed_point(MDP, PI, EYE[:2], ONE), "features"),
        (lambda: td_fixed_point(MDP, PI, EYE / 0, ONE), "features"),
        (lambda: td_fixed_point(MDP, PI, torch.ones(3, 2).double(), ONE), "features"),
        (lambda: td_fixed_point(MDP, PI, EYE[:, :0], ONE), "features"),
        (lambda: td_fixed_point(MDP, PI, EYE, ONE[:2]), "weight"),
        (lambda: td_fixed_point(MDP, PI, EYE, -ONE), "weight"),
        (lambda: td_fixed_point(MDP, PI, EYE, ONE * math.nan), "weight"),
        (lambda: monte_carlo_fixed_point(HORIZON, PI, EYE, ONE), "mdp"),
        (lambda: monte_carlo_fixed_point(MDP, PI[:2], EYE, ONE), "pi"),
        (lambda: monte_carlo_fixed_point(MDP, PI, ONE, ONE), "features"),
        (lambda: monte_carlo_fixed_point(MDP, PI, EYE, 0 * ONE), "features"),
        (lambda: monte_carlo_fixed_point(MDP, PI, EYE, -ONE), "weight"),
        (lambda: compatible_weights(HORIZON, POLICY.table(), POLICY.theta), "mdp"),
        (lambda: compatible_weights(MDP, PI, POLICY.theta), "pi"),
        (lambda: compatible_weights(MDP, doubles([[0, 1]] * 3), POLICY.theta), "pi"),
        (lambda: compatible_weights(MDP, POLICY.table(), ONE), "theta"),
        (lambda: critic_loss(BATCH[:0], BATCH[:0], BOOL[:0]), "v_t"),
        (lambda: critic_loss(BATCH / 0, BATCH, BOOL), "v_t"),
        (lambda: critic_loss(BATCH, BATCH[:1], BOOL), "target_t"),
        (lambda: critic_loss(BATCH, NEEDS, BOOL), "target_t"),
        (lambda: critic_loss(BATCH, BATCH / 0, BOOL), "target_t"),
        (lambda: critic_loss(BATCH, BATCH, BOOL[:1]), "valid_t"),
        (lambda: critic_loss(BATCH, BATCH, BATCH), "valid_t"),
        (lambda: critic_loss(BATCH, BATCH, ~BOOL), "valid_t"),
        (
            lambda: stream_policy_gradient_loss(BATCH[:0], BATCH[:0], BOOL[:0]),
            "log_prob_t",
        ),
        (lambda: stream_policy_gradient_loss(BATCH / 0, BATCH, BOOL), "log_prob_t"),
        (lambda: stream_policy_gradient_loss(BATCH, BATCH[:1], BOOL), "weight_t"),
        (lambda: stream_policy_gradient_loss(BATCH, NEEDS, BOOL), "weight_t"),
        (lambda: stream_policy_gradient_loss(BATCH, BATCH / 0, BOOL), "weight_t"),
        (lambda: stream_policy_gradient_loss(BATCH, BATCH, BOOL[:1]), "valid_t"),
        (lambda: stream_policy_gradient_loss(BATCH, BATCH, BATCH), "valid_t"),
        (lambda: stream_policy_gradient_loss(BATCH, BATCH, ~BOOL), "valid_t"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

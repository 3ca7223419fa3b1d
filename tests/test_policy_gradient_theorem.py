"""The theorem against autograd, power series, finite differences and enumeration."""

from dataclasses import replace

import pytest
import torch
from torch.autograd import grad

from pgbook.environments import TabularVectorEnv, two_state_chain, two_step
from pgbook.mdp import TabularMDP
from pgbook.policies import SharedLogit, TabularSoftmax
from pgbook.policy_gradient_theorem import (
    all_action_loss,
    all_action_weights,
    average_reward,
    average_reward_gradient,
    differential_action_values,
    differential_values,
    return_gradient,
    stationary_distribution,
    theorem_gradient,
)
from pgbook.trajectories import collect_episodes
from pgbook.verification import verify_unbiased


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_mdp(seed=0, states=3, actions=2, *, ends=False, discount=0.9, horizon=None):
    """Rows drawn at random; with `ends`, every action may be the last."""
    rng, columns = generator(seed), states + ends
    rows = torch.rand(states, actions, columns, generator=rng).double()
    transition = (rows / rows.sum(-1, keepdim=True))[..., :states]
    reward = torch.randn(states, actions, generator=rng).double()
    initial = torch.rand(states, generator=rng).double()
    initial = initial / initial.sum()
    return TabularMDP(transition, reward, initial, discount, horizon)


def random_softmax(seed=1, states=3, actions=2):
    policy = TabularSoftmax(states, actions)
    with torch.no_grad():
        policy.theta.normal_(generator=generator(seed))
    return policy


def chain_of(mdp, pi):
    """P_pi and r_pi by loops."""
    states, actions = mdp.reward.shape
    moves, pays = torch.zeros(states, states).double(), torch.zeros(states).double()
    for s in range(states):
        for a in range(actions):
            moves[s] += pi[s, a] * mdp.transition[s, a]
            pays[s] += pi[s, a] * mdp.reward[s, a]
    return moves, pays


def softmax_sum(pi, weight, q):
    """sum_s w(s) sum_a q(s, a) dpi(a|s)/dtheta(s, b), derivative of softmax by hand."""
    gradient = torch.zeros_like(pi)
    for s in range(len(pi)):
        for b in range(pi.shape[1]):
            for a in range(pi.shape[1]):
                slope = pi[s, a] * (float(a == b) - pi[s, b])
                gradient[s, b] += weight[s] * q[s, a] * slope
    return gradient


def long_run(mdp, pi, steps=4000):
    """Average reward and shares of time, from occupancies summed over many steps."""
    moves, pays = chain_of(mdp, pi)
    at, visits = mdp.initial.clone(), torch.zeros(len(pi)).double()
    for _ in range(steps):
        at = at @ moves
    for _ in range(steps):
        visits += at / steps
        at = at @ moves
    return visits @ pays, visits


def test_weights_times_values_times_slopes_by_hand():
    policy = SharedLogit(0.0)
    weight, q = doubles([2, 10]), doubles([[1, 3], [0, -0.1]])
    gradient = theorem_gradient(policy.table(2), policy.theta, weight, q)
    assert gradient.item() == pytest.approx(2 * 0.25 * 2 + 10 * 0.25 * -0.1)


def test_times_are_summed_each_with_its_own_values():
    policy = SharedLogit(0.0)
    weight, q = doubles([[1], [3]]), doubles([[[0, 4]], [[8, 0]]])
    gradient = theorem_gradient(policy.table(1), policy.theta, weight, q)
    assert gradient.item() == pytest.approx(0.25 * 4 - 3 * 0.25 * 8)


def test_sum_is_the_naive_sum_and_has_the_shape_of_theta():
    policy, rng = random_softmax(), generator(4)
    weight = torch.rand(3, generator=rng).double()
    q = torch.randn(3, 2, generator=rng).double()
    gradient = theorem_gradient(policy.table(), policy.theta, weight, q)
    expected = softmax_sum(policy.table().detach(), weight, q)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-14)


def test_a_number_added_to_all_actions_of_a_state_changes_nothing():
    policy, weight = random_softmax(), doubles([1, 2, 3])
    q, extra = torch.zeros(3, 2).double(), doubles([[5], [7], [-11]])
    gradient = theorem_gradient(policy.table(), policy.theta, weight, q + extra)
    assert torch.allclose(gradient, torch.zeros(3, 2).double(), atol=1e-14)


@pytest.mark.parametrize("p", [0.3, 0.5, 0.9])
def test_running_example_has_the_gradient_worked_out_on_paper(p):
    policy = SharedLogit(torch.logit(doubles(p)))
    gradient = return_gradient(two_step(), policy.table(3), policy.theta)
    assert gradient.item() == pytest.approx((4 - 6 * p) * p * (1 - p), abs=1e-14)


@pytest.mark.parametrize("ends", [False, True], ids=["endless", "ending"])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95])
def test_discounted_form_is_a_power_series_by_hand(discount, ends):
    mdp, policy = random_mdp(ends=ends, discount=discount), random_softmax()
    pi = policy.table().detach()
    moves, pays = chain_of(mdp, pi)
    d, v = torch.zeros(3).double(), torch.zeros(3).double()
    for _ in range(1000):
        d, v = mdp.initial + discount * d @ moves, pays + discount * moves @ v
    q = mdp.reward + discount * (mdp.transition * v).sum(-1)
    gradient = return_gradient(mdp, policy.table(), policy.theta)
    assert torch.allclose(gradient, softmax_sum(pi, d, q), rtol=0, atol=1e-12)


@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_ending_tasks_have_the_gradient_of_their_linear_solve(discount):
    mdp, policy = random_mdp(ends=True, discount=discount), random_softmax()
    exact = grad(mdp.expected_return(policy.table()), policy.theta)[0]
    gradient = return_gradient(mdp, policy.table(), policy.theta)
    assert torch.allclose(gradient, exact, rtol=0, atol=1e-13)


def test_central_differences_agree():
    mdp, policy, h = random_mdp(), random_softmax(), 1e-5
    gradient = return_gradient(mdp, policy.table(), policy.theta).flatten()
    for k in range(6):
        shift = torch.zeros(6).double()
        shift[k] = h
        up, down = (
            mdp.expected_return((policy.theta + sign * shift.reshape(3, 2)).softmax(-1))
            for sign in (1, -1)
        )
        assert gradient[k].item() == pytest.approx(((up - down) / (2 * h)).item(), 1e-7)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("discount", [0.5, 1.0])
def test_horizon_form_is_the_enumerated_gradient(horizon, discount):
    mdp = random_mdp(ends=True, discount=discount, horizon=horizon)
    policy = random_softmax()
    pi = policy.table().detach()
    tau, probability = mdp.trajectories(pi)
    expected = torch.zeros(3, 2).double()
    for n, chance in enumerate(probability):
        steps = [t for t in range(horizon) if tau.valid[t, n]]
        total = sum(discount**t * tau.rewards[t, n] for t in steps)
        for t in steps:
            s, taken = tau.observations[t, n], tau.actions[t, n]
            for b in range(2):
                expected[s, b] += chance * total * (float(b == taken) - pi[s, b])
    gradient = return_gradient(mdp, policy.table(), policy.theta)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-13)


def test_shared_parameters_are_differentiated_through():
    mdp, policy = random_mdp(), SharedLogit(0.4)
    exact = grad(mdp.expected_return(policy.table(3)), policy.theta)[0]
    gradient = return_gradient(mdp, policy.table(3), policy.theta)
    assert gradient.item() == pytest.approx(exact.item(), abs=1e-13)


def test_chain_with_two_states_by_hand():
    mdp, pi = two_state_chain(), doubles([[0.8, 0.2], [0.7, 0.3]])
    mu, rho = doubles([0.6, 0.4]), 0.6 * 0.8 + 0.4 * 1.4  # 0.6 * 0.2 = 0.4 * 0.3
    assert torch.allclose(stationary_distribution(mdp, pi), mu)
    assert average_reward(mdp, pi).item() == pytest.approx(rho)
    gap = (1.4 - 0.8) / (1 - 0.8 + 0.3)  # v_1 - v_0, from the difference of two rows
    v = doubles([-0.4 * gap, 0.6 * gap])
    assert torch.allclose(differential_values(mdp, pi), v)
    q = doubles([[1, 0], [2, 0]]) - rho + torch.stack([v, v.flip(0)], 1)
    assert torch.allclose(differential_action_values(mdp, pi), q)


@pytest.mark.parametrize("seed", range(3))
def test_long_run_is_what_long_sums_tend_to(seed):
    mdp, pi = random_mdp(seed), random_softmax(seed).table().detach()
    rho, visits = long_run(mdp, pi)
    assert torch.allclose(stationary_distribution(mdp, pi), visits, rtol=0, atol=1e-12)
    assert average_reward(mdp, pi).item() == pytest.approx(rho.item(), abs=1e-12)
    moves, pays = chain_of(mdp, pi)
    v, extra = torch.zeros(3).double(), pays - rho
    for _ in range(2000):  # sum_t P^t (r - rho)
        v, extra = v + extra, moves @ extra
    assert torch.allclose(differential_values(mdp, pi), v, rtol=0, atol=1e-10)
    q = mdp.reward - rho + (mdp.transition * v).sum(-1)
    assert torch.allclose(differential_action_values(mdp, pi), q, rtol=0, atol=1e-10)


def test_neither_start_nor_discount_matters_in_the_long_run():
    mdp, pi = random_mdp(), random_softmax().table().detach()
    other = replace(mdp, initial=doubles([0, 0, 1]), discount=0.1)
    for quantity in (average_reward, differential_values, stationary_distribution):
        assert torch.equal(quantity(mdp, pi), quantity(other, pi))


def test_alternating_and_transient_states_are_no_obstacle():
    moves = doubles([[[0, 0.5, 0.5]], [[0, 0, 1]], [[0, 1, 0]]])
    mdp = TabularMDP(moves, doubles([[9], [1], [3]]), doubles([1, 0, 0]), 0.9)
    pi = torch.ones(3, 1).double()
    assert torch.allclose(stationary_distribution(mdp, pi), doubles([0, 0.5, 0.5]))
    assert average_reward(mdp, pi).item() == pytest.approx(2)


@pytest.mark.parametrize("seed", range(3))
def test_average_form_is_the_slope_of_long_sums(seed):
    mdp, policy = random_mdp(seed), random_softmax(seed)
    rho, _ = long_run(mdp, policy.table(), 300)
    exact = grad(rho, policy.theta)[0]
    gradient = average_reward_gradient(mdp, policy.table(), policy.theta)
    assert torch.allclose(gradient, exact, rtol=0, atol=1e-12)


def test_long_run_quantities_are_differentiable():
    mdp, policy = random_mdp(), random_softmax()
    for quantity in (average_reward, differential_values, differential_action_values):

        def total(theta, quantity=quantity):
            return quantity(mdp, theta.softmax(-1)).sum()

        assert torch.autograd.gradcheck(total, policy.theta)


def test_every_action_gets_its_own_value_by_hand():
    pi = torch.full((3, 2), 0.5).double()
    mdp = replace(two_step(), discount=0.1)
    tau, _ = mdp.trajectories(pi)
    weight_t = all_action_weights(mdp, pi, tau)
    assert weight_t.shape == (2, 4, 2) and not weight_t.requires_grad
    assert torch.allclose(weight_t[0], doubles([[0.1, 1.05]]).expand(4, 2))
    for n in range(4):
        later = [0, 2] if tau.actions[0, n] == 0 else [1, 0]
        assert torch.allclose(weight_t[1, n], 0.1 * doubles(later))


def test_nothing_counts_behind_an_end_and_no_horizon_means_no_clock():
    mdp, pi = random_mdp(ends=True, horizon=3), random_softmax().table()
    tau, _ = mdp.trajectories(pi.detach())
    q = mdp.action_values(pi).detach()
    endless = replace(mdp, horizon=None)
    static = endless.action_values(pi).detach()
    weight_t = all_action_weights(mdp, pi, tau)
    timeless = all_action_weights(endless, pi, tau)
    for t in range(3):
        for n in range(tau.rewards.shape[1]):
            s, valid = tau.observations[t, n], tau.valid[t, n].double()
            assert torch.allclose(weight_t[t, n], valid * 0.9**t * q[t, s])
            assert torch.allclose(timeless[t, n], valid * 0.9**t * static[s])


def test_loss_of_two_episodes_by_hand():
    pi_t = doubles([[[0.5, 0.5], [0.2, 0.8]], [[1, 0], [torch.nan, 0.3]]])
    weight_t = doubles([[[1, 3], [10, 0]], [[7, 100], [1, torch.inf]]])
    valid_t = torch.tensor([[True, True], [True, False]])
    loss = all_action_loss(pi_t, weight_t, valid_t)
    assert loss.item() == pytest.approx(-(2 + 7 + 2) / 2)


def test_loss_divides_by_episodes_and_all_steps_count_unless_told():
    pi_t = doubles([[[0.5, 0.5]], [[0.25, 0.75]]])
    for copies in (1, 3):
        same = pi_t.expand(2, copies, 2)
        assert all_action_loss(same, torch.full_like(same, 4)).item() == -8


def test_nothing_flows_through_invalid_steps():
    pi_t = torch.full((2, 2, 2), 0.5, dtype=torch.float64, requires_grad=True)
    valid_t = torch.tensor([[True, True], [True, False]])
    all_action_loss(pi_t, torch.full((2, 2, 2), 3.0), valid_t).backward()
    assert pi_t.grad.tolist() == [[[-1.5, -1.5]] * 2, [[-1.5, -1.5], [0, 0]]]


@pytest.mark.parametrize("horizon", [2, 3])
def test_losses_weighed_by_probability_have_the_exact_gradient(horizon):
    mdp, policy = random_mdp(ends=True, horizon=horizon), random_softmax()
    exact = grad(mdp.expected_return(policy.table()), policy.theta)[0]
    tau, probability = mdp.trajectories(policy.table().detach())
    weight_t = all_action_weights(mdp, policy.table(), tau)
    columns = len(probability)
    pi_t = policy.distribution(tau.observations[:-1]).probs
    weight_t = weight_t * probability[:, None] * columns
    loss = all_action_loss(pi_t, weight_t, tau.valid)
    gradient = -grad(loss, policy.theta)[0]
    assert torch.allclose(gradient, exact, rtol=0, atol=1e-13)


def test_sampled_losses_are_unbiased():
    mdp, policy = random_mdp(ends=True), random_softmax()
    envs = TabularVectorEnv(num_envs=2000, mdp=mdp)
    (exact,) = grad(mdp.expected_return(policy.table()), policy.theta)
    tau = collect_episodes(envs, policy, 2000, generator())
    weight_t = all_action_weights(mdp, policy.table(), tau)
    pi_t = policy.distribution(tau.observations[:-1]).probs
    estimates = []
    for batch in torch.arange(2000).split(40):
        loss = all_action_loss(pi_t[:, batch], weight_t[:, batch], tau.valid[:, batch])
        (gradient,) = grad(loss, policy.theta, retain_graph=True)
        estimates.append(-gradient.flatten())
    verify_unbiased("eq-loss", torch.stack(estimates), exact.flatten())


POLICY = random_softmax()
PI, THETA = POLICY.table(), POLICY.theta
CONSTANT = PI.detach()
MDP, ENDING = random_mdp(), random_mdp(ends=True)
LIMITED = random_mdp(horizon=2)
APART = TabularMDP(
    torch.eye(3).double()[:, None].expand(3, 2, 3), MDP.reward, MDP.initial, 0.9
)
W, Q = torch.ones(3).double(), torch.ones(3, 2).double()
TAU = LIMITED.trajectories(CONSTANT)[0]
PI_T, Q_T = torch.full((2, 4, 3), 1 / 3), torch.ones(2, 4, 3)
SOME = torch.ones(2, 4).bool()


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: theorem_gradient(PI[0], THETA, W, Q), "pi"),
        (lambda: theorem_gradient(2 * PI, THETA, W, Q), "pi"),
        (lambda: theorem_gradient(CONSTANT, THETA, W, Q), "pi"),
        (lambda: theorem_gradient(PI, CONSTANT, W, Q), "pi"),
        (lambda: theorem_gradient(PI, Q.clone().requires_grad_(), W, Q), "theta"),
        (lambda: theorem_gradient(PI, THETA, W, Q[0]), "q"),
        (lambda: theorem_gradient(PI, THETA, W, Q.T), "q"),
        (lambda: theorem_gradient(PI, THETA, W, Q / 0), "q"),
        (lambda: theorem_gradient(PI, THETA, W, PI), "q"),
        (lambda: theorem_gradient(PI, THETA, W[:1], Q), "weight"),
        (lambda: theorem_gradient(PI, THETA, W, Q[None]), "weight"),
        (lambda: theorem_gradient(PI, THETA, W / 0, Q), "weight"),
        (lambda: theorem_gradient(PI, THETA, PI[:, 0], Q), "weight"),
        (lambda: return_gradient(MDP, PI[:2], THETA), "pi"),
        (lambda: return_gradient(MDP, CONSTANT, THETA), "pi"),
        (lambda: stationary_distribution(LIMITED, CONSTANT), "mdp"),
        (lambda: stationary_distribution(ENDING, CONSTANT), "pi"),
        (lambda: stationary_distribution(APART, CONSTANT), "pi"),
        (lambda: stationary_distribution(MDP, CONSTANT[:2]), "pi"),
        (lambda: stationary_distribution(MDP, 2 * CONSTANT), "pi"),
        (lambda: average_reward(ENDING, CONSTANT), "pi"),
        (lambda: average_reward(LIMITED, CONSTANT), "mdp"),
        (lambda: differential_values(APART, CONSTANT), "pi"),
        (lambda: differential_values(LIMITED, CONSTANT), "mdp"),
        (lambda: differential_action_values(ENDING, CONSTANT), "pi"),
        (lambda: differential_action_values(LIMITED, CONSTANT), "mdp"),
        (lambda: average_reward_gradient(LIMITED, PI, THETA), "mdp"),
        (lambda: average_reward_gradient(APART, PI, THETA), "pi"),
        (lambda: average_reward_gradient(MDP, CONSTANT, THETA), "pi"),
        (lambda: all_action_weights(LIMITED, CONSTANT[:2], TAU), "pi"),
        (
            lambda: all_action_weights(
                LIMITED, CONSTANT, replace(TAU, observations=TAU.observations.double())
            ),
            "trajectories",
        ),
        (
            lambda: all_action_weights(
                LIMITED, CONSTANT, replace(TAU, observations=TAU.observations + 1)
            ),
            "trajectories",
        ),
        (
            lambda: all_action_weights(replace(MDP, horizon=1), CONSTANT, TAU),
            "trajectories",
        ),
        (lambda: all_action_loss(PI_T[0], Q_T[0]), "pi_t"),
        (lambda: all_action_loss(PI_T[:, :0], Q_T[:, :0]), "pi_t"),
        (lambda: all_action_loss(PI_T / 0, Q_T), "pi_t"),
        (lambda: all_action_loss(PI_T, Q_T[..., :1]), "weight_t"),
        (lambda: all_action_loss(PI_T, Q_T / 0), "weight_t"),
        (lambda: all_action_loss(PI_T, Q_T.clone().requires_grad_()), "weight_t"),
        (lambda: all_action_loss(PI_T, Q_T, SOME[:1]), "valid_t"),
        (lambda: all_action_loss(PI_T, Q_T, SOME.double()), "valid_t"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

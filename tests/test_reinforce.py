"""REINFORCE against naive sums, every batch, and rows of the experiments' files."""

import importlib.util
import itertools
import math
from pathlib import Path

import gymnasium
import pytest
import torch

from pgbook.environments import TabularVectorEnv, short_corridor, two_step
from pgbook.experiments import read_rows
from pgbook.mdp import TabularMDP
from pgbook.policies import CategoricalNetwork, SharedLogit, TabularSoftmax
from pgbook.reinforce import (
    every_batch,
    policy_gradient_loss,
    total_return_weights,
    trajectory_gradients,
)
from pgbook.trajectories import collect_episodes
from pgbook.verification import verify_unbiased

ROOT = Path(__file__).parents[1]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def experiment(name):
    path = ROOT / "experiments" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_mdp(seed=0):
    """Two states, two actions, three decisions at most; each may be the last."""
    rng = generator(seed)
    random = [torch.rand(*n, generator=rng).double() for n in ((2, 2, 3), (2, 2), (2,))]
    transition, reward, initial = random
    transition = (transition / transition.sum(-1, keepdim=True))[..., :2]
    initial = initial / initial.sum()
    return TabularMDP(transition, reward, initial, discount=0.9, horizon=3)


def random_policy(seed=1):
    policy = TabularSoftmax(2, 2)
    with torch.no_grad():
        policy.theta.normal_(generator=generator(seed))
    return policy


def naive_gradients(policy, tau, gamma):
    """Loops over episodes, steps and logits; the score of a softmax by hand."""
    pi = policy.theta.detach().softmax(-1).tolist()
    gradients = torch.zeros(tau.rewards.shape[1], *policy.theta.shape).double()
    for n in range(tau.rewards.shape[1]):
        steps = [t for t in range(len(tau.valid)) if tau.valid[t, n]]
        total = sum(gamma**t * tau.rewards[t, n].item() for t in steps)
        for t in steps:
            s, taken = tau.observations[t, n].item(), tau.actions[t, n].item()
            for a, chance in enumerate(pi[s]):
                gradients[n, s, a] += total * ((a == taken) - chance)
    return gradients.flatten(1)


def gradients_of(policy, tau, gamma):
    """The same by the functions under test."""
    log_prob_t = policy.distribution(tau.observations[:-1]).log_prob(tau.actions)
    weight_t = total_return_weights(tau.rewards, tau.valid, gamma)
    return trajectory_gradients(log_prob_t, weight_t, policy.theta, tau.valid)


def test_every_step_gets_the_whole_return_by_hand():
    r_t = doubles([[1, 3], [2, 50], [4, math.nan]])
    valid_t = torch.tensor([[True, True], [True, False], [True, False]])
    weight_t = total_return_weights(r_t, valid_t, 0.1)
    assert torch.allclose(weight_t, doubles([[1.24, 3], [1.24, 0], [1.24, 0]]))


def test_all_steps_count_unless_told_and_nothing_is_discounted():
    r_t = doubles([[1, 3], [2, 5]])
    assert torch.equal(total_return_weights(r_t), doubles([[3, 8], [3, 8]]))


def test_weights_can_be_written_to():
    weight_t = total_return_weights(torch.ones(3, 2))
    weight_t[0] -= 1
    assert weight_t.tolist() == [[2, 2], [3, 3], [3, 3]]


def test_loss_of_two_episodes_by_hand():
    log_prob_t = doubles([[-1, -2], [-3, math.inf]])
    weight_t = doubles([[5, 7], [11, math.nan]])
    valid_t = torch.tensor([[True, True], [True, False]])
    loss = policy_gradient_loss(log_prob_t, weight_t, valid_t)
    assert loss.item() == (5 * 1 + 11 * 3 + 7 * 2) / 2


def test_loss_divides_by_episodes_and_not_by_steps():
    once = torch.tensor([[-1.0], [-2.0], [-4.0]])
    thrice = once.expand(3, 3)
    loss = policy_gradient_loss(once, torch.ones(3, 1))
    assert loss == policy_gradient_loss(thrice, torch.ones(3, 3)) == 7


def test_nothing_flows_through_invalid_steps():
    log_prob_t = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    valid_t = torch.tensor([[True, True], [True, False]])
    policy_gradient_loss(log_prob_t, 3 + torch.zeros(2, 2), valid_t).backward()
    assert log_prob_t.grad.tolist() == [[-1.5, -1.5], [-1.5, 0]]


@pytest.mark.parametrize("p", [0.3, 0.5, 0.9])
def test_running_example_has_the_moments_worked_out_on_paper(p):
    policy = SharedLogit(math.log(p / (1 - p)))
    tau, probability = two_step().trajectories(policy.table(3).detach())
    q = 1 - p
    by_hand = {(1, 1): 2 * q, (1, 0): 2 * (1 - 2 * p), (0, 1): 2 * (1 - 2 * p)}
    expected = [by_hand.get(tuple(a), 0) for a in tau.actions.T.tolist()]
    gradient = gradients_of(policy, tau, 1.0)
    assert torch.allclose(gradient[:, 0], doubles(expected), rtol=0, atol=1e-14)
    mean = probability @ gradient[:, 0]
    assert mean.item() == pytest.approx(p * q * (4 - 6 * p), abs=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_each_trajectory_has_the_gradient_of_a_loop(seed):
    mdp, policy = random_mdp(seed), random_policy(seed)
    tau, _ = mdp.trajectories(policy.table().detach())
    assert not tau.valid.all()
    expected = naive_gradients(policy, tau, 0.9)
    assert torch.allclose(gradients_of(policy, tau, 0.9), expected, atol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_mean_over_all_trajectories_is_the_exact_gradient(seed):
    mdp, policy = random_mdp(seed), random_policy(seed)
    (exact,) = torch.autograd.grad(mdp.expected_return(policy.table()), policy.theta)
    tau, probability = mdp.trajectories(policy.table().detach())
    mean = probability @ gradients_of(policy, tau, mdp.discount)
    assert torch.allclose(mean, exact.flatten(), rtol=0, atol=1e-12)


def test_loss_has_minus_the_mean_of_the_trajectory_gradients():
    mdp, policy = random_mdp(), random_policy()
    tau, _ = mdp.trajectories(policy.table().detach())
    log_prob_t = policy.distribution(tau.observations[:-1]).log_prob(tau.actions)
    weight_t = torch.randn(log_prob_t.shape, generator=generator()).double()
    loss = policy_gradient_loss(log_prob_t, weight_t, tau.valid)
    (gradient,) = torch.autograd.grad(loss, policy.theta, retain_graph=True)
    each = trajectory_gradients(log_prob_t, weight_t, policy.theta, tau.valid)
    assert each.shape == (log_prob_t.shape[1], 4)
    assert torch.allclose(gradient.flatten(), -each.mean(0), rtol=0, atol=1e-14)


def test_sampled_losses_are_unbiased():
    mdp, policy, rng = random_mdp(), random_policy(), generator()
    envs = TabularVectorEnv(num_envs=50, mdp=mdp)
    (exact,) = torch.autograd.grad(mdp.expected_return(policy.table()), policy.theta)
    estimates = []
    for _ in range(100):
        tau = collect_episodes(envs, policy, 50, rng)
        log_prob_t = policy.distribution(tau.observations[:-1]).log_prob(tau.actions)
        weight_t = total_return_weights(tau.rewards, tau.valid, mdp.discount)
        loss = policy_gradient_loss(log_prob_t, weight_t, tau.valid)
        estimates.append(-torch.autograd.grad(loss, policy.theta)[0].flatten())
    verify_unbiased("eq-loss", torch.stack(estimates), exact.flatten())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_batches_are_the_ordered_draws_collected(size):
    probability = doubles([0.2, 0.5, 0.3])
    expected = {}
    for draw in itertools.product(range(3), repeat=size):
        key = tuple(sorted(draw))
        chance = math.prod(probability[k].item() for k in draw)
        expected[key] = expected.get(key, 0) + chance
    batches, chance = every_batch(probability, size)
    found = dict(zip(map(tuple, batches.tolist()), chance.tolist(), strict=True))
    assert found == pytest.approx(expected, abs=1e-15)


def test_many_draws_neither_overflow_nor_lose_mass():
    _, chance = every_batch(doubles([0.5, 0.3, 0.2]), 100)
    assert chance.sum().item() == pytest.approx(1, abs=1e-12)


def test_corridor_of_the_experiment_is_the_table_of_the_package():
    module = experiment("reinforce_corridor")
    rng, mdp = generator(), short_corridor()
    lengths = [len(module.play(0.4, module._uniforms(rng))) for _ in range(3000)]
    exact = mdp.expected_return(doubles([[0.6, 0.4]] * 3))
    verify_unbiased("eq-length", -doubles(lengths)[:, None], exact[None])


def test_one_logit_moves_as_two_preferences_do():
    module = experiment("reinforce_corridor")
    actions, step_size = [1, 0, 0, 1, 1, 0, 1], 2**-6
    boxed, whole = doubles([0.4, -0.7]), doubles([0.4, -0.7])  # left, right
    start = whole.softmax(0)
    for t, action in enumerate(actions):
        taken = torch.eye(2).double()[action]
        boxed += step_size * (t - len(actions)) * (taken - boxed.softmax(0))
        whole += step_size * -len(actions) * (taken - start)
    for update, preferences in (
        (module.boxed_update, boxed),
        (module.whole_update, whole),
    ):
        theta = update(-0.7 - 0.4, actions, step_size)
        difference = (preferences[1] - preferences[0]).item()
        assert theta == pytest.approx(difference, abs=1e-13)


@pytest.mark.parametrize("update, step_size", [("boxed", 2**-12), ("whole", 2**-13)])
def test_a_row_of_the_corridor_comes_out_again(update, step_size):
    module = experiment("reinforce_corridor")
    rows = read_rows(module.RESULTS)
    settings = zip(rows["seed"], rows["update"], rows["step_size"], strict=True)
    row = list(settings).index((7, update, step_size))
    for name, value in module.run(7, update, step_size).items():
        assert rows[name][row] == pytest.approx(value, abs=0.011, nan_ok=True)


def test_the_first_steps_of_a_cartpole_row_come_out_again():
    module = experiment("reinforce_cartpole")
    rows = read_rows(module.RESULTS)
    row = list(zip(rows["seed"], rows["step_size"], strict=True)).index((0, 1e-3))
    rng = generator(0)
    policy = CategoricalNetwork(4, 2, rng=rng)
    curve = module.train(module.make_envs(), policy, 1e-3, module.EVERY, rng)
    mean = module.recent_mean(*curve, module.EVERY)
    assert mean == pytest.approx(rows[f"return_{module.EVERY}"][row], rel=0.2)
    assert mean > 30


def test_recent_episodes_are_those_that_are_over():
    module = experiment("reinforce_cartpole")
    returns, lengths = [5.0] * 50 + [1.0] * 99 + [9.0], [10] * 150
    assert module.recent_mean(returns, lengths, 1500) == pytest.approx(1.08)
    assert module.recent_mean(returns, lengths, 1499) == pytest.approx(1.04)


def test_returns_of_cartpole_are_lengths():
    module, rng = experiment("reinforce_cartpole"), generator()
    policy = CategoricalNetwork(4, 2, hidden=(8,), rng=rng)
    before = [p.clone() for p in policy.parameters()]
    envs = module.make_envs()
    assert isinstance(envs, gymnasium.vector.VectorEnv) and envs.num_envs == 32
    returns, lengths = module.train(envs, policy, 1e-3, 1, rng)
    assert returns == lengths and len(returns) == 32
    assert not any(
        torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True)
    )


LOG_PROB = torch.full((2, 3), -0.5)
ONES = torch.ones(2, 3)
SOME = torch.tensor([[True] * 3, [True, False, True]])
THETA = torch.zeros(3, requires_grad=True)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: total_return_weights(torch.ones(3)), "r_t"),
        (lambda: total_return_weights(torch.ones(0, 3)), "r_t"),
        (lambda: total_return_weights(ONES.long()), "r_t"),
        (lambda: total_return_weights(ONES / 0), "r_t"),
        (lambda: total_return_weights(ONES, SOME[:1]), "valid_t"),
        (lambda: total_return_weights(ONES, SOME.flip(0)), "valid_t"),
        (lambda: total_return_weights(ONES, SOME, 1.1), "gamma"),
        (lambda: policy_gradient_loss(torch.ones(3), torch.ones(3)), "log_prob_t"),
        (lambda: policy_gradient_loss(ONES[:, :0], ONES[:, :0]), "log_prob_t"),
        (lambda: policy_gradient_loss(LOG_PROB / 0, ONES), "log_prob_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES[:, :1]), "weight_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES.T), "weight_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES / 0), "weight_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES * THETA), "weight_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES, SOME[:, :1]), "valid_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES, SOME.double()), "valid_t"),
        (lambda: policy_gradient_loss(LOG_PROB, ONES, SOME.flip(0)), "valid_t"),
        (
            lambda: policy_gradient_loss(
                LOG_PROB[:1].expand(3, 3),
                ONES[:1].expand(3, 3),
                torch.tensor([[True] * 3, [False, True, True], [True] * 3]),
            ),
            "valid_t",
        ),
        (lambda: trajectory_gradients(LOG_PROB * THETA, ONES, ONES), "theta"),
        (lambda: trajectory_gradients(LOG_PROB, ONES, THETA), "log_prob_t"),
        (lambda: trajectory_gradients(LOG_PROB, ONES[:1], THETA), "weight_t"),
        (lambda: every_batch(torch.ones(2, 2) / 2, 2), "probability"),
        (lambda: every_batch(torch.ones(2), 2), "probability"),
        (lambda: every_batch(torch.ones(2) / 2, 0), "size"),
        (lambda: every_batch(torch.ones(20) / 20, 20), "size"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def test_the_first_number_that_is_not_finite_is_named():
    weight_t = ONES.clone()
    weight_t[1, 2] = math.inf
    with pytest.raises(ValueError, match=r"inf at index \[1, 2\]"):
        policy_gradient_loss(LOG_PROB, weight_t)

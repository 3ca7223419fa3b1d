"""Rewards-to-go against naive sums, every trajectory and every random length."""

import math

import pytest
import torch

from pgbook.environments import TabularVectorEnv, two_state_chain
from pgbook.mdp import TabularMDP
from pgbook.policies import TabularSoftmax
from pgbook.returns import (
    random_horizon_weights,
    random_horizons,
    reward_to_go_weights,
    rewards_to_go,
)
from pgbook.trajectories import collect
from pgbook.verification import verify_unbiased


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def random_mdp(seed=0, discount=0.9):
    """Two states, two actions, three decisions at most; each may be the last."""
    rng = generator(seed)
    random = [torch.rand(*n, generator=rng).double() for n in ((2, 2, 3), (2, 2), (2,))]
    transition, reward, initial = random
    transition = (transition / transition.sum(-1, keepdim=True))[..., :2]
    initial = initial / initial.sum()
    return TabularMDP(transition, reward - 0.3, initial, discount, horizon=3)


def random_policy(seed=1):
    policy = TabularSoftmax(2, 2)
    with torch.no_grad():
        policy.theta.normal_(generator=generator(seed))
    return policy


def scores_by_hand(policy, tau):
    """Loops over steps, columns and logits, [T, N, S * A]."""
    pi = policy.theta.detach().softmax(-1)
    scores = torch.zeros(*tau.valid.shape, *pi.shape, dtype=torch.float64)
    for t, n in tau.valid.nonzero().tolist():
        s, a = tau.observations[t, n], tau.actions[t, n]
        scores[t, n, s] = -pi[s]
        scores[t, n, s, a] += 1
    return scores.flatten(2)


def naive_stream(r_t, gamma, ends):
    """Sum to the end of the episode, from each step anew: lists of one stream."""
    result = []
    for t in range(len(r_t)):
        total = 0.0
        for k in range(t, len(r_t)):
            total += gamma ** (k - t) * r_t[k]
            if ends[k]:
                break
        result.append(total)
    return result


def test_sums_by_hand_at_a_tenth():
    return_t = rewards_to_go(doubles([1, 2, 4]), doubles([0.1, 0.1, 0.1]))
    assert torch.allclose(return_t, doubles([1.24, 2.4, 4]))


def test_a_stream_stops_at_terminations_and_at_truncations():
    r_t = doubles([1, 2, 4, 8, 16])
    terminated, truncated = doubles([0, 1, 0, 0, 0]), doubles([0, 0, 0, 1, 0])
    discount_t, trace_t = 0.1 * (1 - terminated), (1 - terminated) * (1 - truncated)
    return_t = rewards_to_go(r_t, discount_t, trace_t)
    assert torch.allclose(return_t, doubles([1.2, 2, 4.8, 8, 16]))


def test_a_termination_stops_the_sum_without_a_trace():
    return_t = rewards_to_go(doubles([1, 2, 4]), doubles([0.5, 0, 0.5]))
    assert return_t.tolist() == [2, 2, 4]


@pytest.mark.parametrize("gamma", [0.0, 0.7, 1.0])
def test_streams_have_the_sums_of_a_loop(gamma):
    rng = generator()
    r_t = torch.randn(30, 4, 2, generator=rng, dtype=torch.float64)
    over = torch.rand(r_t.shape, generator=rng) < 0.2
    cut = (torch.rand(r_t.shape, generator=rng) < 0.2) & ~over
    trace_t = (~(over | cut)).double()
    return_t = rewards_to_go(r_t, gamma * (~over).double(), trace_t)
    for i in range(4):
        for j in range(2):
            ends = (over | cut)[:, i, j].tolist()
            expected = naive_stream(r_t[:, i, j].tolist(), gamma, ends)
            assert torch.allclose(return_t[:, i, j], doubles(expected), atol=1e-13)


def test_nothing_follows_at_discount_zero_and_everything_at_one():
    r_t = torch.randn(6, 3, generator=generator(), dtype=torch.float64)
    assert torch.equal(rewards_to_go(r_t, torch.zeros_like(r_t)), r_t)
    suffix = r_t.flip(0).cumsum(0).flip(0)
    assert torch.allclose(rewards_to_go(r_t, torch.ones_like(r_t)), suffix)


def test_rewards_are_left_as_they_were():
    r_t = torch.ones(3, 2)
    rewards_to_go(r_t, torch.ones(3, 2))
    assert torch.equal(r_t, torch.ones(3, 2))


def test_weights_are_discounted_from_the_start_by_hand():
    r_t = doubles([[1, 3], [2, 50], [4, math.nan]])
    valid_t = torch.tensor([[True, True], [True, False], [True, False]])
    weight_t = reward_to_go_weights(r_t, valid_t, 0.1)
    assert torch.allclose(weight_t, doubles([[1.24, 3], [0.24, 0], [0.04, 0]]))


def test_all_steps_count_unless_told_and_nothing_is_discounted():
    weight_t = reward_to_go_weights(doubles([[1, 3], [2, 5]]))
    assert weight_t.tolist() == [[3, 8], [2, 5]]


def test_past_and_rest_are_the_whole_return():
    rng = generator()
    r_t = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    gamma_t = 0.8 ** torch.arange(5).double()[:, None]
    past = (gamma_t * r_t).cumsum(0) - gamma_t * r_t
    whole = (gamma_t * r_t).sum(0).expand(5, 3)
    assert torch.allclose(past + reward_to_go_weights(r_t, None, 0.8), whole)


@pytest.mark.parametrize("seed", range(3))
def test_mean_over_all_trajectories_is_the_exact_gradient(seed):
    mdp, policy = random_mdp(seed), random_policy(seed)
    (exact,) = torch.autograd.grad(mdp.expected_return(policy.table()), policy.theta)
    tau, probability = mdp.trajectories(policy.table().detach())
    assert not tau.valid.all()
    weight_t = reward_to_go_weights(tau.rewards, tau.valid, mdp.discount)
    scores = scores_by_hand(policy, tau)
    mean = torch.einsum("n,tn,tnd->d", probability, weight_t, scores)
    assert torch.allclose(mean, exact.flatten(), rtol=0, atol=1e-12)


def test_dropping_the_discount_of_the_start_is_another_direction():
    mdp, policy = random_mdp(), random_policy()
    (exact,) = torch.autograd.grad(mdp.expected_return(policy.table()), policy.theta)
    tau, probability = mdp.trajectories(policy.table().detach())
    usual = rewards_to_go(tau.rewards, tau.discount_t(mdp.discount))
    scores = scores_by_hand(policy, tau)
    mean = torch.einsum("n,tn,tnd->d", probability, usual, scores)
    assert (mean - exact.flatten()).abs().max() > 1e-3


@pytest.mark.parametrize("gamma", [0.0, 0.6, 0.95])
def test_lengths_exceed_t_with_probability_gamma_to_the_t(gamma):
    length = random_horizons(100_000, gamma, generator())
    assert length.dtype == torch.int64 and length.min() == 1
    t = torch.arange(1, 6)
    longer = (length[:, None] > t).double()
    verify_unbiased("eq-length", longer, gamma ** t.double())
    if gamma:
        mean = doubles([1 / (1 - gamma)])
        verify_unbiased("eq-length", length[:, None].double(), mean)


def test_lengths_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first, second = (random_horizons(50, 0.9, generator(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, random_horizons(50, 0.9, generator(4)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_long_life_has_no_overflow():
    length = random_horizons(1000, 1 - 1e-9, generator())
    assert length.min() > 0 and 5e8 < length.double().mean() < 2e9


def test_cut_weights_by_hand():
    r_t = doubles([[1, 1, 1], [2, 2, 99], [4, 4, 99]])
    valid_t = torch.tensor([[True] * 3, [True, True, False], [True, True, False]])
    weight_t = random_horizon_weights(r_t, torch.tensor([2, 7, 3]), valid_t)
    assert weight_t.tolist() == [[3, 7, 1], [2, 6, 0], [0, 4, 0]]


@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_mean_over_all_lengths_is_the_discounted_weight(gamma):
    r_t = torch.randn(5, 3, generator=generator(), dtype=torch.float64)
    mean = torch.zeros_like(r_t)
    for n in range(1, 6):  # a length of 5 or more leaves everything
        chance = gamma ** (n - 1) * (1 if n == 5 else 1 - gamma)
        mean += chance * random_horizon_weights(r_t, torch.full((3,), n))
    expected = torch.zeros_like(r_t)
    for t in range(5):
        expected[t] = sum(gamma**k * r_t[k] for k in range(t, 5))
    assert torch.allclose(mean, expected, rtol=0, atol=1e-14)


def test_random_lengths_are_unbiased_where_nothing_ever_ends():
    mdp, policy, rng = two_state_chain(0.8), random_policy(), generator()
    (exact,) = torch.autograd.grad(mdp.expected_return(policy.table()), policy.theta)
    length = random_horizons(20_000, mdp.discount, rng)
    envs = TabularVectorEnv(num_envs=20_000, mdp=mdp)
    tau = collect(envs, policy, int(length.max()), rng)
    weight_t = random_horizon_weights(tau.rewards, length, tau.valid)
    pi, s_t = policy.table().detach(), tau.observations[:-1]
    taken = torch.eye(2).double()[tau.actions] - pi[s_t]
    scores = (torch.eye(2).double()[s_t][..., None] * taken[..., None, :]).flatten(2)
    estimates = torch.einsum("tn,tnd->nd", weight_t, scores)
    verify_unbiased("eq-random", estimates, exact.flatten())


ONES = torch.ones(2, 3)
SOME = torch.tensor([[True] * 3, [True, False, True]])
LATE = torch.tensor([[True, False, True], [True] * 3])
TWO = torch.full((3,), 2)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: rewards_to_go(torch.tensor(1.0), torch.tensor(1.0)), "r_t"),
        (lambda: rewards_to_go(ONES.long(), ONES), "r_t"),
        (lambda: rewards_to_go(ONES[:0], ONES[:0]), "r_t"),
        (lambda: rewards_to_go(ONES / 0, ONES), "r_t"),
        (lambda: rewards_to_go(ONES, ONES[:, :1]), "discount_t"),
        (lambda: rewards_to_go(ONES, ONES.T), "discount_t"),
        (lambda: rewards_to_go(ONES, 1.1 * ONES), "discount_t"),
        (lambda: rewards_to_go(ONES, ONES, ONES[:1]), "trace_t"),
        (lambda: rewards_to_go(ONES, ONES, -ONES), "trace_t"),
        (lambda: reward_to_go_weights(torch.ones(3)), "r_t"),
        (lambda: reward_to_go_weights(ONES[:0]), "r_t"),
        (lambda: reward_to_go_weights(ONES.long()), "r_t"),
        (lambda: reward_to_go_weights(ONES / 0, SOME), "r_t"),
        (lambda: reward_to_go_weights(ONES, SOME[:1]), "valid_t"),
        (lambda: reward_to_go_weights(ONES, SOME.double()), "valid_t"),
        (lambda: reward_to_go_weights(ONES, LATE), "valid_t"),
        (lambda: reward_to_go_weights(ONES, SOME, 1.1), "gamma"),
        (lambda: random_horizons(0, 0.9, generator()), "count"),
        (lambda: random_horizons(2, 1.0, generator()), "gamma"),
        (lambda: random_horizons(2, -0.1, generator()), "gamma"),
        (lambda: random_horizons(2, math.nan, generator()), "gamma"),
        (lambda: random_horizon_weights(torch.ones(3), TWO), "r_t"),
        (lambda: random_horizon_weights(ONES / 0, TWO), "r_t"),
        (lambda: random_horizon_weights(ONES, TWO[:2]), "length"),
        (lambda: random_horizon_weights(ONES, TWO - 2), "length"),
        (lambda: random_horizon_weights(ONES, TWO.double()), "length"),
        (lambda: random_horizon_weights(ONES, TWO, LATE), "valid_t"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def test_the_first_number_that_is_not_finite_is_named():
    r_t = ONES.clone()
    r_t[1, 2] = math.inf
    with pytest.raises(ValueError, match=r"inf at index \[1, 2\]"):
        rewards_to_go(r_t, ONES)

"""PPO against six cases by hand, an update written out, and A2C."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from unittest.mock import patch

import gymnasium
import pytest
import torch

import pgbook.environments  # noqa: F401  (registers the environments)
from pgbook.actor_critic import critic_loss, stream_policy_gradient_loss
from pgbook.environments import TabularVectorEnv
from pgbook.experiments import read_rows
from pgbook.mdp import TabularMDP, random_mdp
from pgbook.policies import CategoricalNetwork, TabularSoftmax, ValueNetwork
from pgbook.ppo import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate_loss,
    explained_variance,
    standardized,
    train,
    update,
)
from pgbook.trajectories import collect


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def same(numbers):
    return numbers


def recorded(seed=0, steps=60, gap=0.4):
    """Log-probabilities of the new and the old policy, and advantages, [steps]."""
    rng = generator(seed)
    old_log_prob = -1 - torch.randn(steps, generator=rng).double().abs()
    log_prob = old_log_prob + gap * torch.randn(steps, generator=rng).double()
    return log_prob, old_log_prob, torch.randn(steps, generator=rng).double()


CASES = {
    # advantage, ratio: objective and its slope in the ratio, for epsilon = 1/5
    "good, less likely": (1, 0.5, 0.5, 1),
    "good, about the same": (1, 1.1, 1.1, 1),
    "good, more likely": (1, 1.5, 1.2, 0),
    "bad, less likely": (-1, 0.5, -0.8, 0),
    "bad, about the same": (-1, 1.1, -1.1, -1),
    "bad, more likely": (-1, 1.5, -1.5, -1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_clipped_objective_and_its_slope_by_hand(case):
    adv, ratio, objective, slope = case
    log_prob = doubles([math.log(ratio) - 2]).requires_grad_()
    loss = clipped_surrogate_loss(log_prob, doubles([-2]), doubles([adv]), 0.2)
    assert loss.item() == pytest.approx(-objective, abs=1e-12)
    (gradient,) = torch.autograd.grad(loss, log_prob)
    assert gradient.item() == pytest.approx(-slope * ratio, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_clipped_loss_is_the_mean_of_the_cases(seed, epsilon):
    log_prob, old_log_prob, adv = recorded(seed)
    terms = []
    for new, old, a in torch.stack([log_prob, old_log_prob, adv], 1).tolist():
        ratio = math.exp(new) / math.exp(old)
        terms.append(
            a * (min(ratio, 1 + epsilon) if a > 0 else max(ratio, 1 - epsilon))
        )
    loss = clipped_surrogate_loss(log_prob, old_log_prob, adv, epsilon)
    assert loss.item() == pytest.approx(-sum(terms) / len(terms), abs=1e-12)


def test_infinite_epsilon_leaves_the_ratio_alone():
    log_prob, old_log_prob, adv = recorded(gap=1.0)
    loss = clipped_surrogate_loss(log_prob, old_log_prob, adv, math.inf)
    plain = (log_prob.exp() / old_log_prob.exp() * adv).mean()
    assert loss.item() == pytest.approx(-plain.item(), abs=1e-12)


def test_clip_fraction_counts_both_sides():
    ratio = doubles([[0.5, 0.79, 0.81, 1.0], [1.19, 1.21, 3.0, 1.0]])
    fraction = clip_fraction(ratio.log(), torch.zeros(2, 4).double(), 0.2)
    assert fraction.item() == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_mean_over_every_action_of_the_kl_estimate_is_the_kl_from_old_to_new(seed):
    old, new = torch.randn(2, 4, generator=generator(seed)).double().softmax(-1)
    mean = 0.0
    for a in range(4):
        each = approximate_kl(new[a].log()[None], old[a].log()[None]).item()
        assert each >= 0
        mean += old[a].item() * each
    pairs = torch.stack([old, new], 1).tolist()
    expected = sum(p * math.log(p / q) for p, q in pairs)
    assert mean == pytest.approx(expected, abs=1e-13)


def test_kl_estimate_is_a_mean_over_the_decisions():
    log_prob, old_log_prob, _ = recorded()
    terms = [math.exp(d) - 1 - d for d in (log_prob - old_log_prob).tolist()]
    actual = approximate_kl(log_prob, old_log_prob).item()
    assert actual == pytest.approx(sum(terms) / len(terms), abs=1e-14)


def test_kl_estimate_keeps_its_digits_when_hardly_anything_has_moved():
    kl = approximate_kl(doubles([1e-6]), doubles([0])).item()
    assert kl == pytest.approx(0.5e-12, rel=1e-5)


@pytest.mark.parametrize(
    "v, expected",
    [
        ([1, 2, 3, 4], 1),
        ([8, 9, 10, 11], 1),  # a constant error is not seen
        ([7, 7, 7, 7], 0),
        ([4, 3, 2, 1], -3),
        ([1.5, 2, 3, 3.5], 1 - 0.125 / 1.25),
    ],
    ids=["perfect", "shifted", "constant", "upside down", "flat"],
)
def test_explained_variance_by_hand(v, expected):
    actual = explained_variance(doubles(v), doubles([1, 2, 3, 4])).item()
    assert actual == pytest.approx(expected, abs=1e-13)


def test_standardized_by_hand():
    assert standardized(doubles([1, 3, 5])).tolist() == pytest.approx([-1, 0, 1])


# An update, against one that is written out on tables.


def endless(seed=0, states=3):
    return random_mdp(states, 2, 0.9, generator(seed))


class TabularCritic(torch.nn.Module):
    """A number per state."""

    def __init__(self, states):
        super().__init__()
        self.v = torch.nn.Parameter(torch.zeros(states, dtype=torch.float64))

    def forward(self, observation):
        return self.v[observation]


def tables(states=3, seed=0):
    policy, critic, rng = (
        TabularSoftmax(states, 2),
        TabularCritic(states),
        generator(seed),
    )
    with torch.no_grad():
        policy.theta.normal_(generator=rng)
        critic.v.normal_(generator=rng)
    return policy, critic


def some_records(policy, count=1, limit=4, steps=9, seed=3):
    """Streams with truncations, hence fillers, and with nonsense at the fillers."""
    envs = TabularVectorEnv(mdp=endless(), num_envs=2, max_episode_steps=limit)
    records, rng = [], generator(seed)
    for _ in range(count):
        after = records[-1] if records else None
        records.append(collect(envs, policy, steps, rng, after=after))
    assert not records[0].valid.all()
    return [replace(r, rewards=r.rewards.where(r.valid, 1e6).double()) for r in records]


def every_decision(record, v, gamma, lambda_):
    """(state, action, advantage) of each decision, from the last one backward."""
    rows = []
    for n in range(record.rewards.shape[1]):
        later = 0.0
        for t in reversed(range(record.rewards.shape[0])):
            s, after = record.observations[t, n].item(), record.observations[t + 1, n]
            ended = record.terminated[t, n] or record.truncated[t, n]
            follows = 0.0 if record.terminated[t, n] else v[after].item()
            delta = record.rewards[t, n].item() + gamma * follows - v[s].item()
            later = delta + (0.0 if ended else gamma * lambda_ * later)
            if record.valid[t, n]:
                rows.append((s, record.actions[t, n].item(), later))
    return rows


def written_out(policy, critic, record, epochs, epsilon, entropy_weight):
    """Steps of plain gradient descent with all decisions at once, step size 0.5."""
    theta, v = policy.theta.detach().clone(), critic.v.detach().clone()
    rows = every_decision(record, v, 0.9, 0.7)
    old_pi, old_v = theta.softmax(-1), v.clone()
    for _ in range(epochs):
        pi, up, down = theta.softmax(-1), torch.zeros_like(theta), torch.zeros_like(v)
        for s, a, adv in rows:
            ratio = pi[s, a] / old_pi[s, a]
            silent = ratio > 1 + epsilon if adv > 0 else ratio < 1 - epsilon
            score = torch.eye(2).double()[a] - pi[s]
            up[s] += 0 if silent else ratio * adv * score / len(rows)
            surprise = -pi[s].log()
            slope = pi[s] * (surprise - pi[s] @ surprise)  # of the entropy
            up[s] += entropy_weight * slope / len(rows)
            down[s] += (v[s] - (adv + old_v[s])) / len(rows)
        theta, v = theta + 0.5 * up, v - 0.5 * 0.8 * down
    return theta, v


@pytest.mark.parametrize("epochs", [1, 2, 6])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
def test_update_equals_the_one_written_out(epochs, entropy_weight):
    policy, critic = tables()
    (record,) = some_records(policy)
    both = [*policy.parameters(), *critic.parameters()]
    settings = {"epochs": epochs, "epsilon": 0.05, "entropy_weight": entropy_weight}
    expected = written_out(policy, critic, record, **settings)
    update(
        policy,
        critic,
        torch.optim.SGD(both, lr=0.5),
        record,
        generator(),
        gamma=0.9,
        lambda_=0.7,
        minibatches=1,
        rescale=same,
        value_weight=0.8,
        max_norm=math.inf,
        **settings,
    )
    for actual, want in zip(both, expected, strict=True):
        assert torch.allclose(actual, want, rtol=0, atol=1e-12)


def test_diagnostics_are_those_of_the_policy_after_and_the_critic_before():
    policy, critic = tables()
    (record,) = some_records(policy)
    rows = every_decision(record, critic.v, 0.9, 0.7)
    old_pi, v = policy.table().detach(), critic.v.detach().clone()
    both = [*policy.parameters(), *critic.parameters()]
    optimizer = torch.optim.SGD(both, lr=2.0)
    settings = {"gamma": 0.9, "lambda_": 0.7, "minibatches": 1, "epsilon": 0.1}
    seen = update(policy, critic, optimizer, record, generator(), **settings)
    pi = policy.table().detach()
    ratios = [(pi[s, a] / old_pi[s, a]).item() for s, a, _ in rows]
    entropies = [-(pi[s] * pi[s].log()).sum().item() for s, _, _ in rows]
    targets = doubles([adv + v[s] for s, _, adv in rows])
    left = doubles([adv for *_, adv in rows])
    n = len(rows)
    assert seen.entropy == pytest.approx(sum(entropies) / n)
    assert seen.kl == pytest.approx(sum(w - 1 - math.log(w) for w in ratios) / n)
    assert seen.clip_fraction == sum(abs(w - 1) > 0.1 for w in ratios) / n
    explained = 1 - left.var() / targets.var()
    assert seen.explained_variance == pytest.approx(explained.item())


def moved(seed=0, **settings):
    """Parameters and diagnostics after an update by plain gradient descent."""
    policy, critic = tables()
    (record,) = some_records(policy)
    both = [*policy.parameters(), *critic.parameters()]
    optimizer = torch.optim.SGD(both, lr=0.5)
    seen = update(policy, critic, optimizer, record, generator(seed), **settings)
    return torch.cat([x.detach().flatten() for x in both]), seen


def test_no_further_epoch_once_the_divergence_is_too_large():
    free, once = moved(epochs=5, minibatches=2), moved(epochs=1, minibatches=2)
    stopped = moved(epochs=5, minibatches=2, max_kl=1e-12)
    assert torch.equal(stopped[0], once[0]) and not torch.equal(free[0], once[0])
    assert torch.equal(moved(epochs=5, minibatches=2, max_kl=9.0)[0], free[0])


def test_gradient_is_scaled_down_to_the_norm():
    start = torch.cat(
        [x.detach().flatten() for module in tables() for x in module.parameters()]
    )
    way = moved(epochs=1, minibatches=1, max_norm=0.01)[0] - start
    assert way.norm().item() == pytest.approx(0.5 * 0.01, rel=1e-4)
    seen = moved(epochs=1, minibatches=1, max_norm=1e-9)[1]
    assert seen.gradient_norm > 0.01


def test_every_decision_is_used_once_per_epoch():
    """With steps so small that they do not matter, minibatches add up to the whole."""
    policy, critic = tables()
    (record,) = some_records(policy)
    ways = []
    for minibatches in (1, 2):
        actor, judge = copy.deepcopy(policy), copy.deepcopy(critic)
        both = [*actor.parameters(), *judge.parameters()]
        step = torch.optim.SGD(both, lr=1e-7 * minibatches**-1)
        settings = {"rescale": same, "max_norm": math.inf, "epochs": 1}
        assert int(record.valid.sum()) % 2 == 0
        update(
            actor, judge, step, record, generator(), minibatches=minibatches, **settings
        )
        ways.append((actor.theta - policy.theta).detach() * 1e7)
    assert torch.allclose(*ways, rtol=0, atol=1e-5) and ways[0].norm() > 1e-2


def test_one_epoch_of_one_minibatch_is_a2c():
    """Several updates on identical records, in float64, with Adam."""
    rng = generator(1)
    policy = CategoricalNetwork(4, 2, (8,), rng=rng).double()
    critic = ValueNetwork(4, (8,), rng=rng).double()
    other_policy, other_critic = copy.deepcopy(policy), copy.deepcopy(critic)
    envs = gymnasium.make_vec(
        "CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point"
    )
    record = None
    ours = [*policy.parameters(), *critic.parameters()]
    others = [*other_policy.parameters(), *other_critic.parameters()]
    ppo, a2c = (torch.optim.Adam(both, lr=1e-2) for both in (ours, others))
    start = [x.detach().clone() for x in ours]
    for _ in range(4):
        record = collect(envs, policy, 30, rng, after=record)
        record = replace(record, rewards=record.rewards.double())
        update(
            policy,
            critic,
            ppo,
            record,
            rng,
            lambda_=1.0,
            gamma=0.9,
            epochs=1,
            minibatches=1,
            rescale=same,
            entropy_weight=0.01,
            max_norm=math.inf,
        )
        v = other_critic(record.observations)
        with torch.no_grad():
            G = v[-1]
            returns = []
            for t in reversed(range(30)):
                G = torch.where(record.truncated[t], v[t + 1], G)
                G = record.rewards[t] + 0.9 * G.where(~record.terminated[t], 0)
                returns.append(G)
            return_t = torch.stack(returns[::-1])
        pi = other_policy.distribution(record.observations[:-1])
        log_prob_t = pi.log_prob(record.actions)
        weight_t = return_t - v[:-1].detach()
        loss = stream_policy_gradient_loss(log_prob_t, weight_t, record.valid)
        loss = loss + critic_loss(v[:-1], return_t, record.valid)
        loss = loss - 0.01 * pi.entropy()[record.valid].mean()
        a2c.zero_grad()
        loss.backward()
        a2c.step()
    for mine, theirs, first in zip(ours, others, start, strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-9)
        assert not torch.allclose(mine, first, rtol=0, atol=1e-3)


# The loop.


def rich(steps=None):
    """One state and a million per step: the critic's gradient is all that counts."""
    one = torch.ones(1, 2, 1).double()
    mdp = TabularMDP(one, 1e6 * torch.ones(1, 2).double(), torch.ones(1).double(), 0.9)
    return TabularVectorEnv(mdp=mdp, num_envs=2, max_episode_steps=steps)


QUICK = {"epochs": 1, "minibatches": 1}


class NoisyCritic(TabularCritic):
    """Adds a number to each observation, so that targets are not all equal."""

    def forward(self, observation):
        count = torch.arange(observation.numel())
        return self.v[observation] + count.reshape(observation.shape)


@pytest.mark.parametrize(
    "last, sizes", [(0.0, (3, 2, 1)), (0.03, (3, 3, 3)), (0.06, (3, 4, 5))]
)
def test_step_size_moves_linearly_with_the_decisions(last, sizes):
    """Adam moves a parameter whose gradient is constant by the step size exactly."""
    policy, critic = TabularSoftmax(1, 2), NoisyCritic(1)
    settings = {"step_size": 0.03, "last_step_size": last, "budget": 60, "rollout": 10}
    settings |= {"epochs": 2, "minibatches": 3, "gamma": 0.5, "lambda_": 0.0}
    episodes, health = train(rich(), policy, critic, generator(), **settings)
    assert len(health) == 3 and episodes == []
    expected = 2 * 3 * 0.01 * sum(sizes)
    assert critic.v.item() == pytest.approx(expected, rel=1e-4)


def test_log_counts_decisions_and_sums_rewards():
    """Episodes of 4 decisions and a filler: after 10 rows 8 decisions per column."""
    policy, critic = TabularSoftmax(1, 2), NoisyCritic(1)
    episodes, health = train(
        rich(4), policy, critic, generator(), budget=30, rollout=10, **QUICK
    )
    assert episodes == [(16, 4e6)] * 4 + [(32, 4e6)] * 4
    assert len(health) == 2


@pytest.mark.parametrize("until, expected", [(4e6, 100), (4e6 + 1, 160)])
def test_training_stops_when_the_last_hundred_episodes_are_good(until, expected):
    policy, critic = TabularSoftmax(1, 2), NoisyCritic(1)
    settings = {"budget": 640, "rollout": 10, "until": until, **QUICK}
    episodes, _ = train(rich(4), policy, critic, generator(), **settings)
    assert len(episodes) == expected


def test_train_is_repeatable():
    ends = []
    for _ in range(2):
        policy, critic = tables()
        envs = TabularVectorEnv(mdp=endless(), num_envs=2, max_episode_steps=5)
        train(envs, policy, critic, generator(), budget=100, rollout=10, epochs=2)
        ends.append(policy.theta.detach())
    assert torch.equal(*ends)


# The experiment.


def details():
    return run_path(str(Path(__file__).parents[1] / "experiments" / "ppo_details.py"))


def test_the_other_update_of_the_experiment_differs_only_where_it_says():
    learn, other = (details()[name] for name in ("learn", "other_update"))
    right = learn("CartPole-v1", 0, budget=10_000)
    with patch("pgbook.ppo.update", other):
        assert learn("CartPole-v1", 0, budget=10_000) == right
    for settings in ({"value_clip": 0.2}, {"per_record": True}):
        with patch("pgbook.ppo.update", other):
            assert learn("CartPole-v1", 0, budget=10_000, **settings) != right


def test_a_row_of_the_experiment_comes_out_again():
    """To the last digit on one machine; elsewhere rounding leads to another run."""
    experiment, settings = details(), (0, "CartPole-v1", "one epoch")
    rows = read_rows(experiment["RESULTS"])
    columns = (rows[name] for name in ("seed", "task", "variant"))
    row = list(zip(*columns, strict=True)).index(settings)
    again = experiment["run"](*settings)
    assert again["last_100"] == pytest.approx(rows["last_100"][row], rel=0.5)
    assert math.isnan(again["solved_steps"])


ONE, NEEDS = torch.ones(3), torch.ones(3, requires_grad=True)
RECORD = some_records(tables()[0])[0]


def improve(**settings):
    policy, critic = tables()
    both = [*policy.parameters(), *critic.parameters()]
    return update(
        policy, critic, torch.optim.SGD(both), RECORD, generator(), **settings
    )


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: clipped_surrogate_loss(ONE[:0], ONE[:0], ONE[:0], 0.2), "log_prob"),
        (lambda: clipped_surrogate_loss(ONE / 0, ONE, ONE, 0.2), "log_prob"),
        (lambda: clipped_surrogate_loss(ONE, ONE[:2], ONE, 0.2), "old_log_prob"),
        (lambda: clipped_surrogate_loss(ONE, -ONE / 0, ONE, 0.2), "old_log_prob"),
        (lambda: clipped_surrogate_loss(ONE, NEEDS, ONE, 0.2), "old_log_prob"),
        (lambda: clipped_surrogate_loss(ONE, ONE, ONE[:, None], 0.2), "adv"),
        (lambda: clipped_surrogate_loss(ONE, ONE, ONE * math.nan, 0.2), "adv"),
        (lambda: clipped_surrogate_loss(ONE, ONE, NEEDS, 0.2), "adv"),
        (lambda: clipped_surrogate_loss(ONE, ONE, ONE, 0.0), "epsilon"),
        (lambda: clipped_surrogate_loss(ONE, ONE, ONE, math.nan), "epsilon"),
        (lambda: clip_fraction(ONE[:0], ONE[:0], 0.2), "log_prob"),
        (lambda: clip_fraction(ONE / 0, ONE, 0.2), "log_prob"),
        (lambda: clip_fraction(ONE, ONE[:2], 0.2), "old_log_prob"),
        (lambda: clip_fraction(ONE, ONE / 0, 0.2), "old_log_prob"),
        (lambda: clip_fraction(ONE, ONE, -0.2), "epsilon"),
        (lambda: approximate_kl(ONE[:0], ONE[:0]), "log_prob"),
        (lambda: approximate_kl(ONE * math.nan, ONE), "log_prob"),
        (lambda: approximate_kl(ONE, ONE[:, None]), "old_log_prob"),
        (lambda: approximate_kl(ONE, ONE / 0), "old_log_prob"),
        (lambda: explained_variance(ONE[:0], ONE[:0]), "v"),
        (lambda: explained_variance(ONE / 0, torch.arange(3.0)), "v"),
        (lambda: explained_variance(ONE, ONE[:2]), "target"),
        (lambda: explained_variance(ONE, ONE / 0), "target"),
        (lambda: explained_variance(ONE, ONE), "target"),
        (lambda: improve(epochs=0), "epochs"),
        (lambda: improve(minibatches=0), "minibatches"),
        (lambda: improve(gamma=1.1), "gamma"),
        (lambda: improve(lambda_=-0.1), "lambda_"),
        (lambda: improve(epsilon=0.0), "epsilon"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

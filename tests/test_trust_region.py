"""Trust regions against naive sums, points found by hand and the worst case."""

import ast
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from runpy import run_path

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from pgbook.environments import two_step
from pgbook.experiments import read_rows
from pgbook.mdp import TabularMDP, random_mdp
from pgbook.policies import CategoricalNetwork, DiagonalGaussian, TabularSoftmax
from pgbook.trust_region import (
    average_penalty,
    full_step,
    largest_penalty,
    line_search,
    relative_entropy,
    surrogate_return,
    total_variation,
    trpo_step,
)

ROOT = Path(__file__).parents[1]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def coin(p):
    return doubles([[1 - p, p]] * 3)


def random_policies(states, actions, seed, spread=1.0):
    shape = (2, states, actions)
    noise = torch.randn(shape, generator=generator(seed), dtype=torch.float64)
    return (spread * noise).softmax(-1)


def naive_tables(mdp, old, steps=2000):
    """Visits and advantages of a policy, [S] and [S, A], by iteration and loops."""
    S, A = mdp.reward.shape
    v, visits, now = [0.0] * S, [0.0] * S, mdp.initial.tolist()
    for _ in range(steps):
        q = [
            [
                float(mdp.reward[s, a])
                + mdp.discount
                * sum(float(mdp.transition[s, a, u]) * v[u] for u in range(S))
                for a in range(A)
            ]
            for s in range(S)
        ]
        v = [sum(float(old[s, a]) * q[s][a] for a in range(A)) for s in range(S)]
        visits = [x + y for x, y in zip(visits, now, strict=True)]
        now = [
            mdp.discount
            * sum(
                now[s] * float(old[s, a]) * float(mdp.transition[s, a, u])
                for s, a in product(range(S), range(A))
            )
            for u in range(S)
        ]
        if max(now) < 1e-14:
            break
    return visits, [[q[s][a] - v[s] for a in range(A)] for s in range(S)], v


def worst_case(rare, gamma):
    """An MDP, an old and a new policy for which the bound is nearly reached.

    Action 1 is good in state 0 and leads to state 1; there action 2 is bad. The old
    policy plays each with a small probability, the new one only what leads to the
    worst. All values of the old policy are 0, so rewards are advantages.
    """
    transition = torch.zeros(2, 3, 2, dtype=torch.float64)
    transition[0, :, 0], transition[1, :, 1] = doubles([1, 0, 1]), 1.0
    transition[0, 1, 1] = 1.0
    reward = doubles([[0, 1, -1], [0, 1, -1]])
    mdp = TabularMDP(transition, reward, doubles([1, 0]), gamma)
    old = doubles([[1 - 2 * rare, rare, rare]] * 2)
    new = doubles([[1 - 2 * rare, 2 * rare, 0], [1 - 2 * rare, 0, 2 * rare]])
    return mdp, old, new


def test_total_variation_is_half_the_sum_of_differences():
    p, q = doubles([[0.5, 0.5, 0], [0.2, 0.3, 0.5]]), doubles([[0, 0.5, 0.5]] * 2)
    torch.testing.assert_close(total_variation(p, q), doubles([0.5, 0.2]))


def test_relative_entropy_by_hand():
    p, q = doubles([[0.5, 0.5], [1, 0]]), doubles([[0.25, 0.75], [0.5, 0.5]])
    first = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    torch.testing.assert_close(relative_entropy(p, q), doubles([first, math.log(2)]))


def test_relative_entropy_is_infinite_where_only_the_second_is_zero():
    p, q = doubles([[0.5, 0.5], [1, 0]]), doubles([[1, 0], [1, 0]])
    assert relative_entropy(p, q).tolist() == [math.inf, 0.0]


@pytest.mark.parametrize("p", [0.5, 0.3, 0.9])
def test_surrogate_of_the_running_example_is_the_tangent(p):
    for new in (0.0, 0.4, 1.0):
        tangent = 4 * p - 3 * p**2 + (4 - 6 * p) * (new - p)
        value = surrogate_return(two_step(), coin(p), coin(new))
        assert abs(value.item() - tangent) < 1e-12


def test_surrogate_is_the_naive_sum():
    mdp = random_mdp(3, 2, 0.8, generator(1))
    old, new = random_policies(3, 2, 2)
    visits, advantage, v = naive_tables(mdp, old)
    value = sum(float(p) * x for p, x in zip(mdp.initial, v, strict=True))
    for s, a in product(range(3), range(2)):
        value += visits[s] * float(new[s, a]) * advantage[s][a]
    assert abs(surrogate_return(mdp, old, new).item() - value) < 1e-9


def test_surrogate_with_a_horizon_weighs_the_trajectories_of_the_old_policy():
    mdp = replace(random_mdp(2, 2, 0.7, generator(3)), horizon=3)
    old, new = random_policies(2, 2, 4)
    tau, chance = mdp.trajectories(old)
    advantage = mdp.advantages(old)
    mean = (chance * (tau.rewards * doubles([1, 0.7, 0.49])[:, None]).sum(0)).sum()
    for t in range(3):
        s, a = tau.observations[t], tau.actions[t]
        ratio = new[s, a] / old[s, a]
        mean += (chance * ratio * 0.7**t * advantage[t][s, a]).sum()
    torch.testing.assert_close(surrogate_return(mdp, old, new), mean)


def test_surrogate_has_value_and_gradient_of_the_return_at_the_old_policy():
    mdp = random_mdp(4, 3, 0.9, generator(5))
    theta = random_policies(4, 3, 6)[0].log().requires_grad_()
    old = theta.detach().softmax(-1)
    true, promised = (
        torch.autograd.grad(f(theta.softmax(-1)), theta)[0]
        for f in (mdp.expected_return, lambda pi: surrogate_return(mdp, old, pi))
    )
    torch.testing.assert_close(promised, true)
    value = surrogate_return(mdp, old, old)
    torch.testing.assert_close(value, mdp.expected_return(old))


def test_average_penalty_is_the_naive_sum():
    mdp = random_mdp(3, 2, 0.8, generator(7))
    old, new = random_policies(3, 2, 8)
    visits, advantage, _ = naive_tables(mdp, old)
    gain, distance = 0.0, 0.0
    for s in range(3):
        mean = sum(float(new[s, a]) * advantage[s][a] for a in range(2))
        gain = max(gain, abs(mean))
        distance += visits[s] * abs(float(new[s, 0] - old[s, 0]))
    expected = 2 * 0.8 / 0.2 * gain * distance
    assert abs(average_penalty(mdp, old, new).item() - expected) < 1e-8


def test_largest_penalty_is_the_naive_sum():
    mdp = random_mdp(3, 2, 0.8, generator(9))
    old, new = random_policies(3, 2, 10)
    _, advantage, _ = naive_tables(mdp, old)
    most = max(abs(x) for row in advantage for x in row)
    divergence = max(
        sum(
            float(p) * math.log(float(p) / float(q)) for p, q in zip(*rows, strict=True)
        )
        for rows in zip(old, new, strict=True)
    )
    expected = 2 * 0.8 / 0.2**2 * most * divergence
    assert abs(largest_penalty(mdp, old, new).item() - expected) < 1e-8


@pytest.mark.parametrize("horizon", [None, 4])
def test_penalties_are_never_too_small(horizon):
    for seed in range(50):
        mdp = random_mdp(3, 3, 0.9, generator(seed))
        mdp = replace(mdp, horizon=horizon)
        old, new = random_policies(3, 3, 100 + seed, spread=2.0)
        error = (mdp.expected_return(new) - surrogate_return(mdp, old, new)).abs()
        average = average_penalty(mdp, old, new)
        assert error < average < largest_penalty(mdp, old, new)


@pytest.mark.parametrize("gamma", [0.5, 0.9])
def test_average_penalty_is_nearly_reached_in_the_worst_case(gamma):
    ratios = []
    for rare in (1e-3, 1e-4):
        mdp, old, new = worst_case(rare, gamma)
        error = surrogate_return(mdp, old, new) - mdp.expected_return(new)
        ratios.append((error / average_penalty(mdp, old, new)).item())
    assert 1 - 30e-3 / (1 - gamma) < ratios[0] < ratios[1] < 1
    assert ratios[1] > 1 - 3e-3 / (1 - gamma)


def test_full_step_by_hand():
    F, gradient = doubles([[4, 0], [0, 1]]), doubles([4, 1])
    step = full_step(lambda x: F @ x, gradient, 0.1)
    torch.testing.assert_close(step, math.sqrt(0.2 / 5) * doubles([1, 1]))


def test_full_step_lies_on_the_edge_and_no_feasible_direction_is_better():
    noise = torch.randn(6, 5, generator=generator(11), dtype=torch.float64)
    F, gradient = noise.T @ noise, noise[0]
    step = full_step(lambda x: F @ x, gradient, 0.02)
    assert abs((step @ F @ step / 2).item() - 0.02) < 1e-10
    others = torch.randn(500, 5, generator=generator(12), dtype=torch.float64)
    size = torch.einsum("ki,ij,kj->k", others, F, others)
    others *= (0.04 / size).sqrt()[:, None]
    assert (others @ gradient).max() < gradient @ step
    torch.testing.assert_close(full_step(lambda x: F @ x, 7 * gradient, 0.02), step)


def scripted(gains, kls):
    """A measure that reads its answers from lists, and the steps it was asked for."""
    asked = []

    def measure(step):
        asked.append(step.item())
        k = len(asked) - 1
        return (gains[k], kls[k]) if step.item() else (0.0, 0.0)

    return measure, asked


def test_line_search_takes_the_first_step_that_keeps_both_promises():
    measure, asked = scripted([1.0, -0.1, 0.5, 0.4], [0.3, 0.05, 0.1, 0.01])
    taken = line_search(measure, doubles([2.0]), 0.1)
    assert asked == pytest.approx([2, 1.6, 1.28])
    assert (taken.gain, taken.kl, taken.tries) == (0.5, 0.1, 3)
    assert taken.full_kl == 0.3


def test_line_search_goes_back_after_ten_failures():
    measure, asked = scripted([-1.0] * 10, [0.2] + [0.0] * 9)
    taken = line_search(measure, doubles([1.0]), 0.1)
    assert asked == pytest.approx([0.8**k for k in range(10)] + [0.0])
    assert (taken.gain, taken.kl, taken.tries) == (0.0, 0.0, 10)
    assert taken.full_kl == 0.2


@pytest.mark.parametrize("gain", [0.0, math.nan])
def test_line_search_refuses_what_is_no_gain(gain):
    measure, asked = scripted([gain] * 10, [0.01] * 10)
    assert line_search(measure, doubles([1.0]), 0.1).kl == 0
    assert asked[-1] == 0


def recorded(policy, observation, seed=0):
    """Actions of a policy and advantages that prefer some of them."""
    rng = generator(seed)
    action = policy.sample(observation, rng)
    adv = torch.randn(len(observation), generator=rng, dtype=torch.float64)
    return action, adv


def test_trpo_step_moves_along_the_natural_gradient():
    policy, states = TabularSoftmax(3, 2), torch.arange(3).repeat(40)
    action, adv = recorded(policy, states)
    pi, score = policy.table().detach(), torch.zeros(120, 6).double()
    for m in range(120):
        for a in range(2):
            column = 2 * states[m] + a
            score[m, column] = float(a == action[m]) - pi[states[m], a]
    gradient = (score * adv[:, None]).mean(0)
    block = doubles([[0.25, -0.25], [-0.25, 0.25]]) / 3
    F = torch.block_diag(block, block, block) + 0.1 * torch.eye(6)
    natural = torch.linalg.solve(F, gradient)
    expected = (2e-4 / (natural @ F @ natural)).sqrt() * natural
    taken = trpo_step(policy, states, action, adv, 1e-4)
    torch.testing.assert_close(policy.theta.detach().flatten(), expected)
    new = policy.table().detach()
    divergence = relative_entropy(pi, new).mean()
    assert taken.tries == 1 and abs(taken.kl - divergence.item()) < 1e-12
    chosen = new[states, action] / pi[states, action]
    assert abs(taken.gain - ((chosen - 1) * adv).mean().item()) < 1e-12


def test_trpo_step_measures_the_divergence_from_old_to_new():
    policy, states = TabularSoftmax(1, 2), torch.zeros(5, dtype=torch.long)
    old = policy.table().detach()
    taken = trpo_step(policy, states, states, torch.ones(5).double(), 2.0)
    new = policy.table().detach()
    assert abs(taken.kl - relative_entropy(old, new).item()) < 1e-12
    assert taken.kl > 1.5 * relative_entropy(new, old).item()


def test_trpo_step_ignores_the_unit_of_the_advantages():
    moved = []
    for unit in (1.0, 1000.0):
        policy, states = TabularSoftmax(3, 2), torch.arange(3).repeat(20)
        action, adv = recorded(policy, states, seed=3)
        trpo_step(policy, states, action, unit * adv, 0.01)
        moved.append(policy.theta.detach())
    torch.testing.assert_close(*moved)


@pytest.mark.parametrize("kind", ["categorical", "Gaussian"])
def test_trpo_step_of_a_network_stays_within_the_radius(kind):
    rng = generator(4)
    make = {"categorical": CategoricalNetwork, "Gaussian": DiagonalGaussian}[kind]
    policy = make(3, 2, rng=rng).double()
    observation = torch.randn(200, 3, generator=rng, dtype=torch.float64)
    action, adv = recorded(policy, observation, seed=5)
    with torch.no_grad():
        old = policy.distribution(observation)
        before = old.log_prob(action)
    taken = trpo_step(policy, observation, action, adv, 0.05)
    with torch.no_grad():
        new = policy.distribution(observation)
        gain = ((new.log_prob(action) - before).exp() * adv - adv).mean()
        kl = torch.distributions.kl_divergence(old, new).mean()
    assert taken.kl == pytest.approx(kl.item()) and 0.01 < kl <= 0.05
    assert taken.gain == pytest.approx(gain.item()) and gain > 0


def test_trpo_step_leaves_the_policy_where_no_step_is_accepted():
    policy = TabularSoftmax(1, 2)
    with torch.no_grad():
        policy.theta.copy_(doubles([[40.0, 0.0]]))
    states, action = torch.zeros(5, dtype=torch.long), torch.zeros(5).long()
    before = parameters_to_vector(policy.parameters()).clone()
    taken = trpo_step(policy, states, action, torch.ones(5).double(), 1e-8)
    assert taken.tries == 10 and taken.kl == 0
    assert torch.equal(parameters_to_vector(policy.parameters()), before)


def code_lines(path, names):
    """Lines of some functions, without docstrings, comments and blank lines."""
    text = (ROOT / path).read_text("utf8")
    found = 0
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names:
            skipped = set()
            for part in ast.walk(node):
                documented = isinstance(part, (ast.FunctionDef, ast.ClassDef))
                if documented and ast.get_docstring(part):
                    string = part.body[0]
                    skipped |= set(range(string.lineno, string.end_lineno + 1))
            rows = range(node.lineno, node.end_lineno + 1)
            lines = [text.splitlines()[row - 1] for row in rows if row not in skipped]
            found += sum(bool(x.strip()) and x.lstrip()[0] != "#" for x in lines)
    return found


def test_trpo_with_its_line_search_and_loop_has_at_most_80_lines():
    module = ("full_step", "Taken", "line_search", "trpo_step")
    loop = ("fit_critic", "train")
    steps = code_lines("pgbook/trust_region.py", module)
    assert steps > 40
    assert steps + code_lines("experiments/trust_region_trpo.py", loop) <= 80


@pytest.mark.parametrize("task", ["Acrobot-v1", "Pendulum-v1"])
def test_a_recorded_run_can_be_repeated(task):
    trpo = run_path(str(ROOT / "experiments" / "trust_region_trpo.py"))
    rows = read_rows(trpo["RESULTS"])
    (row,) = (
        i
        for i, key in enumerate(zip(rows["task"], rows["seed"], strict=True))
        if key == (task, 0)
    )
    log = trpo["learn"](task, 2, generator(0))
    for k, (_, mean, taken) in enumerate(log, 1):
        assert rows[f"return_{k}"][row] == pytest.approx(mean, abs=1, nan_ok=True)
        assert rows[f"full_kl_{k}"][row] == pytest.approx(taken.full_kl, rel=0.02)


GOOD = random_mdp(3, 2, 0.9, generator())
UNIFORM = torch.full((3, 2), 0.5, dtype=torch.float64)
ROWS = torch.arange(3)
DONE = torch.zeros(3, dtype=torch.long)
ADV = doubles([1, -1, 2])


def on_tables(function):
    undiscounted = two_step()
    return [
        (lambda: function(GOOD, UNIFORM[:2], UNIFORM), "old"),
        (lambda: function(GOOD, 2 * UNIFORM, UNIFORM), "old"),
        (lambda: function(GOOD, UNIFORM, UNIFORM[:, :1]), "pi"),
        (lambda: function(GOOD, UNIFORM, 2 * UNIFORM), "pi"),
    ] + [(lambda: function(undiscounted, UNIFORM, UNIFORM), "mdp")] * (
        function is not surrogate_return
    )


def step_of(**changes):
    good = {"observation": ROWS, "action": DONE, "adv": ADV, "radius": 0.1}
    return lambda: trpo_step(TabularSoftmax(3, 2), **(good | changes))


BAD = [
    *on_tables(surrogate_return),
    *on_tables(average_penalty),
    *on_tables(largest_penalty),
    (lambda: total_variation(UNIFORM, UNIFORM[:2]), "q"),
    (lambda: total_variation(2 * UNIFORM, UNIFORM), "p"),
    (lambda: relative_entropy(UNIFORM, UNIFORM[:2]), "q"),
    (lambda: relative_entropy(UNIFORM, -UNIFORM), "q"),
    (lambda: full_step(lambda x: x, doubles([[1.0]]), 0.1), "gradient"),
    (lambda: full_step(lambda x: x, doubles([0.0]), 0.1), "gradient"),
    (lambda: full_step(lambda x: x, doubles([math.nan]), 0.1), "gradient"),
    (lambda: full_step(lambda x: x, doubles([1.0]), 0.0), "radius"),
    (lambda: full_step(lambda x: -x, doubles([1.0]), 0.1), "product"),
    (lambda: full_step(lambda x: 0 * x, doubles([1.0]), 0.1), "product"),
    (lambda: line_search(lambda x: (1.0, 0.0), doubles(1.0), 0.1), "step"),
    (lambda: line_search(lambda x: (1.0, 0.0), doubles([1.0]), -0.1), "radius"),
    (step_of(observation=ROWS[:2]), "observation"),
    (step_of(action=DONE[:2]), "action"),
    (step_of(adv=ADV[None]), "adv"),
    (step_of(adv=torch.zeros(3)), "adv"),
    (step_of(adv=doubles([1, math.inf, 0])), "adv"),
    (step_of(adv=ADV.clone().requires_grad_()), "adv"),
    (step_of(observation=ROWS[:0], action=DONE[:0], adv=ADV[:0]), "adv"),
    (step_of(radius=0.0), "radius"),
]


@pytest.mark.parametrize(("call", "argument"), BAD)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

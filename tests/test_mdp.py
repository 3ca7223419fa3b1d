import dataclasses
from collections import defaultdict
from functools import partial

import pytest
import torch

import pgbook.mdp
from pgbook.environments import gridworld, short_corridor, two_state_chain, two_step
from pgbook.mdp import TabularMDP

torch.set_num_threads(1)

SEEDS = range(3)
double = partial(torch.tensor, dtype=torch.float64)
near = partial(torch.testing.assert_close, rtol=0, atol=1e-11)


def random_mdp(seed, *, discount=1.0, horizon=None, keep=1.0, states=3):
    """Random tables of two actions; with keep below 1 every action may end."""
    rng = torch.Generator().manual_seed(seed)
    uniform = partial(torch.rand, generator=rng, dtype=torch.float64)
    transition = uniform(states, 2, states)
    transition /= transition.sum(-1, keepdim=True)
    if keep < 1:
        transition *= keep * uniform(states, 2, 1)
    initial = uniform(states)
    reward = uniform(states, 2) - 0.5
    return TabularMDP(transition, reward, initial / initial.sum(), discount, horizon)


def random_policy(seed, states=3):
    rng = torch.Generator().manual_seed(1000 + seed)
    return torch.randn(states, 2, generator=rng, dtype=torch.float64).softmax(-1)


def same_everywhere(p, states=3):
    """Action 1 with probability p in every state."""
    p = torch.as_tensor(p, dtype=torch.float64)
    return torch.stack([1 - p, p]).expand(states, 2)


# Oracles: plain loops over the tables, without any method of the class.


def sweeps(mdp, pi, count):
    """Values, [count+1, S], and action values, [count, S, A], by Bellman sweeps."""
    transition, reward, policy = (x.tolist() for x in (mdp.transition, mdp.reward, pi))
    states, actions = range(len(reward)), range(len(reward[0]))
    v, q = [[0.0 for _ in states]], []
    for _ in range(count):
        q.append(
            [
                [
                    reward[s][a]
                    + mdp.discount * sum(transition[s][a][u] * v[-1][u] for u in states)
                    for a in actions
                ]
                for s in states
            ]
        )
        v.append([sum(policy[s][a] * q[-1][s][a] for a in actions) for s in states])
    return double(v), double(q)


def visits(mdp, pi, count):
    """Discounted probability of each state at t = 0 … count-1, by pushing forward."""
    transition, policy = mdp.transition.tolist(), pi.tolist()
    states, actions = range(len(policy)), range(len(policy[0]))
    mass = [mdp.initial.tolist()]
    for _ in range(count - 1):
        mass.append(
            [
                sum(
                    mdp.discount * mass[-1][s] * policy[s][a] * transition[s][a][u]
                    for s in states
                    for a in actions
                )
                for u in states
            ]
        )
    return double(mass)


def paths(mdp, pi):
    """(probability, states, actions, rewards) of every path, by recursion.

    Where the episode ends before the horizon, the last state is there once more.
    """
    transition, reward, policy = (x.tolist() for x in (mdp.transition, mdp.reward, pi))

    def go_on(s, t):
        if t == mdp.horizon:
            yield 1.0, (s,), (), ()
            return
        for a, choice in enumerate(policy[s]):
            leave = 1 - sum(transition[s][a])
            if leave > 1e-9:
                yield choice * leave, (s, s), (a,), (reward[s][a],)
            for u, chance in enumerate(transition[s][a]):
                if chance > 0:
                    for p, later, moves, earned in go_on(u, t + 1):
                        p *= choice * chance
                        yield p, (s, *later), (a, *moves), (reward[s][a], *earned)

    for s, start in enumerate(mdp.initial.tolist()):
        if start > 0:
            for p, *path in go_on(s, 0):
                yield start * p, *path


def enumerated_return(mdp, pi):
    """The objective from the columns of `trajectories`, differentiable in pi."""
    record, probability = mdp.trajectories(pi)
    gamma_t = double([mdp.discount**t for t in range(mdp.horizon)])
    return probability @ (gamma_t @ record.rewards.masked_fill(~record.valid, 0))


def gradient(objective, table):
    table = table.detach().clone().requires_grad_()
    return torch.autograd.grad(objective(table), table)[0]


def gradient_between_policies(objective, pi):
    """Gradient along the rows that keep summing to 1: the part that is defined."""
    partial_derivatives = gradient(objective, pi)
    return partial_derivatives - partial_derivatives.mean(-1, keepdim=True)


# On paper.


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 2 / 3, 1.0])
def test_two_step_is_solved_on_paper(p):
    mdp, pi = two_step(), same_everywhere(p)
    j = 4 * p - 3 * p**2
    v = double([[j, 1 - p, 2 * p], [p, 1 - p, 2 * p], [0, 0, 0]])
    q = double([[[2 * p, 2 - p], [1, 0], [0, 2]], [[0, 1], [1, 0], [0, 2]]])
    near(mdp.expected_return(pi), double(j))
    near(mdp.values(pi), v)
    near(mdp.action_values(pi), q)
    near(mdp.advantages(pi)[0, 0], double([2 * p - j, 2 - p - j]))
    near(mdp.advantages(pi)[1, 2], double([-2 * p, 2 - 2 * p]))
    near(mdp.occupancy(pi), double([[1, 0, 0], [0, p, 1 - p]]))


def test_two_step_has_four_trajectories():
    record, probability = two_step().trajectories(same_everywhere(0.3))
    assert record.observations[:2].T.tolist() == [[0, 2], [0, 2], [0, 1], [0, 1]]
    assert record.actions.T.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert record.rewards.T.tolist() == [[0, 0], [0, 2], [1, 1], [1, 0]]
    near(probability, double([0.49, 0.21, 0.21, 0.09]))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("objective", [TabularMDP.expected_return, enumerated_return])
def test_gradient_of_two_step_through_its_shared_parameter_is_4_minus_6_p(p, objective):
    parameter = double(p, requires_grad=True)
    objective(two_step(), same_everywhere(parameter)).backward()
    near(parameter.grad, double(4 - 6 * p))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.59, 0.95])
def test_corridor_is_solved_on_paper(p):
    # Left end: v0 = v1 - 1/p. Middle: v1 = -1 + p v0 + (1-p) v2, v2 = -1 + (1-p) v1.
    mdp, pi = short_corridor(), same_everywhere(p)
    middle = -(3 - p) / (p * (1 - p))
    j = -2 * (2 - p) / (p * (1 - p))
    near(mdp.values(pi), double([j, middle, -1 + (1 - p) * middle]))
    near(mdp.expected_return(pi), double(j))
    near(mdp.occupancy(pi).sum(), double(-j))


def test_corridor_is_best_at_2_minus_sqrt_2():
    p = double(2 - 2**0.5, requires_grad=True)
    best = short_corridor().expected_return(same_everywhere(p))
    best.backward()
    near(best.detach(), double(-(6 + 4 * 2**0.5)), atol=1e-10)
    near(p.grad, double(0), atol=1e-10)


def test_episode_that_ends_early_is_padded():
    # One state, one action, which earns 3 and ends the episode with probability 1/4.
    one = torch.ones(1, 1, dtype=torch.float64)
    mdp = TabularMDP(0.75 * one[None], 3 * one, one[0], discount=0.5, horizon=3)
    record, probability = mdp.trajectories(one)
    yes, no = True, False
    steps = torch.arange(3)[:, None]
    length = torch.tensor([3, 3, 2, 1])  # goes on for 3 steps, or ends at the 3rd, …
    near(probability, double([27 / 64, 9 / 64, 3 / 16, 1 / 4]))
    assert record.valid.equal(steps < length)
    assert record.terminated.equal(steps == length - 1)
    assert record.truncated.tolist() == [[no] * 4] * 3
    assert record.terminated[-1].tolist() == [yes, yes, no, no]
    assert record.observations.tolist() == [[0] * 4] * 4
    assert record.rewards[record.valid].tolist() == [3] * 9
    near(mdp.expected_return(one), double(3 * (1 + 3 / 8 + 9 / 64)))
    near(mdp.occupancy(one)[:, 0], double([1, 3 / 8, 9 / 64]))


# Against plain loops.


UNLIMITED = pytest.mark.parametrize(
    "kind",
    [{"discount": 0.8}, {"keep": 0.8}, {"discount": 0.9, "keep": 0.9}, {"discount": 0}],
    ids=["discounted", "ending", "both", "myopic"],
)
LIMITED = pytest.mark.parametrize(
    "kind",
    [
        {"horizon": 1},
        {"horizon": 3},
        {"horizon": 3, "discount": 0.7, "keep": 0.9},
        {"horizon": 4, "keep": 0.8, "states": 2},
        {"horizon": 3, "discount": 0, "states": 2},
    ],
    ids=["one-step", "undiscounted", "both", "ending", "myopic"],
)


@UNLIMITED
@pytest.mark.parametrize("seed", SEEDS)
def test_values_without_horizon_are_the_limit_of_bellman_sweeps(seed, kind):
    mdp, pi = random_mdp(seed, **kind), random_policy(seed)
    v, q = (x[-1] for x in sweeps(mdp, pi, 150))
    near(mdp.values(pi), v)
    near(mdp.action_values(pi), q)
    near(mdp.advantages(pi), q - v[:, None])
    near(mdp.expected_return(pi), (mdp.initial * v).sum())


@LIMITED
@pytest.mark.parametrize("seed", SEEDS)
def test_values_with_horizon_are_bellman_sweeps_in_reverse(seed, kind):
    mdp = random_mdp(seed, **kind)
    pi = random_policy(seed, len(mdp.initial))
    v, q = (x.flip(0) for x in sweeps(mdp, pi, mdp.horizon))
    near(mdp.values(pi), v)
    near(mdp.action_values(pi), q)
    near(mdp.advantages(pi), q - v[:-1, :, None])
    near(mdp.expected_return(pi), (mdp.initial * v[0]).sum())


@UNLIMITED
@pytest.mark.parametrize("seed", SEEDS)
def test_occupancy_without_horizon_adds_up_all_visits(seed, kind):
    mdp, pi = random_mdp(seed, **kind), random_policy(seed)
    near(mdp.occupancy(pi), visits(mdp, pi, 150).sum(0))


@LIMITED
def test_occupancy_with_horizon_keeps_visits_apart(kind):
    mdp = random_mdp(0, **kind)
    pi = random_policy(0, len(mdp.initial))
    near(mdp.occupancy(pi), visits(mdp, pi, mdp.horizon))


@pytest.mark.parametrize("kind", [{"keep": 0.9}, {"horizon": 5, "discount": 0.9}])
@pytest.mark.parametrize("seed", SEEDS)
def test_expected_return_is_occupancy_times_reward(seed, kind):
    mdp, pi = random_mdp(seed, **kind), random_policy(seed)
    earned = mdp.occupancy(pi)[..., None] * pi * mdp.reward
    near(earned.sum(), mdp.expected_return(pi))


def test_advantages_average_to_zero_under_the_policy():
    for kind in ({"keep": 0.9}, {"horizon": 5, "discount": 0.9}):
        mean = (
            random_policy(3) * random_mdp(3, **kind).advantages(random_policy(3))
        ).sum(-1)
        near(mean, torch.zeros_like(mean))


# Enumeration.


@LIMITED
@pytest.mark.parametrize("seed", SEEDS)
def test_trajectories_are_the_paths_found_by_recursion(seed, kind):
    mdp = random_mdp(seed, **kind)
    pi = random_policy(seed, len(mdp.initial))
    record, probability = mdp.trajectories(pi)
    found = defaultdict(list)
    for i, n in enumerate(record.valid.sum(0).tolist()):
        fields = record.observations[: n + 1], record.actions[:n], record.rewards[:n]
        found[tuple(tuple(x[:, i].tolist()) for x in fields)].append(probability[i])
        assert record.valid[:n, i].all()
        assert record.terminated[:, i].nonzero().tolist() == [[n - 1]]
        assert (record.observations[n:, i] == record.observations[n, i]).all()
    expected = defaultdict(list)
    for p, *path in paths(mdp, pi):
        expected[tuple(path)].append(p)
    assert found.keys() == expected.keys()
    for path, chances in expected.items():
        near(double(sorted(found[path])), double(sorted(chances)))


@LIMITED
@pytest.mark.parametrize("seed", SEEDS)
def test_enumeration_gives_the_expected_return_and_its_gradient(seed, kind):
    mdp = random_mdp(seed, **kind)
    pi = random_policy(seed, len(mdp.initial))
    near(mdp.trajectories(pi)[1].sum(), double(1))
    near(enumerated_return(mdp, pi), mdp.expected_return(pi))
    by_enumeration = gradient_between_policies(partial(enumerated_return, mdp), pi)
    near(gradient_between_policies(mdp.expected_return, pi), by_enumeration)


@pytest.mark.parametrize("kind", [{"keep": 0.9}, {"discount": 0.9}, {"horizon": 4}])
def test_gradient_is_the_limit_of_finite_differences(kind):
    mdp = random_mdp(1, **kind)
    logits = random_policy(1).log()
    through_softmax = gradient(lambda x: mdp.expected_return(x.softmax(-1)), logits)
    for index in [(0, 0), (1, 1), (2, 0)]:
        step = torch.zeros_like(logits)
        step[index] = 1e-5
        up, down = (
            sweeps(mdp, x.softmax(-1), mdp.horizon or 300)[0][-1]
            for x in (logits + step, logits - step)
        )
        slope = (mdp.initial * (up - down)).sum() / 2e-5
        near(through_softmax[index], slope, atol=1e-8)


def test_actions_without_probability_stay_for_the_sake_of_the_gradient():
    mdp = random_mdp(2, horizon=3, states=2)
    pi = double([[1, 0], [0, 1]])
    _, probability = mdp.trajectories(pi)
    assert len(probability) == 2 * 4**3
    assert (probability == 0).sum() == 2 * 4**3 - 2 * 2**3
    by_enumeration = gradient_between_policies(partial(enumerated_return, mdp), pi)
    near(gradient_between_policies(mdp.expected_return, pi), by_enumeration)


def test_transitions_without_probability_make_no_trajectories():
    mdp = dataclasses.replace(gridworld(3), horizon=4)
    record, probability = mdp.trajectories(torch.full((8, 4), 0.25).double())
    # One outcome per move, and the goal is four moves away.
    assert len(probability) == 4**4
    assert record.valid.all()
    near(probability, torch.full((4**4,), 0.25**4).double())


def test_trajectories_that_have_ended_do_not_branch():
    # Right, left, right is the fastest way to the goal: one trajectory instead of the
    # four that two more decisions would make. Left before it costs one step more.
    mdp = dataclasses.replace(short_corridor(), horizon=5)
    record, probability = mdp.trajectories(same_everywhere(0.4))
    lengths = record.valid.sum(0)
    assert [(lengths == n).sum().item() for n in (3, 4)] == [1, 1]
    assert len(probability) == 2**5 - (4 - 1) - (2 - 1)


# Ends, and their absence.


def test_rounding_errors_of_a_row_do_not_end_an_episode():
    transition = torch.full((10, 1, 10), 0.1, dtype=torch.float64)
    assert 1 - sum([0.1] * 10) > 0
    mdp = TabularMDP(
        transition, transition[:, :, 0], transition[0, 0], discount=1, horizon=2
    )
    assert (mdp.ending == 0).all()
    assert len(mdp.trajectories(torch.ones(10, 1))[1]) == 10**3


def test_missing_mass_is_the_probability_of_the_end():
    near(short_corridor().ending, double([[0, 0], [0, 0], [0, 1]]))
    near(two_step().ending, double([[0, 0], [1, 1], [1, 1]]))


@pytest.mark.parametrize("method", ["values", "occupancy", "expected_return"])
@pytest.mark.parametrize("p", [0.0, 1.0, 1e-20])
def test_policy_that_never_ends_needs_a_discount_or_a_horizon(method, p):
    pi, mdp = same_everywhere(p), short_corridor()
    with pytest.raises(ValueError, match="^pi: got a policy that never ends from"):
        getattr(mdp, method)(pi)
    for change in ({"discount": 0.5}, {"horizon": 7}):
        result = getattr(dataclasses.replace(mdp, **change), method)(pi)
        assert torch.isfinite(result).all()
    near(dataclasses.replace(mdp, horizon=7).expected_return(pi), double(-7))
    near(dataclasses.replace(mdp, discount=0.5).expected_return(pi), double(-2))


@pytest.mark.parametrize(("p", "states"), [(1.0, "0, 1"), (0.0, "0, 1, 2")])
def test_error_lists_the_states_that_never_end(p, states):
    with pytest.raises(ValueError, match=rf"from states \[{states}\], need"):
        short_corridor().values(same_everywhere(p))


def test_float32_policy_is_taken_as_its_float64_copy():
    mdp, pi = random_mdp(0, keep=0.9), random_policy(0).float()
    assert mdp.expected_return(pi).dtype == torch.float64
    near(mdp.values(pi), mdp.values(pi.double()))


# Bad inputs.


def changed(**changes):
    return lambda: dataclasses.replace(two_step(), **changes)


def scaled(**changes):
    table = {name: getattr(two_step(), name) * by for name, by in changes.items()}
    return changed(**table)


POLICY = same_everywhere(0.5)
BAD_TABLES = {
    "transition of two axes": (changed(transition=POLICY), "transition"),
    "transition not square": (
        changed(transition=torch.zeros(3, 2, 4).double()),
        "transition",
    ),
    "transition in float32": (
        changed(transition=two_step().transition.float()),
        "transition",
    ),
    "transition above 1": (scaled(transition=1.01), "transition"),
    "transition below 0": (scaled(transition=-1), "transition"),
    "transition rows above 1": (
        changed(transition=torch.full((3, 2, 3), 0.4).double()),
        "transition",
    ),
    "transition not finite": (scaled(transition=float("nan")), "transition"),
    "transition without states": (
        lambda: TabularMDP(
            torch.zeros(0, 2, 0).double(),
            torch.zeros(0, 2).double(),
            torch.zeros(0).double(),
            1,
        ),
        "transition",
    ),
    "reward per state": (changed(reward=torch.zeros(3).double()), "reward"),
    "reward in integers": (changed(reward=torch.zeros(3, 2).long()), "reward"),
    "reward not finite": (scaled(reward=float("inf")), "reward"),
    "initial too short": (changed(initial=double([0.5, 0.5])), "initial"),
    "initial of half mass": (scaled(initial=0.5), "initial"),
    "initial in float32": (changed(initial=torch.eye(3)[0]), "initial"),
    "discount above 1": (changed(discount=1.1), "discount"),
    "discount below 0": (changed(discount=-0.1), "discount"),
    "discount not finite": (changed(discount=float("nan")), "discount"),
    "horizon zero": (changed(horizon=0), "horizon"),
    "horizon not whole": (changed(horizon=2.5), "horizon"),
    "trajectories without horizon": (
        lambda: short_corridor().trajectories(POLICY),
        "horizon",
    ),
    "too many trajectories": (
        lambda: dataclasses.replace(short_corridor(), horizon=30).trajectories(POLICY),
        "horizon",
    ),
}
BAD_POLICIES = {
    "shape": POLICY[:2],
    "transposed": POLICY.T,
    "batch": POLICY[None],
    "negative": double([[1.5, -0.5]] * 3),
    "sums": POLICY * 0.9,
    "nan": POLICY * float("nan"),
}
METHODS = [
    "values",
    "action_values",
    "advantages",
    "occupancy",
    "expected_return",
    "trajectories",
]
BAD = BAD_TABLES | {
    f"{method} of policy with bad {what}": (
        partial(getattr(two_step(), method), pi),
        "pi",
    )
    for method in METHODS
    for what, pi in BAD_POLICIES.items()
}


@pytest.mark.parametrize(("call", "argument"), BAD.values(), ids=BAD.keys())
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def test_largest_allowed_tree_is_enumerated_without_delay():
    mdp = dataclasses.replace(two_state_chain(), horizon=16)
    _, probability = mdp.trajectories(same_everywhere(0.5, 2))
    assert len(probability) == 2**16


def test_random_mdps_are_drawn_from_their_seed_and_never_end():
    draws = [
        pgbook.mdp.random_mdp(4, 3, 0.9, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0].transition, draws[1].transition)
    assert torch.equal(draws[0].reward, draws[1].reward)
    assert not torch.equal(draws[0].transition, draws[2].transition)
    assert draws[0].reward.shape == (4, 3)
    assert draws[0].discount == 0.9
    assert draws[0].horizon is None
    assert (draws[0].ending == 0).all()


def test_rows_of_random_mdps_are_uniform_distributions():
    # The first of four coordinates has mean 1/4 and variance 3/80.
    mdp = pgbook.mdp.random_mdp(4, 2000, 0.9, torch.Generator().manual_seed(0))
    first = mdp.transition[..., 0]
    assert abs(first.mean() - 1 / 4) < 6 * (3 / 80 / 8000) ** 0.5
    assert abs(first.var() - 3 / 80) < 0.003


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ((0, 2, 0.9), "states"),
        ((2, 2.5, 0.9), "actions"),
        ((2, 2, 1.0), "discount"),
        ((2, 2, -0.1), "discount"),
    ],
)
def test_bad_sizes_of_random_mdps_name_the_argument(arguments, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        pgbook.mdp.random_mdp(*arguments, torch.Generator())

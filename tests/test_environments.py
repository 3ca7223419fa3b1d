import dataclasses
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from scipy import stats

from pgbook import environments
from pgbook.environments import (
    AcrobotVector,
    PendulumVector,
    TabularEnv,
    TabularVectorEnv,
)
from pgbook.mdp import TabularMDP

torch.set_num_threads(1)

NAMES = ["TwoStep", "ShortCorridor", "TwoStateChain", "Gridworld", "Bandit"]
MODES = ["sync", "vector_entry_point"]
FALSE_ALARM = 1e-9

each_environment = pytest.mark.parametrize("name", NAMES)
each_mode = pytest.mark.parametrize("mode", MODES)
double = partial(torch.tensor, dtype=torch.float64)
near = partial(torch.testing.assert_close, rtol=0, atol=1e-10)


def make_vec(name, mode, num_envs=4, **arguments):
    return gymnasium.make_vec(
        f"pgbook/{name}-v0", num_envs=num_envs, vectorization_mode=mode, **arguments
    )


def random_mdp(horizon=None):
    """Three states, two actions, every outcome possible, the end too."""
    rng = torch.Generator().manual_seed(0)
    outcome = torch.rand(3, 2, 4, generator=rng, dtype=torch.float64)
    outcome /= outcome.sum(-1, keepdim=True)
    reward = torch.arange(6).double().reshape(3, 2)
    initial = double([0.5, 0.2, 0.3])
    return TabularMDP(outcome[..., :3], reward, initial, discount=1, horizon=horizon)


# The tables, on paper.


@pytest.mark.parametrize(("size", "uniform"), [(2, -8.0), (4, -32 * 13 / 7)])
def test_gridworld_is_solved_on_paper(size, uniform):
    # A random walk takes half its commute time, 4 * size ** 2 * resistance, and the
    # resistance between opposite corners of the grid of wires is 1 or 13 / 7.
    mdp = environments.gridworld(size)
    cells = range(size**2 - 1)
    right_then_down = [1 if s % size < size - 1 else 2 for s in cells]
    best = torch.eye(4, dtype=torch.float64)[right_then_down]
    near(mdp.expected_return(best), double(-2.0 * (size - 1)))
    v = mdp.values(torch.full((len(cells), 4), 0.25).double())
    near(v[0], double(uniform))
    mirrored = [s % size * size + s // size for s in cells]
    near(v, v[mirrored])


def test_gridworld_moves_like_a_map():
    # 0 1 2
    # 3 4 5
    # 6 7 goal
    arrivals = {  # up, right, down, left; None is the goal
        0: [0, 1, 3, 0],
        1: [1, 2, 4, 0],
        2: [2, 2, 5, 1],
        3: [0, 4, 6, 3],
        4: [1, 5, 7, 3],
        5: [2, 5, None, 4],
        6: [3, 7, 6, 6],
        7: [4, None, 7, 6],
    }
    mdp = environments.gridworld(3)
    for cell, successors in arrivals.items():
        for action, successor in enumerate(successors):
            row = mdp.transition[cell, action]
            assert row.nonzero()[:, 0].tolist() == [successor] * (successor is not None)
            assert row.sum() == (successor is not None)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9])
def test_two_state_chain_pays_1_or_2_per_discounted_step(discount):
    mdp = environments.two_state_chain(discount)
    steps = 1 / (1 - discount)
    expected = {(0, 0): steps, (1, 0): discount * 2 * steps, (1, 1): 0.0, (0, 1): steps}
    for actions, value in expected.items():
        pi = torch.eye(2, dtype=torch.float64)[list(actions)]
        near(mdp.expected_return(pi), double(value))
    stay = double([[1, 0], [1, 0]])
    near(mdp.values(stay), double([steps, 2 * steps]))
    assert (mdp.ending == 0).all()


def test_bandit_earns_the_mean_of_its_means():
    mdp = environments.bandit([2.0, -1.0, 0.5])
    pi = double([[0.2, 0.3, 0.5]])
    near(mdp.expected_return(pi), double(0.35))
    _, probability = mdp.trajectories(pi)
    near(probability, pi[0])


# Gymnasium's conventions.


@each_environment
def test_environment_passes_the_checker_of_gymnasium(name):
    check_env(gymnasium.make(f"pgbook/{name}-v0").unwrapped)


@each_environment
def test_both_batched_forms_have_the_spaces_of_the_single_one(name):
    single = gymnasium.make(f"pgbook/{name}-v0")
    for mode in MODES:
        envs = make_vec(name, mode)
        assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        assert envs.num_envs == 4
        assert envs.single_observation_space == single.observation_space
        assert envs.single_action_space == single.action_space
        observations, _ = envs.reset(seed=0)
        assert envs.observation_space.contains(observations)
        observations, *arrays, info = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(observations)
        assert [x.dtype for x in arrays] == [np.float64, np.bool_, np.bool_]
        assert info == {}


@each_environment
def test_batched_form_in_numpy_is_the_one_that_gymnasium_prefers(name):
    envs = make_vec(name, None)
    assert isinstance(envs, TabularVectorEnv)
    limit = gymnasium.spec(f"pgbook/{name}-v0").max_episode_steps
    assert envs.max_episode_steps == (limit or np.inf)


@each_environment
def test_docstring_has_the_headings_of_gymnasium(name):
    lines = getattr(environments, name).__doc__.splitlines()
    assert [x.strip()[3:] for x in lines if x.strip().startswith("## ")] == [
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Version History",
    ]


@each_mode
def test_arguments_reach_the_environment(mode):
    envs = make_vec("Gridworld", mode, size=3)
    assert envs.single_observation_space.n == 8
    assert make_vec("Bandit", mode, means=(1.0,) * 7).single_action_space.n == 7


def test_seed_decides_what_happens_and_a_reset_without_one_goes_on():
    def play(seed, env):
        episodes = []
        for episode_seed in (seed, None, None):
            observation, _ = env.reset(seed=episode_seed)
            steps = [env.step(0)[1]]
            episodes.append((observation, *steps))
        return episodes

    env = TabularEnv(random_mdp(), noise=1.0)
    again = TabularEnv(random_mdp(), noise=1.0)
    assert play(3, env) == play(3, again) == play(3, env)
    assert play(3, env) != play(4, env)
    first, second, third = play(3, env)
    assert first[1] != second[1] != third[1]


def test_one_integer_seeds_all_copies_differently():
    envs = TabularVectorEnv(50, mdp=random_mdp(), noise=1.0)

    def play(seed):
        envs.reset(seed=seed)
        return np.stack([envs.step(np.ones(50, dtype=int))[1] for _ in range(5)])

    assert (play(3) == play(3)).all()
    assert not (play(3) == play(4)).any(where=play(3) != 0)
    assert len(set(play(3)[0])) == 50


def test_copies_draw_their_starts_and_successors_apart():
    envs = TabularVectorEnv(50, mdp=random_mdp(horizon=2))
    actions = np.ones(50, dtype=int)
    starts, _ = envs.reset(seed=0)
    successors = envs.step(actions)[0]
    assert len({*starts}) == len({*successors[starts == 0]}) == 3
    envs.step(actions)
    assert len({*envs.step(actions)[0]}) == 3


@pytest.mark.parametrize("form", [TabularEnv, partial(TabularVectorEnv, 2)])
def test_step_needs_a_reset(form):
    env = form(mdp=random_mdp())
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())


def test_single_environment_needs_a_reset_after_the_end():
    env = environments.TwoStep()
    env.reset()
    env.step(0)
    assert env.step(0)[2] is True
    with pytest.raises(ResetNeeded):
        env.step(0)


# The environments play their tables.


@pytest.mark.parametrize("name", ["TwoStep", "ShortCorridor", "TwoStateChain"])
def test_deterministic_environment_follows_its_table(name):
    table = {
        "TwoStep": environments.two_step,
        "ShortCorridor": environments.short_corridor,
        "TwoStateChain": environments.two_state_chain,
    }[name]()
    env = getattr(environments, name)()
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    steps, ends = 0, 0
    for _ in range(300):
        state, action = int(env.state), int(rng.integers(2))
        observation, reward, terminated, truncated, _ = env.step(action)
        steps += 1
        over = steps == table.horizon or table.ending[state, action] == 1
        assert reward == table.reward[state, action]
        assert terminated == over
        assert not truncated
        if over:
            env.reset()
            steps, ends = 0, ends + 1
        else:
            assert table.transition[state, action, int(env.state)] == 1
            assert observation == (0 if name == "ShortCorridor" else env.state)
    assert (ends > 5) == (name != "TwoStateChain")


@pytest.mark.parametrize("name", ["TwoStep", "ShortCorridor", "Gridworld"])
@pytest.mark.parametrize("limit", [1, 2, 5, 40])
def test_batched_form_is_step_for_step_what_sync_makes_of_single_ones(name, limit):
    pair = [make_vec(name, mode, 8, max_episode_steps=limit) for mode in MODES]
    starts = [envs.reset(seed=0)[0] for envs in pair]
    np.testing.assert_array_equal(*starts)
    rng = np.random.default_rng(1)
    for _ in range(120):
        actions = rng.integers(pair[0].single_action_space.n, size=8)
        for one, other in zip(*(envs.step(actions)[:4] for envs in pair), strict=True):
            np.testing.assert_array_equal(one, other)


def counts_of(steps):
    """How often (s, a) was followed by each state or the end (3), [3, 2, 4]."""
    counts = np.zeros((3, 2, 4), dtype=int)
    np.add.at(counts, tuple(np.array(steps).T), 1)
    return counts


def single_steps(count):
    env, rng = TabularEnv(random_mdp()), np.random.default_rng(0)
    state, steps, starts = env.reset(seed=0)[0], [], []
    starts.append(state)
    for _ in range(count):
        action = int(rng.integers(2))
        following, _, terminated, *_ = env.step(action)
        steps.append((state, action, 3 if terminated else following))
        state = following
        if terminated:
            state = env.reset()[0]
            starts.append(state)
    return steps, starts


def batched_steps(count):
    envs, rng = TabularVectorEnv(200, mdp=random_mdp()), np.random.default_rng(0)
    state, steps, ended = envs.reset(seed=0)[0], [], np.zeros(200, dtype=bool)
    starts = list(state)
    for _ in range(count // 200):
        action = rng.integers(2, size=200)
        following, _, terminated, *_ = envs.step(action)
        outcome = np.where(terminated, 3, following)
        steps += list(np.stack([state, action, outcome], -1)[~ended])
        starts += list(following[ended])
        state, ended = following, terminated
    return steps, starts


@pytest.mark.parametrize(("play", "count"), [(single_steps, 4e3), (batched_steps, 4e4)])
def test_frequencies_of_transitions_and_starts_are_those_of_the_tables(play, count):
    mdp = random_mdp()
    steps, starts = play(int(count))
    counts = counts_of(steps)
    ending = 1 - mdp.transition.sum(-1, keepdim=True)
    chance = torch.cat([mdp.transition, ending], -1).numpy()
    expected = counts.sum(-1, keepdims=True) * chance
    assert expected.min() > 5
    distance = ((counts - expected) ** 2 / expected).sum()
    assert distance < stats.chi2.isf(FALSE_ALARM, df=6 * 3)
    expected = len(starts) * mdp.initial.numpy()
    distance = ((np.bincount(starts) - expected) ** 2 / expected).sum()
    assert distance < stats.chi2.isf(FALSE_ALARM, df=2)


@each_mode
def test_bandit_rewards_are_normal_around_the_means(mode):
    means, noise, rounds, copies = np.array([1.0, -2.0]), 0.5, 200, 20
    envs = make_vec("Bandit", mode, copies, means=tuple(means), noise=noise)
    envs.reset(seed=0)
    actions = np.arange(copies) % 2
    deviations = []
    for _ in range(rounds):
        _, reward, terminated, *_ = envs.step(actions)
        assert terminated.all()
        deviations.append((reward - means[actions]) / noise)
        _, filler, terminated, *_ = envs.step(actions)
        assert not filler.any() and not terminated.any()
    deviations = np.stack(deviations)
    n = rounds * copies // 2
    for arm in (0, 1):
        mean = deviations[:, actions == arm].mean()
        assert abs(mean) < stats.norm.isf(FALSE_ALARM / 2) / n**0.5
    low, high = stats.chi2.interval(1 - FALSE_ALARM, df=2 * n)
    assert low < (deviations**2).sum() < high


def test_bandit_without_noise_pays_its_means_exactly():
    env = environments.Bandit(means=(0.1, 0.7), noise=0)
    for arm, mean in enumerate((0.1, 0.7)):
        env.reset(seed=0)
        assert env.step(arm)[1] == mean


class LargestUniform:
    """A generator whose every uniform number is the largest below 1."""

    def random(self, size):
        return np.full(size, np.nextafter(1, 0))


def test_rounding_errors_of_a_row_are_no_outcome():
    row = double([0.1] * 10 + [0.0])
    assert np.cumsum(row.numpy())[-1] < 1
    reward = torch.zeros(11, 1, dtype=torch.float64)
    env = TabularEnv(TabularMDP(row.expand(11, 1, 11), reward, row, discount=0.9))
    state, _, ended = env.play(0, 0, LargestUniform())
    assert (int(state), bool(ended)) == (9, False)


def test_missing_mass_is_an_outcome():
    env = TabularEnv(random_mdp())
    state, _, ended = env.play(1, 0, LargestUniform())
    assert (int(state), bool(ended)) == (1, True)


# Ends, step by step.


def test_next_step_autoreset_inserts_a_filler_that_ignores_the_action():
    envs = make_vec("TwoStep", "vector_entry_point", 2)
    assert envs.reset(seed=0)[0].tolist() == [0, 0]
    script = [  # actions, observations, rewards, terminated
        ([1, 0], [1, 2], [1, 0], [False, False]),
        ([0, 1], [1, 2], [1, 2], [True, True]),
        ([1, 0], [0, 0], [0, 0], [False, False]),  # the filler
        ([0, 1], [2, 1], [0, 1], [False, False]),
        ([0, 1], [2, 1], [0, 0], [True, True]),
    ]
    for actions, *expected in script:
        *results, truncated, _ = envs.step(np.array(actions))
        assert [x.tolist() for x in results] == expected
        assert not truncated.any()


def test_copies_that_end_apart_are_reset_apart():
    # Copy 0 takes the shortest way through the corridor; copy 1 loses a step first.
    envs = make_vec("ShortCorridor", "vector_entry_point", 2)
    envs.reset(seed=0)
    moves = [(1, 0), (0, 1), (1, 0), (0, 1), (1, 1), (0, 1)]
    results = [envs.step(np.array(move)) for move in moves]
    assert [x[2].tolist() for x in results] == [
        [False, False],
        [False, False],
        [True, False],
        [False, True],  # the filler of copy 0, the goal of copy 1
        [False, False],
        [False, False],
    ]
    assert [x[1].tolist() for x in results[2:5]] == [[-1, -1], [0, -1], [-1, 0]]


@each_mode
def test_limit_on_the_recording_truncates(mode):
    envs = make_vec("TwoStateChain", mode, 2, max_episode_steps=3)
    envs.reset(seed=0)
    results = [envs.step(np.array([1, 0])) for _ in range(8)]
    observations, rewards, terminated, truncated, _ = zip(*results, strict=True)
    assert not np.any(terminated)
    assert np.array(truncated)[:, 0].nonzero()[0].tolist() == [2, 6]
    # The last observation of the episode, then the filler with the new start.
    assert np.array(observations)[:, 0].tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    assert np.array(rewards)[:, 1].tolist() == [1, 1, 1, 0, 1, 1, 1, 0]


@each_mode
def test_arrival_in_the_last_step_is_both_termination_and_truncation(mode):
    envs = make_vec("ShortCorridor", mode, 1, max_episode_steps=3)
    envs.reset(seed=0)
    for action in (1, 0):
        assert not any(x[0] for x in envs.step(np.array([action]))[2:4])
    assert [x.tolist() for x in envs.step(np.array([1]))[2:4]] == [[True], [True]]


@pytest.mark.parametrize("form", [TabularEnv, partial(TabularVectorEnv, 1)])
def test_end_of_the_horizon_is_a_termination(form):
    env = form(mdp=dataclasses.replace(environments.two_state_chain(), horizon=2))
    env.reset(seed=0)
    action = env.action_space.sample()
    assert [bool(x) for x in env.step(action)[2:4]] == [False, False]
    assert [bool(x) for x in env.step(action)[2:4]] == [True, False]


def test_registered_limits_cut_only_what_might_not_end():
    limits = {
        name: gymnasium.spec(f"pgbook/{name}-v0").max_episode_steps for name in NAMES
    }
    assert [name for name in NAMES if limits[name] is None] == ["TwoStep", "Bandit"]
    env = gymnasium.make("pgbook/TwoStateChain-v0")
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(limits["TwoStateChain"])]
    assert ends[-2:] == [(False, False), (False, True)]


def test_arrays_that_were_handed_out_do_not_change_later():
    envs = TabularVectorEnv(5, mdp=random_mdp(), max_episode_steps=2)
    handed_out = [envs.reset(seed=0)[0]]
    copies = [handed_out[0].copy()]
    for _ in range(6):
        arrays = envs.step(np.zeros(5, dtype=int))[:4]
        handed_out += arrays
        copies += [x.copy() for x in arrays]
    for array, copy in zip(handed_out, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_aliased_states_look_the_same():
    env = TabularEnv(random_mdp(), observe=[0, 1, 1])
    assert env.observation_space.n == 2
    for _ in range(20):
        observation, _ = env.reset(seed=None)
        assert observation == min(int(env.state), 1)


# Bad inputs.


def stepped(env, action):
    def call():
        env.reset(seed=0)
        env.step(action)

    return call


SINGLE = TabularEnv(random_mdp())
BATCH = TabularVectorEnv(2, mdp=random_mdp())
BAD = {
    "chain without discount": (partial(environments.two_state_chain, 1), "discount"),
    "chain with nan": (partial(environments.two_state_chain, np.nan), "discount"),
    "gridworld of one cell": (partial(environments.gridworld, 1), "size"),
    "gridworld of half cells": (partial(environments.gridworld, 2.5), "size"),
    "bandit without arms": (partial(environments.bandit, []), "means"),
    "bandit with a table": (partial(environments.bandit, [[1.0, 2.0]]), "means"),
    "bandit not finite": (partial(environments.bandit, [1.0, np.inf]), "means"),
    "observe too short": (partial(TabularEnv, random_mdp(), [0, 1]), "observe"),
    "observe negative": (partial(TabularEnv, random_mdp(), [0, 1, -1]), "observe"),
    "observe not whole": (partial(TabularEnv, random_mdp(), [0, 1, 0.5]), "observe"),
    "noise negative": (partial(environments.Bandit, noise=-1.0), "noise"),
    "noise not finite": (partial(environments.Bandit, noise=np.nan), "noise"),
    "no copies": (partial(TabularVectorEnv, 0, mdp=random_mdp()), "num_envs"),
    "no steps": (
        partial(TabularVectorEnv, 1, max_episode_steps=0, mdp=random_mdp()),
        "max_episode_steps",
    ),
    "action too large": (stepped(SINGLE, 2), "action"),
    "action negative": (stepped(SINGLE, -1), "action"),
    "action not whole": (stepped(SINGLE, 0.5), "action"),
    "one action for two": (stepped(BATCH, np.array([1])), "actions"),
    "actions negative": (stepped(BATCH, np.array([0, -1])), "actions"),
    "actions in a column": (stepped(BATCH, np.array([[0], [1]])), "actions"),
}


@pytest.mark.parametrize(("call", "argument"), BAD.values(), ids=BAD.keys())
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def start_alike(single, state):
    """Start an episode of Gymnasium's environment in a state of the batched form."""
    single.reset()
    dtype = np.asarray(single.unwrapped.state).dtype
    single.unwrapped.state = state.astype(dtype)


@pytest.mark.parametrize("task", ["Acrobot-v1", "Pendulum-v1"])
def test_batched_forms_move_pay_and_end_as_gymnasium_does(task):
    mode = "vector_entry_point"
    envs = gymnasium.make_vec(f"pgbook/{task}", num_envs=4, vectorization_mode=mode)
    envs.reset(seed=1)
    envs.action_space.seed(2)
    singles = [gymnasium.make(task) for _ in range(4)]
    for i, single in enumerate(singles):
        start_alike(single, envs.unwrapped.state[:, i])
    restarts = 0
    for _ in range(1100):
        actions = 2 * envs.action_space.sample()  # Pendulum: beyond the limits
        actions = actions if task == "Pendulum-v1" else actions // 2
        observation, reward, terminated, truncated, _ = envs.step(actions)
        for i, single in enumerate(singles):
            if envs.unwrapped.steps[i] == 0:
                assert (reward[i], terminated[i], truncated[i]) == (0, 0, 0)
                start_alike(single, envs.unwrapped.state[:, i])
                restarts += 1
                continue
            seen, paid, over, cut, _ = single.step(actions[i])
            np.testing.assert_allclose(observation[i], seen, rtol=0, atol=2e-6)
            assert reward[i] == pytest.approx(paid, abs=1e-9)
            assert (terminated[i], truncated[i]) == (over, cut)
    assert restarts >= 8


@pytest.mark.parametrize(
    ("task", "low", "high"),
    [
        ("Acrobot-v1", [-0.1] * 4, [0.1] * 4),
        ("Pendulum-v1", [-np.pi, -1], [np.pi, 1]),
    ],
)
def test_batched_forms_start_uniformly_where_gymnasium_does(task, low, high):
    mode = "vector_entry_point"
    envs = gymnasium.make_vec(f"pgbook/{task}", num_envs=4000, vectorization_mode=mode)
    envs.reset(seed=3)
    state, low, high = envs.unwrapped.state.T, np.array(low), np.array(high)
    assert (state >= low).all()
    assert (state <= high).all()
    share = (state - low) / (high - low)
    assert np.abs(share.mean(0) - 1 / 2).max() < 6 * (1 / 12 / 4000) ** 0.5
    assert np.abs(share.var(0) - 1 / 12).max() < 0.01


def test_an_acrobot_that_swings_over_the_line_is_paid_nothing_and_ends():
    envs = AcrobotVector(2)
    envs.reset(seed=0)
    envs.state[:] = 0
    envs.state[0, 0] = np.pi  # the first stands upright, the second hangs
    _, reward, terminated, truncated, _ = envs.step(np.array([1, 1]))
    assert reward.tolist() == [0, -1]
    assert terminated.tolist() == [True, False]
    assert not truncated.any()


@pytest.mark.parametrize(
    ("make", "actions"),
    [
        (AcrobotVector, np.array([0, 3])),
        (AcrobotVector, np.array([0])),
        (PendulumVector, np.zeros(2, np.float32)),
        (PendulumVector, np.array([[0.0], [np.nan]])),
    ],
)
def test_batched_forms_refuse_what_is_no_action_per_copy(make, actions):
    envs = make(2)
    with pytest.raises(ResetNeeded):
        envs.step(actions)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"^actions: "):
        envs.step(actions)


@pytest.mark.parametrize(
    ("arguments", "argument"), [((0,), "num_envs"), ((1, 0), "max_episode_steps")]
)
@pytest.mark.parametrize("make", [AcrobotVector, PendulumVector])
def test_bad_numbers_of_copies_name_the_argument(make, arguments, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        make(*arguments)

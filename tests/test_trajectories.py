"""The record, and that every index of it is what it says."""

from dataclasses import FrozenInstanceError, replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from pgbook.trajectories import (
    Trajectories,
    collect,
    collect_episodes,
    finished_returns,
)

COUNTS = 6


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def length(env, episode):
    """Lengths 1 to 4, so that two fillers can be one step apart."""
    return 1 + (2 * env + 3 * episode) % 4


def ends_by_truncation(env, episode):
    return (env + episode) % 2 == 1


def reward(env, play, episode, step, action):
    """A different number for every step of every episode of every environment."""
    return 1000.0 * env + 100 * play + 10 * episode + step + 0.5 * action


class CountingEnvs(VectorEnv):
    """Observations (env, resets, episode, step); ends as `length` says.

    It writes into the same arrays at every step and pays 7 at a filler: neither may
    be seen in a record.
    """

    def __init__(self, num_envs, dtype=np.float64, mode=AutoresetMode.NEXT_STEP):
        self.metadata = {"autoreset_mode": mode}
        self.num_envs = num_envs
        self.single_observation_space = Box(0, 1e6, (4,), dtype)
        self.observation_space = Box(0, 1e6, (num_envs, 4), dtype)
        self.single_action_space = Discrete(COUNTS)
        self.action_space = MultiDiscrete([COUNTS] * num_envs)
        self.state = np.zeros((num_envs, 4), dtype)
        self.flags = np.zeros((2, num_envs), bool)
        self.rewards = np.zeros(num_envs)
        self.seeds = []

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self.flags[:] = False
        self.state[:, 0] = np.arange(self.num_envs)
        self.state[:, 1] = len(self.seeds) - 1
        self.state[:, 2:] = 0
        return self.state, {}

    def step(self, actions):
        assert self.action_space.contains(actions)
        for i, action in enumerate(actions):
            env, play, episode, step = map(int, self.state[i])
            if self.flags[:, i].any():
                self.state[i] = env, play, episode + 1, 0
                self.flags[:, i] = False
                self.rewards[i] = 7
            else:
                self.state[i, 3] += 1
                self.rewards[i] = reward(env, play, episode, step, action)
                last = step + 1 == length(env, episode)
                cut = ends_by_truncation(env, episode)
                self.flags[:, i] = (last and not cut, last and cut)
        return self.state, self.rewards, *self.flags, {}


class CountingPolicy:
    """A fixed action for each observation; keeps whether a gradient was recorded."""

    def __init__(self):
        self.gradients = []

    def sample(self, observation, rng):
        self.gradients.append(torch.is_grad_enabled())
        return (observation.to(torch.int64) @ torch.tensor([1, 0, 2, 3])) % COUNTS


class RandomPolicy:
    def sample(self, observation, rng):
        return torch.randint(COUNTS, observation.shape[:1], generator=rng)


def action_of(env, play, episode, step):
    return (env + 2 * episode + 3 * step) % COUNTS


def expected_stream(env, play=0):
    """Rows of the stream: observation, action, reward, terminated, truncated, valid."""
    episode = 0
    while True:
        end = length(env, episode)
        for step in range(end + 1):
            state = (env, play, episode, step)
            action = action_of(*state)
            last, cut = step == end - 1, ends_by_truncation(env, episode)
            valid = step < end
            paid = reward(*state, action) if valid else 0.0
            yield state, action, paid, last and not cut, last and cut, valid
        episode += 1


def assert_same(one, other):
    for name in vars(one):
        torch.testing.assert_close(
            getattr(one, name), getattr(other, name), rtol=0, atol=0, msg=name
        )


def record(steps=2, columns=3, **changes):
    no = torch.zeros(steps, columns, dtype=torch.bool)
    fields = {
        "observations": torch.zeros(steps + 1, columns, 4, dtype=torch.float64),
        "actions": torch.zeros(steps, columns, dtype=torch.int64),
        "rewards": torch.zeros(steps, columns, dtype=torch.float64),
        "terminated": no,
        "truncated": no,
        "valid": ~no,
    }
    return Trajectories(**(fields | changes))


def cartpole(mode, num_envs=4):
    return gymnasium.make_vec("CartPole-v1", num_envs, vectorization_mode=mode)


both_modes = pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])


def test_stream_of_two_environments_by_hand():
    """Environment 0 plays episodes of 1 and 4 steps, environment 1 of 3 and 2."""
    batch = collect(CountingEnvs(2), CountingPolicy(), 5, seeded())
    x, o = True, False
    env_0 = [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [1, 3]]
    env_1 = [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [1, 1]]
    assert batch.observations[:, 0, 2:].tolist() == env_0
    assert batch.observations[:, 1, 2:].tolist() == env_1
    assert batch.valid.T.tolist() == [[x, o, x, x, x], [x, x, x, o, x]]
    assert batch.terminated.T.tolist() == [[x, o, o, o, o], [o, o, o, o, o]]
    assert batch.truncated.T.tolist() == [[o, o, o, o, o], [o, o, x, o, o]]
    assert batch.actions.T.tolist() == [[0, 3, 2, 5, 2], [1, 4, 1, 4, 3]]
    assert batch.rewards.T.tolist() == [
        [0, 0, 11, 13.5, 13],
        [1000.5, 1003, 1002.5, 0, 1011.5],
    ]


def test_stream_is_right_to_the_last_index():
    steps, num_envs = 60, 5
    batch = collect(CountingEnvs(num_envs), CountingPolicy(), steps, seeded())
    for env in range(num_envs):
        stream = expected_stream(env)
        rows = [next(stream) for _ in range(steps + 1)]
        states, *fields = map(list, zip(*rows, strict=True))
        assert batch.observations[:, env].tolist() == [list(s) for s in states]
        names = ("actions", "rewards", "terminated", "truncated", "valid")
        for name, values in zip(names, fields, strict=True):
            assert getattr(batch, name)[:, env].tolist() == values[:-1], name


@pytest.mark.parametrize("policy", [CountingPolicy(), RandomPolicy()])
@pytest.mark.parametrize("first", range(1, 9))
def test_a_stream_in_pieces_is_the_stream_in_one(first, policy):
    """The cut falls before, on and behind ends and fillers."""
    rng, envs = seeded(), CountingEnvs(3)
    start = collect(envs, policy, first, rng)
    rest = collect(envs, policy, 12 - first, rng, after=start)
    whole = collect(CountingEnvs(3), policy, 12, seeded())
    joined = {
        name: torch.cat([getattr(start, name), getattr(rest, name)])
        for name in ("actions", "rewards", "terminated", "truncated", "valid")
    }
    observations = torch.cat([start.observations, rest.observations[1:]])
    assert torch.equal(start.observations[-1], rest.observations[0])
    assert_same(Trajectories(observations, **joined), whole)
    assert len(envs.seeds) == 1


@pytest.mark.parametrize("episodes", [1, 2, 3, 4, 7, 9])
def test_episodes_have_a_quota_that_no_length_can_change(episodes):
    """Column k is the first episode of environment k mod N after reset k div N."""
    num_envs = 3
    envs = CountingEnvs(num_envs)
    batch = collect_episodes(envs, CountingPolicy(), episodes, seeded())
    lengths = [length(k % num_envs, 0) for k in range(episodes)]
    longest = max(lengths)
    assert batch.observations.shape == (longest + 1, episodes, 4)
    assert len(envs.seeds) == -(-episodes // num_envs)
    for k, end in enumerate(lengths):
        stream = expected_stream(k % num_envs, k // num_envs)
        rows = [next(stream) for _ in range(end + 1)]
        states, *fields = map(list, zip(*rows, strict=True))
        padding = [[0, 0, 0, 0]] * (longest - end)
        assert batch.observations[:, k].tolist() == [*map(list, states), *padding]
        names = ("actions", "rewards", "terminated", "truncated", "valid")
        for name, values in zip(names, fields, strict=True):
            want = values[:-1] + [0] * (longest - end)
            assert getattr(batch, name)[:, k].tolist() == want, name


def test_environments_get_integer_seeds_drawn_from_rng():
    one, same, other = CountingEnvs(2), CountingEnvs(2), CountingEnvs(2)
    for envs, seed in ((one, 0), (same, 0), (other, 1)):
        collect_episodes(envs, CountingPolicy(), 6, seeded(seed))
    assert one.seeds == same.seeds != other.seeds
    assert all(type(seed) is int for seed in one.seeds)
    assert len(set(one.seeds)) == 3


def test_nothing_draws_from_the_global_generator():
    state = torch.get_rng_state()
    collect_episodes(CountingEnvs(2), RandomPolicy(), 4, seeded())
    collect(CountingEnvs(2), RandomPolicy(), 4, seeded())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("play", [collect, collect_episodes])
def test_records_can_enter_autograd_although_the_policy_ran_without(play):
    policy = CountingPolicy()
    batch = play(CountingEnvs(2), policy, 3, seeded())
    assert not any(policy.gradients)
    assert not any(getattr(batch, name).is_inference() for name in vars(batch))
    weight = torch.ones(4, dtype=torch.float64, requires_grad=True)
    (batch.observations[:-1] @ weight * batch.rewards).sum().backward()
    want = torch.einsum("tns,tn->s", batch.observations[:-1], batch.rewards)
    torch.testing.assert_close(weight.grad, want)


@pytest.mark.parametrize(
    ("observed", "rewarded"),
    [
        (np.float32, torch.float32),
        (np.float64, torch.float64),
        (np.int64, torch.float64),
    ],
)
def test_rewards_take_the_floating_dtype_of_the_observations(observed, rewarded):
    for play in (collect, collect_episodes):
        batch = play(CountingEnvs(2, observed), CountingPolicy(), 3, seeded())
        assert batch.rewards.dtype == rewarded
        assert batch.observations.numpy().dtype == observed


class PushTowardTheLean:
    """Keeps the pole up for as long as anyone looks."""

    def sample(self, observation, rng):
        _, speed, angle, turning = observation.unbind(-1)
        return (angle + 0.3 * turning + 0.03 * speed > 0).long()


class CoinPolicy:
    def sample(self, observation, rng):
        return torch.randint(2, observation.shape[:1], generator=rng)


def cartpole_successor(state, action):
    """Barto, Sutton and Anderson's equations, Euler steps of 0.02 s."""
    x, speed, angle, turning = state.unbind(-1)
    sin, cos = angle.sin(), angle.cos()
    pushed = (20.0 * action - 10 + 0.05 * turning**2 * sin) / 1.1
    bend = (9.8 * sin - cos * pushed) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    push = pushed - 0.05 * bend * cos / 1.1
    change = torch.stack([speed, push, turning, bend], -1)
    return state + 0.02 * change


@both_modes
def test_cartpole_successors_obey_its_equations_also_at_the_end(mode):
    batch = collect(cartpole(mode), CoinPolicy(), 300, seeded())
    states, after = batch.observations[:-1].double(), batch.observations[1:].double()
    valid = batch.valid
    want = cartpole_successor(states, batch.actions)
    torch.testing.assert_close(after[valid], want[valid], rtol=0, atol=1e-5)
    assert after[~valid].abs().max() <= 0.05
    fell = (after[..., 0].abs() > 2.4) | (after[..., 2].abs() > torch.pi / 15)
    assert torch.equal(batch.terminated[valid], fell[valid])
    assert not (batch.truncated | batch.terminated & ~valid).any()
    assert batch.terminated.sum() > 20
    assert torch.equal(batch.rewards, valid.float())
    assert torch.equal(~valid[1:], batch.terminated[:-1])


@both_modes
def test_cartpole_is_truncated_after_500_steps(mode):
    batch = collect(cartpole(mode, 2), PushTowardTheLean(), 1002, seeded())
    ends, want = batch.truncated.nonzero().tolist(), [499, 1000]
    assert ends == [[t, env] for t in want for env in range(2)]
    assert not batch.terminated.any()
    assert (~batch.valid).nonzero().tolist() == [
        [500, 0],
        [500, 1],
        [1001, 0],
        [1001, 1],
    ]
    valid = batch.valid
    want = cartpole_successor(batch.observations[:-1].double(), batch.actions)
    after = batch.observations[1:].double()
    torch.testing.assert_close(after[valid], want[valid], rtol=0, atol=1e-5)


@both_modes
def test_cartpole_episodes_are_whole(mode):
    batch = collect_episodes(cartpole(mode), CoinPolicy(), 10, seeded())
    lengths = batch.valid.sum(0)
    assert len(lengths) == 10 and lengths.max() == len(batch.valid)
    last = torch.nn.functional.one_hot(lengths - 1, len(batch.valid)).bool().T
    assert torch.equal(batch.terminated, last)
    assert torch.equal(batch.valid, torch.arange(len(batch.valid))[:, None] < lengths)


def test_box_actions_are_recorded_as_sampled():
    class Wide:
        def sample(self, observation, rng):
            return 9 * torch.randn(len(observation), 1, generator=rng).double()

    envs = gymnasium.make_vec("Pendulum-v1", 2, vectorization_mode="sync")
    batch = collect_episodes(envs, Wide(), 3, seeded())
    assert batch.actions.shape == (200, 3, 1) and batch.actions.dtype == torch.float64
    assert batch.actions.abs().max() > 2
    assert batch.truncated[-1].all() and batch.truncated.sum() == 3
    assert batch.valid.all() and not batch.terminated.any()


def test_environments_get_actions_in_their_own_dtype():
    class Listening(CountingEnvs):
        def step(self, actions):
            heard.append(actions.dtype)
            return super().step(actions)

    class Narrow:
        def sample(self, observation, rng):
            return torch.ones(len(observation), dtype=torch.int32)

    heard = []
    collect(Listening(2), Narrow(), 3, seeded())
    assert heard == [np.int64] * 3


def test_discount_stops_at_terminations_and_trace_at_any_end():
    terminated = torch.tensor([[False, True], [False, True], [False, False]])
    truncated = torch.tensor([[True, False], [False, True], [False, False]])
    batch = record(3, 2, terminated=terminated, truncated=truncated)
    assert batch.discount_t(0.1).tolist() == [[0.1, 0], [0.1, 0], [0.1, 0.1]]
    assert batch.trace_t.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert batch.discount_t(1).dtype == batch.trace_t.dtype == torch.float64
    single = replace(batch, rewards=batch.rewards.float())
    assert single.discount_t(0.9).dtype == single.trace_t.dtype == torch.float32


def test_a_time_limit_can_be_made_a_termination():
    batch = collect(CountingEnvs(3), CountingPolicy(), 20, seeded())
    ends = batch.terminated | batch.truncated
    none = torch.zeros_like(ends)
    limited = replace(batch, terminated=ends, truncated=none)
    assert torch.equal(limited.discount_t(0.5), 0.5 * batch.trace_t)
    assert torch.equal(limited.trace_t, batch.trace_t)


def test_a_record_is_frozen():
    with pytest.raises(FrozenInstanceError):
        record().rewards = torch.zeros(2, 3)


def test_rewards_may_be_anything_where_they_are_not_valid():
    rewards = torch.tensor([[0.0, torch.nan]])
    valid = torch.tensor([[True, False]])
    record(1, 2, rewards=rewards, valid=valid)


def no(*shape):
    return torch.zeros(*shape, dtype=torch.bool)


def other_mode(mode):
    return SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")], autoreset_mode=mode)


def dictionary_envs():
    envs = CountingEnvs(2)
    envs.observation_space = Dict(position=envs.observation_space)
    return envs


class FloatPolicy:
    def sample(self, observation, rng):
        return torch.zeros(len(observation))


class ColumnPolicy:
    def sample(self, observation, rng):
        return torch.zeros(len(observation), 1, dtype=torch.int64)


BAD_RECORDS = [
    (lambda: record(observations=torch.zeros(2, 3, 4)), "observations"),
    (lambda: record(observations=torch.zeros(3)), "observations"),
    (lambda: record(actions=torch.zeros(3, 3)), "actions"),
    (lambda: record(actions=torch.zeros(2, 1)), "actions"),
    (lambda: record(rewards=torch.zeros(2, 3, 1)), "rewards"),
    (lambda: record(rewards=torch.zeros(2, 3, dtype=torch.int64)), "rewards"),
    (lambda: record(rewards=torch.full((2, 3), torch.inf)), "rewards"),
    (lambda: record(steps=0), "rewards"),
    (lambda: record(columns=0), "rewards"),
    (lambda: record(terminated=no(3, 2)), "terminated"),
    (lambda: record(terminated=torch.zeros(2, 3)), "terminated"),
    (lambda: record(truncated=no(2, 1)), "truncated"),
    (lambda: record(truncated=torch.zeros(2, 3)), "truncated"),
    (lambda: record(valid=no(2)), "valid"),
    (lambda: record(valid=torch.ones(2, 3)), "valid"),
    (lambda: record().discount_t(1.1), "gamma"),
    (lambda: record().discount_t(float("nan")), "gamma"),
]


def bad_collections(play, count):
    def call(envs=None, policy=None, number=3, **rest):
        envs, policy = envs or CountingEnvs(2), policy or CountingPolicy()
        return play(envs, policy, number, seeded(), **rest)

    return [
        (lambda: call(other_mode(AutoresetMode.SAME_STEP)), "envs"),
        (lambda: call(other_mode(AutoresetMode.DISABLED)), "envs"),
        (lambda: call(gymnasium.make("CartPole-v1")), "envs"),
        (lambda: call(dictionary_envs()), "envs"),
        (lambda: call(policy=ColumnPolicy()), "policy"),
        (lambda: call(policy=FloatPolicy()), "policy"),
        (lambda: call(number=0), count),
        (lambda: call(number=2.5), count),
    ]


def collect_after(columns, size=4):
    after = record(columns=columns, observations=torch.zeros(3, columns, size))
    return collect(CountingEnvs(2), CountingPolicy(), 3, seeded(), after=after)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        *BAD_RECORDS,
        *bad_collections(collect, "steps"),
        *bad_collections(collect_episodes, "episodes"),
        (lambda: collect_after(3), "after"),
        (lambda: collect_after(2, size=5), "after"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()


def test_finished_returns_go_on_from_the_record_before():
    rewards = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    terminated = torch.tensor([[False, True], [True, False], [False, False]])
    truncated = torch.tensor([[False, False], [False, False], [False, True]])
    observations, none = torch.zeros(4, 2), torch.ones(3, 2, dtype=torch.bool)
    record = Trajectories(
        observations, torch.zeros(3, 2), rewards, terminated, truncated, none
    )
    returns, running = finished_returns(record, torch.tensor([100.0, 200.0]))
    assert returns == [210.0, 103.0, 60.0]
    assert running.tolist() == [4.0, 0.0]


def test_finished_returns_need_one_running_sum_per_environment():
    record = collect(CountingEnvs(3), CountingPolicy(), 5, seeded())
    with pytest.raises(ValueError, match=r"^running: "):
        finished_returns(record, torch.zeros(2))

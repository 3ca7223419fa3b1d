"""Baselines against naive loops, every batch of the running example, and identities."""

import importlib.util
import itertools
import math
from pathlib import Path

import pytest
import torch

from pgbook.baselines import (
    batch_mean_baseline,
    expected_action_baseline,
    fitted_state_baseline,
    leave_one_out_baseline,
    optimal_baseline_per_parameter,
    optimal_constant_baseline,
    optimal_state_baseline,
    whitened,
)
from pgbook.environments import two_step
from pgbook.experiments import read_rows
from pgbook.mdp import TabularMDP
from pgbook.policies import SharedLogit

ROOT = Path(__file__).parents[1]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def normals(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def experiment():
    path = ROOT / "experiments" / "baselines_corridor.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_mdp(seed=0):
    """Two states, two actions, two decisions at most; each may be the last."""
    rng = generator(seed)
    random = [torch.rand(*n, generator=rng).double() for n in ((2, 2, 3), (2, 2), (2,))]
    transition, reward, initial = random
    transition = (transition / transition.sum(-1, keepdim=True))[..., :2]
    initial = initial / initial.sum()
    return TabularMDP(transition, reward, initial, discount=1, horizon=2)


def scores(pi, tau):
    """Score of a softmax table at each step, 0 behind the end, [T, N, S * A]."""
    steps, episodes = tau.rewards.shape
    score = torch.zeros(steps, episodes, *pi.shape, dtype=torch.float64)
    for t, n in itertools.product(range(steps), range(episodes)):
        if tau.valid[t, n]:
            s, taken = tau.observations[t, n], tau.actions[t, n]
            for a in range(pi.shape[1]):
                score[t, n, s, a] = (a == taken).double() - pi[s, a]
    return score.flatten(2)


def to_go(rewards):
    return rewards.flip(0).cumsum(0).flip(0)


def batches(probability, size):
    """Every ordered batch, [B, N], with its probability, [B]."""
    draws = list(itertools.product(range(len(probability)), repeat=size))
    chances = [math.prod(probability[k].item() for k in draw) for draw in draws]
    return list(zip(map(list, draws), chances, strict=True))


def exact_gradient(mdp, logits):
    logits = logits.clone().requires_grad_()
    value = mdp.expected_return(logits.softmax(-1))
    return torch.autograd.grad(value, logits)[0].flatten()


def batch_expectation(mdp, logits, size, baseline):
    """Exact mean of (1/N) sum_n sum_t score_t * (return_t - baseline)."""
    pi = logits.softmax(-1)
    tau, probability = mdp.trajectories(pi)
    score, return_t = scores(pi, tau), to_go(tau.rewards)
    total = torch.zeros(score.shape[-1], dtype=torch.float64)
    for draw, chance in batches(probability, size):
        weight_t = return_t[:, draw] - baseline(return_t[:, draw])
        total += chance * (weight_t[..., None] * score[:, draw]).sum((0, 1)) / size
    return total


def test_batch_mean_by_hand():
    return_t = doubles([[1, 2, 6], [4, 0, 0]])
    expected = doubles([[3, 3, 3], [4 / 3] * 3])
    assert torch.allclose(batch_mean_baseline(return_t), expected)


def test_leave_one_out_by_hand():
    return_t = doubles([[1, 2, 6], [4, 0, 0]])
    expected = doubles([[4, 3.5, 1.5], [0, 2, 2]])
    assert torch.allclose(leave_one_out_baseline(return_t), expected)


@pytest.mark.parametrize("episodes", [2, 3, 7])
def test_baselines_of_a_batch_are_loops_over_the_episodes(episodes):
    return_t = normals(4, episodes)
    for t, n in itertools.product(range(4), range(episodes)):
        everyone = [return_t[t, m].item() for m in range(episodes)]
        others = everyone[:n] + everyone[n + 1 :]
        mean = batch_mean_baseline(return_t)[t, n].item()
        assert mean == pytest.approx(math.fsum(everyone) / episodes, abs=1e-14)
        left = leave_one_out_baseline(return_t)[t, n].item()
        assert left == pytest.approx(math.fsum(others) / (episodes - 1), abs=1e-14)


def test_leaving_one_out_stretches_the_deviation_from_the_mean():
    return_t = normals(3, 5)
    mean, left = batch_mean_baseline(return_t), leave_one_out_baseline(return_t)
    assert torch.allclose(return_t - left, 5 / 4 * (return_t - mean), atol=1e-14)


def test_exact_factors_of_the_expected_gradient_with_unequal_lengths():
    mdp, logits = random_mdp(), normals(2, 2, seed=1)
    assert not mdp.trajectories(logits.softmax(-1))[0].valid.all()
    exact = exact_gradient(mdp, logits)
    left = batch_expectation(mdp, logits, 2, leave_one_out_baseline)
    assert torch.allclose(left, exact, rtol=0, atol=1e-12)
    own = batch_expectation(mdp, logits, 2, batch_mean_baseline)
    assert torch.allclose(own, exact / 2, rtol=0, atol=1e-12)


def test_factors_of_three_episodes_of_the_running_example():
    mdp, policy = two_step(), SharedLogit(-0.4)
    tau, probability = mdp.trajectories(policy.table(3).detach())
    p = policy.theta.sigmoid().item()
    score, return_t = tau.actions.double() - p, to_go(tau.rewards)
    means = {batch_mean_baseline: 0.0, leave_one_out_baseline: 0.0}
    for draw, chance in batches(probability, 3):
        batch = return_t[:, draw]
        for baseline in means:
            weighed = score[:, draw] * (batch - baseline(batch))
            means[baseline] += chance * weighed.sum().item() / 3
    exact = p * (1 - p) * (4 - 6 * p)
    assert means[leave_one_out_baseline] == pytest.approx(exact, abs=1e-13)
    assert means[batch_mean_baseline] == pytest.approx(exact * 2 / 3, abs=1e-13)


def test_whitened_by_hand():
    weight_t = doubles([[1, 2], [3, math.nan]])
    valid_t = torch.tensor([[True, True], [True, False]])
    assert torch.allclose(whitened(weight_t, valid_t), doubles([[-1, 0], [1, 0]]))


def test_whitened_has_mean_zero_and_unit_sample_variance_and_forgets_the_unit():
    weight_t, valid_t = normals(5, 4), torch.ones(5, 4).bool()
    valid_t[3:, 1] = False
    white = whitened(weight_t, valid_t)
    numbers = white[valid_t].tolist()
    assert math.fsum(numbers) == pytest.approx(0, abs=1e-13)
    squares = math.fsum(x * x for x in numbers) / (len(numbers) - 1)
    assert squares == pytest.approx(1, abs=1e-13)
    assert torch.allclose(whitened(1000 * weight_t - 7, valid_t), white, atol=1e-12)
    assert (white[~valid_t] == 0).all()


def test_whitening_flips_a_component_of_a_three_armed_bandit():
    pi, reward = doubles([0.2, 0.5, 0.3]), doubles([1, 0.3, 0])
    mean = doubles([0, 0, 0])
    for draw, chance in batches(pi, 3):
        if len(set(draw)) > 1:
            weight = whitened(reward[draw][None], torch.ones(1, 3).bool())[0]
            mean += chance * (weight @ (torch.eye(3).double()[draw] - pi)) / 3
    assert pi[1] * (reward[1] - pi @ reward) < -0.02
    # by hand: weights of a pair and one other are (1, 1, -2) / sqrt(3)
    root, p, q, r = 3**0.5, *pi.tolist()
    two = [(p, q), (p, r), (q, r)]  # the first pays more
    up, down = [0.0, 0.0, 0.0], {(p, q): (0, 1), (p, r): (0, 2), (q, r): (1, 2)}
    for pair in two:
        high, low = down[pair]
        size = 3 * pair[0] * pair[1] * (pair[0] + pair[1]) * 2 / root / 3
        up[high] += size
        up[low] -= size
    spread = doubles([1, 0.3, 0]).std().item()
    third = 6 * p * q * r / 3
    for k, x in enumerate([1, 0.3, 0]):
        up[k] += third * (x - 1.3 / 3) / spread
    assert torch.allclose(mean, doubles(up), rtol=0, atol=1e-14)
    assert mean[1] > 0.04


@pytest.mark.parametrize("seed", range(3))
def test_optimal_constant_is_the_minimum_of_the_trace(seed):
    score, returns = normals(6, 3, seed=seed), normals(6, seed=seed + 9)
    probability = normals(6, seed=seed + 5).softmax(0)

    def trace(b):
        estimate = score * (returns - b)[:, None]
        centered = estimate - probability @ estimate
        return (probability[:, None] * centered.square()).sum().item()

    # The variance is a parabola if the scores have mean zero.
    score -= probability @ score
    best = optimal_constant_baseline(score, returns, probability).item()
    assert all(trace(best) < trace(best + step) for step in (-1e-3, 1e-3, 1, -1))


def test_optimal_constant_of_the_running_example_is_a_half_at_one_half():
    score, returns = doubles([[-1], [0], [0], [1]]), doubles([0, 2, 2, 1])
    even = torch.full((4,), 0.25).double()
    assert optimal_constant_baseline(score, returns, even).item() == 0.5
    assert optimal_baseline_per_parameter(score, returns, even).tolist() == [0.5]


def test_constant_is_the_mean_of_the_parameters_weighed_by_their_squared_scores():
    score, returns = normals(7, 4), normals(7, seed=2)
    probability = normals(7, seed=3).softmax(0)
    each = optimal_baseline_per_parameter(score, returns, probability)
    for d in range(4):
        alone = optimal_constant_baseline(score[:, d : d + 1], returns, probability)
        assert each[d].item() == pytest.approx(alone.item(), abs=1e-13)
    weight = probability @ score.square()
    one = optimal_constant_baseline(score, returns, probability)
    assert one.item() == pytest.approx((weight @ each / weight.sum()).item(), abs=1e-13)


def test_a_parameter_without_scores_has_the_baseline_zero():
    score = doubles([[1, 0], [-1, 0]])
    each = optimal_baseline_per_parameter(score, doubles([3, 5]), doubles([0.5, 0.5]))
    assert each.tolist() == [4, 0]


def test_state_baseline_minimizes_the_variance_of_each_single_decision():
    pi, q = normals(4, 3).softmax(-1), normals(4, 3, seed=1)
    score = torch.eye(3).double() - pi[:, None]
    best = optimal_state_baseline(pi, score, q)
    for s in range(4):

        def variance(b, s=s):
            moments = torch.zeros(3).double()
            second = 0.0
            for a in range(3):
                x = score[s, a] * (q[s, a] - b)
                moments += pi[s, a] * x
                second += pi[s, a] * x @ x
            return (second - moments @ moments).item()

        b = best[s].item()
        assert all(variance(b) < variance(b + step) for step in (1e-3, -1e-3))


def test_state_baseline_is_the_value_where_scores_have_one_length():
    pi = torch.full((3, 2), 0.5).double()
    score, q = doubles([[[-1], [1]]] * 3), normals(3, 2)
    best = optimal_state_baseline(pi, score, q)
    assert torch.allclose(best, q.mean(1), rtol=0, atol=1e-15)
    assert optimal_state_baseline(pi, 0 * score, q).tolist() == [0, 0, 0]


def test_fitted_baseline_by_hand():
    s_t = torch.tensor([[0, 2], [2, 9]])
    valid_t = torch.tensor([[True, True], [True, False]])
    return_t = doubles([[4, 1], [3, math.nan]])
    start = doubles([10, 20, 30])
    fitted = fitted_state_baseline(start, s_t, return_t, valid_t, 0.25)
    assert fitted.tolist() == [8.5, 20, 23]
    assert start.tolist() == [10, 20, 30]
    whole = fitted_state_baseline(start, s_t, return_t, valid_t, 1.0)
    assert whole.tolist() == [4, 20, 2]


def test_fitted_baseline_is_a_loop_over_states():
    s_t = torch.randint(5, (6, 7), generator=generator())
    return_t, valid_t = normals(6, 7), torch.rand(6, 7, generator=generator(1)) < 0.7
    start = normals(5, seed=4)
    fitted = fitted_state_baseline(start, s_t, return_t, valid_t, 0.3)
    for s in range(5):
        seen = [
            return_t[t, n].item()
            for t, n in itertools.product(range(6), range(7))
            if valid_t[t, n] and s_t[t, n] == s
        ]
        expected = start[s].item()
        if seen:
            expected += 0.3 * (math.fsum(seen) / len(seen) - expected)
        assert fitted[s].item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("step_size, size", [(1.0, 2), (0.4, 3)])
def test_fitting_on_the_batch_shrinks_by_how_often_a_state_is_visited(step_size, size):
    mdp, p = two_step(), 0.3
    tau, probability = mdp.trajectories(doubles([[1 - p, p]] * 3))
    s_t, return_t = tau.observations[:-1], to_go(tau.rewards)
    start, mean = doubles([0.7, -1, 2]), torch.zeros(3).double()
    for draw, chance in batches(probability, size):
        own, states = return_t[:, draw], s_t[:, draw]
        every = torch.ones_like(own).bool()
        baseline = fitted_state_baseline(start, states, own, every, step_size)
        part = (tau.actions[:, draw].double() - p) * (own - baseline[states])
        for s in range(3):
            mean[s] += chance * part[states == s].sum() / size
    for s, (visited, gain) in enumerate([(1, 1.1), (p, -1), (1 - p, 2)]):
        alone = visited * p * (1 - p) * gain  # E[z G] there; 1.1 = q(1) - q(0)
        factor = 1 - step_size * (1 - (1 - visited) ** size) / (size * visited)
        assert mean[s].item() == pytest.approx(factor * alone, abs=1e-13)


def test_expected_action_baseline_is_a_sum_over_actions():
    pi_t, b_t = normals(2, 3, 4).softmax(-1), normals(2, 3, 4, seed=1)
    valid_t = torch.tensor([[True] * 3, [True, False, True]])
    mean_t = expected_action_baseline(pi_t, b_t, valid_t)
    every = expected_action_baseline(pi_t, b_t)
    for t, n in itertools.product(range(2), range(3)):
        terms = [pi_t[t, n, a].item() * b_t[t, n, a].item() for a in range(4)]
        assert every[t, n].item() == pytest.approx(math.fsum(terms), abs=1e-14)
        assert mean_t[t, n] == (every[t, n] if valid_t[t, n] else 0)


def test_correction_makes_an_action_dependent_baseline_unbiased():
    mdp, logits = random_mdp(), normals(2, 2, seed=1)
    exact, b = exact_gradient(mdp, logits), normals(2, 2, seed=8)
    theta = logits.clone().requires_grad_()
    tau, probability = mdp.trajectories(logits.softmax(-1))
    s_t = tau.observations[:-1]
    pi_t, b_t = theta.softmax(-1)[s_t], b[s_t]
    mean_t = expected_action_baseline(pi_t, b_t, tau.valid)
    average = (probability * mean_t.sum(0)).sum()
    correction = torch.autograd.grad(average, theta)[0].flatten()
    weight_t = to_go(tau.rewards) - b[s_t, tau.actions]
    score = scores(logits.softmax(-1), tau)
    without = torch.einsum("n,tn,tnd->d", probability, weight_t, score)
    assert (without - exact).abs().max() > 0.05
    assert torch.allclose(without + correction, exact, rtol=0, atol=1e-12)


def test_constant_shifts_of_the_rewards_only_shift_the_learned_baseline():
    module = experiment()
    actions = [1, 0, 0, 1, 1, 0, 1]
    theta, w = module.copied_update(-1.0, -3.0, actions)
    same, lower = -1.0, -4.0  # every reward-to-go is lower by 1 if the last step costs
    for t, action in enumerate(actions):
        lower += module.BASELINE_STEP * (t - len(actions) - lower)
        error = t - len(actions) - lower
        right = 1 / (1 + math.exp(-same))
        same += 2 * module.POLICY_STEP * error * (action - right)
    assert theta == pytest.approx(same, abs=1e-13)
    assert w - 1 == pytest.approx(lower, abs=1e-13)


def test_updates_of_the_corridor_move_two_preferences():
    module = experiment()
    actions, alpha = [1, 0, 0, 1, 1, 0, 1], module.POLICY_STEP
    boxed, whole = doubles([0.4, -0.7]), doubles([0.4, -0.7])  # left, right
    start, w, before = whole.softmax(0), -5.0, -5.0
    for t, action in enumerate(actions):
        taken = torch.eye(2).double()[action]
        error = t - len(actions) - w
        boxed += alpha * error * (taken - boxed.softmax(0))
        whole += alpha * (t - len(actions) - before) * (taken - start)
        w += module.BASELINE_STEP * error
    for update, preferences in (
        (module.boxed_update, boxed),
        (module.whole_update, whole),
    ):
        theta, fitted = update(-0.7 - 0.4, -5.0, actions)
        difference = (preferences[1] - preferences[0]).item()
        assert theta == pytest.approx(difference, abs=1e-13)
        assert fitted == pytest.approx(w, abs=1e-13)


@pytest.mark.parametrize("update", ["boxed", "copied", "whole"])
def test_a_row_of_the_corridor_comes_out_again(update):
    module = experiment()
    rows = read_rows(module.RESULTS)
    row = list(zip(rows["seed"], rows["update"], strict=True)).index((7, update))
    for name, value in module.run(7, update).items():
        assert rows[name][row] == pytest.approx(value, abs=0.011, nan_ok=True)


def test_a_run_that_is_counted_as_stuck_is_stuck():
    module = experiment()
    rows = read_rows(module.COUNTS)
    row = list(zip(rows["seed"], rows["update"], strict=True)).index((1, "boxed"))
    assert rows["stuck"][row] == 2
    assert module.run(186, "boxed")["finished"] < 1000
    assert module.run(188, "boxed")["finished"] == 1000


TWO = torch.ones(2, 3)
SOME = torch.tensor([[True] * 3, [True, False, True]])
SCORE = torch.tensor([[1.0], [-1.0]])
HALF = torch.tensor([0.5, 0.5])
PI = torch.full((2, 2), 0.5)
STATES = torch.zeros(2, 3, dtype=torch.long)
PI_T = torch.full((2, 3, 2), 0.5)
VARIED = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: batch_mean_baseline(torch.ones(3)), "return_t"),
        (lambda: batch_mean_baseline(TWO[:, :0]), "return_t"),
        (lambda: batch_mean_baseline(TWO / 0), "return_t"),
        (lambda: batch_mean_baseline(TWO.long()), "return_t"),
        (lambda: leave_one_out_baseline(torch.ones(3)), "return_t"),
        (lambda: leave_one_out_baseline(TWO[:, :1]), "return_t"),
        (lambda: leave_one_out_baseline(TWO / 0), "return_t"),
        (lambda: leave_one_out_baseline(TWO.long()), "return_t"),
        (lambda: whitened(TWO, SOME), "weight_t"),
        (lambda: whitened(TWO * 0, SOME), "weight_t"),
        (lambda: whitened(0.3 + 1e-17 * VARIED.double(), SOME), "weight_t"),
        (lambda: whitened(VARIED / 0, SOME), "weight_t"),
        (lambda: whitened(VARIED.long(), SOME), "weight_t"),
        (lambda: whitened(VARIED[0], SOME[0]), "weight_t"),
        (lambda: whitened(VARIED, SOME[:1]), "valid_t"),
        (lambda: whitened(VARIED, SOME.double()), "valid_t"),
        (lambda: whitened(VARIED, ~torch.ones(2, 3).bool()), "valid_t"),
        (lambda: optimal_constant_baseline(SCORE[0], HALF, HALF), "score"),
        (lambda: optimal_constant_baseline(0 * SCORE, HALF, HALF), "score"),
        (lambda: optimal_constant_baseline(SCORE / 0, HALF, HALF), "score"),
        (lambda: optimal_constant_baseline(SCORE, HALF[:1], HALF), "returns"),
        (lambda: optimal_constant_baseline(SCORE, HALF, HALF * 2), "probability"),
        (lambda: optimal_baseline_per_parameter(SCORE[0], HALF, HALF), "score"),
        (lambda: optimal_baseline_per_parameter(SCORE, HALF / 0, HALF), "returns"),
        (lambda: optimal_baseline_per_parameter(SCORE, HALF, PI), "probability"),
        (lambda: optimal_state_baseline(PI[0], PI[..., None], PI), "pi"),
        (lambda: optimal_state_baseline(2 * PI, PI[..., None], PI), "pi"),
        (lambda: optimal_state_baseline(PI, PI, PI), "score"),
        (lambda: optimal_state_baseline(PI, PI[..., None] / 0, PI), "score"),
        (lambda: optimal_state_baseline(PI, PI[..., None], PI[:1]), "q"),
        (lambda: optimal_state_baseline(PI, PI[..., None], PI / 0), "q"),
        (lambda: fitted_state_baseline(PI, STATES, TWO, SOME, 0.1), "baseline"),
        (lambda: fitted_state_baseline(HALF / 0, STATES, TWO, SOME, 0.1), "baseline"),
        (lambda: fitted_state_baseline(HALF, STATES + 2, TWO, SOME, 0.1), "s_t"),
        (lambda: fitted_state_baseline(HALF, STATES - 1, TWO, SOME, 0.1), "s_t"),
        (lambda: fitted_state_baseline(HALF, STATES, TWO[:1], SOME, 1.0), "return_t"),
        (lambda: fitted_state_baseline(HALF, STATES, TWO / 0, SOME, 1.0), "return_t"),
        (lambda: fitted_state_baseline(HALF, STATES, TWO, SOME.long(), 1.0), "valid_t"),
        (lambda: fitted_state_baseline(HALF, STATES, TWO, SOME, 1.5), "step_size"),
        (lambda: expected_action_baseline(PI, PI), "pi_t"),
        (lambda: expected_action_baseline(2 * PI_T, PI_T), "pi_t"),
        (lambda: expected_action_baseline(PI_T, PI_T[:1]), "baseline_t"),
        (lambda: expected_action_baseline(PI_T, PI_T / 0), "baseline_t"),
        (
            lambda: expected_action_baseline(PI_T, PI_T.clone().requires_grad_()),
            "baseline_t",
        ),
        (lambda: expected_action_baseline(PI_T, PI_T, SOME[:1]), "valid_t"),
        (lambda: expected_action_baseline(PI_T, PI_T, SOME.long()), "valid_t"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

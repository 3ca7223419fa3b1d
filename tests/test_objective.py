"""Returns against naive sums, objectives against loops over every trajectory."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgbook.environments import short_corridor, two_step
from pgbook.mdp import TabularMDP
from pgbook.objective import (
    enumerated_objective,
    short_corridor_return,
    trajectory_returns,
)

PROBABILITIES = [0.03, 0.1, 0.25, 0.5, 2 - 2**0.5, 0.7, 0.95]


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def shared(p, states=3):
    """Action 1 with probability p in every state, [states, 2]."""
    return tensor(1 - p, p).expand(states, 2)


def random_mdp(seed, discount, horizon, states=3, actions=2):
    """Tables in which every row leaves room for an end."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=rng, dtype=torch.float64)

    outcome = draw(states, actions, states + 1)
    transition = (outcome / outcome.sum(-1, keepdim=True))[..., :-1]
    start, pi = draw(states), draw(states, actions)
    mdp = TabularMDP(
        transition, draw(states, actions) - 0.5, start / start.sum(), discount, horizon
    )
    return mdp, pi / pi.sum(-1, keepdim=True)


def recursive_objective(mdp, pi):
    """Expected discounted reward, by a walk through the tree with Python floats."""
    states, actions = range(len(pi)), range(pi.shape[1])
    transition, reward = mdp.transition.tolist(), mdp.reward.tolist()
    pi, gamma = pi.tolist(), mdp.discount

    def walk(s, t):
        if t == mdp.horizon:
            return 0.0
        return sum(
            pi[s][a]
            * (
                gamma**t * reward[s][a]
                + sum(transition[s][a][u] * walk(u, t + 1) for u in states)
            )
            for a in actions
        )

    return sum(mdp.initial.tolist()[s] * walk(s, 0) for s in states)


def test_returns_read_off_as_digits_at_a_discount_of_one_tenth():
    r_t = tensor([7, 0], [4, 9], [2, 5])
    assert trajectory_returns(r_t, 0.1).tolist() == pytest.approx([7.42, 0.95])


def test_returns_are_undiscounted_unless_told():
    assert trajectory_returns(tensor([7, 0], [4, 9], [2, 5])).tolist() == [13, 14]


def test_returns_of_one_trajectory_are_a_scalar():
    r = trajectory_returns(tensor(7, 4, 2), 0.1)
    assert r.shape == () and r.item() == pytest.approx(7.42)


def test_returns_at_discount_zero_are_the_first_rewards():
    assert trajectory_returns(tensor([3, 5], [7, 9]), 0.0).tolist() == [3, 5]


@given(
    st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=1),
    st.floats(0, 1),
    st.data(),
)
def test_returns_are_a_double_loop_over_valid_steps(rows, gamma, data):
    lengths = [data.draw(st.integers(0, len(rows))) for _ in range(3)]
    expected = [0.0, 0.0, 0.0]
    for t, n in itertools.product(range(len(rows)), range(3)):
        if t < lengths[n]:
            expected[n] += gamma**t * rows[t][n]
    valid_t = torch.arange(len(rows))[:, None] < torch.tensor(lengths)
    r = trajectory_returns(torch.tensor(rows, dtype=torch.float64), gamma, valid_t)
    assert r.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-10)


def test_rewards_behind_the_end_may_be_anything():
    r_t = tensor([1, 2], [3, float("nan")], [float("inf"), -float("inf")])
    valid_t = torch.tensor([[True, True], [True, False], [False, False]])
    assert trajectory_returns(r_t, 0.5, valid_t).tolist() == [2.5, 2]


def test_returns_keep_the_dtype_of_the_rewards():
    for dtype in (torch.float32, torch.float64):
        assert trajectory_returns(torch.ones(3, 2, dtype=dtype), 0.9).dtype == dtype


def test_returns_pass_on_gradients_of_valid_rewards_alone():
    r_t = tensor([1, 2], [3, float("nan")]).requires_grad_()
    valid_t = torch.tensor([[True, True], [True, False]])
    trajectory_returns(r_t, 0.5, valid_t).sum().backward()
    assert r_t.grad.tolist() == [[1, 1], [0.5, 0]]


def test_returns_of_the_running_example_by_hand():
    tau, _ = two_step().trajectories(shared(0.5))
    assert tau.actions.T.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert trajectory_returns(tau.rewards).tolist() == [0, 2, 2, 1]


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 2 / 3, 1.0])
def test_objective_of_the_running_example_by_hand(p):
    by_hand = p * p * 1 + p * (1 - p) * 2 + (1 - p) * p * 2
    assert enumerated_objective(two_step(), shared(p)).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_objective_is_a_walk_through_the_tree(discount, horizon):
    mdp, pi = random_mdp(horizon, discount, horizon)
    exact = recursive_objective(mdp, pi)
    assert enumerated_objective(mdp, pi).item() == pytest.approx(exact, abs=1e-12)


def test_objective_passes_on_the_gradient_of_the_policy():
    for p in PROBABILITIES:
        q = tensor(p).squeeze().requires_grad_()
        pi = torch.stack([1 - q, q]).expand(3, 2)
        enumerated_objective(two_step(), pi).backward()
        assert q.grad.item() == pytest.approx(4 - 6 * p)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_corridor_is_the_solution_of_its_three_equations(p):
    # v0 = -1 + (1-p) v0 + p v1,  v1 = -1 + p v0 + (1-p) v2,  v2 = -1 + (1-p) v1
    system = np.array([[p, -p, 0], [-p, 1, p - 1], [0, p - 1, 1]])
    v = np.linalg.solve(system, [-1, -1, -1])
    assert short_corridor_return(tensor(p)).item() == pytest.approx(v[0], abs=1e-10)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_corridor_is_the_expected_return_of_the_environment(p):
    exact = short_corridor().expected_return(shared(p)).item()
    assert short_corridor_return(tensor(p)).item() == pytest.approx(exact, abs=1e-10)


def test_corridor_takes_minus_twelve_at_one_half():
    assert short_corridor_return(tensor(0.5)).tolist() == [-12]


def test_corridor_is_best_at_two_minus_the_root_of_two():
    p = tensor(2 - 2**0.5).requires_grad_()
    best = short_corridor_return(p)
    best.backward()
    assert best.item() == pytest.approx(-(6 + 4 * 2**0.5), rel=1e-14)
    assert p.grad.item() == pytest.approx(0, abs=1e-12)


def test_corridor_keeps_shape_and_dtype():
    p = torch.full((2, 3), 0.5)
    assert short_corridor_return(p).shape == (2, 3)
    assert short_corridor_return(p).dtype == torch.float32


ONES = torch.ones(3, 2)
NAN = torch.full((3, 2), float("nan"))
RESUMES = torch.tensor([[True, True], [False, True], [True, True]])


@pytest.mark.parametrize(
    "call, argument",
    [
        (lambda: trajectory_returns(torch.ones(())), "r_t"),
        (lambda: trajectory_returns(torch.ones(3, 2, 1)), "r_t"),
        (lambda: trajectory_returns(torch.ones(0, 2)), "r_t"),
        (lambda: trajectory_returns(torch.ones(3, 0)), "r_t"),
        (lambda: trajectory_returns(ONES.long()), "r_t"),
        (lambda: trajectory_returns(NAN), "r_t"),
        (lambda: trajectory_returns(NAN, 1.0, ONES.bool()), "r_t"),
        (lambda: trajectory_returns(ONES, 1.1), "gamma"),
        (lambda: trajectory_returns(ONES, -0.1), "gamma"),
        (lambda: trajectory_returns(ONES, float("nan")), "gamma"),
        (lambda: trajectory_returns(ONES, 1.0, ONES[:2].bool()), "valid_t"),
        (lambda: trajectory_returns(ONES, 1.0, ONES[:, :1].bool()), "valid_t"),
        (lambda: trajectory_returns(ONES, 1.0, ONES), "valid_t"),
        (lambda: trajectory_returns(ONES, 1.0, RESUMES), "valid_t"),
        (lambda: enumerated_objective(short_corridor(), shared(0.5)), "horizon"),
        (lambda: enumerated_objective(random_mdp(0, 1.0, 15)[0], ONES / 2), "horizon"),
        (lambda: enumerated_objective(two_step(), shared(0.5, 2)), "pi"),
        (lambda: enumerated_objective(two_step(), torch.ones(3, 2)), "pi"),
        (lambda: short_corridor_return(torch.ones(0)), "p"),
        (lambda: short_corridor_return(tensor(float("nan"))), "p"),
        (lambda: short_corridor_return(tensor(0.5, 0.0)), "p"),
        (lambda: short_corridor_return(tensor(0.5, 1.0)), "p"),
        (lambda: short_corridor_return(tensor(-0.5)), "p"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

"""Natural gradients against sums written out and systems solved by factorization."""

import itertools
import math

import numpy as np
import pytest
import torch

from pgbook.actor_critic import compatible_weights
from pgbook.mdp import random_mdp
from pgbook.natural_gradient import (
    conjugate_gradient,
    exponential_weights,
    fisher_matrix,
    fisher_vector_product,
    kl_curvature_product,
    natural_gradient,
)
from pgbook.policies import (
    CategoricalNetwork,
    DiagonalGaussian,
    LinearGaussian,
    SharedLogit,
    TabularSoftmax,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def doubles(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def semidefinite(size, rank, seed=0):
    half = normal(size, rank, seed=seed)
    return half @ half.T


def with_normal_parameters(policy, seed=3):
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.normal_(std=0.7, generator=generator(seed))
    return policy


def network():
    return with_normal_parameters(
        CategoricalNetwork(3, 4, (5,), rng=generator()).double()
    )


def gaussian():
    policy = DiagonalGaussian(3, 2, (4,), rng=generator()).double()
    return with_normal_parameters(policy)


POLICIES = {
    "table": (lambda: with_normal_parameters(TabularSoftmax(3, 2)), (0, 1, 2, 2)),
    "shared logit": (lambda: SharedLogit(0.3), (0, 1)),
    "network": (network, None),
    "gaussian": (gaussian, None),
    "linear gaussian": (lambda: LinearGaussian(normal(2, 3), 0.7), None),
}
of_policies = pytest.mark.parametrize("name", POLICIES)


def policy_and_observation(name):
    make, states = POLICIES[name]
    observation = normal(6, 3, seed=5) if states is None else torch.tensor(states)
    return make(), observation


def flat_gradient(value, policy):
    slopes = torch.autograd.grad(value, list(policy.parameters()), retain_graph=True)
    return torch.cat([slope.flatten() for slope in slopes])


def every_action(policy, row):
    """Actions with probabilities, or with the weights of an exact quadrature."""
    if hasattr(policy, "logits"):
        chance = policy.logits(row).detach().exp()
        yield from enumerate((chance / chance.sum()).tolist())
        return
    # Five nodes integrate polynomials up to degree nine; z z' has degree four.
    nodes, weights = map(doubles, np.polynomial.hermite_e.hermegauss(5))
    mean, std = policy.mean(row).detach(), torch.as_tensor(policy.std).detach()
    for i, j in itertools.product(range(5), repeat=2):
        share = weights[i] * weights[j] / (2 * math.pi)
        yield mean + std * torch.stack([nodes[i], nodes[j]]), share.item()


def explicit_fisher(policy, observation):
    """Mean over observations of E[z z'], with the scores of all actions."""
    size = sum(p.numel() for p in policy.parameters())
    total = torch.zeros(size, size, dtype=torch.float64)
    for row in observation:
        for action, share in every_action(policy, row):
            distribution = policy.distribution(row)
            log_prob = distribution.log_prob(torch.as_tensor(action))
            score = flat_gradient(log_prob, policy)
            total += share * torch.outer(score, score)
    return total / len(observation)


@pytest.mark.parametrize("seed", range(3))
def test_fisher_matrix_is_the_sum_over_states_and_actions(seed):
    policy = with_normal_parameters(TabularSoftmax(3, 4), seed)
    weight = doubles([0.2, 3.0, 0.7])
    pi = policy.table().detach()
    expected = torch.zeros(12, 12, dtype=torch.float64)
    for s in range(3):
        block = torch.diag(pi[s]) - torch.outer(pi[s], pi[s])
        expected[4 * s : 4 * s + 4, 4 * s : 4 * s + 4] = weight[s] * block
    actual = fisher_matrix(policy.table(), policy.theta, weight)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-14)


def test_fisher_matrix_of_one_shared_logit_by_hand():
    policy = SharedLogit(math.log(0.3 / 0.7))
    actual = fisher_matrix(policy.table(3), policy.theta, doubles([1, 0.3, 0.7]))
    assert actual.shape == (1, 1)
    assert abs(actual.item() - 2 * 0.3 * 0.7) < 1e-14


def test_fisher_matrix_carries_no_gradient():
    policy = with_normal_parameters(TabularSoftmax(2, 2))
    pi = policy.table()
    weight = pi.sum(1)
    assert not fisher_matrix(pi, policy.theta, weight).requires_grad


def test_natural_gradient_inverts_a_regular_matrix():
    fisher, gradient = semidefinite(5, 5), normal(5, seed=1)
    expected = torch.linalg.solve(fisher, gradient)
    actual = natural_gradient(fisher, gradient)
    assert torch.allclose(actual, expected, rtol=1e-9)


def test_natural_gradient_is_the_shortest_solution():
    fisher = semidefinite(6, 3)
    gradient = fisher @ normal(6, seed=1)
    actual = natural_gradient(fisher, gradient)
    assert torch.allclose(fisher @ actual, gradient, rtol=0, atol=1e-10)
    vectors = torch.linalg.svd(fisher).U[:, 3:]  # of the null space
    assert (vectors.T @ actual).abs().max() < 1e-10


def test_natural_gradient_by_hand():
    fisher = torch.diag(doubles([1 / 4, 2, 0]))
    actual = natural_gradient(fisher, doubles([1 / 4, 1 / 3, 0]))
    assert torch.allclose(actual, doubles([1, 1 / 6, 0]), rtol=0, atol=1e-14)


def test_natural_gradient_accepts_rounding_in_a_symmetric_matrix():
    fisher = semidefinite(4, 4)
    fisher[0, 1] += 1e-9
    assert torch.isfinite(natural_gradient(fisher, normal(4))).all()


def test_exponential_weights_by_hand():
    pi, advantage = doubles([[0.5, 0.25, 0.25]]), doubles([[0, math.log(2), 0]])
    new = exponential_weights(pi, advantage, 1.0)
    assert torch.allclose(new, doubles([[0.4, 0.4, 0.2]]), rtol=0, atol=1e-15)
    new = exponential_weights(pi, advantage, 2.0)
    assert torch.allclose(new, doubles([[2, 4, 1]]) / 7, rtol=0, atol=1e-15)


def test_exponential_weights_do_not_see_a_constant_per_state():
    pi, advantage = normal(3, 4).softmax(-1), normal(3, 4, seed=1)
    shifted = advantage + normal(3, 1, seed=2)
    one, other = (exponential_weights(pi, a, 1.7) for a in (advantage, shifted))
    assert torch.allclose(one, other, rtol=0, atol=1e-14)


def test_exponential_weights_keep_zeros_and_large_steps_finite():
    new = exponential_weights(doubles([[0.5, 0.5, 0]]), doubles([[1, 2, 9]]), 1e4)
    assert torch.equal(new, doubles([[0, 1, 0]]))


@pytest.mark.parametrize("seed", range(3))
def test_a_natural_step_of_a_table_is_exponential_weights(seed):
    mdp = random_mdp(4, 3, 0.8, generator(seed))
    policy = with_normal_parameters(TabularSoftmax(4, 3), seed)
    pi = policy.table()
    (slope,) = torch.autograd.grad(mdp.expected_return(pi), policy.theta)
    d = mdp.occupancy(pi.detach())
    fisher = fisher_matrix(policy.table(), policy.theta, d)
    step = natural_gradient(fisher, slope.flatten()).reshape(4, 3)
    weights = compatible_weights(mdp, policy.table(), policy.theta)
    assert torch.allclose(step, weights, rtol=0, atol=1e-10)
    advantage = mdp.advantages(pi.detach())
    new = exponential_weights(pi.detach(), advantage, 2.5)
    moved = (policy.theta.detach() + 2.5 * step).softmax(-1)
    assert torch.allclose(new, moved, rtol=0, atol=1e-12)


@of_policies
@pytest.mark.parametrize("product", [fisher_vector_product, kl_curvature_product])
def test_products_are_those_of_the_explicit_matrix(name, product):
    policy, observation = policy_and_observation(name)
    fisher = explicit_fisher(policy, observation)
    vector = normal(len(fisher), seed=7)
    actual = product(policy, observation, vector)
    assert torch.allclose(actual, fisher @ vector, rtol=1e-12, atol=1e-12)


@of_policies
def test_the_two_products_agree(name):
    policy, observation = policy_and_observation(name)
    size = sum(p.numel() for p in policy.parameters())
    vector = normal(size, seed=8)
    one = fisher_vector_product(policy, observation, vector)
    other = kl_curvature_product(policy, observation, vector)
    assert torch.allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("product", [fisher_vector_product, kl_curvature_product])
def test_products_have_the_scale_of_each_dimension_of_a_gaussian(product):
    policy = DiagonalGaussian(1, 2, (), rng=generator()).double()
    with torch.no_grad():
        policy.log_std.copy_(doubles([math.log(0.5), math.log(3)]))
    names = [name for name, _ in policy.named_parameters()]
    at = dict(zip(names, torch.arange(6).split([2, 2, 2]), strict=True))
    assert policy.log_std.numel() == 2
    vector = torch.ones(6, dtype=torch.float64)
    observation = doubles([[2.0], [4.0]])
    actual = product(policy, observation, vector)
    # mean_i = w_i s + b_i: d mean = s + 1, so mean over s of (s + 1) * (s, 1) / std²
    expected = torch.zeros(6, dtype=torch.float64)
    expected[at["log_std"]] = doubles([2, 2])
    expected[at["network.0.weight"]] = doubles([13, 13]) / doubles([0.25, 9])
    expected[at["network.0.bias"]] = doubles([4, 4]) / doubles([0.25, 9])
    assert torch.allclose(actual, expected, rtol=0, atol=1e-12)


def test_products_leave_the_policy_as_it_was():
    policy, observation = policy_and_observation("network")
    before = [p.detach().clone() for p in policy.parameters()]
    vector = normal(sum(p.numel() for p in policy.parameters()))
    for product in (fisher_vector_product, kl_curvature_product):
        assert not product(policy, observation, vector).requires_grad
    for p, old in zip(policy.parameters(), before, strict=True):
        assert torch.equal(p, old) and p.requires_grad and p.grad is None


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_conjugate_gradient_finds_the_shortest_solution_in_rank_many_steps(rank):
    matrix = semidefinite(6, rank, seed=2)
    target = matrix @ normal(6, seed=3)
    expected = torch.linalg.lstsq(matrix, target[:, None], driver="gelsd").solution
    counted = []

    def product(x):
        counted.append(1)
        return matrix @ x

    x = conjugate_gradient(product, target, iterations=rank)
    assert len(counted) == rank
    assert torch.allclose(x, expected[:, 0], rtol=0, atol=1e-7)
    again = conjugate_gradient(product, target, iterations=50)
    assert torch.allclose(again, expected[:, 0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_conjugate_gradient_minimizes_over_the_krylov_space(steps):
    matrix, target = semidefinite(6, 6, seed=4), normal(6, seed=5)
    powers = [torch.linalg.matrix_power(matrix, k) @ target for k in range(steps)]
    basis = torch.stack(powers, 1)
    inner = torch.linalg.solve(basis.T @ matrix @ basis, basis.T @ target)
    x = conjugate_gradient(lambda u: matrix @ u, target, steps)
    assert torch.allclose(x, basis @ inner, rtol=0, atol=1e-9)


def test_conjugate_gradient_stops_at_the_tolerance():
    diagonal, calls = doubles([1, 2, 3, 4, 5]), []

    def product(x):
        calls.append(x)
        return diagonal * x

    x = conjugate_gradient(product, torch.ones(5).double(), 50, tolerance=0.1)
    assert len(calls) < 5
    residual = 1 - diagonal * x
    assert residual.norm() <= 0.1 * math.sqrt(5)
    one_less = conjugate_gradient(product, torch.ones(5).double(), len(calls) - 1)
    assert (1 - diagonal * one_less).norm() > 0.1 * math.sqrt(5)


def test_conjugate_gradient_of_zero_is_zero():
    zero = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(conjugate_gradient(lambda x: x, zero, 5), zero)


def test_conjugate_gradient_stays_finite_where_the_target_is_out_of_range():
    target = doubles([1, 1, 1])
    x = conjugate_gradient(lambda u: doubles([2, 1, 0]) * u, target, 20)
    assert torch.isfinite(x).all()
    flat = conjugate_gradient(lambda u: 0 * u, target, 20)
    assert torch.equal(flat, torch.zeros(3).double())


def test_conjugate_gradient_stays_finite_in_single_precision():
    matrix = semidefinite(8, 3, seed=6).float()
    target = matrix @ normal(8, seed=7).float()
    x = conjugate_gradient(lambda u: matrix @ u, target, 100)
    expected = torch.linalg.pinv(matrix.double(), rtol=1e-5) @ target.double()
    assert torch.allclose(x.double(), expected, rtol=0, atol=1e-3)


def bad_inputs():
    policy = TabularSoftmax(2, 2)
    pi, theta, ones = policy.table(), policy.theta, torch.ones(2).double()
    net, row = network(), normal(4, 3)
    size = sum(p.numel() for p in net.parameters())
    vector, eye = normal(size), torch.eye(2).double()
    half = doubles([[0.5, 0.5]])

    class Laplacian(torch.nn.Module):
        """A policy of another family."""

        def __init__(self):
            super().__init__()
            self.theta = torch.nn.Parameter(torch.zeros(1))

        def distribution(self, observation):
            return torch.distributions.Laplace(self.theta, 1.0)

    nan, minus = doubles([1, math.nan]), doubles([1, -1])
    yield lambda: fisher_matrix(pi[0], theta, ones), "pi"
    yield lambda: fisher_matrix(2 * pi, theta, ones), "pi"
    yield lambda: fisher_matrix(eye.requires_grad_(), theta, ones), "pi"
    yield lambda: fisher_matrix(pi.detach(), theta, ones), "pi"
    yield lambda: fisher_matrix(pi, theta, torch.ones(3).double()), "weight"
    yield lambda: fisher_matrix(pi, theta, nan), "weight"
    yield lambda: fisher_matrix(pi, theta, minus), "weight"
    square = torch.eye(2).double()
    yield lambda: natural_gradient(square, torch.ones(2, 1).double()), "gradient"
    yield lambda: natural_gradient(square[:0, :0], ones[:0]), "gradient"
    yield lambda: natural_gradient(square, nan), "gradient"
    yield lambda: natural_gradient(torch.ones(2, 3).double(), ones), "fisher"
    yield lambda: natural_gradient(square * math.inf, ones), "fisher"
    yield lambda: natural_gradient(doubles([[1, 2], [0, 1]]), ones), "fisher"
    yield lambda: exponential_weights(half[0], half[0], 1), "pi"
    yield lambda: exponential_weights(2 * half, half, 1), "pi"
    yield lambda: exponential_weights(half, half.T, 1), "advantage"
    yield lambda: exponential_weights(half, half / 0, 1), "advantage"
    needs = doubles([[0.0, 1]]).requires_grad_()
    yield lambda: exponential_weights(half, needs, 1), "advantage"
    yield lambda: exponential_weights(half, half, -1), "eta"
    yield lambda: exponential_weights(half, half, math.nan), "eta"
    for product in (fisher_vector_product, kl_curvature_product):
        yield lambda f=product: f(net, row[:0], vector), "observation"
        yield lambda f=product: f(net, row, vector[1:]), "vector"
        yield lambda f=product: f(net, row, vector / 0), "vector"
        yield lambda f=product: f(net, row, vector.clone().requires_grad_()), "vector"
    yield lambda: fisher_vector_product(Laplacian(), row, torch.ones(1)), "policy"
    yield lambda: conjugate_gradient(lambda x: x, square, 3), "target"
    yield lambda: conjugate_gradient(lambda x: x, ones[:0], 3), "target"
    yield lambda: conjugate_gradient(lambda x: x, nan, 3), "target"
    grows = torch.ones(2).double().requires_grad_()
    yield lambda: conjugate_gradient(lambda x: x, grows, 3), "target"
    yield lambda: conjugate_gradient(lambda x: x, ones, 0), "iterations"
    yield lambda: conjugate_gradient(lambda x: x, ones, 3, tolerance=-1), "tolerance"
    yield lambda: conjugate_gradient(lambda x: x, ones, 3, tolerance=1), "tolerance"
    yield lambda: conjugate_gradient(lambda x: x[:1], ones, 3), "product"
    yield lambda: conjugate_gradient(lambda x: x / 0, ones, 3), "product"
    yield lambda: conjugate_gradient(lambda x: -x, ones, 3), "product"


BAD = list(bad_inputs())


@pytest.mark.parametrize(("call", "argument"), BAD)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()

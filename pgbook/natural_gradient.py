"""The gradient of the policy instead of its coordinates, exact and matrix-free.

Chapter `natural_gradient`. Tables belong to a task without a horizon: policies are
[S, A], weights of the states [S]. Where observations were recorded, [M, …], every
decision counts the same and time plays no part. D is the number of parameters in the
order of `torch.nn.utils.parameters_to_vector`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal, kl_divergence
from torch.func import functional_call, vjp
from torch.nn.utils import parameters_to_vector

from pgbook._checks import (
    require,
    require_count,
    require_distributions,
    require_finite,
    require_no_gradient,
    require_not_empty,
    require_same_shape,
    require_shape,
)
from pgbook.trajectory_probability import trajectory_score


def fisher_matrix(pi: Tensor, theta: Tensor, weight: Tensor) -> Tensor:
    """Fisher matrix of a policy given as a table.

        fisher = sum_s weight[s] * sum_a pi[s, a] * outer(score[s, a], score[s, a])

    It is the Hessian, at old = new, of the sum over states of weight * KL(old || new).
    With the occupancy as weight it belongs to the policy gradient theorem; with shares
    that sum to 1 it is a mean over decisions.

    Args:
        pi: policy, computed from theta, all entries positive, [S, A].
        theta: parameters, any shape, D numbers in all.
        weight: of the states, not negative, [S].

    Returns:
        fisher, symmetric, [D, D].

    Raises:
        ValueError: if a shape does not fit, pi has a 0, is no policy, or does not
            depend on theta, or a weight is negative.

    Source: Kakade (2002), section 2.
    """
    require_shape((None, None), pi=pi)
    require_distributions(pi=pi)
    require(bool((pi > 0).all()), "pi", "a probability of 0", "positive ones")
    require(pi.requires_grad, "pi", "a constant", "a table computed from theta")
    require_shape((len(pi),), weight=weight)
    require_finite(weight=weight)
    require(bool((weight >= 0).all()), "weight", weight.min(), "numbers >= 0")
    score = trajectory_score(pi.log().flatten(), theta)
    score = score.reshape(len(score), -1)  # [S * A, D]
    chance = (weight.detach()[:, None] * pi.detach()).flatten()
    return score.T @ (chance[:, None] * score)


def natural_gradient(fisher: Tensor, gradient: Tensor) -> Tensor:
    """Shortest direction whose product with the Fisher matrix is the gradient.

        natural = pinv(fisher) @ gradient

    Args:
        fisher: symmetric, perhaps singular, [D, D].
        gradient: of the objective, [D].

    Returns:
        natural, [D].

    Raises:
        ValueError: if a shape does not fit, a number is not finite, or the matrix is
            not symmetric.

    Source: Amari (1998), theorem 1; Kakade (2002), section 2.
    """
    require_shape((None,), gradient=gradient)
    require_not_empty(gradient=gradient)
    require_shape((len(gradient), len(gradient)), fisher=fisher)
    require_finite(gradient=gradient, fisher=fisher)
    skew, size = (fisher - fisher.T).abs().max(), fisher.abs().max()
    require(bool(skew <= 1e-5 * size), "fisher", "a skew matrix", "a symmetric one")
    return torch.linalg.pinv(fisher, hermitian=True) @ gradient


def exponential_weights(pi: Tensor, advantage: Tensor, eta: float) -> Tensor:
    """Multiply each probability by an exponential of its advantage.

        new[s, a] = pi[s, a] * exp(eta * advantage[s, a]) / sum over a of the same

    For a softmax table it is the step eta along the natural gradient.

    Args:
        pi: policy, [S, A].
        advantage: constants; a number per state may be added, [S, A].
        eta: step size, not negative.

    Returns:
        new, a policy, [S, A].

    Raises:
        ValueError: if shapes differ, pi is no policy, or a number is not finite.

    Source: Kakade (2002), section 3; Agarwal et al. (2021), section 5.3.
    """
    require_shape((None, None), pi=pi)
    require_distributions(pi=pi)
    require_same_shape(pi=pi, advantage=advantage)
    require_finite(advantage=advantage)
    require_no_gradient(advantage=advantage)
    require(0 <= eta < float("inf"), "eta", eta, "a finite number >= 0")
    return (pi.log() + eta * advantage).softmax(-1)


def fisher_vector_product(
    policy: nn.Module, observation: Tensor, vector: Tensor
) -> Tensor:
    """Fisher matrix times a vector, without the matrix.

        product = mean_m sum_k weight[m, k] * grad f[m, k] * (grad f[m, k] @ vector)

    For a categorical policy f are the log-probabilities of its actions and weight
    their probabilities: the expectation over actions is exact. For a Gaussian one f
    are means and log_std, weight 1 / std² and 2.

    Args:
        policy: a categorical or Gaussian policy, D parameters in all.
        observation: M of them, [M, ...].
        vector: constants, [D].

    Returns:
        product, the mean over observations, without damping, [D].

    Raises:
        ValueError: if the vector has not D finite numbers, there is no observation,
            or the distribution is neither categorical nor Gaussian.

    Source: Pearlmutter (1994); Schulman et al. (2015), appendix C.
    """
    _require_direction(policy, observation, vector)
    outputs = _Outputs(policy)
    theta = {name: p.detach() for name, p in outputs.named_parameters()}

    def f(theta: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return functional_call(outputs, theta, (observation,))

    at_theta, pull, weight = vjp(f, theta, has_aux=True)  # pull(u): grad f.T @ u
    # The transpose of the transpose is the derivative along the vector.
    _, push = vjp(lambda u: pull(u)[0], torch.zeros_like(at_theta))
    (along,) = push(_in_pieces(vector, theta))
    (product,) = pull(weight * along / len(observation))
    return parameters_to_vector(product.values())


def kl_curvature_product(
    policy: nn.Module, observation: Tensor, vector: Tensor
) -> Tensor:
    """Hessian of the divergence from a copy of the policy, times a vector.

        product = grad(grad(mean_m KL(old || new)[m]) @ vector),  old = new, constant

    The same number as `fisher_vector_product`, by differentiating twice: for every
    distribution of which PyTorch knows the divergence.

    Args:
        policy: any policy, D parameters in all.
        observation: M of them, [M, ...].
        vector: constants, [D].

    Returns:
        product, the mean over observations, without damping, [D].

    Raises:
        ValueError: if the vector has not D finite numbers, or there is no observation.

    Source: Schulman et al. (2015), appendix C.
    """
    _require_direction(policy, observation, vector)
    theta = list(policy.parameters())
    with torch.no_grad():
        old = policy.distribution(observation)
    divergence = kl_divergence(old, policy.distribution(observation)).mean()
    slope = torch.autograd.grad(divergence, theta, create_graph=True)
    product = torch.autograd.grad(parameters_to_vector(slope) @ vector, theta)
    return parameters_to_vector(product)


def conjugate_gradient(
    product: Callable[[Tensor], Tensor],
    target: Tensor,
    iterations: int,
    tolerance: float = 1e-10,
) -> Tensor:
    """Solve matrix @ x = target for a positive semidefinite matrix known by products.

        x += step * direction             step = |residual|² / direction @ image
        residual -= step * image          image = matrix @ direction
        direction = residual + |residual|² / |residual before|² * direction

    Starts at 0, so that x stays in the range of the matrix if the target lies there.
    Stops early where the residual is small, or the direction is flat but for rounding.

    Args:
        product: from a direction, [D], to matrix @ direction, [D].
        target: constants, [D].
        iterations: at most so many products.
        tolerance: of the residual, in lengths of the target.

    Returns:
        x, [D].

    Raises:
        ValueError: if the target is not finite, a product does not fit, or the matrix
            has a negative curvature.

    Source: Hestenes and Stiefel (1952), eq. 3:1.
    """
    _require_system(target, iterations, tolerance)
    x, residual, direction = torch.zeros_like(target), target, target
    size, steepest = target @ target, torch.zeros_like(target[0])
    enough = tolerance**2 * size
    rounding = torch.finfo(target.dtype).eps
    for _ in range(iterations):
        if size <= enough:
            break
        image = product(direction)
        require_same_shape(target=target, product=image)
        require_finite(product=image)
        curvature = direction @ image / (direction @ direction)
        steepest = torch.maximum(steepest, curvature.abs())
        if curvature.abs() <= rounding * steepest:
            break
        require(bool(curvature > 0), "product", f"curvature {curvature:g}", "one >= 0")
        step = size / (direction @ image)
        x, residual = x + step * direction, residual - step * image
        size, before = residual @ residual, size
        direction = residual + size / before * direction
    return x


class _Outputs(nn.Module):
    """The numbers f of a policy whose Fisher matrix is diagonal, and its diagonal.

    A module of its own, because functional_call calls forward.
    """

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return f and weight, both [M, K]."""
        distribution = self.policy.distribution(observation)
        if isinstance(distribution, Categorical):
            return distribution.logits, distribution.probs
        independent = isinstance(distribution, Independent)
        gaussian = independent and isinstance(distribution.base_dist, Normal)
        need = "a categorical or Gaussian one"
        require(gaussian, "policy", f"distribution {distribution}", need)
        std = distribution.stddev
        f = torch.cat([distribution.mean, std.log()], -1)
        return f, torch.cat([std**-2, torch.full_like(std, 2)], -1)


def _in_pieces(vector: Tensor, theta: dict[str, Tensor]) -> dict[str, Tensor]:
    """The vector, [D], cut into the shapes of the parameters."""
    pieces = vector.split([p.numel() for p in theta.values()])
    pairs = zip(theta.items(), pieces, strict=True)
    return {name: piece.view_as(p) for (name, p), piece in pairs}


def _require_direction(policy: nn.Module, observation: Tensor, vector: Tensor) -> None:
    require_not_empty(observation=observation)
    size = sum(p.numel() for p in policy.parameters())
    require_shape((size,), vector=vector)
    require_finite(vector=vector)
    require_no_gradient(vector=vector)


def _require_system(target: Tensor, iterations: int, tolerance: float) -> None:
    require_shape((None,), target=target)
    require_not_empty(target=target)
    require_finite(target=target)
    require_no_gradient(target=target)
    require_count(iterations=iterations)
    require(0 <= tolerance < 1, "tolerance", tolerance, "a number in [0, 1)")

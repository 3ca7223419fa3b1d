"""Actions that are numbers: Gaussian policies, bounds, and a task with exact answers.

Chapter `gaussian_policies`. An action has A dimensions along the last axis, and every
log-probability is summed over them: [..., A] becomes [...]. `u` is what was drawn, the
action is what the world plays; both belong to the same decision. The linear-quadratic
task has states [S]; its recorded episodes have time as their first axis, t = 0 … T-1.
"""

import math
from dataclasses import dataclass, fields

import torch
from scipy.special import betaincinv
from torch import Tensor, nn
from torch.distributions import Beta, Independent
from torch.nn.functional import softplus

from pgbook._checks import (
    require,
    require_count,
    require_finite,
    require_not_empty,
    require_same_shape,
    require_shape,
)
from pgbook.policies import CategoricalNetwork, GaussianPolicy
from pgbook.trajectories import Trajectories


def diagonal_log_prob(u: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of a normal vector with independent entries, summed over them.

        z = (u - mean) / exp(log_std)
        log_prob = sum_i (-z_i² / 2 - log_std_i - log(2 pi) / 2)

    Args:
        u: draws, [..., A].
        mean: of each draw, [..., A].
        log_std: logarithm of the standard deviations, [A].

    Returns:
        log_prob, [...].

    Raises:
        ValueError: if the shapes do not fit, or a number is not finite.

    Source: Williams (1992), section 6.
    """
    z = _standardized(u, mean, log_std)
    return (-z.square() / 2 - log_std - math.log(2 * math.pi) / 2).sum(-1)


def diagonal_kl(
    mean_p: Tensor, log_std_p: Tensor, mean_q: Tensor, log_std_q: Tensor
) -> Tensor:
    """KL(p || q) of two normal vectors with independent entries.

        kl = sum_i (log_std_q - log_std_p
                    + (std_p² + (mean_p - mean_q)²) / (2 std_q²) - 1/2)_i

    Args:
        mean_p: mean of p, [..., A].
        log_std_p: logarithm of p's standard deviations, [..., A].
        mean_q: mean of q, [..., A].
        log_std_q: logarithm of q's standard deviations, [..., A].

    Returns:
        kl, in nats, [...].

    Raises:
        ValueError: if the shapes differ, or a number is not finite.
    """
    numbers = {"mean_p": mean_p, "log_std_p": log_std_p}
    numbers |= {"mean_q": mean_q, "log_std_q": log_std_q}
    require_same_shape(**numbers)
    _require_entries(**numbers)
    ratio = (2 * (log_std_p - log_std_q)).exp()
    shift = (mean_p - mean_q) * (-log_std_q).exp()
    return ((ratio + shift.square() - 1) / 2 + log_std_q - log_std_p).sum(-1)


def clipped_log_prob(
    u: Tensor, mean: Tensor, log_std: Tensor, low: float, high: float
) -> Tensor:
    """Log-probability of what is left of a normal draw after clipping.

        u <= low:          log P(u <= low)     a probability
        low < u < high:    log N(u; mean, std²)     a density
        u >= high:         log P(u >= high)    a probability

    Its gradient is the mean of the score, given the clipped action. It may be called
    with the draw or with the clipped action: the result is the same.

    Args:
        u: draws, [..., A].
        mean: of each draw, [..., A].
        log_std: logarithm of the standard deviations, [A].
        low: lower bound of every dimension.
        high: upper bound of every dimension.

    Returns:
        Summed over the dimensions, [...].

    Raises:
        ValueError: if the shapes do not fit, a number is not finite, or low >= high.

    Source: Fujita and Maeda (2018), the clipped action policy gradient.
    """
    z = _standardized(u, mean, log_std)
    require(low < high, "low", low, f"a number less than high = {high}")
    inside = -z.square() / 2 - log_std - math.log(2 * math.pi) / 2
    below, above = ((bound - mean) * (-log_std).exp() for bound in (low, high))
    log_prob = torch.where(u <= low, torch.special.log_ndtr(below), inside)
    return torch.where(u >= high, torch.special.log_ndtr(-above), log_prob).sum(-1)


def log_tanh_slope(u: Tensor) -> Tensor:
    """Logarithm of the slope of tanh, also where tanh has been rounded to 1.

        log(1 - tanh(u)²) = 2 * (log 2 - u - softplus(-2 u))

    Args:
        u: floating point, any shape.

    Returns:
        The logarithm, of the shape of u.

    Raises:
        ValueError: if u is not finite.

    Source: Haarnoja et al. (2018), appendix C, for the slope.
    """
    require_finite(u=u)
    return 2 * (math.log(2) - u - softplus(-2 * u))


def squashed_log_prob(
    u: Tensor, mean: Tensor, log_std: Tensor, scale: float = 1.0
) -> Tensor:
    """Log-density of a = scale * tanh(u) with u normal, from u and never from a.

        log_prob = log N(u; mean, std²) - sum_i (log scale + log(1 - tanh(u_i)²))

    Args:
        u: draws before squashing, [..., A].
        mean: of each draw, [..., A].
        log_std: logarithm of the standard deviations, [A].
        scale: c, half the width of the interval of actions, positive.

    Returns:
        log_prob, [...].

    Raises:
        ValueError: if the shapes do not fit, a number is not finite, or scale <= 0.

    Source: Haarnoja et al. (2018), eq. 21.
    """
    log_prob = diagonal_log_prob(u, mean, log_std)
    require(0 < scale < math.inf, "scale", scale, "a positive finite number")
    return log_prob - (math.log(scale) + log_tanh_slope(u)).sum(-1)


class BetaPolicy(nn.Module):
    """Independent Beta distributions on (0, 1), from a tanh network, in float32.

        alpha, beta = 1 + softplus(network(s))

    Both exceed 1, so the density is 0 at the ends and has one peak. The world
    stretches the unit interval to its own.

    Args:
        observation_size: length S of an observation.
        action_size: length A of an action.
        rng: draws the initial weights.

    Raises:
        ValueError: if a size is not a positive integer.

    Source: Chou et al. (2017).
    """

    def __init__(
        self, observation_size: int, action_size: int, *, rng: torch.Generator
    ) -> None:
        """Draw the initial weights."""
        super().__init__()
        require_count(observation_size=observation_size, action_size=action_size)
        self.network = CategoricalNetwork(observation_size, 2 * action_size, rng=rng)

    def distribution(self, observation: Tensor) -> Independent:
        """Distribution of the action, of batch shape [...] and event shape [A]."""
        alpha, beta = (1 + softplus(self.network.logits(observation))).chunk(2, -1)
        return Independent(Beta(alpha, beta), 1)

    @torch.no_grad()
    def sample(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """Draw one action per observation by inverting the distribution, [..., A].

        Rounding could put a draw on an end, where the density is 0: it stays inside.
        """
        base = self.distribution(observation).base_dist
        alpha, beta = base.concentration1.double(), base.concentration0.double()
        uniform = torch.rand(alpha.shape, generator=rng, dtype=torch.float64)
        draw = betaincinv(alpha.numpy(), beta.numpy(), uniform.numpy())
        return torch.from_numpy(draw).float().clamp(1e-6, 1 - 1e-6)


@dataclass(frozen=True, eq=False)
class LinearQuadratic:
    """A linear task with quadratic costs, and the exact values of Gaussian policies.

        s_{t+1} = dynamics s_t + control a_t
        r_t = -(s_t' state_cost s_t + a_t' action_cost a_t)

    s_0 is normal with mean 0. The policy is a ~ N(weights s, std²), weights [A, S].

    Args:
        dynamics: [S, S].
        control: [S, A].
        state_cost: symmetric, [S, S].
        action_cost: symmetric, [A, A].
        start: covariance of s_0, positive definite, [S, S].
        discount: gamma, in (0, 1).

    Raises:
        ValueError: if a shape does not fit, a number is not finite, or start is not
            positive definite.

    Source: Fazel et al. (2018), section 2.
    """

    dynamics: Tensor
    control: Tensor
    state_cost: Tensor
    action_cost: Tensor
    start: Tensor
    discount: float

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        matrices = {f.name: getattr(self, f.name) for f in fields(self)[:5]}
        require_shape((None, None), control=self.control)
        states, actions = self.control.shape
        sizes = {"control": (states, actions), "action_cost": (actions, actions)}
        for name, matrix in matrices.items():
            require_shape(sizes.get(name, (states, states)), **{name: matrix})
        require_not_empty(**matrices)
        require_finite(**matrices)
        definite = torch.linalg.cholesky_ex(self.start).info == 0
        require(bool(definite), "start", "another matrix", "a positive definite one")
        require(0 < self.discount < 1, "discount", self.discount, "a number in (0, 1)")

    def cost_matrix(self, weights: Tensor) -> Tensor:
        """P of the values v(s) = -s' P s - constant, [S, S].

            P = state_cost + K' action_cost K + gamma * M' P M
            M = dynamics + control K

        Args:
            weights: K, such that gamma * (growth per step)² < 1, [A, S].

        Raises:
            ValueError: if the shape does not fit, or the costs have no finite sum.
        """
        moved = self._closed_loop(weights)
        now = self.state_cost + weights.mT @ self.action_cost @ weights
        return self._summed(moved.mT, now)

    def expected_return(self, weights: Tensor, std: Tensor | float) -> Tensor:
        """Discounted return, differentiable in weights and std, a scalar.

            J = -tr(P start) - std² / (1 - gamma) * tr(action_cost + gamma * B' P B)

        B is `control`, P the matrix of `cost_matrix`.

        Args:
            weights: K, such that gamma * (growth per step)² < 1, [A, S].
            std: standard deviation of every dimension of the action.

        Raises:
            ValueError: if the shape does not fit, or the costs have no finite sum.
        """
        cost = self.cost_matrix(weights)
        return -(cost @ self.start).trace() - std**2 / (1 - self.discount) * (
            self._action_curvature(cost).trace()
        )

    def occupancy(self, weights: Tensor, std: float) -> Tensor:
        """Discounted sum of the second moments of the states, [S, S].

            D = start + gamma * (M D M' + std² / (1 - gamma) * B B')

        Args:
            weights: K, such that gamma * (growth per step)² < 1, [A, S].
            std: standard deviation of every dimension of the action.

        Raises:
            ValueError: if the shape does not fit, or the costs have no finite sum.
        """
        noise = self.discount / (1 - self.discount) * std**2
        arriving = self.start + noise * self.control @ self.control.mT
        return self._summed(self._closed_loop(weights), arriving)

    def gradient(self, weights: Tensor, std: float) -> Tensor:
        """Gradient of the discounted return in the weights, [A, S].

            -2 * ((action_cost + gamma * B' P B) K + gamma * B' P dynamics) D

        B is `control`, P the matrix of `cost_matrix`, D the one of `occupancy`.

        Args:
            weights: K, such that gamma * (growth per step)² < 1, [A, S].
            std: standard deviation of every dimension of the action.

        Raises:
            ValueError: if the shape does not fit, or the costs have no finite sum.
        """
        cost = self.cost_matrix(weights)
        pull = self.discount * self.control.mT @ cost @ self.dynamics
        slope = self._action_curvature(cost) @ weights + pull
        return -2 * slope @ self.occupancy(weights, std)

    def _action_curvature(self, cost: Tensor) -> Tensor:
        return self.action_cost + self.discount * self.control.mT @ cost @ self.control

    def _closed_loop(self, weights: Tensor) -> Tensor:
        require_shape(tuple(self.control.mT.shape), weights=weights)
        require_finite(weights=weights)
        moved = self.dynamics + self.control @ weights
        radius = torch.linalg.eigvals(moved.detach()).abs().max().item()
        got, need = f"growth {radius:.3g} per step", f"< {self.discount**-0.5:.3g}"
        require(self.discount * radius**2 < 1, "weights", got, need)
        return moved

    def _summed(self, matrix: Tensor, first: Tensor) -> Tensor:
        """X = first + gamma * matrix X matrix', by a linear system in X's entries."""
        size = len(first)
        one = torch.eye(size**2, dtype=first.dtype)
        system = one - self.discount * torch.kron(matrix, matrix)
        return torch.linalg.solve(system, first.flatten()).reshape(size, size)


def linear_quadratic_episodes(
    task: LinearQuadratic, policy: GaussianPolicy, episodes: int, rng: torch.Generator
) -> Trajectories:
    """Play episodes that end after each step with probability 1 - gamma.

    Their undiscounted return has the discounted return as its mean.

    Args:
        task: with S states and A actions.
        policy: Gaussian, in the dtype of the task.
        episodes: number N of columns.
        rng: draws starts, actions and ends.

    Returns:
        The episodes, [T, N], where T is the length of the longest.

    Raises:
        ValueError: if the number of episodes is no positive integer.
    """
    require_count(episodes=episodes)
    dtype = task.start.dtype
    noise = torch.randn(episodes, len(task.start), generator=rng, dtype=dtype)
    observations = [noise @ torch.linalg.cholesky(task.start).mT]
    actions, rewards, ended = [], [], [torch.zeros(episodes, dtype=torch.bool)]
    while not ended[-1].all():
        s, a = observations[-1], policy.sample(observations[-1], rng)
        cost = ((s @ task.state_cost) * s).sum(-1) + ((a @ task.action_cost) * a).sum(
            -1
        )
        rewards.append(-cost)
        actions.append(a)
        observations.append(s @ task.dynamics.mT + a @ task.control.mT)
        stops = torch.rand(episodes, generator=rng, dtype=dtype) >= task.discount
        ended.append(ended[-1] | stops)
    before, after = torch.stack(ended[:-1]), torch.stack(ended[1:])
    records = torch.stack(actions), torch.stack(rewards).masked_fill(before, 0)
    flags = after & ~before, torch.zeros_like(after), ~before
    return Trajectories(torch.stack(observations), *records, *flags)


def _standardized(u: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Distance of the draws from the mean in standard deviations, [..., A]."""
    _require_entries(u=u)
    require_same_shape(u=u, mean=mean)
    require_shape((u.shape[-1],), log_std=log_std)
    require_finite(u=u, mean=mean, log_std=log_std)
    return (u - mean) * (-log_std).exp()


def _require_entries(**tensors: Tensor) -> None:
    """At least one axis, at least one entry, all finite."""
    for name, tensor in tensors.items():
        require(tensor.ndim > 0, name, "a scalar", "shape [..., A]")
        require_not_empty(**{name: tensor})
    require_finite(**tensors)

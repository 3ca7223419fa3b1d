"""Policies: from an observation to a distribution over actions. And one critic.

A shared room. Every policy is a `torch.nn.Module` with one interface:

    distribution(observation) -> torch.distributions.Distribution
    sample(observation, rng)  -> actions, drawn with an explicit generator

Leading dimensions are free: an observation of shape [..., S] (networks, Gaussians) or
a state index of shape [...] (tables) gives a distribution of batch shape [...], hence
log-probabilities, entropies and KL divergences of shape [...]. Actions are [...] for
a categorical policy and [..., A] for a Gaussian one, whose log-probability is summed
over the A dimensions. `sample` carries no gradient; `log_prob` does.

No constructor and no draw touches the global random generator.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal

from pgbook._checks import (
    require,
    require_count,
    require_finite,
    require_not_empty,
    require_shape,
)


class CategoricalPolicy(nn.Module):
    """A policy over A actions, given by `logits`: pi(a|s) = softmax(logits)_a."""

    def logits(self, observation: Tensor) -> Tensor:
        """Unnormalized log-probabilities of the actions, [..., A]."""
        raise NotImplementedError

    def distribution(self, observation: Tensor) -> Categorical:
        """Distribution of the action, of batch shape [...]."""
        return Categorical(logits=self.logits(observation))

    @torch.no_grad()
    def sample(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """Draw one action per observation, int64, [...]."""
        pi = self.logits(observation).softmax(-1)
        rows = pi.reshape(-1, pi.shape[-1])
        return torch.multinomial(rows, 1, generator=rng).reshape(pi.shape[:-1])


class SharedLogit(CategoricalPolicy):
    """One logit for all states: the running example and the short corridor.

        pi(1|s) = sigma(theta),  pi(0|s) = 1 - sigma(theta)

    Args:
        theta: the logit, one finite number, kept in float64.

    Raises:
        ValueError: if theta is not one finite number.

    Source: Sutton and Barto (2018), example 13.1.
    """

    def __init__(self, theta: float | Tensor) -> None:
        """Make theta the only parameter."""
        super().__init__()
        theta = torch.as_tensor(theta, dtype=torch.float64).detach().clone()
        require_shape((), theta=theta)
        require_finite(theta=theta)
        self.theta = nn.Parameter(theta)

    def logits(self, observation: Tensor) -> Tensor:
        """Return (0, theta) for every state index, [...]: shape [..., 2]."""
        _require_indices(observation)
        pair = torch.stack([torch.zeros_like(self.theta), self.theta])
        return pair.expand(*observation.shape, 2)

    def table(self, states: int) -> Tensor:
        """Return pi, [states, 2], differentiable in theta."""
        require_count(states=states)
        return self.logits(torch.arange(states)).softmax(-1)


class TabularSoftmax(CategoricalPolicy):
    """One logit per state and action, zero at the start.

        pi(a|s) = exp(theta[s, a]) / sum_b exp(theta[s, b])

    Args:
        states: number S of states.
        actions: number A of actions.
        dtype: of theta, [S, A].

    Raises:
        ValueError: if a number is not a positive integer.

    Source: Sutton and Barto (2018), eq. 13.2.
    """

    def __init__(
        self, states: int, actions: int, dtype: torch.dtype = torch.float64
    ) -> None:
        """Start from the uniform policy."""
        super().__init__()
        require_count(states=states, actions=actions)
        self.theta = nn.Parameter(torch.zeros(states, actions, dtype=dtype))

    def logits(self, observation: Tensor) -> Tensor:
        """Return theta[s] for state indices s, [...]: shape [..., A]."""
        _require_indices(observation)
        states, low, high = len(self.theta), observation.min(), observation.max()
        inside = bool((low >= 0) & (high < states))
        got = f"indices from {low} to {high}"
        require(inside, "observation", got, f"0 to {states - 1}")
        return self.theta[observation]

    def table(self) -> Tensor:
        """Return pi, [S, A], differentiable in theta."""
        return self.theta.softmax(-1)


class CategoricalNetwork(CategoricalPolicy):
    """Logits from a tanh network, in float32.

    Orthogonal weights and zero biases; the last layer is small, so that the first
    policy is nearly uniform.

    Args:
        observation_size: length S of an observation.
        actions: number A of actions.
        hidden: widths of the hidden layers.
        rng: draws the initial weights.

    Raises:
        ValueError: if a size is not a positive integer.

    Source: Huang et al. (2022), "The 37 implementation details of PPO", detail 2.
    """

    def __init__(
        self,
        observation_size: int,
        actions: int,
        hidden: Sequence[int] = (64, 64),
        *,
        rng: torch.Generator,
    ) -> None:
        """Draw the initial weights."""
        super().__init__()
        require_count(observation_size=observation_size, actions=actions)
        self.network = _tanh_network((observation_size, *hidden, actions), rng)

    def logits(self, observation: Tensor) -> Tensor:
        """Return the network's output for observations, [..., S]: shape [..., A]."""
        return self.network(_as_input(observation, self.network[0].weight))


class GaussianPolicy(nn.Module):
    """A normal policy with independent dimensions, given by `mean` and `std`.

    log pi(a|s) = sum_i log N(a_i; mean_i(s), std_i²)
    """

    std: Tensor

    def mean(self, observation: Tensor) -> Tensor:
        """Mean of the action, [..., A]."""
        raise NotImplementedError

    def distribution(self, observation: Tensor) -> Independent:
        """Distribution of the action, of batch shape [...] and event shape [A]."""
        return Independent(Normal(self.mean(observation), self.std), 1)

    @torch.no_grad()
    def sample(self, observation: Tensor, rng: torch.Generator) -> Tensor:
        """Draw one action per observation, without clipping, [..., A]."""
        mean = self.mean(observation)
        require_finite(mean=mean)
        return mean + self.std * torch.randn(
            mean.shape, generator=rng, dtype=mean.dtype
        )


class DiagonalGaussian(GaussianPolicy):
    """Mean from a tanh network, standard deviation independent of the state.

        a ~ N(network(s), exp(log_std)²)

    Args:
        observation_size: length S of an observation.
        action_size: length A of an action.
        hidden: widths of the hidden layers.
        rng: draws the initial weights; `log_std` starts at zero.

    Raises:
        ValueError: if a size is not a positive integer.

    Source: Schulman et al. (2017), section 6.1.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden: Sequence[int] = (64, 64),
        *,
        rng: torch.Generator,
    ) -> None:
        """Draw the initial weights."""
        super().__init__()
        require_count(observation_size=observation_size, action_size=action_size)
        self.network = _tanh_network((observation_size, *hidden, action_size), rng)
        self.log_std = nn.Parameter(torch.zeros(action_size))

    @property
    def std(self) -> Tensor:
        """Standard deviation of each dimension of the action, [A]."""
        return self.log_std.exp()

    def mean(self, observation: Tensor) -> Tensor:
        """Return the network's output for observations, [..., S]: shape [..., A]."""
        return self.network(_as_input(observation, self.network[0].weight))


class LinearGaussian(GaussianPolicy):
    """Mean linear in the state, fixed standard deviation: for linear-quadratic tasks.

        a ~ N(K s, std²)

    Args:
        weights: K, floating point, [A, S]; the only parameter.
        std: standard deviation of every dimension of the action, positive.

    Raises:
        ValueError: if K is not a finite matrix, or std not positive and finite.
    """

    def __init__(self, weights: Tensor, std: float) -> None:
        """Make the weights the only parameter."""
        super().__init__()
        require_shape((None, None), weights=weights)
        require_not_empty(weights=weights)
        dtype = weights.dtype
        require(dtype.is_floating_point, "weights", dtype, "a floating-point dtype")
        require_finite(weights=weights)
        require(0 < std < float("inf"), "std", std, "a positive finite number")
        self.weights = nn.Parameter(weights.detach().clone())
        self.register_buffer("std", torch.tensor(std, dtype=dtype))

    def mean(self, observation: Tensor) -> Tensor:
        """Return K s for states, [..., S]: shape [..., A]."""
        return _as_input(observation, self.weights) @ self.weights.mT


class ValueNetwork(nn.Module):
    """State values from a tanh network, in float32: the critic beside a policy.

    Orthogonal weights and zero biases; the last layer has gain 1.

    Args:
        observation_size: length S of an observation.
        hidden: widths of the hidden layers.
        rng: draws the initial weights.

    Raises:
        ValueError: if a size is not a positive integer.

    Source: Huang et al. (2022), "The 37 implementation details of PPO", detail 2.
    """

    def __init__(
        self,
        observation_size: int,
        hidden: Sequence[int] = (64, 64),
        *,
        rng: torch.Generator,
    ) -> None:
        """Draw the initial weights."""
        super().__init__()
        require_count(observation_size=observation_size)
        self.network = _tanh_network((observation_size, *hidden, 1), rng, last_gain=1)

    def forward(self, observation: Tensor) -> Tensor:
        """Return v(s) for observations, [..., S]: shape [...]."""
        return self.network(_as_input(observation, self.network[0].weight))[..., 0]


def _tanh_network(
    sizes: Sequence[int], rng: torch.Generator, last_gain: float = 0.01
) -> nn.Sequential:
    """Linear layers with tanh between them, drawn from rng alone."""
    require_count(hidden=min(sizes))
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        # The constructor of nn.Linear would draw from the global generator.
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        last = len(layers) == 2 * (len(sizes) - 2)
        nn.init.orthogonal_(linear.weight, last_gain if last else 2**0.5, generator=rng)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, nn.Tanh()]
    return nn.Sequential(*layers)


def _require_indices(observation: Tensor) -> None:
    """State indices: integers, at least one."""
    dtype = observation.dtype
    whole = not dtype.is_floating_point and dtype != torch.bool
    require(whole, "observation", dtype, "integer state indices")
    require_not_empty(observation=observation)


def _as_input(observation: Tensor, weight: Tensor) -> Tensor:
    """Observations, [..., S], in the dtype of the weights, [..., S]."""
    dtype, shape, size = observation.dtype, list(observation.shape), weight.shape[1]
    require(dtype.is_floating_point, "observation", dtype, "a floating-point dtype")
    require(shape[-1:] == [size], "observation", f"shape {shape}", f"[..., {size}]")
    require_not_empty(observation=observation)
    require_finite(observation=observation)
    return observation.to(weight.dtype)

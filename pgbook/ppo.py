"""Proximal policy optimization: several steps on the same data, and where to stop.

Chapter `ppo`. Pure functions of decisions first, of any shape and in any order; then
`update`, the algorithm on one record, time first, [T, N], of which it takes the valid
steps; then `train`, the loop around it.
"""

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from pgbook._checks import (
    require,
    require_count,
    require_finite,
    require_no_gradient,
    require_not_empty,
    require_same_shape,
)
from pgbook.advantages import fast_gae
from pgbook.trajectories import Trajectories, collect, finished_returns


class Diagnostics(NamedTuple):
    """What a run says about its health, after each update.

    Args:
        entropy: of the policy, mean over the decisions, nats.
        kl: estimated divergence of the new policy from the old one, nats.
        clip_fraction: share of ratios outside of 1 - epsilon … 1 + epsilon.
        explained_variance: share of the returns' variance that the critic had foreseen.
        gradient_norm: of the last step, before it was clipped.
    """

    entropy: float
    kl: float
    clip_fraction: float
    explained_variance: float
    gradient_norm: float


def clipped_surrogate_loss(
    log_prob: Tensor, old_log_prob: Tensor, adv: Tensor, epsilon: float
) -> Tensor:
    """Surrogate of PPO: the ratio times the advantage, no better than clipped.

        ratio = exp(log_prob - old_log_prob)
        loss = -mean(min(ratio * adv, clip(ratio, 1 - epsilon, 1 + epsilon) * adv))

    Args:
        log_prob: log pi(a | s) under the parameters, of any shape.
        old_log_prob: the same under the policy that sampled, constants.
        adv: estimated advantages, constants.
        epsilon: half the width of the range of ratios; infinity does not clip.

    Returns:
        The loss, a scalar to minimize.

    Raises:
        ValueError: if the shapes differ or are empty, a number is not finite, a
            constant requires a gradient, or epsilon is not positive.

    Source: Schulman et al. (2017), eq. 7.
    """
    require(epsilon > 0, "epsilon", epsilon, "a positive number")
    require_no_gradient(old_log_prob=old_log_prob, adv=adv)
    require_same_shape(log_prob=log_prob, old_log_prob=old_log_prob, adv=adv)
    require_finite(adv=adv)
    ratio = _log_ratio(log_prob, old_log_prob).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * adv, clipped * adv).mean()


def approximate_kl(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """KL(old || new) estimated from samples of the old policy, never negative.

        kl = mean(ratio - 1 - log ratio)

    Args:
        log_prob: log pi(a | s) under the new policy, of any shape.
        old_log_prob: the same under the policy that sampled.

    Returns:
        The estimate in nats, a scalar.

    Raises:
        ValueError: if the shapes differ or are empty, or a number is not finite.

    Source: Schulman (2020), "Approximating KL divergence", estimator k3.
    """
    log_ratio = _log_ratio(log_prob, old_log_prob)
    return (log_ratio.expm1() - log_ratio).mean()


def clip_fraction(log_prob: Tensor, old_log_prob: Tensor, epsilon: float) -> Tensor:
    """Share of the ratios that lie outside of 1 - epsilon … 1 + epsilon.

    Args:
        log_prob: log pi(a | s) under the new policy, of any shape.
        old_log_prob: the same under the policy that sampled.
        epsilon: half the width of the range of ratios.

    Returns:
        The share, in [0, 1], a scalar.

    Raises:
        ValueError: if the shapes differ or are empty, a number is not finite, or
            epsilon is not positive.
    """
    require(epsilon > 0, "epsilon", epsilon, "a positive number")
    distance = (_log_ratio(log_prob, old_log_prob).exp() - 1).abs()
    return (distance > epsilon).double().mean()


def explained_variance(v: Tensor, target: Tensor) -> Tensor:
    """Share of the targets' variance that the critic's values explain.

        explained = 1 - Var(target - v) / Var(target)

    One for a perfect critic, zero for a constant one, negative for a worse one.

    Args:
        v: values, of any shape.
        target: what they should have been.

    Returns:
        The share, a scalar.

    Raises:
        ValueError: if the shapes differ, a number is not finite, or the targets are all
            equal.
    """
    require_same_shape(v=v, target=target)
    require_not_empty(v=v)
    require_finite(v=v, target=target)
    spread = target.var(correction=0)
    require(bool(spread > 0), "target", "equal numbers", "at least two different ones")
    return 1 - (target - v).var(correction=0) / spread


def standardized(adv: Tensor) -> Tensor:
    """Advantages with mean 0 and standard deviation 1.

        rescaled = (adv - mean(adv)) / (std(adv) + 1e-8)

    Args:
        adv: of one minibatch, at least two, [M]; one alone gives NaN, which
            `clipped_surrogate_loss` refuses.

    Returns:
        rescaled, [M].

    Source: Huang et al. (2022), "The 37 implementation details of PPO", detail 7.
    """
    return (adv - adv.mean()) / (adv.std() + 1e-8)


def update(
    policy: nn.Module,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    record: Trajectories,
    rng: torch.Generator,
    *,
    gamma: float = 0.98,
    lambda_: float = 0.95,
    epsilon: float = 0.2,
    epochs: int = 4,
    minibatches: int = 4,
    rescale: Callable[[Tensor], Tensor] = standardized,
    value_weight: float = 1.0,
    entropy_weight: float = 0.0,
    max_norm: float = 0.5,
    max_kl: float = float("inf"),
    reward_scale: float = 1.0,
) -> Diagnostics:
    """Improve policy and critic on one record.

    Args:
        policy: has sampled the record; see `pgbook.policies`.
        critic: from observations, [..., S], to values, [...].
        optimizer: of the parameters of both.
        record: what the policy did, [T, N].
        rng: shuffles the decisions.
        gamma: discount.
        lambda_: of the generalized advantages.
        epsilon: half the width of the range of ratios.
        epochs: how often each decision is used.
        minibatches: number of steps per epoch.
        rescale: what is done to the advantages of a minibatch.
        value_weight: of the critic's loss, half a mean square.
        entropy_weight: of the policy's mean entropy, in the units of the advantages.
        max_norm: the gradient of all parameters is scaled down to this norm.
        max_kl: no further epoch once `approximate_kl` exceeds it.
        reward_scale: factor of the rewards, so that the critic's values are of order 1.

    Returns:
        What can be said about the run.

    Raises:
        ValueError: if a setting does not fit, or a loss has a number that is not
            finite.

    Source: Schulman et al. (2017), algorithm 1.
    """
    require_count(epochs=epochs, minibatches=minibatches)
    parameters = [*policy.parameters(), *critic.parameters()]
    with torch.no_grad():
        v = critic(record.observations)  # [T+1, N]
        r_t, discount_t = reward_scale * record.rewards, record.discount_t(gamma)
        adv_t = fast_gae(r_t, discount_t, v[:-1], v[1:], lambda_, record.trace_t)
        observation = record.observations[:-1][record.valid]  # [M, S]
        action, adv = record.actions[record.valid], adv_t[record.valid]
        target = adv + v[:-1][record.valid]
        old_log_prob = policy.distribution(observation).log_prob(action)
    for _ in range(epochs):
        for rows in torch.randperm(len(adv), generator=rng).chunk(minibatches):
            distribution = policy.distribution(observation[rows])
            pair = distribution.log_prob(action[rows]), old_log_prob[rows]
            loss = clipped_surrogate_loss(*pair, rescale(adv[rows]), epsilon)
            loss = loss - entropy_weight * distribution.entropy().mean()
            error = target[rows] - critic(observation[rows])
            loss = loss + value_weight * error.square().mean() / 2
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters, max_norm)
            optimizer.step()
        if approximate_kl(*pair) > max_kl:
            break
    with torch.no_grad():
        distribution = policy.distribution(observation)
        pair = distribution.log_prob(action), old_log_prob
        foreseen = explained_variance(target - adv, target)
        shares = approximate_kl(*pair), clip_fraction(*pair, epsilon), foreseen
        return Diagnostics(*map(float, (distribution.entropy().mean(), *shares, norm)))


def train(
    envs: VectorEnv,
    policy: nn.Module,
    critic: nn.Module,
    rng: torch.Generator,
    *,
    budget: int,
    until: float = float("inf"),
    rollout: int = 32,
    step_size: float = 3e-3,
    last_step_size: float = 0.0,
    **settings: object,
) -> tuple[list[tuple[int, float]], list[Diagnostics]]:
    """Collect and update until the budget is spent or the task is solved.

    Args:
        envs: N environments with next-step autoreset.
        policy: see `pgbook.policies`; changed in place.
        critic: from observations, [..., S], to values, [...]; changed in place.
        rng: draws everything.
        budget: number of decisions.
        until: mean return of the last 100 episodes at which to stop.
        rollout: length T of a record.
        step_size: of Adam, at the start.
        last_step_size: of Adam, when the budget is spent; linear in between.
        **settings: of `update`.

    Returns:
        The number of decisions so far and the return of each finished episode, and the
        diagnostics of each update.

    Raises:
        ValueError: as `collect` and `update` do.
    """
    parameters = chain(policy.parameters(), critic.parameters())
    optimizer = torch.optim.Adam(parameters, lr=step_size, eps=1e-5, fused=True)
    record, steps, running = None, 0, torch.zeros(envs.num_envs)
    episodes, health = [], []
    while steps < budget:
        left = 1 - steps / budget
        size = last_step_size + left * (step_size - last_step_size)
        optimizer.param_groups[0]["lr"] = size
        record = collect(envs, policy, rollout, rng, after=record)
        health.append(update(policy, critic, optimizer, record, rng, **settings))
        steps += int(record.valid.sum())
        returns, running = finished_returns(record, running)
        episodes += [(steps, r) for r in returns]
        recent = [r for _, r in episodes[-100:]]
        if len(recent) == 100 and sum(recent) / 100 >= until:
            break
    return episodes, health


def _log_ratio(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """Checked difference of log-probabilities."""
    require_same_shape(log_prob=log_prob, old_log_prob=old_log_prob)
    require_not_empty(log_prob=log_prob)
    require_finite(log_prob=log_prob, old_log_prob=old_log_prob)
    return log_prob - old_log_prob

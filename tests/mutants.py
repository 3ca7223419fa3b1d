"""Wrong versions (mutants) of estimators and shared rooms; the tests reject every one.

A mutant replaces the function that it names while `tests/test_<module>.py` runs, and
that run must fail. The docstring says what is wrong.

`python tests/mutants.py monte_carlo` prints which mutants of a module were rejected.
"""

import importlib
import io
import os
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import pytest
import torch


class Mutant(NamedTuple):
    """A wrong version, and the name of what it replaces."""

    module: str
    name: str
    wrong: Callable


MUTANTS: list[Mutant] = []


def mutant_of(target: str) -> Callable:
    """Register a wrong version of `target`, "module.function" or with a class."""

    def register(wrong: Callable) -> Callable:
        MUTANTS.append(Mutant(*target.split(".", 1), wrong))
        return wrong

    return register


def install(mutant: Mutant) -> None:
    """Put the wrong version in the place of the right one."""
    owner = importlib.import_module(f"pgbook.{mutant.module}")
    *path, name = mutant.name.split(".")
    for attribute in path:
        owner = getattr(owner, attribute)
    getattr(owner, name)  # an AttributeError here: the mutant names nothing
    setattr(owner, name, mutant.wrong)


def tests_of(module: str) -> str:
    """The file whose tests have to reject the mutants of a module."""
    return str(Path(__file__).with_name(f"test_{module}.py"))


def is_rejected(mutant: Mutant) -> bool:
    """Run the module's tests with the mutant in place, in a forked process."""
    child = os.fork()
    if child == 0:
        status = 70  # installing it failed
        try:
            install(mutant)
            with redirect_stdout(io.StringIO()):
                status = int(pytest.main(["-x", tests_of(mutant.module)]))
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, 1):
        raise RuntimeError(f"{mutant.wrong.__name__}: pytest ended with {status}")
    return status == 1


def main(module: str) -> int:
    """Print each mutant of a module; the exit code counts those that live."""
    survivors = 0
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    runpy.run_path(tests_of(module))  # what it imports is there before each fork
    for mutant in MUTANTS:
        if mutant.module == module:
            rejected = is_rejected(mutant)
            survivors += not rejected
            print("rejected" if rejected else "LIVES", mutant.wrong.__name__)
    return survivors


@mutant_of("mdp.TabularMDP.values")
def ended_episodes_go_on(self, pi):
    """Bootstraps through the end: the missing mass of a row stays in its state."""
    stay = torch.eye(len(self.initial)).double()[:, None, :] * self.ending[..., None]
    transition_pi = torch.einsum("sa,sau->su", pi, self.transition + stay)
    v = [torch.zeros(len(pi)).double()]
    for _ in range(self.horizon or 500):
        v.append((pi * self.reward).sum(-1) + self.discount * transition_pi @ v[-1])
    return v[-1] if self.horizon is None else torch.stack(v[::-1])


@mutant_of("mdp.TabularMDP.values")
def transition_transposed(self, pi):
    """Looks backward: the transposed transition matrix."""
    transition_pi, reward_pi = self._induced_by(pi)
    v = [torch.zeros_like(reward_pi)]
    for _ in range(self.horizon or 500):
        v.append(reward_pi + self.discount * transition_pi.T @ v[-1])
    return v[-1] if self.horizon is None else torch.stack(v[::-1])


@mutant_of("mdp.TabularMDP.values")
def one_step_too_few(self, pi):
    """Leaves out the last reward."""
    transition_pi, reward_pi = self._induced_by(pi)
    v = [torch.zeros_like(reward_pi), torch.zeros_like(reward_pi)]
    for _ in range((self.horizon or 500) - 1):
        v.append(reward_pi + self.discount * transition_pi @ v[-1])
    return v[-1] if self.horizon is None else torch.stack(v[::-1])


@mutant_of("mdp.TabularMDP.occupancy")
def occupancy_without_discount(self, pi):
    """Forgets gamma^t."""
    transition_pi, _ = self._induced_by(pi)
    visits = [self.initial]
    for _ in range((self.horizon or 500) - 1):
        visits.append(visits[-1] @ transition_pi)
    visits = torch.stack(visits)
    return visits.sum(0) if self.horizon is None else visits


@mutant_of("mdp.TabularMDP.occupancy")
def occupancy_as_distribution(self, pi):
    """Divides by the sum, against the convention of the book."""
    transition_pi, _ = self._induced_by(pi)
    visits = [self.initial]
    for _ in range((self.horizon or 500) - 1):
        visits.append(self.discount * visits[-1] @ transition_pi)
    visits = torch.stack(visits)
    visits = visits / visits.sum()
    return visits.sum(0) if self.horizon is None else visits


@mutant_of("mdp.TabularMDP.occupancy")
def occupancy_from_the_next_state(self, pi):
    """Starts at s_1 instead of s_0."""
    transition_pi, _ = self._induced_by(pi)
    visits = [self.initial @ transition_pi]
    for _ in range((self.horizon or 500) - 1):
        visits.append(self.discount * visits[-1] @ transition_pi)
    visits = torch.stack(visits)
    return visits.sum(0) if self.horizon is None else visits


@mutant_of("trajectories.Trajectories.discount_t")
def truncation_stops_the_bootstrap(self, gamma):
    """Takes a time limit for an end of the task."""
    return gamma * (~(self.terminated | self.truncated)).to(self.rewards.dtype)


@mutant_of("trajectories.Trajectories.discount_t")
def termination_is_bootstrapped(self, gamma):
    """Bootstraps through the end of the task."""
    return torch.full_like(self.rewards, gamma)


@mutant_of("trajectories.Trajectories.discount_t")
def done_of_the_step_before(self, gamma):
    """Is off by one: the end of the last step stops the bootstrap of this one."""
    return gamma * (~self.terminated.roll(1, dims=0)).to(self.rewards.dtype)


def collect_as(change):
    """A mutant of `collect` that changes its record."""
    from pgbook.trajectories import collect

    @wraps(change)
    def wrong(envs, policy, steps, rng, after=None):
        return change(collect(envs, policy, steps, rng, after))

    return wrong


@mutant_of("trajectories.collect")
@collect_as
def fillers_are_valid(record):
    """Counts the filler step of an automatic reset as a decision."""
    return replace(record, valid=torch.ones_like(record.valid))


@mutant_of("trajectories.collect")
@collect_as
def observation_after_the_reset(record):
    """Has the first observation of the next episode where the final one belongs."""
    ended = (record.terminated | record.truncated)[:-1]
    observations = record.observations.clone()
    observations[1:-1][ended] = observations[2:][ended]
    return replace(record, observations=observations)


@mutant_of("trajectories.collect")
@collect_as
def ends_are_all_terminations(record):
    """Does not keep truncation apart."""
    ended = record.terminated | record.truncated
    return replace(record, terminated=ended, truncated=torch.zeros_like(ended))


@mutant_of("statistics.mean_interval")
def normal_quantile_for_few_runs(samples, confidence=0.95):
    """Uses the normal quantile whatever the number of runs."""
    from pgbook.statistics import Interval

    samples = torch.as_tensor(samples, dtype=torch.float64)
    mean, half = samples.mean().item(), samples.std().item() / len(samples) ** 0.5
    return Interval(mean, mean - 1.96 * half, mean + 1.96 * half)


@mutant_of("statistics.mean_interval")
def standard_deviation_as_error(samples, confidence=0.95):
    """Shows the spread of the runs instead of the uncertainty of their mean."""
    from pgbook.statistics import Interval, _student

    samples = torch.as_tensor(samples, dtype=torch.float64)
    mean, half = samples.mean().item(), samples.std().item()
    half *= _student(confidence, len(samples) - 1)
    return Interval(mean, mean - half, mean + half)


@mutant_of("statistics.mean_interval")
def one_sided_quantile(samples, confidence=0.95):
    """Leaves the whole error probability to one side."""
    from pgbook.statistics import Interval, _student

    samples = torch.as_tensor(samples, dtype=torch.float64)
    mean, n = samples.mean().item(), len(samples)
    half = _student(2 * confidence - 1, n - 1) * samples.std().item() / n**0.5
    return Interval(mean, mean - half, mean + half)


@mutant_of("monte_carlo.monte_carlo")
def bounds_are_ignored(sampler, value, samples, rng):
    """Draws from [0, 1] whatever the sampler is."""
    from pgbook.monte_carlo import Estimate

    values = value(torch.rand(samples, 1, generator=rng, dtype=torch.float64))
    return Estimate(values.mean().item(), values.std().item() / samples**0.5)


@mutant_of("monte_carlo.monte_carlo")
def standard_error_without_root(sampler, value, samples, rng):
    """Divides the standard deviation by N instead of its root."""
    from pgbook.monte_carlo import Estimate

    values = value(sampler(samples, rng))
    return Estimate(values.mean().item(), values.std().item() / samples)


@mutant_of("monte_carlo.monte_carlo")
def variance_divided_by_n(sampler, value, samples, rng):
    """Divides the squared distances by N instead of N - 1."""
    from pgbook.monte_carlo import Estimate

    values = value(sampler(samples, rng))
    spread = values.std(correction=0).item()
    return Estimate(values.mean().item(), spread / samples**0.5)


@mutant_of("monte_carlo.riemann_sum")
def width_of_one_axis(value, cells, dimension=1, position=0.5):
    """Multiplies by h instead of h^d."""
    axis = (torch.arange(cells, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells


@mutant_of("monte_carlo.riemann_sum")
def always_midpoints(value, cells, dimension=1, position=0.5):
    """Ignores where in its cell the node lies."""
    axis = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells**dimension


@mutant_of("monte_carlo.riemann_sum")
def one_cell_too_many(value, cells, dimension=1, position=0.5):
    """Has n + 1 nodes on each axis."""
    axis = (torch.arange(cells + 1, dtype=torch.float64) + position) / cells
    nodes = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    return value(nodes).sum().item() / cells**dimension


@mutant_of("monte_carlo.uniform_sampler")
def upper_bound_as_width(lower, upper, dimension=1):
    """Takes the upper bound for the width."""

    def sample(samples, rng):
        u = torch.rand(samples, dimension, generator=rng, dtype=torch.float64)
        return lower + upper * u

    return sample


@mutant_of("monte_carlo.uniform_sampler")
def one_number_for_all_axes(lower, upper, dimension=1):
    """Gives every coordinate the same number."""

    def sample(samples, rng):
        u = torch.rand(samples, 1, generator=rng, dtype=torch.float64)
        return (lower + (upper - lower) * u).expand(samples, dimension)

    return sample


@mutant_of("monte_carlo.uniform_sampler")
def global_generator(lower, upper, dimension=1):
    """Draws from the global generator."""

    def sample(samples, rng):
        u = torch.rand(samples, dimension, dtype=torch.float64)
        return lower + (upper - lower) * u

    return sample


@mutant_of("objective.trajectory_returns")
def discount_starts_at_gamma(r_t, gamma=1.0, valid_t=None):
    """Discounts the first reward too, as if time counted from 1."""
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    return gamma ** torch.arange(1, len(r_t) + 1, dtype=r_t.dtype) @ r_t


@mutant_of("objective.trajectory_returns")
def padding_is_counted(r_t, gamma=1.0, valid_t=None):
    """Adds whatever stands behind the end of an episode."""
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t


@mutant_of("objective.trajectory_returns")
def padding_is_multiplied_by_zero(r_t, gamma=1.0, valid_t=None):
    """Lets a NaN behind the end through, since 0 * NaN is NaN."""
    if valid_t is not None:
        r_t = r_t * valid_t
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t


@mutant_of("objective.trajectory_returns")
def mean_reward_instead_of_sum(r_t, gamma=1.0, valid_t=None):
    """Divides by the number of steps."""
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t / len(r_t)


@mutant_of("objective.trajectory_returns")
def discounted_from_the_end(r_t, gamma=1.0, valid_t=None):
    """Gives the last reward the weight 1."""
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype).flip(0) @ r_t


@mutant_of("objective.trajectory_returns")
def several_episodes_in_a_column(r_t, gamma=1.0, valid_t=None):
    """Adds up a column that goes on behind an end."""
    from pgbook.objective import require_finite, require_unit_interval

    require_unit_interval(gamma=gamma)
    if valid_t is not None:
        r_t = torch.where(valid_t, r_t, 0)
    require_finite(r_t=r_t)
    return gamma ** torch.arange(len(r_t), dtype=r_t.dtype) @ r_t


@mutant_of("objective.enumerated_objective")
def every_trajectory_counts_alike(mdp, pi):
    """Averages over trajectories as if all had the same probability."""
    from pgbook.objective import trajectory_returns

    tau, _ = mdp.trajectories(pi)
    return trajectory_returns(tau.rewards, mdp.discount, tau.valid).mean()


@mutant_of("objective.enumerated_objective")
def discount_is_forgotten(mdp, pi):
    """Sums rewards without gamma^t."""
    from pgbook.objective import trajectory_returns

    tau, probability = mdp.trajectories(pi)
    return probability @ trajectory_returns(tau.rewards, 1.0, tau.valid)


@mutant_of("objective.enumerated_objective")
def end_is_forgotten(mdp, pi):
    """Leaves the probability of the end out of the product."""
    from pgbook.objective import trajectory_returns

    tau, _ = mdp.trajectories(pi)
    s, a = tau.observations, tau.actions.clamp(max=pi.shape[1] - 1)
    factor = torch.where(tau.valid, pi[s[:-1], a], 1)
    goes_on = tau.valid & ~tau.terminated
    moved = torch.where(goes_on, mdp.transition[s[:-1], a, s[1:]], 1)
    probability = mdp.initial[s[0]] * (factor * moved).prod(0)
    return probability @ trajectory_returns(tau.rewards, mdp.discount, tau.valid)


@mutant_of("objective.enumerated_objective")
def probability_without_gradient(mdp, pi):
    """Cuts the gradient through the probabilities."""
    from pgbook.objective import trajectory_returns

    tau, probability = mdp.trajectories(pi)
    r = trajectory_returns(tau.rewards, mdp.discount, tau.valid)
    return probability.detach() @ r + 0 * pi.sum()


@mutant_of("objective.short_corridor_return")
def left_and_right_exchanged(p):
    """Takes p for the probability of left."""
    return -2 * (1 + p) / (p * (1 - p))


@mutant_of("objective.short_corridor_return")
def corridor_counts_steps(p):
    """Returns the number of steps, without the minus."""
    return 2 * (2 - p) / (p * (1 - p))


@mutant_of("objective.short_corridor_return")
def last_step_pays_nothing(p):
    """Pays 0 instead of -1 for the step into the goal."""
    return -2 * (2 - p) / (p * (1 - p)) + 1


@mutant_of("objective.short_corridor_return")
def ends_of_the_corridor_are_infinite(p):
    """Returns minus infinity at 0 and 1 instead of refusing them."""
    return -2 * (2 - p) / (p * (1 - p))


@mutant_of("score_function.score_function_estimates")
def score_without_its_sign(value, score):
    """Leaves out the sign of the score."""
    return value[:, None] * score.abs()


@mutant_of("score_function.score_function_estimates")
def own_mean_taken_off(value, score):
    """Subtracts the mean of the same samples, which scales the gradient."""
    return (value - value.mean())[:, None] * score


@mutant_of("score_function.score_function_estimates")
def mean_value_times_score(value, score):
    """Pairs every score with the average value."""
    return value.mean() * score


@mutant_of("score_function.score_function_estimates")
def values_paired_with_other_samples(value, score):
    """Multiplies each score by the value of the next sample."""
    return value.roll(1)[:, None] * score


@mutant_of("score_function.pathwise_estimates")
def path_forgotten(value_slope, sample_slope):
    """Leaves out how fast the sample moves."""
    return value_slope[:, None].expand_as(sample_slope)


@mutant_of("score_function.pathwise_estimates")
def slopes_added(value_slope, sample_slope):
    """Adds the two slopes instead of multiplying them."""
    return value_slope[:, None] + sample_slope


@mutant_of("score_function.pathwise_estimates")
def mean_slope(value_slope, sample_slope):
    """Averages the slopes of the value before multiplying."""
    return value_slope.mean() * sample_slope


@mutant_of("score_function.finite_difference_estimates")
def width_taken_twice(ahead, behind, width):
    """Divides by twice the distance."""
    return (ahead - behind) / (2 * width)


@mutant_of("score_function.finite_difference_estimates")
def difference_backward(ahead, behind, width):
    """Has the wrong sign."""
    return (behind - ahead) / width


@mutant_of("score_function.finite_difference_estimates")
def difference_not_divided(ahead, behind, width):
    """Forgets the distance."""
    return ahead - behind


@mutant_of("score_function.gaussian_score")
def score_in_the_deviation(x, mean, std):
    """Differentiates in the standard deviation, not in its log."""
    z = (x - mean) / std
    return torch.stack([z / std, (z**2 - 1) / std], dim=1)


@mutant_of("score_function.gaussian_score")
def standardized_once(x, mean, std):
    """Divides the distance by the standard deviation instead of the variance."""
    z = (x - mean) / std
    return torch.stack([z, z**2 - 1], dim=1)


@mutant_of("score_function.gaussian_score")
def normalizer_forgotten(x, mean, std):
    """Leaves out the derivative of log(std)."""
    z = (x - mean) / std
    return torch.stack([z / std, z**2], dim=1)


@mutant_of("score_function.gaussian_score")
def score_in_the_sample(x, mean, std):
    """Differentiates in x instead of the mean."""
    z = (x - mean) / std
    return torch.stack([-z / std, z**2 - 1], dim=1)


@mutant_of("score_function.bernoulli_score")
def score_in_the_probability(x, logit):
    """Differentiates in p instead of the logit."""
    p = torch.tensor(logit, dtype=torch.float64).sigmoid()
    return ((x - p) / (p * (1 - p)))[:, None]


@mutant_of("score_function.bernoulli_score")
def logit_taken_for_probability(x, logit):
    """Forgets the sigmoid."""
    return (x - logit)[:, None]


@mutant_of("score_function.bernoulli_score")
def heads_for_tails(x, logit):
    """Swaps the two outcomes."""
    p = torch.tensor(logit, dtype=torch.float64).sigmoid()
    return (1 - x - p)[:, None]


@mutant_of("score_function.categorical_score")
def chosen_logit_only(x, logits):
    """Leaves out the normalizer."""
    return (x[:, None] == torch.arange(len(logits))).to(logits.dtype)


@mutant_of("score_function.categorical_score")
def logits_taken_for_probabilities(x, logits):
    """Forgets the softmax."""
    return (x[:, None] == torch.arange(len(logits))).to(logits.dtype) - logits


@mutant_of("score_function.categorical_score")
def zero_for_outcomes_not_drawn(x, logits):
    """Differentiates in the logit of the drawn outcome alone."""
    drawn = (x[:, None] == torch.arange(len(logits))).to(logits.dtype)
    return drawn * (drawn - logits.softmax(0))


@mutant_of("trajectory_probability.trajectory_log_prob")
def mask_that_multiplies(log_prob_t, valid_t=None):
    """Multiplies by the mask: NaN in the padding survives."""
    from pgbook._checks import require, require_finite, require_same_shape

    if valid_t is None:
        valid_t = torch.ones_like(log_prob_t, dtype=torch.bool)
    require(log_prob_t.ndim == 2 and len(log_prob_t) > 0, "log_prob_t", "", "[T, N]")
    require_same_shape(log_prob_t=log_prob_t, valid_t=valid_t)
    require(valid_t.dtype == torch.bool, "valid_t", valid_t.dtype, "torch.bool")
    require_finite(log_prob_t=log_prob_t.masked_fill(~valid_t, 0))
    return (log_prob_t * valid_t).sum(0)


@mutant_of("trajectory_probability.trajectory_log_prob")
def mean_over_valid_steps(log_prob_t, valid_t=None):
    """Divides by the length of each episode."""
    if valid_t is None:
        valid_t = torch.ones_like(log_prob_t, dtype=torch.bool)
    return log_prob_t.masked_fill(~valid_t, 0).sum(0) / valid_t.sum(0)


@mutant_of("trajectory_probability.trajectory_log_prob")
def sum_over_trajectories(log_prob_t, valid_t=None):
    """Adds over the batch instead of over time."""
    if valid_t is not None:
        log_prob_t = log_prob_t.masked_fill(~valid_t, 0)
    return log_prob_t.sum(1)


@mutant_of("trajectory_probability.policy_log_prob")
def probability_in_the_next_state(pi, trajectories):
    """Looks the action up in the state after it."""
    chance = pi[trajectories.observations[1:], trajectories.actions]
    return chance.masked_fill(~trajectories.valid, 1).log()


@mutant_of("trajectory_probability.policy_log_prob")
def padding_counts(pi, trajectories):
    """Takes the padding for decisions."""
    return pi[trajectories.observations[:-1], trajectories.actions].log()


@mutant_of("trajectory_probability.policy_log_prob")
def masked_after_the_logarithm(pi, trajectories):
    """Fills the padding too late: its gradient is 0 times infinity."""
    log_prob_t = pi[trajectories.observations[:-1], trajectories.actions].log()
    return log_prob_t.masked_fill(~trajectories.valid, 0)


@mutant_of("trajectory_probability.dynamics_log_prob")
def endings_are_free(mdp, trajectories):
    """Leaves the probability of the end out."""
    s_t, s_tp1 = trajectories.observations[:-1], trajectories.observations[1:]
    chance = mdp.transition[s_t, trajectories.actions, s_tp1]
    inside = trajectories.valid & ~trajectories.terminated
    return chance.masked_fill(~inside, 1).log()


@mutant_of("trajectory_probability.dynamics_log_prob")
def the_last_state_repeats(mdp, trajectories):
    """Takes an end for a move into the repeated observation."""
    s_t, s_tp1 = trajectories.observations[:-1], trajectories.observations[1:]
    chance = mdp.transition[s_t, trajectories.actions, s_tp1]
    return chance.masked_fill(~trajectories.valid, 1).log()


@mutant_of("trajectory_probability.dynamics_log_prob")
def the_horizon_ends_by_the_table(mdp, trajectories):
    """Takes the end of the horizon for an end that the table makes."""
    s_t, s_tp1 = trajectories.observations[:-1], trajectories.observations[1:]
    moves = mdp.transition[s_t, trajectories.actions, s_tp1]
    ends = mdp.ending[s_t, trajectories.actions]
    chance = torch.where(trajectories.terminated, ends, moves)
    return chance.masked_fill(~trajectories.valid, 1).log()


@mutant_of("trajectory_probability.initial_log_prob")
def probability_of_the_start(mdp, trajectories):
    """Forgets the logarithm."""
    return mdp.initial[trajectories.observations[0]]


@mutant_of("trajectory_probability.initial_log_prob")
def start_after_the_first_step(mdp, trajectories):
    """Takes s_1 for s_0."""
    return mdp.initial[trajectories.observations[1]].log()


@mutant_of("trajectory_probability.initial_log_prob")
def certain_start(mdp, trajectories):
    """Takes the start for certain."""
    return torch.zeros_like(trajectories.rewards[0])


@mutant_of("trajectory_probability.full_log_probability")
def start_is_forgotten(mdp, pi, trajectories):
    """Leaves the distribution of the first state out."""
    from pgbook.trajectory_probability import dynamics_log_prob, policy_log_prob

    parts = policy_log_prob(pi, trajectories) + dynamics_log_prob(mdp, trajectories)
    return parts.sum(0)


@mutant_of("trajectory_probability.full_log_probability")
def policy_alone(mdp, pi, trajectories):
    """Leaves the world out: right score, wrong probability."""
    from pgbook.trajectory_probability import policy_log_prob

    return policy_log_prob(pi, trajectories).sum(0)


@mutant_of("trajectory_probability.full_log_probability")
def dynamics_as_constants(mdp, pi, trajectories):
    """Detaches the world: wrong where it contains the parameters."""
    from pgbook.trajectory_probability import dynamics_log_prob, policy_log_prob

    start = mdp.initial[trajectories.observations[0]].log()
    world = dynamics_log_prob(mdp, trajectories).sum(0).detach()
    return start + policy_log_prob(pi, trajectories).sum(0) + world


@mutant_of("trajectory_probability.trajectory_score")
def score_of_the_batch(log_prob, theta):
    """Gives each trajectory the mean score of the batch."""
    (score,) = torch.autograd.grad(log_prob.mean(), theta, retain_graph=True)
    return score.expand(len(log_prob), *score.shape)


@mutant_of("trajectory_probability.trajectory_score")
def gradient_of_the_probability(log_prob, theta):
    """Differentiates the probability and not its logarithm."""
    one = torch.eye(len(log_prob), dtype=log_prob.dtype)
    return torch.autograd.grad(
        log_prob.exp(), theta, one, retain_graph=True, is_grads_batched=True
    )[0]


@mutant_of("trajectory_probability.trajectory_score")
def descent_direction(log_prob, theta):
    """Has the sign of a loss."""
    one = -torch.eye(len(log_prob), dtype=log_prob.dtype)
    return torch.autograd.grad(
        log_prob, theta, one, retain_graph=True, is_grads_batched=True
    )[0]


@mutant_of("trajectory_probability.running_product")
def rounded_once(factor_t):
    """Multiplies in float64 and rounds only what it shows."""
    return factor_t.double().cumprod(0).to(factor_t.dtype)


@mutant_of("trajectory_probability.running_product")
def subnormals_are_flushed(factor_t):
    """Makes 0 of everything under the smallest normal number."""
    products = [factor_t[0]]
    for factor in factor_t[1:]:
        product = products[-1] * factor
        normal = product.abs() >= torch.finfo(factor_t.dtype).tiny
        products.append(torch.where(normal, product, 0))
    return torch.stack(products)


@mutant_of("trajectory_probability.running_product")
def one_factor_late(factor_t):
    """Starts from 1 and leaves out the last factor."""
    products = [torch.ones_like(factor_t[0])]
    for factor in factor_t[:-1]:
        products.append(products[-1] * factor)
    return torch.stack(products)


@mutant_of("trajectory_probability.first_beyond")
def last_inside(factor, exponent):
    """Counts the last power inside the range."""
    import math

    return math.floor(exponent / math.log2(factor))


@mutant_of("trajectory_probability.first_beyond")
def reached_instead_of_passed(factor, exponent):
    """Rounds up: wrong where a power meets the bound exactly."""
    import math

    return math.ceil(exponent / math.log2(factor))


@mutant_of("trajectory_probability.first_beyond")
def wrong_base(factor, exponent):
    """Divides a base-2 exponent by a natural logarithm."""
    import math

    return math.floor(exponent / math.log(factor)) + 1


@mutant_of("reinforce.total_return_weights")
def only_rewards_to_come(r_t, valid_t=None, gamma=1.0):
    """Gives a step the rewards from it on, discounted from the start."""
    if valid_t is not None:
        r_t = r_t.where(valid_t, 0)
    t = torch.arange(len(r_t), dtype=r_t.dtype)[:, None]
    weight_t = (gamma**t * r_t).flip(0).cumsum(0).flip(0)
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("reinforce.total_return_weights")
def weights_without_discount(r_t, valid_t=None, gamma=1.0):
    """Forgets gamma."""
    from pgbook.objective import trajectory_returns

    weight_t = trajectory_returns(r_t, 1.0, valid_t).expand_as(r_t)
    return weight_t.clone() if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("reinforce.total_return_weights")
def weights_behind_the_end(r_t, valid_t=None, gamma=1.0):
    """Gives the padding the return as well."""
    from pgbook.objective import trajectory_returns

    return trajectory_returns(r_t, gamma, valid_t).expand_as(r_t).clone()


@mutant_of("reinforce.total_return_weights")
def discount_one_step_late(r_t, valid_t=None, gamma=1.0):
    """Discounts the first reward already."""
    from pgbook.objective import trajectory_returns

    weight_t = gamma * trajectory_returns(r_t, gamma, valid_t).expand_as(r_t)
    return weight_t.clone() if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("reinforce.policy_gradient_loss")
def loss_with_the_wrong_sign(log_prob_t, weight_t, valid_t=None):
    """Minimizes the return."""
    from pgbook.reinforce import _whole_episodes

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    return (weight_t * log_prob_t).sum(0).mean()


@mutant_of("reinforce.policy_gradient_loss")
def loss_divided_by_steps(log_prob_t, weight_t, valid_t=None):
    """Divides by the number of steps of the batch."""
    from pgbook.reinforce import _whole_episodes

    steps = log_prob_t.numel() if valid_t is None else valid_t.sum()
    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    return -(weight_t * log_prob_t).sum() / steps


@mutant_of("reinforce.policy_gradient_loss")
def loss_divided_by_each_length(log_prob_t, weight_t, valid_t=None):
    """Divides each trajectory by its own length."""
    from pgbook.reinforce import _whole_episodes

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = (weight_t * log_prob_t).sum(0)
    lengths = len(log_prob_t) if valid_t is None else valid_t.sum(0)
    return -(sums / lengths).mean()


@mutant_of("reinforce.policy_gradient_loss")
def loss_over_the_padding(log_prob_t, weight_t, valid_t=None):
    """Ignores which steps are valid."""
    from pgbook.reinforce import _whole_episodes

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, None)
    return -(weight_t * log_prob_t).sum(0).mean()


@mutant_of("reinforce.trajectory_gradients")
def gradients_of_descent(log_prob_t, weight_t, theta, valid_t=None):
    """Has the sign of the loss."""
    from pgbook.reinforce import _whole_episodes
    from pgbook.trajectory_probability import trajectory_score

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = (weight_t * log_prob_t).sum(0)
    return -trajectory_score(sums, theta).reshape(len(sums), -1)


@mutant_of("reinforce.trajectory_gradients")
def gradients_divided_by_episodes(log_prob_t, weight_t, theta, valid_t=None):
    """Divides each gradient by N already."""
    from pgbook.reinforce import _whole_episodes
    from pgbook.trajectory_probability import trajectory_score

    log_prob_t, weight_t = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = (weight_t * log_prob_t).sum(0)
    return trajectory_score(sums, theta).reshape(len(sums), -1) / len(sums)


@mutant_of("reinforce.trajectory_gradients")
def unweighted_gradients(log_prob_t, weight_t, theta, valid_t=None):
    """Is the score: weight 1."""
    from pgbook.reinforce import _whole_episodes
    from pgbook.trajectory_probability import trajectory_score

    log_prob_t, _ = _whole_episodes(log_prob_t, weight_t, valid_t)
    sums = log_prob_t.sum(0)
    return trajectory_score(sums, theta).reshape(len(sums), -1)


@mutant_of("reinforce.every_batch")
def batches_without_their_orders(probability, size):
    """Counts every batch once, in whatever order it can be drawn."""
    import itertools

    outcomes = range(len(probability))
    indices = torch.tensor(
        list(itertools.combinations_with_replacement(outcomes, size))
    )
    return indices, probability[indices].prod(1)


@mutant_of("reinforce.every_batch")
def batches_without_replacement(probability, size):
    """Draws each outcome at most once."""
    import itertools

    outcomes = range(len(probability))
    indices = torch.tensor(list(itertools.combinations(outcomes, size)))
    if not len(indices):
        return torch.zeros(1, size, dtype=torch.long), torch.ones(1)
    chance = probability[indices].prod(1)
    return indices, chance / chance.sum()


@mutant_of("reinforce.every_batch")
def all_orders_even_of_equal_draws(probability, size):
    """Multiplies by N! although equal draws cannot be told apart."""
    import itertools
    import math

    outcomes = range(len(probability))
    indices = torch.tensor(
        list(itertools.combinations_with_replacement(outcomes, size))
    )
    return indices, math.factorial(size) * probability[indices].prod(1)


@mutant_of("returns.rewards_to_go")
def rewards_that_follow_the_next_action(r_t, discount_t, trace_t=None):
    """Leaves out the reward of the decision itself: an index off by one."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += keep_t[t] * return_t[t + 1]
    return return_t - r_t


@mutant_of("returns.rewards_to_go")
def truncations_are_ignored(r_t, discount_t, trace_t=None):
    """Sums on into the next episode after a truncation."""
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += discount_t[t] * return_t[t + 1]
    return return_t


@mutant_of("returns.rewards_to_go")
def the_end_of_the_next_step_counts(r_t, discount_t, trace_t=None):
    """Reads the flags of an end one step late."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] += keep_t[t + 1] * return_t[t + 1]
    return return_t


@mutant_of("returns.rewards_to_go")
def reward_is_discounted_too(r_t, discount_t, trace_t=None):
    """Discounts the reward that follows the action at once."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    return_t = r_t.clone()
    for t in reversed(range(len(r_t) - 1)):
        return_t[t] = keep_t[t] * (r_t[t] + return_t[t + 1])
    return return_t


@mutant_of("returns.rewards_to_go")
def sums_in_place(r_t, discount_t, trace_t=None):
    """Overwrites the rewards of the caller."""
    keep_t = discount_t if trace_t is None else discount_t * trace_t
    for t in reversed(range(len(r_t) - 1)):
        r_t[t] += keep_t[t] * r_t[t + 1]
    return r_t


@mutant_of("returns.reward_to_go_weights")
def start_is_not_discounted(r_t, valid_t=None, gamma=1.0):
    """The usual update: gamma^t is missing."""
    from pgbook.returns import _rewards_of_episodes, rewards_to_go

    r_t = _rewards_of_episodes(r_t, valid_t)
    weight_t = rewards_to_go(r_t, torch.full_like(r_t, gamma))
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("returns.reward_to_go_weights")
def past_is_credited_too(r_t, valid_t=None, gamma=1.0):
    """Total returns: every decision gets every reward."""
    from pgbook.reinforce import total_return_weights

    return total_return_weights(r_t, valid_t, gamma)


@mutant_of("returns.reward_to_go_weights")
def discounted_twice(r_t, valid_t=None, gamma=1.0):
    """Multiplies rewards and sums by gamma^t."""
    from pgbook.returns import _rewards_of_episodes, rewards_to_go

    r_t = _rewards_of_episodes(r_t, valid_t)
    gamma_t = gamma ** torch.arange(len(r_t), dtype=r_t.dtype)[:, None]
    return_t = rewards_to_go(gamma_t * r_t, torch.full_like(r_t, gamma))
    weight_t = gamma_t * return_t
    return weight_t if valid_t is None else weight_t.where(valid_t, 0)


@mutant_of("returns.reward_to_go_weights")
def padding_is_paid(r_t, valid_t=None, gamma=1.0):
    """Adds what stands behind the end."""
    from pgbook.returns import _rewards_of_episodes

    _rewards_of_episodes(r_t, valid_t)
    gamma_t = gamma ** torch.arange(len(r_t), dtype=r_t.dtype)[:, None]
    return (gamma_t * r_t).flip(0).cumsum(0).flip(0)


@mutant_of("returns.random_horizons")
def may_stop_before_the_first_step(count, gamma, rng):
    """Counts the steps that were survived: one less."""
    uniform = 1 - torch.rand(count, generator=rng, dtype=torch.float64)
    steps = uniform.log() / torch.tensor(gamma, dtype=torch.float64).log()
    return steps.floor().long()


@mutant_of("returns.random_horizons")
def stops_with_probability_gamma(count, gamma, rng):
    """Mixes up stopping and going on."""
    uniform = 1 - torch.rand(count, generator=rng, dtype=torch.float64)
    steps = uniform.log() / torch.tensor(1 - gamma, dtype=torch.float64).log()
    return 1 + steps.floor().long()


@mutant_of("returns.random_horizons")
def always_the_mean_length(count, gamma, rng):
    """A fixed length with the right mean."""
    return torch.full((count,), round(1 / (1 - gamma)))


@mutant_of("returns.random_horizons")
def draws_from_the_global_generator(count, gamma, rng):
    """Ignores the generator that it was given."""
    uniform = 1 - torch.rand(count, dtype=torch.float64)
    steps = uniform.log() / torch.tensor(gamma, dtype=torch.float64).log()
    return 1 + steps.floor().long()


@mutant_of("returns.random_horizon_weights")
def decisions_behind_the_cut_count(r_t, length, valid_t=None):
    """Cuts the rewards of the first decision only: later ones see to the end."""
    from pgbook.returns import reward_to_go_weights

    weight_t = reward_to_go_weights(r_t, valid_t)
    played = torch.arange(len(r_t))[:, None] < length
    return weight_t.where(played, 0)


@mutant_of("returns.random_horizon_weights")
def one_step_more(r_t, length, valid_t=None):
    """Plays on for one step after the stop."""
    from pgbook.returns import reward_to_go_weights

    played = torch.arange(len(r_t))[:, None] <= length
    return reward_to_go_weights(r_t.where(played, 0), valid_t)


@mutant_of("returns.random_horizon_weights")
def whole_return_of_the_cut_episode(r_t, length, valid_t=None):
    """Credits each decision before the cut with all rewards before the cut."""
    from pgbook.reinforce import total_return_weights

    played = torch.arange(len(r_t))[:, None] < length
    weight_t = total_return_weights(r_t.where(played, 0), valid_t)
    return weight_t.where(played, 0)


@mutant_of("advantages.td_errors")
def td_error_with_the_wrong_sign(r_t, discount_t, v_t, v_tp1):
    """Value minus target."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return v_t - r_t - discount_t * v_tp1


@mutant_of("advantages.td_errors")
def td_error_bootstraps_through_termination(r_t, discount_t, v_t, v_tp1):
    """Takes one discount for all steps."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return r_t + discount_t.max() * v_tp1 - v_t


@mutant_of("advantages.td_errors")
def td_error_with_the_end_of_the_next_step(r_t, discount_t, v_t, v_tp1):
    """Reads the end at t + 1."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    shifted = torch.cat([discount_t[1:], discount_t[-1:]])
    return r_t + shifted * v_tp1 - v_t


@mutant_of("advantages.td_errors")
def td_error_from_the_row_below(r_t, discount_t, v_t, v_tp1):
    """Values what the next row starts from, behind an end the start of an episode."""
    from pgbook.advantages import _require_transitions

    _require_transitions(r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1)
    return r_t + discount_t * torch.cat([v_t[1:], v_tp1[-1:]]) - v_t


@mutant_of("advantages.n_step_returns")
def one_reward_too_many(r_t, discount_t, v_tp1, n, trace_t=None):
    """Sums n + 1 rewards."""
    from pgbook._checks import require_count
    from pgbook.advantages import _require_transitions

    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n):
        later_t = torch.cat([return_t[1:], v_tp1[-1:]])
        return_t = r_t + discount_t * ((1 - trace_t) * v_tp1 + trace_t * later_t)
    return return_t


@mutant_of("advantages.n_step_returns")
def n_steps_across_a_truncation(r_t, discount_t, v_tp1, n, trace_t=None):
    """Adds rewards of the next episode."""
    from pgbook._checks import require_count
    from pgbook.advantages import _require_transitions

    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n - 1):
        return_t = r_t + discount_t * torch.cat([return_t[1:], v_tp1[-1:]])
    return return_t


@mutant_of("advantages.n_step_returns")
def n_steps_with_nothing_behind_the_record(r_t, discount_t, v_tp1, n, trace_t=None):
    """Takes the end of the recording for a termination."""
    from pgbook._checks import require_count
    from pgbook.advantages import _require_transitions

    require_count(n=n)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = r_t + discount_t * v_tp1
    for _ in range(n - 1):
        later_t = torch.cat([return_t[1:], torch.zeros_like(v_tp1[-1:])])
        return_t = r_t + discount_t * ((1 - trace_t) * v_tp1 + trace_t * later_t)
    return return_t


@mutant_of("advantages.lambda_returns")
def lambda_and_its_rest_swapped(r_t, discount_t, v_tp1, lambda_, trace_t=None):
    """Gives the critic the weight lambda."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    keep_t, return_t = (1 - lambda_) * trace_t, [v_tp1[-1]]
    for t in reversed(range(len(r_t))):
        mixed = (1 - keep_t[t]) * v_tp1[t] + keep_t[t] * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


@mutant_of("advantages.lambda_returns")
def lambda_return_of_the_next_episode(r_t, discount_t, v_tp1, lambda_, trace_t=None):
    """Does not cut the trace."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = [v_tp1[-1]]
    for t in reversed(range(len(r_t))):
        mixed = (1 - lambda_) * v_tp1[t] + lambda_ * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


@mutant_of("advantages.lambda_returns")
def lambda_return_that_drops_the_last_weight(
    r_t, discount_t, v_tp1, lambda_, trace_t=None
):
    """Forgets at an end the weights of the longer returns."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(r_t=r_t, discount_t=discount_t, v_tp1=v_tp1, trace_t=trace_t)
    return_t = [torch.zeros_like(v_tp1[-1])]
    for t in reversed(range(len(r_t))):
        mixed = (1 - lambda_) * v_tp1[t] + lambda_ * trace_t[t] * return_t[-1]
        return_t.append(r_t[t] + discount_t[t] * mixed)
    return torch.stack(return_t[:0:-1])


@mutant_of("advantages.gae")
def gae_with_the_end_of_the_next_step(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Done at t + 1 instead of t."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    later = [torch.cat([x[1:], x[-1:]]) for x in (discount_t, trace_t)]
    adv_t, keep_t = r_t + later[0] * v_tp1 - v_t, later[0] * later[1] * lambda_
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_across_a_truncation(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Does not cut the trace."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t = r_t + discount_t * v_tp1 - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_that_takes_a_truncation_for_the_end(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Bootstraps nothing at a truncation."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t = r_t + discount_t * trace_t * v_tp1 - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * trace_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_without_discount_in_the_trace(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Sums lambda^l delta instead of (gamma lambda)^l delta."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t, goes_on = r_t + discount_t * v_tp1 - v_t, (discount_t > 0) * trace_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += goes_on[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.gae")
def gae_after_the_reset(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Bootstraps from the row below: the observation after the reset."""
    from pgbook._checks import require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    _require_transitions(
        r_t=r_t, discount_t=discount_t, v_t=v_t, v_tp1=v_tp1, trace_t=trace_t
    )
    adv_t = r_t + discount_t * torch.cat([v_t[1:], v_tp1[-1:]]) - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * trace_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_from_the_front(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Runs the recursion forward in time."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t + discount_t * v_tp1 - v_t
    keep_t = discount_t * trace_t * lambda_
    for t in range(len(r_t) - 1):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_without_trace(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Does not cut the trace."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t + discount_t * v_tp1 - v_t
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += discount_t[t] * lambda_ * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_that_overwrites_its_rewards(
    r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None
):
    """Saves an array by writing into the argument."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t.add_(discount_t * v_tp1 - v_t)
    keep_t = discount_t * trace_t * lambda_
    for t in reversed(range(len(r_t) - 1)):
        adv_t[t] += keep_t[t] * adv_t[t + 1]
    return adv_t


@mutant_of("advantages.fast_gae")
def fast_gae_in_a_copy(r_t, discount_t, v_t, v_tp1, lambda_, trace_t=None):
    """Loses the recursion where flattening has to copy: transposed arguments."""
    from pgbook._checks import require_no_gradient, require_unit_interval
    from pgbook.advantages import _require_transitions

    require_unit_interval(lambda_=lambda_)
    trace_t = torch.ones_like(r_t) if trace_t is None else trace_t
    given = {"r_t": r_t, "discount_t": discount_t, "v_t": v_t, "v_tp1": v_tp1}
    require_no_gradient(**given, trace_t=trace_t)
    _require_transitions(**given, trace_t=trace_t)
    adv_t = r_t + discount_t * v_tp1 - v_t
    rows = adv_t.view(-1) if adv_t.is_contiguous() else adv_t.reshape(-1)
    rows = rows.view(len(r_t), -1)
    keep_t = (discount_t * trace_t * lambda_).reshape(len(r_t), -1)
    for t in reversed(range(len(r_t) - 1)):
        rows[t] += keep_t[t] * rows[t + 1]
    return adv_t


@mutant_of("baselines.batch_mean_baseline")
def mean_over_time(return_t):
    """Averages each episode over its steps, not each step over the episodes."""
    return return_t.mean(0, keepdim=True).expand_as(return_t).clone()


@mutant_of("baselines.batch_mean_baseline")
def mean_over_everything(return_t):
    """One number for all steps of the batch."""
    return return_t.mean().expand_as(return_t).clone()


@mutant_of("baselines.batch_mean_baseline")
def mean_without_oneself(return_t):
    """Leaves the episode out and divides by N all the same."""
    return (return_t.sum(1, keepdim=True) - return_t) / return_t.shape[1]


@mutant_of("baselines.leave_one_out_baseline")
def leave_nobody_out(return_t):
    """The batch mean, called unbiased."""
    return return_t.mean(1, keepdim=True).expand_as(return_t).clone()


@mutant_of("baselines.leave_one_out_baseline")
def leave_one_out_of_n(return_t):
    """Divides the sum over the others by N."""
    return (return_t.sum(1, keepdim=True) - return_t) / return_t.shape[1]


@mutant_of("baselines.leave_one_out_baseline")
def leave_one_step_out(return_t):
    """Averages the other steps of the same episode."""
    return (return_t.sum(0, keepdim=True) - return_t) / max(len(return_t) - 1, 1)


@mutant_of("baselines.leave_one_out_baseline")
def mean_of_the_surviving_others(return_t):
    """Skips episodes that are over, as if a return of 0 were none."""
    others = (return_t != 0).double().sum(1, keepdim=True) - (return_t != 0).double()
    return (return_t.sum(1, keepdim=True) - return_t) / others.clamp(min=1)


@mutant_of("baselines.whitened")
def whitened_by_the_population(weight_t, valid_t):
    """Divides by the standard deviation that divides by N."""
    known = weight_t[valid_t]
    scaled = (weight_t - known.mean()) / known.std(correction=0)
    return torch.where(valid_t, scaled, 0)


@mutant_of("baselines.whitened")
def whitened_with_the_padding(weight_t, valid_t):
    """Takes mean and standard deviation over the padding as well."""
    weight_t = torch.where(valid_t, weight_t, 0)
    scaled = (weight_t - weight_t.mean()) / weight_t.std()
    return torch.where(valid_t, scaled, 0)


@mutant_of("baselines.whitened")
def scaled_and_not_centered(weight_t, valid_t):
    """Forgets to subtract the mean."""
    return torch.where(valid_t, weight_t / weight_t[valid_t].std(), 0)


@mutant_of("baselines.whitened")
def whitened_behind_the_end(weight_t, valid_t):
    """Gives the padding a weight."""
    known = weight_t[valid_t]
    return (weight_t - known.mean()) / known.std()


@mutant_of("baselines.whitened")
def nothing_from_equal_weights(weight_t, valid_t):
    """Returns a silent NaN, or noise, when all weights are equal."""
    known = weight_t[valid_t]
    return torch.where(valid_t, (weight_t - known.mean()) / known.std(), 0)


@mutant_of("baselines.optimal_constant_baseline")
def mean_return_called_optimal(score, returns, probability):
    """The mean return."""
    return probability @ returns


@mutant_of("baselines.optimal_constant_baseline")
def weighed_by_the_norm(score, returns, probability):
    """Weighs by the norm of the score instead of its square."""
    weight = probability * score.norm(dim=1)
    return weight @ returns / weight.sum()


@mutant_of("baselines.optimal_constant_baseline")
def forgets_the_probability(score, returns, probability):
    """Counts every trajectory once."""
    weight = score.square().sum(1)
    return weight @ returns / weight.sum()


@mutant_of("baselines.optimal_baseline_per_parameter")
def one_for_all_parameters(score, returns, probability):
    """The constant baseline, repeated."""
    weight = probability * score.square().sum(1)
    return (weight @ returns / weight.sum()).expand(score.shape[1])


@mutant_of("baselines.optimal_baseline_per_parameter")
def ratio_without_squares(score, returns, probability):
    """Weighs by absolute scores."""
    weight = probability[:, None] * score.abs()
    total = weight.sum(0)
    return (returns @ weight) / total.where(total > 0, 1)


@mutant_of("baselines.optimal_baseline_per_parameter")
def zero_over_zero(score, returns, probability):
    """NaN for a parameter that no trajectory uses."""
    weight = probability[:, None] * score.square()
    return (returns @ weight) / weight.sum(0)


@mutant_of("baselines.optimal_state_baseline")
def state_value_called_optimal(pi, score, q):
    """The state value."""
    return (pi * q).sum(1)


@mutant_of("baselines.optimal_state_baseline")
def weighed_without_the_policy(pi, score, q):
    """Forgets how probable an action is."""
    weight = score.square().sum(-1)
    total = weight.sum(1)
    return (weight * q).sum(1) / total.where(total > 0, 1)


@mutant_of("baselines.optimal_state_baseline")
def squared_sum_of_scores(pi, score, q):
    """Squares the sum over parameters instead of summing squares."""
    weight = pi * score.sum(-1).square()
    total = weight.sum(1)
    return (weight * q).sum(1) / total.where(total > 0, 1)


@mutant_of("baselines.fitted_state_baseline")
def fitted_to_zero_where_unvisited(baseline, s_t, return_t, valid_t, step_size):
    """Moves states without a visit toward 0."""
    visits, total = torch.zeros_like(baseline), torch.zeros_like(baseline)
    visits = visits.index_add(0, s_t[valid_t], torch.ones_like(return_t[valid_t]))
    total = total.index_add(0, s_t[valid_t], return_t[valid_t])
    return baseline + step_size * (total / visits.clamp(min=1) - baseline)


@mutant_of("baselines.fitted_state_baseline")
def fitted_to_the_sum(baseline, s_t, return_t, valid_t, step_size):
    """Moves toward the sum of the errors of all visits."""
    errors = return_t[valid_t] - baseline[s_t[valid_t]]
    return baseline.index_add(0, s_t[valid_t], step_size * errors)


@mutant_of("baselines.fitted_state_baseline")
def fitted_to_the_padding(baseline, s_t, return_t, valid_t, step_size):
    """Counts the padding as visits that returned 0."""
    seen = torch.where(valid_t, return_t, 0).flatten()
    states = s_t.flatten().clamp(max=len(baseline) - 1)
    visits = torch.zeros_like(baseline).index_add(0, states, torch.ones_like(seen))
    total = torch.zeros_like(baseline).index_add(0, states, seen)
    target = torch.where(visits > 0, total / visits.clamp(min=1), baseline)
    return baseline + step_size * (target - baseline)


@mutant_of("baselines.expected_action_baseline")
def mean_over_actions_without_policy(pi_t, baseline_t, valid_t=None):
    """Averages the baseline over actions as if all were equally probable."""
    mean_t = (pi_t / pi_t.detach() * baseline_t).mean(-1)
    return mean_t if valid_t is None else mean_t.where(valid_t, 0)


@mutant_of("baselines.expected_action_baseline")
def correction_cut_off(pi_t, baseline_t, valid_t=None):
    """Has the right value and, detached, no gradient; the sum keeps the graph."""
    mean_t = (pi_t.detach() * baseline_t).sum(-1) + pi_t.sum(-1) - pi_t.sum(-1).detach()
    return mean_t if valid_t is None else mean_t.where(valid_t, 0)


@mutant_of("baselines.expected_action_baseline")
def correction_with_the_wrong_sign(pi_t, baseline_t, valid_t=None):
    """Subtracts the correction."""
    mean_t = -(pi_t * baseline_t).sum(-1)
    return mean_t if valid_t is None else mean_t.where(valid_t, 0)


@mutant_of("baselines.expected_action_baseline")
def correction_behind_the_end(pi_t, baseline_t, valid_t=None):
    """Corrects decisions that were never made."""
    return (pi_t * baseline_t).sum(-1)


def _constants(weight, q):
    return weight.detach(), q.detach()


@mutant_of("policy_gradient_theorem.theorem_gradient")
def states_count_alike(pi, theta, weight, q):
    """Forgets that states are visited unequally often."""
    total = (q * pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.theorem_gradient")
def weighs_by_the_score(pi, theta, weight, q):
    """Differentiates log pi without the factor pi."""
    total = torch.einsum("...s,...sa,sa->...", weight, q, pi.log()).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.theorem_gradient")
def states_normalized(pi, theta, weight, q):
    """Turns the weights of the states into a distribution."""
    total = torch.einsum("...s,...sa,sa->...", weight / weight.sum(), q, pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.return_gradient")
def rewards_for_values(mdp, pi, theta):
    """Differentiates the reward of the next step alone, as if states stayed put."""
    d = mdp.occupancy(pi.detach())
    total = torch.einsum("...s,sa,sa->...", d, mdp.reward, pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.return_gradient")
def states_without_discount(mdp, pi, theta):
    """Drops gamma^t from the weights of the states, as the usual update does."""
    table = pi.detach()
    at, chain = mdp.initial, torch.einsum("sa,sau->su", table, mdp.transition)
    visits = [at]
    for _ in range((mdp.horizon or 300) - 1):
        visits.append(visits[-1] @ chain)
    d = torch.stack(visits)
    d = d.sum(0) if mdp.horizon is None else d
    total = torch.einsum("...s,...sa,sa->...", d, mdp.action_values(table), pi).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.return_gradient")
def values_of_the_start(mdp, pi, theta):
    """Uses the values of time 0 at all times."""
    table = pi.detach()
    d, q = mdp.occupancy(table), mdp.action_values(table)
    if mdp.horizon is not None:
        d, q = d.sum(0), q[0]
    total = torch.einsum("s,sa,sa->", d, q, pi)
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.stationary_distribution")
def stationary_from_the_right(mdp, pi):
    """Solves P mu = mu instead of mu P = mu."""
    chain = torch.einsum("sa,sau->su", pi, mdp.transition)
    ones = torch.ones_like(chain)
    return torch.linalg.solve(torch.eye(len(pi)) - chain + ones, ones[0])


@mutant_of("policy_gradient_theorem.stationary_distribution")
def stationary_is_uniform(mdp, pi):
    """Visits all states equally often."""
    return torch.full_like(pi[:, 0], 1 / len(pi))


@mutant_of("policy_gradient_theorem.stationary_distribution")
def stationary_is_discounted(mdp, pi):
    """Takes the normalized discounted occupancy for the long run."""
    return (1 - mdp.discount) * mdp.occupancy(pi)


@mutant_of("policy_gradient_theorem.average_reward")
def average_over_states(mdp, pi):
    """Forgets how often each state is visited."""
    return (pi * mdp.reward).sum(-1).mean()


@mutant_of("policy_gradient_theorem.average_reward")
def average_is_discounted(mdp, pi):
    """Takes (1 - gamma) times the discounted return for the average."""
    return (1 - mdp.discount) * mdp.expected_return(pi)


@mutant_of("policy_gradient_theorem.average_reward")
def average_without_policy(mdp, pi):
    """Averages over actions as if they were equally likely."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    return stationary_distribution(mdp, pi) @ mdp.reward.mean(-1)


@mutant_of("policy_gradient_theorem.differential_values")
def differential_without_average(mdp, pi):
    """Forgets to subtract the average reward."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    chain = torch.einsum("sa,sau->su", pi, mdp.transition)
    system = torch.eye(len(pi)) - chain + stationary_distribution(mdp, pi)
    return torch.linalg.solve(system, (pi * mdp.reward).sum(-1))


@mutant_of("policy_gradient_theorem.differential_values")
def differential_of_state_zero(mdp, pi):
    """Puts the value 0 in state 0: another constant than documented."""
    from pgbook.policy_gradient_theorem import average_reward, stationary_distribution

    chain = torch.einsum("sa,sau->su", pi, mdp.transition)
    system = torch.eye(len(pi)) - chain + stationary_distribution(mdp, pi)
    extra = (pi * mdp.reward).sum(-1) - average_reward(mdp, pi)
    v = torch.linalg.solve(system, extra)
    return v - v[0]


@mutant_of("policy_gradient_theorem.differential_values")
def differential_by_discount(mdp, pi):
    """Uses discounted values, which differ by more than a constant."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    v = mdp.values(pi)
    return v - stationary_distribution(mdp, pi) @ v


@mutant_of("policy_gradient_theorem.differential_action_values")
def action_values_without_average(mdp, pi):
    """Forgets to subtract the average reward."""
    from pgbook.policy_gradient_theorem import differential_values

    return mdp.reward + mdp.transition @ differential_values(mdp, pi)


@mutant_of("policy_gradient_theorem.differential_action_values")
def action_values_discounted(mdp, pi):
    """Discounts what follows."""
    from pgbook.policy_gradient_theorem import average_reward, differential_values

    later = mdp.transition @ differential_values(mdp, pi)
    return mdp.reward - average_reward(mdp, pi) + mdp.discount * later


@mutant_of("policy_gradient_theorem.differential_action_values")
def action_values_stop(mdp, pi):
    """Leaves out what follows."""
    from pgbook.policy_gradient_theorem import average_reward

    return mdp.reward - average_reward(mdp, pi)


@mutant_of("policy_gradient_theorem.average_reward_gradient")
def average_with_discounted_values(mdp, pi, theta):
    """Mixes the stationary distribution with discounted action values."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    mu, q = _constants(stationary_distribution(mdp, pi), mdp.action_values(pi))
    return torch.autograd.grad((mu @ (q * pi)).sum(), theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.average_reward_gradient")
def average_with_discounted_states(mdp, pi, theta):
    """Mixes the discounted occupancy with differential action values."""
    from pgbook.policy_gradient_theorem import differential_action_values

    d = (1 - mdp.discount) * mdp.occupancy(pi)
    d, q = _constants(d, differential_action_values(mdp, pi))
    return torch.autograd.grad((d @ (q * pi)).sum(), theta, retain_graph=True)[0]


@mutant_of("policy_gradient_theorem.average_reward_gradient")
def average_with_states_fixed(mdp, pi, theta):
    """Keeps the distribution and differentiates the next reward alone."""
    from pgbook.policy_gradient_theorem import stationary_distribution

    mu = stationary_distribution(mdp, pi).detach()
    total = (mu @ (mdp.reward * pi)).sum()
    return torch.autograd.grad(total, theta, retain_graph=True)[0]


def _looked_up(mdp, pi, trajectories):
    """Values of all actions, t, and the validity, with axes in their places."""
    q, s_t = mdp.action_values(pi.detach()), trajectories.observations[:-1]
    q = q if mdp.horizon else q.expand(len(s_t), *q.shape)
    t = torch.arange(len(s_t))[:, None]
    return q, s_t, t, trajectories.valid[..., None]


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_without_discount(mdp, pi, trajectories):
    """Drops gamma^t."""
    q, s_t, t, valid = _looked_up(mdp, pi, trajectories)
    return q[t, s_t].where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_at_time_zero(mdp, pi, trajectories):
    """Uses the values of time 0 at all times."""
    q, s_t, t, valid = _looked_up(mdp, pi, trajectories)
    return (mdp.discount ** t.double()[..., None] * q[0][s_t]).where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_behind_the_end(mdp, pi, trajectories):
    """Counts the padding."""
    q, s_t, t, _ = _looked_up(mdp, pi, trajectories)
    return mdp.discount ** t.double()[..., None] * q[t, s_t]


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_all_in_single_precision(mdp, pi, trajectories):
    """Raises gamma to an integer power, which PyTorch computes in float32."""
    q, s_t, t, valid = _looked_up(mdp, pi, trajectories)
    return (mdp.discount ** t[..., None] * q[t, s_t]).where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_weights")
def weights_of_the_next_state(mdp, pi, trajectories):
    """Looks up the state that follows."""
    q, _, t, valid = _looked_up(mdp, pi, trajectories)
    s_tp1 = trajectories.observations[1:]
    return (mdp.discount ** t.double()[..., None] * q[t, s_tp1]).where(valid, 0)


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_by_their_logarithm(pi_t, weight_t, valid_t=None):
    """Weighs by log pi, so every action counts alike."""
    if valid_t is not None:
        pi_t = pi_t.where(valid_t[..., None], 1)
        weight_t = weight_t.where(valid_t[..., None], 0)
    return -(weight_t * pi_t.log()).sum((0, 2)).mean()


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_over_steps(pi_t, weight_t, valid_t=None):
    """Divides by the number of steps instead of episodes."""
    if valid_t is not None:
        pi_t = pi_t.where(valid_t[..., None], 0)
        weight_t = weight_t.where(valid_t[..., None], 0)
    return -(weight_t * pi_t).sum(2).mean()


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_downhill(pi_t, weight_t, valid_t=None):
    """Forgets the minus sign."""
    if valid_t is not None:
        pi_t = pi_t.where(valid_t[..., None], 0)
        weight_t = weight_t.where(valid_t[..., None], 0)
    return (weight_t * pi_t).sum((0, 2)).mean()


@mutant_of("policy_gradient_theorem.all_action_loss")
def all_actions_of_the_padding(pi_t, weight_t, valid_t=None):
    """Ignores which steps were decisions."""
    return -(weight_t.nan_to_num(posinf=1) * pi_t.nan_to_num()).sum((0, 2)).mean()


@mutant_of("actor_critic.critic_gradient")
def every_state_counts_alike(mdp, pi, theta, q_hat):
    """Weighs every state alike instead of by its visits."""
    (gradient,) = torch.autograd.grad((pi * q_hat).sum(), theta)
    return gradient


@mutant_of("actor_critic.critic_gradient")
def critic_weighs_visits_without_discount(mdp, pi, theta, q_hat):
    """Forgets gamma^t in the occupancy."""
    occupancy = replace(mdp, discount=0.999999).occupancy(pi.detach())
    (gradient,) = torch.autograd.grad(((pi * q_hat).sum(-1) @ occupancy), theta)
    return gradient


@mutant_of("actor_critic.critic_gradient")
def scores_instead_of_gradients(mdp, pi, theta, q_hat):
    """Has grad log pi where grad pi belongs: every action counts alike."""
    occupancy = mdp.occupancy(pi.detach())
    (gradient,) = torch.autograd.grad((pi.log() * q_hat).sum(-1) @ occupancy, theta)
    return gradient


@mutant_of("actor_critic.one_step_action_values")
def bootstrap_without_discount(mdp, v):
    """Forgets gamma."""
    return mdp.reward + mdp.transition @ v


@mutant_of("actor_critic.one_step_action_values")
def the_end_is_worth_as_much_as_here(mdp, v):
    """Bootstraps through the end: the missing mass stays in its state."""
    stay = mdp.ending * v[:, None]
    return mdp.reward + mdp.discount * (mdp.transition @ v + stay)


@mutant_of("actor_critic.one_step_action_values")
def value_of_the_state_itself(mdp, v):
    """Bootstraps from s_t instead of the state after it."""
    return mdp.reward + mdp.discount * v[:, None]


@mutant_of("actor_critic.td_fixed_point")
def td_without_discount(mdp, pi, features, weight):
    """Forgets gamma."""
    transition_pi = torch.einsum("sa,sau->su", pi, mdp.transition)
    weighted = features.T * weight
    system = weighted @ (features - transition_pi @ features)
    return torch.linalg.solve(system, weighted @ (pi * mdp.reward).sum(-1))


@mutant_of("actor_critic.td_fixed_point")
def residual_gradient(mdp, pi, features, weight):
    """Differentiates the target too: minimizes the squared mean TD error."""
    transition_pi = torch.einsum("sa,sau->su", pi, mdp.transition)
    change = features - mdp.discount * transition_pi @ features
    weighted = change.T * weight
    return torch.linalg.solve(weighted @ change, weighted @ (pi * mdp.reward).sum(-1))


@mutant_of("actor_critic.td_fixed_point")
def td_with_equal_weights(mdp, pi, features, weight):
    """Ignores how often each state is updated."""
    transition_pi = torch.einsum("sa,sau->su", pi, mdp.transition)
    system = features.T @ (features - mdp.discount * transition_pi @ features)
    return torch.linalg.solve(system, features.T @ (pi * mdp.reward).sum(-1))


@mutant_of("actor_critic.monte_carlo_fixed_point")
def regression_with_equal_weights(mdp, pi, features, weight):
    """Ignores how often each state is updated."""
    return torch.linalg.lstsq(features, mdp.values(pi)[:, None]).solution[:, 0]


@mutant_of("actor_critic.monte_carlo_fixed_point")
def weights_squared(mdp, pi, features, weight):
    """Multiplies rows by the weight instead of its root."""
    rows = weight[:, None] * features
    return torch.linalg.lstsq(rows, (weight * mdp.values(pi))[:, None]).solution[:, 0]


@mutant_of("actor_critic.monte_carlo_fixed_point")
def bootstraps_like_td(mdp, pi, features, weight):
    """Is the fixed point of temporal-difference learning."""
    from pgbook.actor_critic import td_fixed_point

    return td_fixed_point(mdp, pi, features, weight)


def fit_on_scores(mdp, pi, theta, chance, target):
    """Least squares of a target on the scores."""
    from pgbook.trajectory_probability import trajectory_score

    root = chance.flatten().sqrt()[:, None]
    score = trajectory_score(pi.log().flatten(), theta).reshape(len(root), -1)
    fit = torch.linalg.lstsq(root * score, root * target.reshape(-1, 1), driver="gelsd")
    return fit.solution.reshape(theta.shape)


@mutant_of("actor_critic.compatible_weights")
def fitted_off_policy(mdp, pi, theta):
    """Weighs actions alike: forgets pi."""
    table = pi.detach()
    chance = mdp.occupancy(table)[:, None].expand_as(table)
    return fit_on_scores(mdp, pi, theta, chance, mdp.advantages(table))


@mutant_of("actor_critic.compatible_weights")
def fitted_without_occupancy(mdp, pi, theta):
    """Weighs states alike."""
    table = pi.detach()
    return fit_on_scores(mdp, pi, theta, table, mdp.advantages(table))


@mutant_of("actor_critic.compatible_weights")
def fitted_to_rewards(mdp, pi, theta):
    """Takes the reward for the advantage."""
    table = pi.detach()
    chance = mdp.occupancy(table)[:, None] * table
    return fit_on_scores(mdp, pi, theta, chance, mdp.reward)


@mutant_of("actor_critic.critic_loss")
def critic_runs_away(v_t, target_t, valid_t):
    """Has the wrong sign."""
    from pgbook.actor_critic import _decisions

    v_t, target_t, steps = _decisions(valid_t, v_t=v_t, target_t=target_t)
    return -(target_t - v_t).square().sum() / 2 / steps


@mutant_of("actor_critic.critic_loss")
def critic_learns_from_fillers(v_t, target_t, valid_t):
    """Divides by all steps and takes the fillers' targets for real."""
    from pgbook.actor_critic import _decisions

    _decisions(valid_t, v_t=v_t, target_t=target_t)
    return (target_t - v_t).square().mean() / 2


@mutant_of("actor_critic.critic_loss")
def critic_divides_by_all_steps(v_t, target_t, valid_t):
    """Divides by the size of the record, fillers included."""
    from pgbook.actor_critic import _decisions

    v_t, target_t, _ = _decisions(valid_t, v_t=v_t, target_t=target_t)
    return (target_t - v_t).square().mean() / 2


@mutant_of("actor_critic.critic_loss")
def target_moves_along(v_t, target_t, valid_t):
    """Lets the gradient into the target."""
    from pgbook.actor_critic import _decisions

    v_t, target_t, steps = _decisions(valid_t, t=target_t, target_t=v_t.detach())
    return (target_t - v_t).square().sum() / 2 / steps


@mutant_of("actor_critic.stream_policy_gradient_loss")
def stream_goes_downhill(log_prob_t, weight_t, valid_t):
    """Has the wrong sign."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    log_prob_t, weight_t, steps = _decisions(valid_t, **pair)
    return (weight_t * log_prob_t).sum() / steps


@mutant_of("actor_critic.stream_policy_gradient_loss")
def stream_divided_by_columns(log_prob_t, weight_t, valid_t):
    """Divides by the number of environments: the step grows with the record."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    log_prob_t, weight_t, _ = _decisions(valid_t, **pair)
    return -(weight_t * log_prob_t).sum() / log_prob_t.shape[1]


@mutant_of("actor_critic.stream_policy_gradient_loss")
def stream_divided_by_fillers_too(log_prob_t, weight_t, valid_t):
    """Divides by all steps of the record."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    log_prob_t, weight_t, _ = _decisions(valid_t, **pair)
    return -(weight_t * log_prob_t).mean()


@mutant_of("actor_critic.stream_policy_gradient_loss")
def fillers_times_zero(log_prob_t, weight_t, valid_t):
    """Multiplies by the mask, which lets a NaN through."""
    from pgbook.actor_critic import _decisions

    pair = {"log_prob_t": log_prob_t, "weight_t": weight_t}
    _, _, steps = _decisions(valid_t, **pair)
    return -(weight_t * log_prob_t * valid_t).sum() / steps


if __name__ == "__main__":
    sys.modules["mutants"] = sys.modules["__main__"]
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1]))

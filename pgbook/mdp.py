"""Markov decision processes small enough to be solved exactly.

A shared room: chapters compare their estimators with what stands here, to the last
digits of float64 and without a random number. With a horizon H, row t of a result
belongs to time t = 0 … H-1 (values have a row H of zeros beyond the last decision);
without one, time does not matter and the row is missing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pgbook._checks import (
    require,
    require_count,
    require_distributions,
    require_finite,
    require_not_empty,
    require_shape,
    require_unit_interval,
)
from pgbook.trajectories import Trajectories

MAX_TRAJECTORIES = 1_000_000
ROUNDING = 1e-12  # probabilities up to here are rounding errors of a sum


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """A Markov decision process with S states and A actions, given by its tables.

    A row of `transition` may sum to less than 1: the missing mass is the probability
    that the episode ends. All tables are float64. A policy is a table pi, [S, A], and
    every result is differentiable in it, so the exact gradient for any parameters is
    autograd through the table. The derivative in a single entry of pi means nothing by
    itself: rows have to keep summing to 1.

    Args:
        transition: probability of the next state, [S, A, S].
        reward: earned for the action, whatever follows, [S, A].
        initial: distribution of s_0, [S].
        discount: gamma, in [0, 1].
        horizon: number of decisions after which every episode has ended, part of the
            objective; None means that there is no such limit.

    Raises:
        ValueError: if a shape, dtype or number does not fit.

    Source: Puterman (1994), chapters 4 and 6.
    """

    transition: Tensor
    reward: Tensor
    initial: Tensor
    discount: float
    horizon: int | None = None

    def __post_init__(self) -> None:
        """Check the tables."""
        require_shape((None, None, None), transition=self.transition)
        states, actions, _ = self.transition.shape
        require_shape((states, actions, states), transition=self.transition)
        require_shape((states, actions), reward=self.reward)
        require_shape((states,), initial=self.initial)
        for name in ("transition", "reward", "initial"):
            table = getattr(self, name)
            require(table.dtype == torch.float64, name, table.dtype, "torch.float64")
            require_not_empty(**{name: table})
            require_finite(**{name: table})
        require_unit_interval(transition=self.transition, discount=self.discount)
        largest = self.transition.sum(-1).max().item()
        need = "rows that sum to at most 1"
        require(largest <= 1 + ROUNDING, "transition", f"a sum of {largest:.6g}", need)
        require_distributions(initial=self.initial)
        if self.horizon is not None:
            require_count(horizon=self.horizon)

    @property
    def ending(self) -> Tensor:
        """Probability that the episode ends with this action.

            ending = 1 - sum_s' transition[s, a, s']

        Returns:
            ending, exactly 0 where only rounding is missing, [S, A].
        """
        missing = 1 - self.transition.sum(-1)
        return torch.where(missing > ROUNDING, missing, 0)

    def values(self, pi: Tensor) -> Tensor:
        """State values of a policy, by a linear solve or by backward induction.

            v = r_pi + gamma * P_pi @ v                without a horizon
            v[t] = r_pi + gamma * P_pi @ v[t + 1]      with one, v[H] = 0

        Args:
            pi: policy, [S, A].

        Returns:
            v, [S]; with a horizon [H+1, S].

        Raises:
            ValueError: if pi is no policy of this shape, or if it never ends although
                nothing is discounted.

        Source: Sutton and Barto (2018), eq. 3.14.
        """
        transition_pi, reward_pi = self._induced_by(pi)
        if self.horizon is None:
            system = torch.eye(len(reward_pi)) - self.discount * transition_pi
            return torch.linalg.solve(system, reward_pi)
        v = [torch.zeros_like(reward_pi)]
        for _ in range(self.horizon):
            v.append(reward_pi + self.discount * transition_pi @ v[-1])
        return torch.stack(v[::-1])

    def action_values(self, pi: Tensor) -> Tensor:
        """Action values of a policy.

            q = reward + gamma * transition @ v                without a horizon
            q[t] = reward + gamma * transition @ v[t + 1]      with one

        Args:
            pi: policy, [S, A].

        Returns:
            q, [S, A]; with a horizon [H, S, A].

        Raises:
            ValueError: as `values` does.

        Source: Sutton and Barto (2018), section 3.5.
        """
        v = self.values(pi)
        v_tp1 = v if self.horizon is None else v[1:]
        expected_v = torch.einsum("sau,...u->...sa", self.transition, v_tp1)
        return self.reward + self.discount * expected_v

    def advantages(self, pi: Tensor) -> Tensor:
        """Advantages of a policy: how much better than its average an action is.

            advantage = q - v

        Args:
            pi: policy, [S, A].

        Returns:
            advantage, [S, A]; with a horizon [H, S, A].

        Raises:
            ValueError: as `values` does.
        """
        v = self.values(pi)
        v_t = v if self.horizon is None else v[:-1]
        return self.action_values(pi) - v_t[..., None]

    def occupancy(self, pi: Tensor) -> Tensor:
        """Expected discounted visits of each state, not normalized.

            occupancy[s] = sum_t gamma^t P(s_t = s)      without a horizon
            occupancy[t, s] = gamma^t P(s_t = s)         with one

        The expected return is the sum of occupancy * pi * reward.

        Args:
            pi: policy, [S, A].

        Returns:
            occupancy, [S]; with a horizon [H, S].

        Raises:
            ValueError: as `values` does.

        Source: Puterman (1994), section 6.9.
        """
        transition_pi, reward_pi = self._induced_by(pi)
        if self.horizon is None:
            system = torch.eye(len(reward_pi)) - self.discount * transition_pi
            return torch.linalg.solve(system.T, self.initial)
        visits = [self.initial]
        for _ in range(self.horizon - 1):
            visits.append(self.discount * visits[-1] @ transition_pi)
        return torch.stack(visits)

    def expected_return(self, pi: Tensor) -> Tensor:
        """The objective J of a policy.

            J = sum_s initial[s] * v[s]      (v[0, s] with a horizon)

        Args:
            pi: policy, [S, A].

        Returns:
            J, a scalar.

        Raises:
            ValueError: as `values` does.
        """
        v = self.values(pi)
        return self.initial @ (v if self.horizon is None else v[0])

    def trajectories(self, pi: Tensor) -> tuple[Trajectories, Tensor]:
        """Every trajectory with its probability under a policy.

            p(tau) = initial[s_0] * prod_t pi[s_t, a_t] * transition[s_t, a_t, s_t+1]

        One column per trajectory that some policy can produce, in lexicographic order
        of s_0, a_0, s_1, a_1, …; where pi is 0 so is the probability, but not its
        gradient. Observations are state indices; after the end the last one is
        repeated, which means nothing. The end of the horizon is a termination.

        Args:
            pi: policy, [S, A].

        Returns:
            trajectories of N columns, and their probabilities, [N].

        Raises:
            ValueError: if there is no horizon, if there are more than a million
                trajectories, or if pi is no policy of this shape.
        """
        pi = self._checked(pi)
        require(self.horizon is not None, "horizon", None, "an integer >= 1")
        moves, chance, earned = self._moves(pi)
        choices = torch.bincount(moves[:, 0])
        state = self.initial.nonzero()[:, 0]
        probability = self.initial[state]
        taken = torch.empty(0, len(state), dtype=torch.long)
        for _ in range(self.horizon):
            count, most = int(choices[state].sum()), MAX_TRAJECTORIES
            need = f"a tree of at most {most:,}"
            require(count <= most, "horizon", f"{count:,} trajectories or more", need)
            parent, move = (state[:, None] == moves[:, 0]).nonzero(as_tuple=True)
            taken = torch.cat([taken[:, parent], move[None]])
            probability = probability[parent] * chance[move]
            state = moves[move, 2]
        return self._record(moves[taken], earned[taken]), probability

    def _moves(self, pi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Possible moves (s, a, s'), [K, 3], with probability and reward, [K].

        The number S stands for the end, which the last move never leaves.
        """
        end = len(self.initial)
        outcome = torch.cat([self.transition, self.ending[..., None]], -1)
        possible = outcome > 0
        moves = torch.cat([possible.nonzero(), torch.tensor([[end, 0, end]])])
        chance = torch.cat([(pi[..., None] * outcome)[possible], torch.ones(1)])
        reward = self.reward[..., None].expand_as(outcome)[possible]
        return moves, chance, torch.cat([reward, torch.zeros(1)])

    def _record(self, moves: Tensor, rewards: Tensor) -> Trajectories:
        """Turn moves, [T, N, 3], and their rewards, [T, N], into a record."""
        end = len(self.initial)
        observations = torch.cat([moves[..., 0], moves[-1:, :, 2]])  # [T+1, N]
        for t in range(1, len(observations)):
            over = observations[t] == end
            observations[t, over] = observations[t - 1, over]
        valid = moves[..., 0] < end
        terminated = valid & (moves[..., 2] == end)
        terminated[-1] = valid[-1]
        return Trajectories(
            observations=observations,
            actions=moves[..., 1],
            rewards=rewards,
            terminated=terminated,
            truncated=torch.zeros_like(valid),
            valid=valid,
        )

    def _checked(self, pi: Tensor) -> Tensor:
        """The policy in float64."""
        require_shape(tuple(self.reward.shape), pi=pi)
        require_distributions(pi=pi)
        return pi.double()

    def _induced_by(self, pi: Tensor) -> tuple[Tensor, Tensor]:
        """The Markov chain of a policy: P_pi, [S, S], and r_pi, [S]."""
        pi = self._checked(pi)
        transition_pi = torch.einsum("sa,sau->su", pi, self.transition)
        if self.horizon is None and self.discount == 1:
            ends = (pi * self.ending).sum(-1) > ROUNDING
            for _ in ends:
                ends = ends | ((transition_pi > ROUNDING) & ends).any(-1)
            stuck = (~ends).nonzero()[:, 0].tolist()
            got = f"a policy that never ends from states {stuck}"
            need = "one that ends, or a discount below 1, or a horizon"
            require(not stuck, "pi", got, need)
        return transition_pi, (pi * self.reward).sum(-1)


def random_mdp(
    states: int, actions: int, discount: float, rng: torch.Generator
) -> TabularMDP:
    """Draw a Markov decision process that never ends, to try a theorem on.

    Each row of `transition`, and `initial`, is uniform among all distributions; the
    rewards are standard normal.

    Args:
        states: number S of states.
        actions: number A of actions.
        discount: gamma, in [0, 1).
        rng: draws the tables.

    Returns:
        tables of S states and A actions, without a horizon.

    Raises:
        ValueError: if a number is not a positive integer, or the discount not in
            [0, 1).
    """
    require_count(states=states, actions=actions)
    require(0 <= discount < 1, "discount", discount, "a number in [0, 1)")

    def rows(*shape: int) -> Tensor:
        weight = torch.empty(shape, dtype=torch.float64).exponential_(generator=rng)
        return weight / weight.sum(-1, keepdim=True)

    reward = torch.randn(states, actions, generator=rng, dtype=torch.float64)
    transition = rows(states, actions, states)
    return TabularMDP(transition, reward, rows(states), discount)

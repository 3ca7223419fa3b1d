"""The five small environments: each a function, an environment and its batched form.

A shared room. The function returns the tables, with which everything is exact; the
environment plays the same tables, and says in Gymnasium's headings what it is.
"""

from collections.abc import Sequence

import torch

from pgbook._checks import require, require_count, require_finite, require_not_empty
from pgbook.environments.tabular import TabularEnv, TabularVectorEnv
from pgbook.mdp import TabularMDP


def two_step() -> TabularMDP:
    """The running example of the book: two decisions, solvable on paper.

        J(p) = 4 * p - 3 * p ** 2      if action 1 has probability p in every state

    States are 0 (start), 1 (A) and 2 (B). In the start, action 1 earns 1 and leads to
    A, action 0 earns 0 and leads to B. In A action 0 earns 1, in B action 1 earns 2.

    Returns:
        tables of 3 states and 2 actions, horizon 2, discount 1.
    """
    transition = torch.zeros(3, 2, 3, dtype=torch.float64)
    transition[0, 0, 2] = transition[0, 1, 1] = 1
    reward = torch.tensor([[0, 1], [1, 0], [0, 2]], dtype=torch.float64)
    return TabularMDP(transition, reward, _start_in_0(3), discount=1, horizon=2)


class TwoStep(TabularEnv):
    """The running example of the book: two decisions, then the end.

    ## Description
    The first action decides whether the second is taken in A or in B. A policy that
    takes action 1 with the same probability p everywhere earns 4 p - 3 p², at best
    4/3, at p = 2/3.

    ## Action Space
    `Discrete(2)`.

    ## Observation Space
    `Discrete(3)`, the state: 0 is the start, 1 is A, 2 is B.

    ## Rewards
    In the start action 1 earns 1; in A action 0 earns 1; in B action 1 earns 2;
    everything else earns 0.

    ## Starting State
    State 0.

    ## Episode End
    Terminates with the second action.

    ## Arguments
    None.

    ## Version History
    - v0: initial version
    """

    def __init__(self) -> None:
        """Make the environment."""
        super().__init__(two_step())


class TwoStepVector(TabularVectorEnv):
    """Copies of `TwoStep`, played at once."""

    single = TwoStep


def short_corridor() -> TabularMDP:
    """Three states in a row before the goal; in the middle one the actions swap.

        J(p) = -2 * (2 - p) / (p * (1 - p))      if p is the probability of "right"

    The best such policy has p = 2 - sqrt(2) and earns -(6 + 4 * sqrt(2)).

    Returns:
        tables of 3 states and 2 actions (0 left, 1 right), no horizon, discount 1.

    Source: Sutton and Barto (2018), example 13.1.
    """
    transition = torch.zeros(3, 2, 3, dtype=torch.float64)
    transition[0, 0, 0] = transition[0, 1, 1] = 1
    transition[1, 0, 2] = transition[1, 1, 0] = 1
    transition[2, 0, 1] = 1  # right of state 2 lies the goal
    reward = torch.full((3, 2), -1, dtype=torch.float64)
    return TabularMDP(transition, reward, _start_in_0(3), discount=1)


class ShortCorridor(TabularEnv):
    """A corridor of three states that look the same, with a goal at its end.

    ## Description
    In the middle state the two actions do the opposite of what they say. The agent
    cannot tell the states from each other, so the best policy is stochastic: it goes
    right with probability 2 - sqrt(2), about 0.59, and needs 6 + 4 sqrt(2), about
    11.66, steps (Sutton and Barto, 2018, example 13.1).

    ## Action Space
    `Discrete(2)`: 0 goes left, 1 goes right. At the left end, left stays there.

    ## Observation Space
    `Discrete(1)`: always 0.

    ## Rewards
    -1 for every step, the one into the goal included.

    ## Starting State
    The left end.

    ## Episode End
    Terminates at the goal. Registered with a truncation after 1,000 steps, because a
    policy that always goes one way never arrives.

    ## Arguments
    None.

    ## Version History
    - v0: initial version
    """

    def __init__(self) -> None:
        """Make the environment."""
        super().__init__(short_corridor(), observe=[0, 0, 0])


class ShortCorridorVector(TabularVectorEnv):
    """Copies of `ShortCorridor`, played at once."""

    single = ShortCorridor


def two_state_chain(discount: float = 0.9) -> TabularMDP:
    """Two states in which staying pays, one twice as well as the other.

        J = 1 / (1 - gamma)              if the agent stays where it starts
        J = 2 * gamma / (1 - gamma)      if it moves once, then stays

    The source takes the average reward; here the return is discounted, and the agent
    starts in the poorer state.

    Args:
        discount: gamma, in [0, 1).

    Returns:
        tables of 2 states and 2 actions (0 stays, 1 moves); no episode ever ends.

    Raises:
        ValueError: if the discount lies outside [0, 1).

    Source: Kakade (2002), figure 1.
    """
    require(0 <= discount < 1, "discount", discount, "a number in [0, 1)")
    stay, move = torch.eye(2, dtype=torch.float64), 1 - torch.eye(2).double()
    reward = torch.tensor([[1, 0], [2, 0]], dtype=torch.float64)
    return TabularMDP(torch.stack([stay, move], 1), reward, _start_in_0(2), discount)


class TwoStateChain(TabularEnv):
    """Two states in which staying pays 1 and 2; moving between them pays nothing.

    ## Description
    The example on which the ordinary gradient gets stuck for long: it first learns to
    stay in the poorer state, and then hardly ever sees the better one (Kakade, 2002).

    ## Action Space
    `Discrete(2)`: 0 stays, 1 moves to the other state.

    ## Observation Space
    `Discrete(2)`, the state.

    ## Rewards
    Staying earns 1 in state 0 and 2 in state 1; moving earns 0.

    ## Starting State
    State 0.

    ## Episode End
    Never terminates. Registered with a truncation after 100 steps, so that recordings
    end: values have to be bootstrapped there.

    ## Arguments
    None: the discount belongs to the objective, see `two_state_chain`.

    ## Version History
    - v0: initial version
    """

    def __init__(self) -> None:
        """Make the environment."""
        super().__init__(two_state_chain())


class TwoStateChainVector(TabularVectorEnv):
    """Copies of `TwoStateChain`, played at once."""

    single = TwoStateChain


def gridworld(size: int = 4) -> TabularMDP:
    """A square of cells to be crossed from one corner to the opposite one.

        J = -2 * (size - 1)      for the best policy

    Cells are numbered row by row from the start, 0; the goal is no state, since the
    episode ends there.

    Args:
        size: cells along a side, at least 2.

    Returns:
        tables of size ** 2 - 1 states and 4 actions (0 up, 1 right, 2 down, 3 left),
        no horizon, discount 1.

    Raises:
        ValueError: if size is no integer from 2.

    Source: Sutton and Barto (2018), example 4.1, with one goal instead of two.
    """
    require_count(minimum=2, size=size)
    goal = size**2 - 1
    transition = torch.zeros(goal, 4, goal, dtype=torch.float64)
    for cell in range(goal):
        for action, (down, right) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            row, column = cell // size + down, cell % size + right
            inside = 0 <= row < size and 0 <= column < size
            arrives = row * size + column if inside else cell
            if arrives != goal:
                transition[cell, action, arrives] = 1
    reward = torch.full((goal, 4), -1, dtype=torch.float64)
    return TabularMDP(transition, reward, _start_in_0(goal), discount=1)


class Gridworld(TabularEnv):
    """A square of cells, with the start in one corner and the goal in the opposite.

    ## Description
    The agent moves between cells; a move into a wall leaves it where it is. The best
    policies go right and down only and earn -2 (size - 1) (like Sutton and Barto,
    2018, example 4.1, which has two goals).

    ## Action Space
    `Discrete(4)`: 0 up, 1 right, 2 down, 3 left.

    ## Observation Space
    `Discrete(size² - 1)`, the cell, counted row by row from the upper left.

    ## Rewards
    -1 for every step, the one into the goal included.

    ## Starting State
    The upper left corner, cell 0.

    ## Episode End
    Terminates in the lower right corner. Registered with a truncation after 1,000
    steps, because a policy may never arrive.

    ## Arguments
    `size`: cells along a side, 4 unless told.

    ## Version History
    - v0: initial version
    """

    def __init__(self, size: int = 4) -> None:
        """Make the environment."""
        super().__init__(gridworld(size))


class GridworldVector(TabularVectorEnv):
    """Copies of `Gridworld`, played at once."""

    single = Gridworld


def bandit(means: Sequence[float] = (1.0, 0.3, 0.0)) -> TabularMDP:
    """A bandit with K arms: one state, one decision.

        J = sum_k pi[0, k] * means[k]

    Args:
        means: expected reward of each arm, [K].

    Returns:
        tables of 1 state and K actions, horizon 1, discount 1.

    Raises:
        ValueError: if there is no arm, or a mean is not finite.
    """
    reward = torch.as_tensor(means, dtype=torch.float64)
    require(reward.ndim == 1, "means", means, "one number per arm")
    require_not_empty(means=reward)
    require_finite(means=reward)
    transition = torch.zeros(1, len(reward), 1, dtype=torch.float64)
    return TabularMDP(transition, reward[None], _start_in_0(1), discount=1, horizon=1)


class Bandit(TabularEnv):
    """A bandit with Gaussian rewards: one decision per episode.

    ## Description
    Each action is an arm with its own mean reward. `bandit` holds the means, so its
    expected return is exact; the noise is in the environment alone.

    ## Action Space
    `Discrete(K)`, the arm.

    ## Observation Space
    `Discrete(1)`: always 0.

    ## Rewards
    Normal with the mean of the arm and the standard deviation `noise`.

    ## Starting State
    State 0.

    ## Episode End
    Terminates with the first action.

    ## Arguments
    `means`: expected reward of each arm, (1.0, 0.3, 0.0) unless told. `noise`: standard
    deviation of the rewards, 1 unless told.

    ## Version History
    - v0: initial version
    """

    def __init__(
        self, means: Sequence[float] = (1.0, 0.3, 0.0), noise: float = 1.0
    ) -> None:
        """Make the environment."""
        super().__init__(bandit(means), noise=noise)


class BanditVector(TabularVectorEnv):
    """Copies of `Bandit`, played at once."""

    single = Bandit


def _start_in_0(states: int) -> torch.Tensor:
    """Initial distribution that is sure of state 0, [states]."""
    return torch.eye(states, dtype=torch.float64)[0]

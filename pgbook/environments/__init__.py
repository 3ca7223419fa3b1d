"""Small Gymnasium environments with known answers.

A shared room. Importing it registers `pgbook/TwoStep-v0`, `pgbook/ShortCorridor-v0`,
`pgbook/TwoStateChain-v0`, `pgbook/Gridworld-v0` and `pgbook/Bandit-v0` for
`gymnasium.make` and `gymnasium.make_vec`. Each is also a function that returns its
`TabularMDP`: `two_step`, `short_corridor`, `two_state_chain`, `gridworld`, `bandit`.
`TabularEnv` and `TabularVectorEnv` play any other `TabularMDP`.

`catalog` holds the five, `tabular` the two classes that play them.
"""

import gymnasium

from pgbook.environments.catalog import (
    Bandit,
    BanditVector,
    Gridworld,
    GridworldVector,
    ShortCorridor,
    ShortCorridorVector,
    TwoStateChain,
    TwoStateChainVector,
    TwoStep,
    TwoStepVector,
    bandit,
    gridworld,
    short_corridor,
    two_state_chain,
    two_step,
)
from pgbook.environments.tabular import TabularEnv, TabularVectorEnv

__all__ = [
    "Bandit",
    "BanditVector",
    "Gridworld",
    "GridworldVector",
    "ShortCorridor",
    "ShortCorridorVector",
    "TabularEnv",
    "TabularVectorEnv",
    "TwoStateChain",
    "TwoStateChainVector",
    "TwoStep",
    "TwoStepVector",
    "bandit",
    "gridworld",
    "short_corridor",
    "two_state_chain",
    "two_step",
]

_MAX_EPISODE_STEPS = {
    "TwoStep": None,
    "ShortCorridor": 1000,
    "TwoStateChain": 100,
    "Gridworld": 1000,
    "Bandit": None,
}

for _name, _steps in _MAX_EPISODE_STEPS.items():
    gymnasium.register(
        id=f"pgbook/{_name}-v0",
        entry_point=f"pgbook.environments:{_name}",
        vector_entry_point=f"pgbook.environments:{_name}Vector",
        max_episode_steps=_steps,
    )

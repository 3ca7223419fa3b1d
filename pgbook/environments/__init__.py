"""Small Gymnasium environments with known answers.

A shared room. Importing it registers `pgbook/TwoStep-v0`, `pgbook/ShortCorridor-v0`,
`pgbook/TwoStateChain-v0`, `pgbook/Gridworld-v0` and `pgbook/Bandit-v0` for
`gymnasium.make` and `gymnasium.make_vec`. Each is also a function that returns its
`TabularMDP`: `two_step`, `short_corridor`, `two_state_chain`, `gridworld`, `bandit`.
`TabularEnv` and `TabularVectorEnv` play any other `TabularMDP`.

`pgbook/Acrobot-v1` and `pgbook/Pendulum-v1` are Gymnasium's environments, with batched
forms for `gymnasium.make_vec(…, vectorization_mode="vector_entry_point")`.

`catalog` holds the five, `tabular` the two classes that play them, `classic` the two
batched forms, `batched` what all batched forms share.
"""

import gymnasium

from pgbook.environments.batched import BatchedEnv
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
from pgbook.environments.classic import AcrobotVector, PendulumVector
from pgbook.environments.tabular import TabularEnv, TabularVectorEnv

__all__ = [
    "AcrobotVector",
    "Bandit",
    "BanditVector",
    "BatchedEnv",
    "Gridworld",
    "GridworldVector",
    "PendulumVector",
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

for _name, _steps, _threshold in (("Acrobot", 500, -100), ("Pendulum", 200, None)):
    gymnasium.register(
        id=f"pgbook/{_name}-v1",
        entry_point=f"gymnasium.envs.classic_control:{_name}Env",
        vector_entry_point=f"pgbook.environments:{_name}Vector",
        max_episode_steps=_steps,
        reward_threshold=_threshold,
    )

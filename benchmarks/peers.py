"""stable-baselines3 as rl-baselines3-zoo tuned it, until a task is solved.

`a2c.py` and `ppo.py` run it in turn with the book. Solved means that the mean of the
last 100 training episodes has reached the threshold. Seconds are those of the
processor, from the first reset on.
"""

import time

import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

THRESHOLDS = {"CartPole-v1": 475, "Acrobot-v1": -100, "Pendulum-v1": -200}


def falling(start: float):
    """A number that falls linearly to zero, as the zoo writes it: lin_1e-3."""
    return lambda left: left * start


# Number of environments, and what differs from the library's defaults.
TUNED = {
    ("A2C", "CartPole-v1"): (8, {"ent_coef": 0.0}),
    ("A2C", "Acrobot-v1"): (16, {"ent_coef": 0.0}),
    ("PPO", "CartPole-v1"): (
        8,
        {
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "learning_rate": falling(1e-3),
            "clip_range": falling(0.2),
        },
    ),
    ("PPO", "Acrobot-v1"): (16, {"n_steps": 256, "gae_lambda": 0.94, "n_epochs": 4}),
    ("PPO", "Pendulum-v1"): (
        4,
        {
            "n_steps": 1024,
            "gamma": 0.9,
            "learning_rate": 1e-3,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
    ),
}
NORMALIZED = ("Acrobot-v1",)  # observations and rewards


class StopAt(BaseCallback):
    """Stop when the mean of the last 100 episodes reaches a threshold."""

    def __init__(self, threshold: float) -> None:
        """Start counting."""
        super().__init__()
        self.threshold, self.reached = threshold, False

    def _on_step(self) -> bool:
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        mean = sum(returns) / 100 if len(returns) == 100 else -torch.inf
        self.reached = mean >= self.threshold
        return not self.reached


def solve(algorithm: str, task: str, seed: int, budget: int) -> dict[str, float]:
    """Steps until the peer has solved a task, NaN if never, and seconds."""
    envs, settings = TUNED[algorithm, task]
    envs = make_vec_env(task, n_envs=envs, seed=seed)
    if task in NORMALIZED:
        envs = VecNormalize(envs)
    make = getattr(stable_baselines3, algorithm)
    model = make("MlpPolicy", envs, seed=seed, device="cpu", **settings)
    stop, start = StopAt(THRESHOLDS[task]), time.process_time()
    model.learn(budget, callback=stop)
    seconds = round(time.process_time() - start, 2)
    steps = model.num_timesteps if stop.reached else float("nan")
    return {"solved_steps": steps, "solved_seconds": seconds}

"""Batched forms of Gymnasium's Acrobot-v1 and Pendulum-v1, which have none.

A shared room. They move, pay and end as Gymnasium's do, to the last digits of
float64; one call steps them all.
"""

import numpy as np
from gymnasium.envs.classic_control import AcrobotEnv, PendulumEnv

from pgbook.environments.batched import BatchedEnv


class AcrobotVector(BatchedEnv):
    """N acrobots: two links, a motor between them, and a line for the foot to reach.

    State of a copy: both angles and both angular velocities, [4, N]. Actions 0, 1, 2
    are torques -1, 0, 1. Every step costs 1 until the task terminates.

    Args:
        num_envs: number of copies N.
        max_episode_steps: steps after which an episode is truncated, None for never.

    Raises:
        ValueError: as `BatchedEnv` does.

    Source: Sutton and Barto (2018), section 11.3 of the first edition; Gymnasium's
    Acrobot-v1, whose constants stand here as numbers.
    """

    def __init__(self, num_envs: int = 1, max_episode_steps: int | None = None) -> None:
        """Take the spaces of Gymnasium's environment."""
        single = AcrobotEnv()
        spaces = single.observation_space, single.action_space
        super().__init__(*spaces, num_envs, max_episode_steps)
        self.most = np.array([[single.MAX_VEL_1], [single.MAX_VEL_2]])
        self.dt = single.dt

    def starts(self, count: int) -> np.ndarray:
        """Draw states near hanging at rest, [4, count]."""
        start = self.np_random.uniform(-0.1, 0.1, (count, 4)).T
        return start.astype(np.float32).astype(np.float64)

    def play(
        self, state: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One step of the classical Runge-Kutta method, with the torque held."""
        torque = actions - 1.0
        k1 = _acceleration(state, torque)
        k2 = _acceleration(state + self.dt / 2 * k1, torque)
        k3 = _acceleration(state + self.dt / 2 * k2, torque)
        k4 = _acceleration(state + self.dt * k3, torque)
        state = state + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        state[:2] = _wrapped(state[:2])
        state[2:] = state[2:].clip(-self.most, self.most)
        height = -np.cos(state[0]) - np.cos(state[0] + state[1])
        terminated = height > 1
        return state, np.where(terminated, 0.0, -1.0), terminated

    def observe(self, state: np.ndarray) -> np.ndarray:
        """Cosine and sine of both angles, and both velocities, float32, [N, 6]."""
        cos, sin = np.cos(state[:2]), np.sin(state[:2])
        seen = np.stack([cos[0], sin[0], cos[1], sin[1], state[2], state[3]], -1)
        return seen.astype(np.float32)


class PendulumVector(BatchedEnv):
    """N pendulums that are to be swung up and held, with too weak a motor.

    State of a copy: angle from upright and angular velocity, [2, N]. The action is a
    torque, which the environment clips to [-2, 2]; nothing ends the task.

    Args:
        num_envs: number of copies N.
        max_episode_steps: steps after which an episode is truncated, None for never.

    Raises:
        ValueError: as `BatchedEnv` does.

    Source: Gymnasium's Pendulum-v1, whose constants stand here as numbers.
    """

    def __init__(self, num_envs: int = 1, max_episode_steps: int | None = None) -> None:
        """Take the spaces of Gymnasium's environment."""
        single = PendulumEnv()
        spaces = single.observation_space, single.action_space
        super().__init__(*spaces, num_envs, max_episode_steps)
        self.dt = single.dt

    def starts(self, count: int) -> np.ndarray:
        """Draw any angle and a velocity of at most 1, [2, count]."""
        return self.np_random.uniform([-np.pi, -1], [np.pi, 1], (count, 2)).T

    def allows(self, actions: np.ndarray) -> bool:
        """Whether these are N finite torques, whatever their size: [N, 1]."""
        return actions.shape == self.action_space.shape and np.isfinite(actions).all()

    def play(
        self, state: np.ndarray, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One Euler step; the cost is that of the state before it."""
        (angle, velocity), torque = state, actions[:, 0].clip(-2, 2)
        cost = _wrapped(angle) ** 2 + 0.1 * velocity**2 + 0.001 * torque**2
        velocity = velocity + (15 * np.sin(angle) + 3 * torque) * self.dt
        velocity = velocity.clip(-8, 8)
        state = np.stack([angle + velocity * self.dt, velocity])
        return state, -cost, np.zeros(len(cost), dtype=bool)

    def observe(self, state: np.ndarray) -> np.ndarray:
        """Cosine and sine of the angle, and the velocity, float32, [N, 3]."""
        seen = np.stack([np.cos(state[0]), np.sin(state[0]), state[1]], -1)
        return seen.astype(np.float32)


def _acceleration(state: np.ndarray, torque: np.ndarray) -> np.ndarray:
    """Time derivative of the acrobot's state, [4, N], at a torque, [N].

    Links of 1 m and 1 kg with moment of inertia 1 kg m², centers of mass in the middle,
    gravity 9.8 m/s².
    """
    angle1, angle2, velocity1, velocity2 = state
    cos2, sin2 = np.cos(angle2), np.sin(angle2)
    d1, d2 = 3.5 + cos2, 1.25 + 0.5 * cos2
    phi2 = 4.9 * np.sin(angle1 + angle2)
    phi1 = 14.7 * np.sin(angle1) - velocity2 * sin2 * (0.5 * velocity2 + velocity1)
    phi1 = phi1 + phi2
    pull = torque + d2 / d1 * phi1 - 0.5 * velocity1**2 * sin2 - phi2
    acceleration2 = pull / (1.25 - d2**2 / d1)
    acceleration1 = -(d2 * acceleration2 + phi1) / d1
    return np.stack([velocity1, velocity2, acceleration1, acceleration2])


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi

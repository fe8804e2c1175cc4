"""Stable-Baselines3 in a few lines: TQC on a shaped task, whose stored rewards follow the reward as it is learned."""

import sys

from sb3_contrib import TQC
from stable_baselines3.common.evaluation import evaluate_policy

from mvr_wrappers.sb3 import RelabelReplayBuffer, RewardLogger, make_vec_env

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
venv = make_vec_env("MVR/window-close-v3", n_envs=4, seed=0, env_kwargs={"preset": "demo"})
buffer = {"replay_buffer_class": RelabelReplayBuffer, "replay_buffer_kwargs": {"engine": venv.engine}}
agent = TQC("MlpPolicy", venv, seed=0, **buffer).learn(steps, callback=RewardLogger())
print("engine:", {name: round(value, 3) for name, value in venv.engine.metrics().items()})

# Evaluation is on the task's own reward.
task = make_vec_env("MVR/window-close-v3", n_envs=1, seed=1, env_kwargs={"preset": "demo"}, shaping=False)
mean, deviation = evaluate_policy(agent, task, n_eval_episodes=2)
print(f"task return: {mean:.1f} +- {deviation:.1f}")
venv.close()
task.close()

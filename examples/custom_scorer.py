"""A scorer of your own: any object with these two methods and four attributes. This one sees how red a clip is."""

import sys

import gymnasium as gym
import numpy as np

import mvr_wrappers  # noqa: F401 - registers the ids
from mvr_wrappers import register_scorer


class Redness:
    """A clip becomes an angle, smaller the more of its light is red; every prompt becomes angle 0, pure red."""

    name, n_frames, image_size, embed_dim = "redness", 4, 64, 2

    def embed_video(self, frames):
        """uint8 (B, F, H, W, 3) -> float32 (B, 2), unit rows."""
        light = frames.reshape(len(frames), -1, 3).mean(axis=1)
        angle = np.pi / 2 * (1 - light[:, 0] / light.sum(axis=1))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    def embed_text(self, prompts):
        """P sentences -> float32 (P, 2), unit rows."""
        return np.tile(np.array([1, 0], np.float32), (len(prompts), 1))


register_scorer("redness", lambda device, dtype, weights: Redness())

if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    env = gym.make(
        "MVR/Hopper-v5",
        scorer="redness",
        clip={"length": 8, "stride": 8, "film_every": 1},
        schedule={"score_every": 200},
    )
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    engine = env.get_wrapper_attr("engine")
    print(f"{engine.metrics()['clips_scored']} clips scored, mean score {engine.metrics()['mean_score']:.3f}")
    env.close()

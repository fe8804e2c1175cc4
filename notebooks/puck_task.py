"""What MVR/puck-push needs: the environment and a stand-in for a video-language model."""

import numpy as np

import puck_env  # registers PuckPush-v0
from mvr_wrappers import register_scorer


class PuckScorer:
    """psi is the cosine of the mean distance, in half pictures, between the red and the green pixels of a frame."""

    name, n_frames, image_size, embed_dim = "puck", 8, 96, 2

    def embed_video(self, frames):
        distances = np.array([[distance(frame) for frame in video] for video in frames]).mean(axis=1)
        return np.stack([np.cos(distances), np.sin(distances)], axis=1).astype(np.float32)

    def embed_text(self, prompts):
        return np.tile(np.float32([1, 0]), (len(prompts), 1))  # no distance at all


def distance(frame):
    red, green, blue = np.moveaxis(frame.astype(float), -1, 0)
    of_puck = np.argwhere((red > 1.6 * green) & (red > 1.6 * blue))
    of_disc = np.argwhere((green > 1.3 * red) & (green > 1.3 * blue))
    if not len(of_puck) or not len(of_disc):
        return 1.0
    return np.linalg.norm(of_puck.mean(axis=0) - of_disc.mean(axis=0)) / (len(frame) / 2)


register_scorer("puck", lambda **_: PuckScorer())

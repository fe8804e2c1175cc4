"""Every setting of the method, typed once: registry.yaml, keyword arguments and the command line share these.

Defaults are this package's; the `paper` preset of registry.yaml holds the published ones where they differ.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from pydantic import with_config

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.parsing import STRICT, Bool, Count, Float, Int, Natural, StrictFields, merge, parse

if sys.version_info >= (3, 12):  # pydantic reads TypedDicts of older Pythons only from typing_extensions
    from typing import TypedDict
else:
    from typing_extensions import TypedDict

_FLOAT32 = 3.4e38  # the largest number, or nearly

__all__ = [
    "AgentSettings",
    "ClipSettings",
    "Method",
    "RelevanceSettings",
    "RewardSettings",
    "ScheduleSettings",
    "checked_weight",
    "merge",
    "parse",
]

Method = Literal["mvr"]
Baseline = Literal["reference", "parity", "none"]
Reference = Literal["set", "none"]


def checked_weight(weight: object) -> float:
    """Returns w, the weight of the VLM reward, if it can be one.

    Raises:
        ConfigError: it is no number of at least 0, or past float32, which rewards are computed in.
    """
    if isinstance(weight, bool) or not (isinstance(weight, Real) and 0 <= float(weight) < _FLOAT32):
        raise ConfigError(f"weight is {weight!r}; give a finite number, at least 0 (the paper uses 0.01, 0.1 and 0.5)")
    return float(weight)


@dataclass(frozen=True, slots=True)
class ClipSettings(StrictFields):
    """What is filmed (paper section 5.1).

    Attributes:
        length: states in a clip.
        stride: states between the starts of neighbouring clips.
        frames: frames a clip is filmed as.
        film_every: one episode of every `film_every` is filmed. The first env of a run begins with its first episode,
            the second with its second, and so on, so that films of parallel envs do not end in the same step.
        views: "random" films one view of the rig a filmed episode (paper), "turns" one after the other (published
            configuration), "all" films every view.
        frame_at: a frame shows the "middle" or the "first" (published configuration) state of its part of the clip.
        image_size: height and width of a frame in pixels; None takes what the scorer wants.
        quality: "fast" renders without shadows, reflections and multisampling, and dense meshes with fewer faces where
            the difference stays near a pixel; "full" is what MuJoCo draws by default.
    """

    length: Int = 64
    stride: Int = 16
    frames: Int = 8
    film_every: Int = 4
    views: Literal["random", "turns", "all"] = "turns"
    frame_at: Literal["middle", "first"] = "middle"
    image_size: Int | None = None
    quality: Literal["fast", "full"] = "fast"

    def __post_init__(self) -> None:
        """Refuses sizes that cannot work."""
        _require_positive(self, "length", "stride", "frames", "film_every", "image_size")
        if self.frames > self.length:
            raise ConfigError(f"clip.frames is {self.frames}, more than clip.length {self.length}; lower frames")


@dataclass(frozen=True, slots=True)
class RelevanceSettings(StrictFields):
    """How state relevance is learned (paper section 4.2 and appendix).

    Attributes:
        objective: "matching" orders clips as their scores do (paper); "direct" fits the score itself by least squares,
            the paper's ablation.
        hidden: width of both layers of the state network h.
        direction_length: length of d when learning begins. Only its direction counts, and AdamW turns a short one
            faster.
        tau: temperature of the relevance differences.
        beta: sharpness of the score differences.
        representation_weight: weight of the representation loss.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        averaging: share of its old value that the running average of the weights keeps at each step. The average is
            what early stopping judges and what an update leaves behind; 0 takes the weights themselves (paper).
        clips: clips drawn a step; each is embedded once and meets others in several pairs. 512 makes 256 pairs all but
            independent (paper), at many times the cost.
        pairs: clip pairs drawn a step among its clips.
        states_per_clip: states drawn from a clip to estimate its mean; None takes all of them (paper).
        standardise: feed h(s) with standardised states; False feeds raw states (paper).
        constant: a feature whose deviation is below this share of max(1, abs(mean)), in its own units such as metres
            and radians, and below half the usual deviation of the others, counts as constant and is not scaled: else
            the place of an object that was never touched outweighs all others when it first changes. 0 scales whatever
            is more than rounding.
        state_bound: standardised states are clipped to [-state_bound, state_bound], for the same reason. None does not
            clip; nor are raw states ever.
        center_views: subtract each view's mean score before pairing and ranking; False is the paper.
        references: clips in the reference set (k).
        per_episode: clips of one episode in the reference set at most; None sets no limit (published code).
        capacity: clips kept for training, the oldest leave first.
        holdout: share of the episodes kept for early stopping: never fewer than a quarter of them or 8, whichever is
            less; two clips of each, at most 50 in all.
        steps_per_epoch: optimiser steps between two looks at the held-out loss.
        patience: epochs without improvement before an update stops.
        max_steps: optimiser steps of one update at most.
        min_total_steps: no early stopping before this many steps over all updates.
        keep: an update leaves the weights that were "best" on the episodes held out, or the "last" (published code).
    """

    objective: Literal["matching", "direct"] = "matching"
    hidden: Int = 512
    direction_length: Float = 1.0
    tau: Float = 0.1
    beta: Float = 100.0
    representation_weight: Float = 1.0
    learning_rate: Float = 5e-4
    weight_decay: Float = 1e-3
    averaging: Float = 0.98
    clips: Int = 32
    pairs: Int = 256
    states_per_clip: Int | None = 4
    standardise: Bool = True
    constant: Float = 0.01
    state_bound: Float | None = 5.0
    center_views: Bool = True
    references: Int = 10
    per_episode: Int | None = 2
    capacity: Int = 20_000
    holdout: Float = 0.05
    steps_per_epoch: Int = 25
    patience: Int = 3
    max_steps: Int = 300
    min_total_steps: Int = 0
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        _require_positive(
            self,
            *("hidden", "direction_length", "tau", "beta", "learning_rate", "clips", "pairs", "states_per_clip"),
            *("state_bound", "references", "per_episode", "capacity", "steps_per_epoch", "patience", "max_steps"),
        )
        _require_not_negative(self, "representation_weight", "weight_decay", "constant", "min_total_steps")
        if not 0 <= self.averaging < 1:
            raise ConfigError(f"relevance.averaging is {self.averaging}; give a share of at least 0 and less than 1")
        if not 0 < self.holdout < 1:
            raise ConfigError(f"relevance.holdout is {self.holdout}; give a share between 0 and 1")


@dataclass(frozen=True, slots=True)
class RewardSettings(StrictFields):
    """How relevance becomes reward (paper section 4.3).

    Attributes:
        reference: "set" compares a state with those of the reference set (paper); "none" takes f(s) itself as r_vlm,
            the paper's ablation, and no baseline.
        baseline: "reference" subtracts the mean over the reference states, so that they earn 0 on average; "parity"
            subtracts log sigma(0), which is 0 for them only where all are equally relevant; "none" (paper) subtracts
            nothing.
        rule: "additive" adds w r_vlm(s_t) (paper); "potential" adds w (gamma Phi(s_t+1) - Phi(s_t)), Phi = r_vlm.
        gamma: discount of the potential rule, which leaves the optimal policy unchanged only where it is the agent's.
            None is that of the agent in `mvr train`, which takes no other, and 0.99 elsewhere.
        bound: the additive term is clipped to [-bound, bound]; None does not clip. The potential term never is, since
            clipped differences no longer telescope.
    """

    reference: Reference = "set"
    baseline: Baseline = "reference"
    rule: Literal["additive", "potential"] = "additive"
    gamma: Float | None = None
    bound: Float | None = 5.0

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        _require_positive(self, "bound")
        if self.gamma is not None and not 0 <= self.gamma <= 1:
            raise ConfigError(f"reward.gamma is {self.gamma}; give a discount in [0, 1]")


@dataclass(frozen=True, slots=True)
class ScheduleSettings(StrictFields):
    """When the engine works, in environment steps counted over all sub-envs.

    Attributes:
        score_every: steps between two scorings of the clips filmed since.
        update_every: steps between two updates of the relevance model.
        max_clips: clips scored at one scoring at most; a random subset is scored when more were filmed.
        mode: "sync" works inside `advance` and repeats exactly for one seed; "async" works in one thread.
    """

    score_every: Int = 10_000
    update_every: Int = 50_000
    max_clips: Int = 400
    mode: Literal["sync", "async"] = "sync"

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        _require_positive(self, "score_every", "update_every", "max_clips")


@with_config(STRICT)
class AgentSettings(TypedDict):
    """Hyper-parameters of the TQC agent, all required: registry.yaml holds the published ones.

    A mapping, not a dataclass, because a learner takes what it knows as keyword arguments.
    """

    steps: Count
    """Environment steps of a whole training, over all sub-envs."""
    n_envs: Count
    learning_rate: tuple[Float, Float]
    """First and last value; linear between them over the training."""
    batch_size: Count
    buffer_size: Count
    learning_starts: Natural
    """Environment steps taken at random before the first update."""
    train_freq: Count
    """Vector steps between two rounds of updates."""
    gradient_steps: Count
    """Updates a round."""
    tau: Float
    gamma: Float
    n_steps: Count
    """Steps of n-step returns."""
    ent_coef: Float | Literal["auto"]
    ent_coef_lr: Float | None
    """Constant learning rate of the entropy coefficient; None takes learning_rate."""
    net_arch: list[Count]
    """Widths of the hidden layers of actor and critics."""
    n_critics: Count
    n_quantiles: Count
    top_quantiles_to_drop_per_net: Natural
    layer_norm: Bool
    """Normalise the layers of the critics (DroQ, arXiv 2110.02034). The learner in JAX alone does."""
    use_sde: Bool
    sde_sample_freq: Int
    log_std_init: Float
    """With use_sde: first log deviation of the exploration matrix."""
    clip_mean: Float
    """With use_sde: bound of the mean before the tanh; 0 sets none."""
    noise_repeat: Count
    """Without use_sde: vector steps that explore with the same noise. The learner in JAX alone repeats it."""
    eval_every: Count
    """Environment steps between two evaluations on the task's own reward."""
    eval_episodes: Count
    eval_envs: Count | None
    """Envs that play these episodes in turn, episode i in env i modulo their number. None: n_envs, but not more than
    there are episodes. Where an env keeps the positions it once drew, this says how many are evaluated."""
    checkpoint_every: Natural | None
    """Environment steps between two checkpoints, at which all envs are reset; None: 5% of steps; 0: none."""


def _section(settings: object) -> str:
    return type(settings).__name__.removesuffix("Settings").lower()


def _require_positive(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ConfigError(f"{_section(settings)}.{name} is {value}; it must be greater than 0")


def _require_not_negative(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value >= 0:
            raise ConfigError(f"{_section(settings)}.{name} is {value}; it must not be negative")

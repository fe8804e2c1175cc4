"""Postures and gaits as functions of time: how the limbs are bent, how the root is turned, how high the body is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
GRAVITY = 9.81  # m/s^2
SIZE = {"humanoid": 1.0, "half_cheetah": 0.7, "hopper": 0.9, "walker2d": 0.9, "ant": 0.6}  # metres of a stride, about


@dataclass(slots=True)
class Pose:
    """One moment of a motion.

    Attributes:
        joints: angles by joint, radians; the rest stay as the model's rest pose has them.
        pitch, roll, yaw: of the root, radians; a body on rails in a plane has pitch alone.
        forward: metres along x, in the direction of yaw 0.
        lift: metres of the lowest point above the floor.
    """

    joints: dict[str, float] = field(default_factory=dict)
    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    forward: float = 0.0
    lift: float = 0.0


Motion = Callable[[float], Pose]


def draw_motion(body: str, motion: str, span: float, rng: np.random.Generator) -> Motion:
    """Draws one way of making a posed motion of `span` seconds; see `tools.pocket.motions.BODY_MOTIONS` for names."""
    return _DRAW[motion](Limbs(body, rng), span, rng)


class Limbs:
    """The same words for every body's joints: how far each leg swings forward, and how much its knee is bent."""

    def __init__(self, body: str, rng: np.random.Generator) -> None:
        self.body, self.count = body, {"hopper": 1, "humanoid": 2, "walker2d": 2, "half_cheetah": 2, "ant": 4}[body]
        self.floating = body in ("humanoid", "ant")
        self.size = SIZE[body]
        self.leans = body in ("humanoid", "walker2d")  # forward when it runs
        self._stoop = rng.uniform(-0.1, 0.1)

    def bend(self, swing: Array, knee: Array) -> tuple[dict[str, float], float]:
        """Returns joint angles and the pitch that goes with them.

        Args:
            swing: (legs,), forward swing of each thigh, radians.
            knee: (legs,), bend of each knee, radians, at least 0.
        """
        s, k = [float(x) for x in swing], [float(x) for x in knee]
        if self.body == "humanoid":
            legs = {f"{side}_hip_y": -s[i] for i, side in enumerate(("right", "left"))}
            knees = {f"{side}_knee": -k[i] for i, side in enumerate(("right", "left"))}
            arms = {"right_shoulder1": s[0] / 2, "left_shoulder1": s[1] / 2}  # mirrored axes: opposite swings
            return legs | knees | arms, self._stoop
        if self.body == "half_cheetah":
            back = {"bthigh": -s[0], "bshin": -k[0] / 2, "bfoot": k[0] / 2}
            return back | {"fthigh": -s[1], "fshin": k[1] / 2, "ffoot": -k[1] / 3}, self._stoop / 2
        if self.body == "ant":  # its legs rest straight; it stands on bent ones, and the lower the straighter
            hips = {f"hip_{i + 1}": s[i] for i in range(4)}
            return hips | {f"ankle_{i + 1}": (1, -1, -1, 1)[i] * max(1.05 - k[i] / 2, 0.1) for i in range(4)}, 0.0
        # The thighs of hopper and walker only swing back, so a thigh swung forward is a torso that leans back.
        lean = -(max(*s, 0.0) + 0.3 * max(k))
        names = ("",) if self.body == "hopper" else ("", "_left")
        joints = {f"thigh{n}_joint": min(s[i] + lean, 0.0) for i, n in enumerate(names)}
        joints |= {f"leg{n}_joint": -k[i] for i, n in enumerate(names)}
        return joints | {f"foot{n}_joint": min(k[i] / 3, 0.7) for i, n in enumerate(names)}, lean + self._stoop

    def even(self, swing: float, knee: float) -> tuple[dict[str, float], float]:
        """All legs alike."""
        return self.bend(np.full(self.count, swing), np.full(self.count, knee))

    def step(self, phase: float, swing: float, knee: float) -> tuple[dict[str, float], float]:
        """Legs in turn; those of the ant diagonally."""
        phases = phase + np.pi * (np.arange(self.count) % 2 if self.body != "ant" else np.array([0, 1, 0, 1]))
        return self.bend(swing * np.sin(phases), knee * np.clip(np.cos(phases), 0, 1) + 0.1)


def _stand(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    return _hold(limbs, rng.uniform(0, 0.25), rng)


def _crouch(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    return _hold(limbs, rng.uniform(1.4, 2.0), rng)


def _hold(limbs: Limbs, knee: float, rng: np.random.Generator, turned: Pose | None = None) -> Motion:
    """A posture with a slight sway, on the feet unless it is `turned`."""
    sway, rate, swing = rng.uniform(0, 0.03), rng.uniform(0.2, 1.0), rng.uniform(-0.1, 0.1) + knee / 2

    def motion(t: float) -> Pose:
        joints, lean = limbs.even(swing + sway * np.sin(2 * np.pi * rate * t), knee)
        return Pose(joints, lean) if turned is None else Pose(joints, turned.pitch, turned.roll, turned.yaw)

    return motion


def _lie(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    if limbs.body in ("ant", "half_cheetah"):  # flat on the belly, legs spread
        flat = {"bthigh": -0.9, "bshin": -0.7, "fthigh": 0.9, "fshin": 0.8} if limbs.body == "half_cheetah" else {}
        pitch = rng.uniform(-0.08, 0.08)
        return lambda t: Pose(dict(flat), pitch)
    sides = [Pose(pitch=np.pi / 2), Pose(pitch=-np.pi / 2), Pose(pitch=np.pi / 2, roll=np.pi / 2)]
    turned = sides[rng.integers(3 if limbs.body == "humanoid" else 2)]
    turned.pitch += rng.uniform(-0.08, 0.08)
    return _hold(limbs, rng.uniform(0, 0.5), rng, turned)


def _upside_down(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    tilt = rng.uniform(-0.3, 0.3)
    turned = Pose(roll=np.pi + tilt) if limbs.floating and rng.random() < 0.5 else Pose(pitch=np.pi + tilt)
    return _hold(limbs, rng.uniform(0, 0.8), rng, turned)


def _walk(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    return _gait(limbs, rng.uniform(0.9, 1.7), rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.8), rng)


def _run(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    lift = rng.uniform(0.06, 0.15) * limbs.size
    return _gait(limbs, rng.uniform(2.2, 3.2), rng.uniform(0.6, 0.85), rng.uniform(1.3, 1.8), rng, lift, lean=0.25)


def _gait(
    limbs: Limbs, rate: float, swing: float, knee: float, rng: np.random.Generator, lift: float = 0, lean: float = 0
) -> Motion:
    """Steps at `rate` strides a second; the body moves as far as the feet say, and leaves the ground by `lift`."""
    start, speed = rng.uniform(0, 2 * np.pi), 2 * rate * swing * limbs.size

    def motion(t: float) -> Pose:
        phase = start + 2 * np.pi * rate * t
        joints, pitch = limbs.step(phase, swing, knee)
        return Pose(joints, pitch + lean * limbs.leans, forward=speed * t, lift=lift * abs(np.sin(phase)))

    return motion


def _leap(limbs: Limbs, speed: float, rng: np.random.Generator) -> Motion:
    """Leaps one after the other: the knees bend, the body flies, the knees bend."""
    height = rng.uniform(0.25, 0.6) * limbs.size
    flight = 2 * np.sqrt(2 * height / GRAVITY)
    ground = rng.uniform(0.15, 0.35)
    start, deep = rng.uniform(0, flight + ground), rng.uniform(0.9, 1.6)

    def motion(t: float) -> Pose:
        now = (t + start) % (flight + ground)
        low = np.sin(np.pi * now / ground) if now < ground else 0.25
        joints, lean = limbs.even(low * deep / 2, low * deep)
        rest = max(now - ground, 0.0)
        return Pose(joints, lean, forward=speed * t, lift=GRAVITY / 2 * rest * max(flight - rest, 0.0))

    return motion


def _jump(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    return _leap(limbs, 0.0, rng)


def _hop(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    return _leap(limbs, rng.uniform(1.0, 2.5) * limbs.size, rng)


def _crawl(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    """Prone, limbs in turn: the humanoid on hands and knees, the ant on its belly."""
    rate, start, speed = rng.uniform(0.7, 1.6), rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.8) * limbs.size
    bend = rng.uniform(1.1, 1.5)

    def motion(t: float) -> Pose:
        phase = start + 2 * np.pi * rate * t
        s = 0.35 * np.sin(phase)
        if limbs.body == "ant":
            joints, _ = limbs.step(phase, 0.4, 0.3)
            return Pose(
                {name: 0.3 * angle if "ankle" in name else angle for name, angle in joints.items()}, forward=speed * t
            )
        joints, _ = limbs.bend(np.array([bend + s, bend - s]), np.array([bend, bend]))
        joints |= {"right_shoulder1": 0.9 + s, "right_shoulder2": -0.6, "right_elbow": -0.6}
        joints |= {"left_shoulder1": -0.9 + s, "left_shoulder2": 0.6, "left_elbow": -0.6}
        return Pose(joints, np.pi / 2 - 0.15, forward=speed * t)

    return motion


def _fall(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    """Tips over, faster and faster, onto the back."""
    begin, last = rng.uniform(0, 0.25) * span, rng.uniform(0.4, 0.7) * span
    way, sideways = rng.choice([-1, 1]) * rng.uniform(2.4, np.pi), limbs.floating and rng.random() < 0.5
    joints, _ = limbs.even(rng.uniform(0, 0.3), rng.uniform(0, 0.8))

    def motion(t: float) -> Pose:
        turn = way * np.clip((t - begin) / last, 0, 1) ** 2
        return Pose(joints, roll=turn) if sideways else Pose(joints, turn)

    return motion


def _flip(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    """Turns once or more about the pitch axis, in the air."""
    period = rng.uniform(0.5, 1.0) * span
    height, start, way = rng.uniform(0.5, 1.0) * limbs.size, rng.uniform(0, 0.3), rng.choice([-1, 1])
    joints, _ = limbs.even(rng.uniform(0.3, 0.9), rng.uniform(0.5, 1.6))
    speed = rng.uniform(0, 1.0) * limbs.size

    def motion(t: float) -> Pose:
        share = t / period + start
        return Pose(joints, way * 2 * np.pi * share, forward=speed * t, lift=height * abs(np.sin(np.pi * share)))

    return motion


def _spin(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    rate = rng.choice([-1, 1]) * rng.uniform(0.7, 1.5) * 2 * np.pi / span
    steps = rng.uniform(1, 2)

    def motion(t: float) -> Pose:
        joints, pitch = limbs.step(2 * np.pi * steps * t, 0.1, 0.4)
        return Pose(joints, pitch, yaw=rate * t)

    return motion


def _wave(limbs: Limbs, span: float, rng: np.random.Generator) -> Motion:
    """Both arms or one swing up and down; the legs stand."""
    rate, start, wide = rng.uniform(1.0, 2.5), rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.4)
    arms = [("right",), ("left",), ("right", "left")][rng.integers(3)]
    still = _stand(limbs, span, rng)

    def motion(t: float) -> Pose:
        pose, swing = still(t), wide * np.sin(start + 2 * np.pi * rate * t)
        for side in arms:
            sign = 1 if side == "right" else -1
            pose.joints[f"{side}_shoulder1"] = -sign * (0.3 + swing)
            pose.joints[f"{side}_shoulder2"] = -sign * (0.3 + swing)
            pose.joints[f"{side}_elbow"] = -0.4 + swing / 2
        return pose

    return motion


_DRAW: dict[str, Callable[[Limbs, float, np.random.Generator], Motion]] = {
    **{"stand": _stand, "crouch": _crouch, "lie": _lie, "upside_down": _upside_down, "walk": _walk, "run": _run},
    **{"jump": _jump, "hop": _hop, "crawl": _crawl, "fall": _fall, "flip": _flip, "spin": _spin, "wave": _wave},
}

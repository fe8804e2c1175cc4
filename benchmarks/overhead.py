"""What does shaping cost? Wall time of training with it over without, same steps, same machine, in one run.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py [--preset paper] [--steps N] [--mode sync|async] [--result FILE]

Two trainings of the JAX TQC on one task take turns, 1,000 env steps at a time, so that whatever else the machine does
falls on both: one on the task's own reward, one on the shaped reward of the pocket scorer. Networks, batches and
updates are the published ones (8 envs, 16 updates of 256 transitions every 64 env steps). Which episodes are filmed,
and how often clips are scored and relevance is updated, is the preset's: by default every fourth episode from one view,
a scoring every 10,000 env steps and an update every 50,000; with `--preset paper` every ninth, 10,000 and 100,000.

So many env steps are one whole period of the schedule: scorings, one update of relevance with its early stopping, one
relabelling. A longer run repeats it; nothing grows with time but the replay buffer, which is therefore declared
full from the start (1,000,000 transitions), so that relabelling costs what it costs in a long run. With fewer steps the
schedule is shortened alike, and the table says what the ratio would be at the whole one: costs that come with every
step are scaled up to a period, those of the update and of relabelling are counted once. That is too high a figure: the
first scoring loads the scorer. It serves to see that all parts run.

Films are rendered in a thread beside the envs; "filming" is the time that scoring waits for them. With `--mode async`
scoring and relevance run in a thread beside the learner; the table gives their time in parentheses.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from stable_baselines3.common.vec_env import VecEnv

from mvr_agents import TQC
from mvr_agents.learners import jax_tqc
from mvr_agents.runs.provenance import made_with
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers import get_task
from mvr_wrappers.sb3 import RewardLogger, make_vec_env

TURN = 1_000  # env steps
WARM_UP = 2_000  # env steps of each training before the clock starts: programs are compiled, episodes under way
BESIDE = ("filming", "scoring", "relevance")  # what the engine's thread does in "async" mode


class Training:
    """One of the two trainings, with clocks around its parts.

    Args:
        task: what is trained on.
        preset: decides which episodes are filmed, and the schedule.
        shaping: whether rewards are shaped.
        steps: that the training is meant for; with fewer than a period the schedule is shortened.
        mode: of the engine.
        device: of scorer and relevance model.
        agent_device: of the learner.

    Attributes:
        seconds: part -> wall time since the warm-up.
        cpu_seconds: of all threads, since the warm-up.
    """

    def __init__(
        self, task: str, preset: str, *, shaping: bool, steps: int, mode: str, device: str, agent_device: str
    ) -> None:
        spec = get_task(task, preset)
        share = min(1.0, steps / spec.schedule.update_every)
        schedule = {
            "score_every": round(share * spec.schedule.score_every),
            "update_every": round(share * spec.schedule.update_every),
            "mode": mode,
        }
        clip = {"film_every": spec.clip.film_every, "views": spec.clip.views}
        settings: Any = {**spec.agent, "learning_starts": WARM_UP // 2}
        self.venv: VecEnv = make_vec_env(
            *(task, settings["n_envs"], 0), shaping=shaping, clip=clip, schedule=schedule, device=device
        )
        self.model: TQC = jax_tqc.make(self.venv, settings, seed=0, device=agent_device)
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu_seconds = 0.0
        self._shaping = shaping
        buffer = self.model.replay_buffer
        assert isinstance(buffer, DeviceReplayBuffer)
        buffer.full = True
        self.learn(WARM_UP)
        buffer.relabel()
        self._before = self._engine_seconds()
        self._time(self.model, "train", "updates", wait=lambda: self.model.policy.train_state)
        self._time(self.venv, "step", "envs")
        self._time(self.model, "_sample_action", "acting")
        self._time(buffer, "relabel", "relabelling", wait=lambda: buffer.storage.shaping)
        self.seconds.clear()
        self.cpu_seconds = 0.0

    def learn(self, steps: int) -> None:
        """Trains for some env steps."""
        start, cpu = time.perf_counter(), time.process_time()
        self.model.learn(steps, RewardLogger() if self._shaping else None, reset_num_timesteps=False)
        jax.block_until_ready(self.model.policy.train_state)
        self.seconds["all"] += time.perf_counter() - start
        self.cpu_seconds += time.process_time() - cpu

    def parts(self, mode: str) -> dict[str, float]:
        """Returns the wall time of each part; what ran inside another one is taken out of that."""
        parts = dict(self.seconds)
        for name, seconds in self._engine_seconds().items():
            parts[name] = seconds - self._before[name]
            if mode == "sync":
                parts["envs"] -= parts[name]
        parts["updates"] -= parts["relabelling"]
        beside = () if mode == "sync" else BESIDE
        parts["the rest"] = 2 * parts["all"] - sum(value for name, value in parts.items() if name not in beside)
        return parts

    def _engine_seconds(self) -> dict[str, float]:
        if not self._shaping:
            return dict.fromkeys(("filming", "scoring", "relevance"), 0.0)
        metrics = self.venv.get_attr("film_seconds"), self.venv.engine.metrics()  # type: ignore[attr-defined]
        return {
            "filming": sum(metrics[0]),
            "scoring": metrics[1]["score_seconds"],
            "relevance": metrics[1]["update_seconds"],
        }

    def _time(self, owner: Any, method: str, part: str, wait: Callable[[], Any] = lambda: None) -> None:
        """Puts a clock around a method, which stops when what `wait` returns is computed."""
        inner = getattr(owner, method)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            result = inner(*arguments, **keywords)
            jax.block_until_ready(wait())
            self.seconds[part] += time.perf_counter() - start
            return result

        setattr(owner, method, timed)


def table(plain: dict[str, float], shaped: dict[str, float], steps: int, period: int, mode: str) -> str:
    """Returns the breakdown and the ratio, in Markdown."""
    order = ("envs", "acting", "updates", "filming", "scoring", "relevance", "relabelling", "the rest", "all")
    lines = [
        "| part | without shaping, s | with shaping, s | difference, share of the time without |",
        "| --- | --- | --- | --- |",
    ]
    for part in order:
        form = "({:.1f})" if mode == "async" and part in BESIDE else "{:.1f}"
        share = f"{(shaped[part] - plain[part]) / plain['all']:+.1%}"
        lines.append(f"| {part} | {plain[part]:.1f} | {form.format(shaped[part])} | {share} |")
    ratio = f"\nWith shaping over without: **{shaped['all'] / plain['all']:.3f}**"
    if steps < period:
        scale = period / steps
        once = shaped["relabelling"] + (shaped["relevance"] if mode == "sync" else 0.0)
        full = ((shaped["all"] - once) * scale + once) / (plain["all"] * scale)
        ratio += f"; scaled up to {period:,} steps: {full:.3f}"
    return "\n".join([*lines, ratio]) + "\n\n"


def main() -> None:
    """Measures, prints and, if asked, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="hammer-v3")
    parser.add_argument("--preset", default="default", help="of filming and schedule")
    parser.add_argument("--steps", type=int, help="env steps of each training; one period of the schedule without it")
    parser.add_argument("--mode", choices=("sync", "async"), default="sync")
    parser.add_argument("--device", default="auto", help="of scorer and relevance model")
    parser.add_argument("--agent-device", default="auto")
    parser.add_argument("--result", type=Path, help="Markdown file to append the table to")
    arguments = parser.parse_args()
    origin = made_with("jax", "stable-baselines3", "metaworld")
    period = get_task(arguments.task, arguments.preset).schedule.update_every
    steps = arguments.steps or period
    options = {key: getattr(arguments, key) for key in ("task", "preset", "mode", "device", "agent_device")}
    plain, shaped = (Training(shaping=shaping, steps=steps, **options) for shaping in (False, True))
    for _ in range(steps // TURN):
        plain.learn(TURN)
        shaped.learn(TURN)
    shaped.venv.engine.wait()  # type: ignore[attr-defined]
    text = (
        f"{origin}; {arguments.task}, films and schedule of preset {arguments.preset}, {steps:,} env steps, mode "
        f"{arguments.mode}, learner on {plain.model.policy.jax_device}\n\n"
        + table(plain.parts(arguments.mode), shaped.parts(arguments.mode), steps, period, arguments.mode)
        + f"In CPU time, which other work on the machine hardly touches: {shaped.cpu_seconds / plain.cpu_seconds:.3f}\n"
    )
    print(text)
    if arguments.result:
        with arguments.result.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{text}")
    shaped.venv.close()
    plain.venv.close()


if __name__ == "__main__":
    main()

"""ScorerPool: one scorer in several processes, which embed batches of videos side by side."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.scorers.base import check_frames, check_prompts
from mvr_wrappers.scorers.registry import check_options, load_scorer

VIDEOS_PER_TASK = 32
"""Videos that go to a worker at once: a batch of ViCLIP's on a GPU, two of pocket's on a CPU."""


class ScorerPool:
    """A scorer in worker processes, one or several a device; a `Scorer` itself, with `submit_video` besides.

    Give it wherever a scorer is taken: an engine then has its batches of videos embedded side by side, and takes the
    results in their order, so that they are those of one scorer in the own process, to the bit on the same device with
    as many threads. A worker that dies is started again and its batch given to it once more.

    Workers are started as by `multiprocessing`'s "spawn": a script guards its body with `if __name__ == "__main__":`.

    Args:
        scorer: a name that `load_scorer` knows in a new process; names registered by the script are not known there.
        workers: processes; None is one a device.
        devices: dealt to the workers in turn; None is every CUDA device, or the CPU where there is none.
        dtype: see `load_scorer`, as `weights` and `options`.
        weights: local file or folder.
        threads: of each worker on a CPU; None is as many as torch uses here, for the same bits. Where all workers share
            the cores, 1 is faster: sums are then added in another order.
        retries: how often a batch is given to a new worker after the one that had it died.
        options: of that scorer.

    Attributes:
        name: that of the scorer, as are `n_frames`, `image_size` and `embed_dim`.
        workers: number of processes.

    Raises:
        UnknownNameError: no scorer has that name.
        ConfigError: an option that the scorer does not have, or a number below 1 (`retries`: below 0), or no device.
        ScorerError: a worker cannot load the scorer.
    """

    def __init__(
        self,
        scorer: str,
        workers: int | None = None,
        *,
        devices: Sequence[str] | None = None,
        dtype: str = "auto",
        weights: str | Path | None = None,
        threads: int | None = None,
        retries: int = 2,
        **options: Any,
    ) -> None:
        check_options(scorer, options)
        places = _all_devices() if devices is None else [devices] if isinstance(devices, str) else list(devices)
        self.workers = len(places) if workers is None else workers
        if not places or self.workers < 1 or retries < 0 or (threads is not None and threads < 1):
            raise ConfigError(
                f"a ScorerPool needs a device, a worker and a thread at least, got devices {places}, workers "
                f"{workers}, threads {threads}, retries {retries}"
            )
        threads = threads or torch.get_num_threads()
        loading = {"dtype": dtype, "weights": weights, **options}
        self._workers = [
            _Worker(scorer, {"device": places[i % len(places)], **loading}, threads, retries)
            for i in range(self.workers)
        ]
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="mvr-scorer")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        try:
            sizes = [worker.wait_until_ready() for worker in self._workers]  # they load side by side
        except ScorerError:
            self.close()
            raise
        for worker in self._workers:
            self._idle.put(worker)
        self.name: str = scorer
        self.n_frames, self.image_size, self.embed_dim = sizes[0]

    @property
    def pids(self) -> tuple[int, ...]:
        """Numbers of the worker processes; a worker that was started again has another."""
        return tuple(worker.pid for worker in self._workers)

    def submit_video(self, frames: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """Begins to embed a batch of videos in the first worker that is free, and returns at once.

        Args:
            frames: uint8 (B, F, H, W, 3); not to be changed before the result is there.

        Returns:
            The future of float32 (B, E), unit rows. Its `result` raises ScorerError where the scorer failed, or where
            `retries` more workers died over the batch.

        Raises:
            ConfigError: frames of another type or rank.
            ScorerError: the pool is closed.
        """
        check_frames(frames)
        return self._submit("embed_video", frames)

    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos, `VIDEOS_PER_TASK` a worker at a time: uint8 (B, F, H, W, 3) -> float32 (B, E), unit rows."""
        check_frames(frames)
        starts = range(0, max(1, len(frames)), VIDEOS_PER_TASK)
        futures = [self.submit_video(frames[start : start + VIDEOS_PER_TASK]) for start in starts]
        return np.concatenate([future.result() for future in futures])

    def embed_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds P prompts -> float32 (P, E), unit rows."""
        check_prompts(prompts)
        return self._submit("embed_text", list(prompts)).result()

    def close(self) -> None:
        """Drops what has not begun, waits for what has, and ends the workers."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        ended, self._workers = self._workers, []
        for worker in ended:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _submit(self, method: str, argument: object) -> Future[NDArray[np.float32]]:
        try:
            return self._threads.submit(self._run, method, argument)
        except RuntimeError as error:
            raise ScorerError("this ScorerPool was closed; make a new one") from error

    def _run(self, method: str, argument: object) -> NDArray[np.float32]:
        worker = self._idle.get()
        try:
            return worker.ask(method, argument)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process with a scorer, started again when it dies. Used by one thread at a time."""

    def __init__(self, scorer: str, loading: dict[str, Any], threads: int, retries: int) -> None:
        self._job = (scorer, loading, threads)
        self._retries = retries
        self._start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def wait_until_ready(self) -> tuple[int, int, int]:
        """Returns n_frames, image_size and embed_dim of the scorer once it is loaded."""
        sizes: tuple[int, int, int] = self._answered(self._loaded)
        return sizes

    def ask(self, method: str, argument: object) -> NDArray[np.float32]:
        """Returns what the scorer's method makes of the argument."""

        def answer() -> Any:
            self._loaded()
            self._connection.send((method, argument))
            return self._received()

        rows: NDArray[np.float32] = self._answered(answer)
        return rows

    def close(self) -> None:
        self._connection.close()  # the worker ends when nobody is at the other end
        self._process.join()
        self._process.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, *self._job), daemon=True)
        self._process.start()
        other.close()  # so that the death of the worker is the end of what can be received
        self._sizes: Any = None

    def _loaded(self) -> Any:
        if self._sizes is None:
            self._sizes = self._received()
        return self._sizes

    def _received(self) -> Any:
        succeeded, value = self._connection.recv()
        if not succeeded:
            raise ScorerError(f"a worker of the scorer {self._job[0]} failed: {value}")
        return value

    def _answered(self, answer: Any) -> Any:
        """Returns `answer()`, tried again with a new process as often as the process dies, up to the retries."""
        for attempt in range(self._retries + 1):
            try:
                return answer()
            except (EOFError, OSError) as error:
                self._process.join()
                code, cause = self._process.exitcode, error
                self._connection.close()
                if attempt < self._retries:
                    self._start()
        self._start()  # for the batches after this one
        raise ScorerError(
            f"a worker of the scorer {self._job[0]} died {self._retries + 1} times over one batch, at last with exit "
            f"code {code} (-9: killed, most often for want of memory); use fewer workers or a smaller scorer"
        ) from cause


def _serve(connection: Connection, scorer: str, loading: dict[str, Any], threads: int) -> None:
    """Loads the scorer and answers until the other end is closed: (True, value), or (False, what went wrong)."""
    torch.set_num_threads(threads)
    try:
        loaded = load_scorer(scorer, **loading)
        connection.send((True, (loaded.n_frames, loaded.image_size, loaded.embed_dim)))
        while True:
            method, argument = connection.recv()
            try:
                answer = True, getattr(loaded, method)(argument)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told and the worker stays
                answer = False, repr(error)
            connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        os._exit(0)
    except Exception as error:  # noqa: BLE001 - the scorer cannot be loaded
        connection.send((False, repr(error)))


def _all_devices() -> list[str]:
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]

"""The pictures of a run in TensorBoard: the same files, so that animations stay animated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from mvr_agents.runs.run_dir import RunDirectory


def log_pictures(logger: Logger, run: RunDirectory, step: int) -> None:
    """Writes the filmstrip, the episode under the learned reward and its animation, those that there are, as `run/...`.

    SB3's own `Video` needs a package that cuts videos, and encodes them once more.

    Args:
        logger: of the agent; formats other than TensorBoard's are left alone.
        run: the files.
        step: env steps so far.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    for output in logger.output_formats:
        if isinstance(output, TensorBoardOutputFormat):
            writer: Any = output.writer
            for path in filter(Path.is_file, (run.filmstrip, run.relevance, run.film)):
                with Image.open(path) as picture:
                    width, height = picture.size
                image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
                summary = Summary(value=[Summary.Value(tag=f"run/{path.stem}", image=image)])
                writer.file_writer.add_summary(summary, step)
            writer.flush()


def drop_after(folder: Path, step: int) -> None:
    """Has TensorBoard show nothing of what earlier parts of a run logged after `step`; a later part goes on from there.

    Args:
        folder: of the run; a folder in it for each part that learned under another name.
        step: env steps at which the run goes on.
    """
    from torch.utils.tensorboard import SummaryWriter

    for part in sorted(path for path in folder.glob("*") if path.is_dir()):
        SummaryWriter(str(part), purge_step=step + 1).close()

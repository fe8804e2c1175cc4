"""Encoders of transformers behind the protocol, against direct use of the same models."""

from __future__ import annotations

import functools
import importlib.util
import json
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mvr_wrappers import scorers
from mvr_wrappers.errors import ConfigError, MissingExtraError, ScorerError
from mvr_wrappers.extras import install_command
from mvr_wrappers.scorers import Scorer, load_scorer
from mvr_wrappers.scorers import transformers as transformers_scorer
from mvr_wrappers.scorers.hub import HUB, HubFiles
from mvr_wrappers.scorers.transformers import FAMILIES
from tests.support.fake_hub import FakeHub
from tests.support.tiny_encoders import CONTEXT, DEVIATION, EMBED_DIM, MEAN, SIZE, write_encoder

PROMPTS = ["robot hammer", "a window closing"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    found = {}
    for name in FAMILIES:
        folder = tmp_path_factory.mktemp(name)
        found[name] = (folder, write_encoder(folder, name))
    return found


@pytest.fixture
def frames(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (3, 4, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def normalised(frames: np.ndarray) -> torch.Tensor:
    return torch.tensor(((frames / 255 - MEAN) / DEVIATION).transpose(0, 1, 4, 2, 3), dtype=torch.float32)


def tensor(features: Any) -> torch.Tensor:
    return features if isinstance(features, torch.Tensor) else features.pooler_output


@torch.inference_mode()
def expected_videos(model: Any, name: str, frames: np.ndarray) -> np.ndarray:
    pixels = normalised(frames)
    if name == "xclip-l":
        tokens = torch.tensor([[574, 575]])  # its own forward pass, as its get_video_features does not run on 4.57
        return model(pixel_values=pixels, input_ids=tokens).video_embeds.numpy()
    rows = [F.normalize(tensor(model.get_image_features(pixel_values=clip))) for clip in pixels]
    return F.normalize(torch.stack([clip.mean(dim=0) for clip in rows])).numpy()


@torch.inference_mode()
def expected_texts(model: Any, folder: Path, name: str, prompts: list[str]) -> np.ndarray:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for prompt in prompts:
        if name == "siglip2":  # the padding is seen
            numbers = tokenizer(prompt, padding="max_length", max_length=CONTEXT, truncation=True)["input_ids"]
        else:
            numbers = tokenizer(prompt, truncation=True, max_length=CONTEXT)["input_ids"]
        rows.append(F.normalize(tensor(model.get_text_features(input_ids=torch.tensor([numbers]))))[0])
    return torch.stack(rows).numpy()


def test_embeddings_are_those_of_the_model_itself(folders: Any, name: str, frames: np.ndarray) -> None:
    folder, model = folders[name]
    scorer = load_scorer(name, "cpu", weights=folder)
    assert isinstance(scorer, Scorer)
    assert (scorer.name, scorer.image_size, scorer.embed_dim) == (name, SIZE, EMBED_DIM)
    videos, texts = scorer.embed_video(frames), scorer.embed_text(PROMPTS)
    np.testing.assert_allclose(videos, expected_videos(model, name, frames), atol=1e-5)
    np.testing.assert_allclose(texts, expected_texts(model, folder, name, PROMPTS), atol=1e-5)
    for rows, count in ((videos, 3), (texts, 2)):
        assert type(rows) is np.ndarray and rows.dtype == np.float32 and rows.shape == (count, EMBED_DIM)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
        assert abs(rows @ rows.T)[0, 1:].max() < 0.9999  # different inputs, different embeddings
    assert scorer.embed_video(frames[:0]).shape == scorer.embed_text([]).shape == (0, EMBED_DIM)


def test_frames_can_be_kept_apart(folders: Any, rng: np.random.Generator) -> None:
    folder, model = folders["clip-l"]
    frames = rng.integers(0, 256, (2, 8, SIZE, SIZE, 3), np.uint8)
    scorer = load_scorer("clip-l", "cpu", weights=folder, pooling="frames")
    assert (scorer.n_frames, scorer.embed_dim) == (8, 8 * EMBED_DIM)
    psi = scorer.embed_video(frames) @ scorer.embed_text(PROMPTS).T
    single = [expected_videos(model, "clip-l", frames[:, [i]]) for i in range(8)]
    texts = expected_texts(model, folder, "clip-l", PROMPTS)
    np.testing.assert_allclose(psi, np.mean([rows @ texts.T for rows in single], axis=0), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(scorer.embed_video(frames), axis=1), 1, atol=1e-6)
    longer = np.repeat(frames, 2, axis=1)
    np.testing.assert_allclose(scorer.embed_video(longer), scorer.embed_video(frames), atol=1e-5)
    mean = load_scorer("clip-l", "cpu", weights=folder)
    assert not np.allclose(mean.embed_video(frames) @ mean.embed_text(PROMPTS).T, psi, atol=1e-4)


@pytest.mark.parametrize("n_frames", [1, 3, 9])
def test_any_number_of_frames(folders: Any, name: str, frames: np.ndarray, n_frames: int) -> None:
    folder, model = folders[name]
    videos = np.concatenate([frames] * 3, axis=1)[:, :n_frames]
    shown = videos[:, (2 * np.arange(4) + 1) * n_frames // 8] if name == "xclip-l" else videos
    found = load_scorer(name, "cpu", weights=folder).embed_video(videos)
    np.testing.assert_allclose(found, expected_videos(model, name, shown), atol=1e-5)


def test_x_clip_sees_the_order_of_frames(folders: Any, frames: np.ndarray) -> None:
    scorer = load_scorer("xclip-l", "cpu", weights=folders["xclip-l"][0])
    assert scorer.n_frames == 4
    assert not np.allclose(scorer.embed_video(frames), scorer.embed_video(frames[:, ::-1]), atol=1e-4)


def test_x_clip_is_scored_without_video_specific_prompting(folders: Any, frames: np.ndarray) -> None:
    folder, model = folders["xclip-l"]
    scorer = load_scorer("xclip-l", "cpu", weights=folder)
    psi = scorer.embed_video(frames) @ scorer.embed_text(PROMPTS).T
    from transformers import AutoTokenizer

    encoded = AutoTokenizer.from_pretrained(folder)(PROMPTS, padding=True, return_tensors="pt")
    silent = torch.zeros(1, 1)
    with torch.inference_mode():
        prompted = model(pixel_values=normalised(frames), **encoded).logits_per_video / model.logit_scale.exp()
        layer = model.prompts_generator.register_forward_hook(lambda module, args, out: out * silent)
        plain = model(pixel_values=normalised(frames), **encoded).logits_per_video / model.logit_scale.exp()
        layer.remove()
    np.testing.assert_allclose(psi, plain.numpy(), atol=1e-5)
    assert not np.allclose(psi, prompted.numpy(), atol=1e-3)


def test_frames_of_other_sizes_are_resized(folders: Any, name: str, rng: np.random.Generator) -> None:
    scorer = load_scorer(name, "cpu", weights=folders[name][0])
    colours = rng.integers(0, 256, (2, 4, 1, 1, 3), np.uint8)
    plain, wide = (scorer.embed_video(np.broadcast_to(colours, (2, 4, *size, 3))) for size in ((SIZE, SIZE), (20, 48)))
    np.testing.assert_allclose(plain, wide, atol=1e-4)


def test_bfloat16_agrees_with_float32(folders: Any, name: str, frames: np.ndarray) -> None:
    exact, fast = (load_scorer(name, "cpu", dtype, folders[name][0]) for dtype in ("float32", "bfloat16"))
    assert fast.embed_video(frames).dtype == np.float32
    assert (exact.embed_video(frames) * fast.embed_video(frames)).sum(axis=1).min() > 0.999
    assert (exact.embed_text(PROMPTS) * fast.embed_text(PROMPTS)).sum(axis=1).min() > 0.999


def test_prompts_are_embedded_once_and_long_ones_cut_with_a_warning(
    folders: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer: Any = load_scorer(name, "cpu", weights=folders[name][0])
    calls: list[int] = []
    run = scorer._model.get_text_features
    monkeypatch.setattr(scorer._model, "get_text_features", lambda **kwargs: calls.append(1) or run(**kwargs))
    room = CONTEXT - (1 if name == "siglip2" else 2)
    with pytest.warns(UserWarning, match=f"6 tokens longer than the {CONTEXT} {name} reads"):
        rows = scorer.embed_text(["robot " * (room + 6)])
    np.testing.assert_allclose(scorer.embed_text(["robot " * room]), rows, atol=1e-6)
    scorer.embed_text(["robot " * room])
    assert len(calls) == 2
    with pytest.raises(ConfigError, match="prompt is ''; write one sentence"):
        scorer.embed_text([""])


def test_siglip_reads_prompts_in_lower_case(folders: Any) -> None:
    scorer = load_scorer("siglip2", "cpu", weights=folders["siglip2"][0])
    np.testing.assert_array_equal(scorer.embed_text(["A Robot"]), scorer.embed_text(["a robot"]))


def test_videos_that_are_none(folders: Any, name: str, frames: np.ndarray) -> None:
    scorer = load_scorer(name, "cpu", weights=folders[name][0])
    with pytest.raises(ConfigError, match="uint8 frames"):
        scorer.embed_video(frames[0])


def test_poolings(folders: Any) -> None:
    with pytest.raises(ConfigError, match="pooling is 'max'; give one of mean, frames"):
        load_scorer("clip-l", "cpu", weights=folders["clip-l"][0], pooling="max")
    with pytest.raises(ConfigError, match="xclip-l embeds whole clips"):
        load_scorer("xclip-l", "cpu", weights=folders["xclip-l"][0], pooling="frames")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=f"siglip2 needs transformers.*{re.escape(install_command('transformers'))}"
    ):
        load_scorer("siglip2", "cpu", weights=Path("anywhere"))


@pytest.fixture
def copy(folders: Any, tmp_path: Path) -> Path:
    """A folder of clip-l to spoil."""
    return Path(shutil.copytree(folders["clip-l"][0], tmp_path / "copy"))


def test_folders_that_do_not_hold_the_scorer(folders: Any, copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="absent, given as weights of clip-l, does not exist; nearest there: "):
        load_scorer("clip-l", "cpu", weights=tmp_path / "absent")
    with pytest.raises(ScorerError, match="holds a model of type siglip; clip-l is of type clip: give siglip2"):
        load_scorer("clip-l", "cpu", weights=folders["siglip2"][0])
    with pytest.raises(ScorerError, match=r"is not model.safetensors or pytorch_model.bin beside a config.json"):
        load_scorer("clip-l", "cpu", weights=copy / "preprocessor_config.json")
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ScorerError, match="has no preprocessor_config"):
        load_scorer("clip-l", "cpu", weights=copy)
    (copy / "config.json").unlink()
    with pytest.raises(ScorerError, match=r"copy, given as weights of clip-l, holds no config.json; nearest there: "):
        load_scorer("clip-l", "cpu", weights=copy)


def test_weights_are_the_folder_or_the_models_file_in_it(folders: Any, name: str, frames: np.ndarray) -> None:
    folder = folders[name][0]
    first, second = (load_scorer(name, "cpu", weights=path) for path in (folder, folder / "model.safetensors"))
    np.testing.assert_array_equal(first.embed_video(frames), second.embed_video(frames))


def test_truncated_weights(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ScorerError, match="clip-l cannot be read from"):
        load_scorer("clip-l", "cpu", weights=copy)


def test_weights_that_lack_a_tensor_are_refused(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ScorerError, match=r"1 tensors are missing, such as visual_projection.weight"):
        load_scorer("clip-l", "cpu", weights=copy)


class Trap:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_code_is_never_unpickled_nor_run(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({"visual_projection.weight": Trap(tmp_path / "sprung")}, copy / "pytorch_model.bin")
    with pytest.raises(ScorerError, match="clip-l cannot be read from"):
        load_scorer("clip-l", "cpu", weights=copy)
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol=2))
    with pytest.raises(ScorerError, match="clip-l cannot be read from"):
        load_scorer("clip-l", "cpu", weights=copy)
    assert not (tmp_path / "sprung").exists()


@pytest.fixture
def hub(folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    folder = folders["clip-l"][0]
    fake = FakeHub({path.name: path.read_bytes() for path in folder.iterdir()})
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    download = functools.partial(huggingface_hub.hf_hub_download, endpoint=fake.url)
    monkeypatch.setattr(scorers.hub, "hf_hub_download", download)
    yield fake
    fake.close()


def test_files_come_from_the_hub_and_are_then_read_without_it(
    folders: Any, hub: FakeHub, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = transformers_scorer.load_transformers("clip-l", torch.device("cpu"), torch.float32)
    np.testing.assert_allclose(
        found.embed_video(frames), expected_videos(folders["clip-l"][1], "clip-l", frames), atol=1e-5
    )
    wanted = HUB["clip-l"]
    assert all(wanted.revision in request for request in hub.requests) and wanted.missing == []
    assert {path.name for path in wanted.folder.iterdir()} >= {"config.json", "model.safetensors"}
    hub.close()
    transformers_scorer.load_transformers("clip-l", torch.device("cpu"), torch.float32)


def test_offline_the_error_says_where_files_put_by_hand_are_found(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ScorerError) as caught:
        load_scorer("siglip2", "cpu")
    message = str(caught.value)
    assert "config.json and preprocessor_config.json and model.safetensors" in message
    folder = Path(message.partition(" by hand into the folder ")[2].partition(";")[0])
    shutil.copytree(folders["siglip2"][0], folder)
    assert load_scorer("siglip2", "cpu").embed_dim == EMBED_DIM


def test_every_family_has_its_files_on_the_hub() -> None:
    for family in FAMILIES:
        assert isinstance(HUB[family], HubFiles) and ("config.json",) in HUB[family].files
    assert json.dumps(sorted(FAMILIES)) == '["clip-l", "siglip2", "xclip-l"]'

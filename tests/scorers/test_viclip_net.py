"""The network against numbers of the authors' own network, and its parts against torch's and by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mvr_wrappers.scorers.viclip.net import MLP, SIZES, Attention, ViCLIP
from tests.support.tiny_viclip import TINY, network


def numbers(table: str) -> torch.Tensor:
    return torch.tensor([float(number) for number in table.split()]).reshape(2, TINY.embed_dim)


# Unit embeddings that the authors' released network gives for `inputs()` with the weights of `tiny_viclip.network(0)`.
VIDEO = numbers("""
    0.302271 0.06176 0.244058 0.190077 0.3465 -0.160825 0.235097 -0.010475
    0.073924 0.143837 0.603801 -0.078357 -0.224671 0.233651 0.320626 -0.055472
    0.299866 0.07794 0.246846 0.171711 0.336588 -0.165393 0.229442 0.006238
    0.071545 0.146255 0.613587 -0.078684 -0.230737 0.236724 0.308852 -0.080022
""")
SINGLE_FRAME = numbers("""
    0.281249 -0.00246 0.245684 0.198739 0.363631 -0.166554 0.252762 -0.048784
    0.095775 0.165206 0.604259 -0.056379 -0.218116 0.224802 0.301939 -0.027332
    0.314748 0.091145 0.260355 0.185236 0.316294 -0.167685 0.220301 0.008039
    0.072726 0.149923 0.60725 -0.077783 -0.229756 0.231462 0.317438 -0.063834
""")
TEXT = numbers("""
    -0.138348 -0.004296 0.362363 -0.414322 0.024163 -0.263676 0.43991 0.01755
    0.016187 0.183653 -0.170976 0.045836 -0.339352 0.302167 0.302633 -0.224852
    -0.21655 0.060075 0.328557 -0.493041 0.024579 -0.26581 0.418057 0.069072
    0.106546 0.102057 -0.156771 -0.023724 -0.264807 0.328189 0.287712 -0.200346
""")


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    frames = torch.tensor(rng.random((2, 8, 3, 32, 32)) * 4 - 2, dtype=torch.float32)
    tokens = np.zeros((2, 32), np.int64)
    tokens[0, :5] = [574, 100, 200, 300, 575]
    tokens[1] = rng.integers(1, 574, 32)
    tokens[1, [0, -1]] = 574, 575
    return frames, torch.tensor(tokens)


@torch.inference_mode()
def test_embeddings_equal_the_authors_network() -> None:
    net, (frames, tokens) = network(), inputs()
    torch.testing.assert_close(F.normalize(net.embed_video(frames)), VIDEO, atol=1e-5, rtol=0)
    torch.testing.assert_close(F.normalize(net.embed_video(frames[:, :1])), SINGLE_FRAME, atol=1e-5, rtol=0)
    torch.testing.assert_close(F.normalize(net.embed_text(tokens)), TEXT, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "parameters"), [("viclip-l", 427_590_145), ("viclip-b", 149_603_841)])
def test_sizes_have_as_many_parameters_as_the_released_files(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in ViCLIP(SIZES[name]).parameters()) == parameters


def test_parameters_are_named_and_shaped_as_in_the_released_checkpoints() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in ViCLIP(SIZES["viclip-l"]).state_dict().items()}
    assert len(shapes) == 1 + (9 + 24 * 12) + (5 + 12 * 12)
    expected = {
        "temp": (),
        "vision_encoder.conv1.weight": (1024, 3, 1, 14, 14),
        "vision_encoder.positional_embedding": (257, 1024),
        "vision_encoder.temporal_positional_embedding": (1, 8, 1024),
        "vision_encoder.transformer.resblocks.23.attn.in_proj_weight": (3072, 1024),
        "vision_encoder.transformer.resblocks.23.mlp.c_fc.weight": (4096, 1024),
        "vision_encoder.proj": (1024, 768),
        "text_encoder.token_embedding.weight": (49408, 768),
        "text_encoder.positional_embedding": (32, 768),
        "text_encoder.transformer.resblocks.11.attn.out_proj.bias": (768,),
        "text_encoder.text_projection": (768, 768),
    }
    assert expected.items() <= shapes.items()


@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_torch_multihead_attention(causal: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    ours = Attention(12, 3, causal)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 12)
    mask = torch.full((5, 5), -torch.inf).triu(1) if causal else None
    torch.testing.assert_close(ours(x), theirs(x, x, x, attn_mask=mask, need_weights=False)[0])


def test_every_block_attends_through_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    fused = F.scaled_dot_product_attention
    spy = lambda *args, **kwargs: calls.append(kwargs["is_causal"]) or fused(*args, **kwargs)  # noqa: E731
    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    frames, tokens = inputs()
    net = network()
    net.embed_video(frames), net.embed_text(tokens)
    assert calls == [False] * TINY.vision[1] + [True] * TINY.text[1]


def test_mlp_uses_the_sigmoid_approximation_of_gelu() -> None:
    mlp = MLP(1)
    with torch.no_grad():
        for parameter in mlp.parameters():
            parameter.zero_()
        mlp.c_fc.weight[0] = mlp.c_proj.weight[0, 0] = 1.0
    x = 2.0
    assert mlp(torch.tensor([[x]])).item() == pytest.approx(x / (1 + np.exp(-1.702 * x)))


def test_stem_is_the_convolution_of_its_weights() -> None:
    encoder = network().vision_encoder
    frames = inputs()[0]
    seen = []
    encoder.ln_pre.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    encoder(frames)
    patches = encoder.conv1(frames.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)  # (B, F, N, width)
    patches = patches + encoder.positional_embedding[1:] + encoder.temporal_positional_embedding[0][:, None]
    torch.testing.assert_close(seen[0][:, 1:], patches.flatten(1, 2))
    first = encoder.class_embedding + encoder.positional_embedding[0]
    torch.testing.assert_close(seen[0][:, 0], first.expand(2, -1))


@pytest.mark.parametrize("n_frames", [2, 4, 5, 16])
def test_other_numbers_of_frames_interpolate_positions_in_time(n_frames: int) -> None:
    encoder = network().vision_encoder
    learned = encoder.temporal_positional_embedding[0].detach().numpy()
    middles = (np.arange(n_frames) + 0.5) * 8 / n_frames - 0.5
    expected = np.stack([np.interp(middles, np.arange(8), column) for column in learned.T], axis=1)
    np.testing.assert_allclose(encoder.temporal_positions(n_frames).detach().numpy(), expected, atol=1e-6)


def test_trained_and_single_frames_need_no_interpolation() -> None:
    encoder = network().vision_encoder
    learned = encoder.temporal_positional_embedding[0]
    assert torch.equal(encoder.temporal_positions(8), learned)
    torch.testing.assert_close(encoder.temporal_positions(1), learned.mean(0, keepdim=True))


def test_text_feature_ends_at_the_end_token() -> None:
    net, tokens = network(), inputs()[1][:1].repeat(3, 1)
    tokens[1, 10:] = 7  # after the end-of-text token
    tokens[2, 3] = 7  # before it
    same, after, before = net.embed_text(tokens)
    torch.testing.assert_close(same, after)
    assert not torch.allclose(same, before, atol=1e-3)


def test_frame_order_matters() -> None:
    net, frames = network(), inputs()[0]
    assert not torch.allclose(net.embed_video(frames), net.embed_video(frames.flip(1)), atol=1e-4)


def test_widths_divide_by_heads() -> None:
    for size in SIZES.values():
        for width, layers, heads in (size.vision, size.text):
            assert width % heads == 0 and layers > 0
        assert size.image_size % size.patch == 0
    assert all(a != b for a, b in pairwise(SIZES.values()))

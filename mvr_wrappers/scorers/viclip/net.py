"""ViCLIP at any size: a joint space-time vision transformer beside a causal text transformer.

Architecture: Wang et al., "InternVid", arXiv 2307.06942, section 4; the towers are those of CLIP, arXiv 2103.00020.
Parameter names and shapes are those of the released checkpoints, so that a state dict of theirs loads as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class ViCLIPSize:
    """One row of the table of sizes.

    Attributes:
        patch: height and width of an image patch in pixels.
        vision: width, layers and heads of the vision tower.
        text: width, layers and heads of the text tower.
        embed_dim: E, length of an embedding.
        image_size: height and width of a frame in pixels.
        frames: frames of a clip, as trained.
        context: tokens of a prompt, both markers included.
        vocabulary: tokens known.
    """

    patch: int
    vision: tuple[int, int, int]
    text: tuple[int, int, int]
    embed_dim: int
    image_size: int = 224
    frames: int = 8
    context: int = 32
    vocabulary: int = 49_408

    @property
    def patches(self) -> int:
        """Patches of one frame."""
        return (self.image_size // self.patch) ** 2


SIZES = {
    "viclip-l": ViCLIPSize(patch=14, vision=(1024, 24, 16), text=(768, 12, 12), embed_dim=768),
    "viclip-b": ViCLIPSize(patch=16, vision=(768, 12, 12), text=(512, 12, 8), embed_dim=512),
}


class ViCLIP(nn.Module):
    """Both towers. Parameters are left uninitialised: they come from a checkpoint."""

    def __init__(self, size: ViCLIPSize) -> None:
        super().__init__()
        self.size = size
        self.vision_encoder = VisionEncoder(size)
        self.text_encoder = TextEncoder(size)
        self.temp = nn.Parameter(torch.empty(()))  # of the training loss; kept because checkpoints hold it

    def embed_video(self, frames: Tensor) -> Tensor:
        """Embeds normalised frames (B, F, 3, H, W), H = W = image_size -> (B, E), rows of any length."""
        embeddings: Tensor = self.vision_encoder(frames)
        return embeddings

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Embeds token numbers, int64 (P, context) -> (P, E), rows of any length."""
        embeddings: Tensor = self.text_encoder(tokens)
        return embeddings


class VisionEncoder(nn.Module):
    """All patches of all frames attend to each other; the class token's feature is projected.

    The stem has no bias in the checkpoints; folding the pixels' normalisation into it gives it one.
    """

    def __init__(self, size: ViCLIPSize) -> None:
        super().__init__()
        width, layers, heads = size.vision
        self.patch = size.patch
        self.conv1 = nn.Conv3d(3, width, (1, size.patch, size.patch), (1, size.patch, size.patch), bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(1 + size.patches, width))
        self.temporal_positional_embedding = nn.Parameter(torch.empty(1, size.frames, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads, causal=False)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, size.embed_dim))

    def forward(self, frames: Tensor) -> Tensor:
        """Maps normalised frames (B, F, 3, H, W) to embeddings (B, E)."""
        batch, n_frames = frames.shape[:2]
        # The stem's windows do not overlap, so the convolution is one matrix product over whole patches.
        pixels = F.pixel_unshuffle(frames.flatten(0, 1), self.patch).flatten(2).transpose(1, 2)
        patches = F.linear(pixels, self.conv1.weight.flatten(1), self.conv1.bias).reshape(
            batch, n_frames, pixels.shape[1], -1
        )
        patches = patches + self.positional_embedding[1:] + self.temporal_positions(n_frames)[:, None]
        first = (self.class_embedding + self.positional_embedding[0]).expand(batch, 1, -1)
        tokens = self.ln_pre(torch.cat([first, patches.flatten(1, 2)], dim=1))
        features: Tensor = self.ln_post(self.transformer(tokens)[:, 0])
        return features @ self.proj

    def temporal_positions(self, n_frames: int) -> Tensor:
        """Returns the positions in time of `n_frames` frames, (F, width).

        The learned ones at the trained number of frames, their mean for a single frame, else linear interpolation
        between the middles of frames, all as in the authors' code.
        """
        learned = self.temporal_positional_embedding
        if n_frames == learned.shape[1]:
            return learned[0]
        if n_frames == 1:
            return learned.mean(dim=1)
        curve = learned.float().transpose(1, 2)
        return F.interpolate(curve, size=n_frames, mode="linear")[0].T.to(learned.dtype)


class TextEncoder(nn.Module):
    """Causal transformer over a prompt's tokens; the end-of-text token's feature is projected."""

    def __init__(self, size: ViCLIPSize) -> None:
        super().__init__()
        width, layers, heads = size.text
        self.token_embedding = nn.Embedding(size.vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(size.context, width))
        self.transformer = Transformer(width, layers, heads, causal=True)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, size.embed_dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps token numbers, int64 (P, context), to embeddings (P, E)."""
        features = self.transformer(self.token_embedding(tokens) + self.positional_embedding)
        end = tokens.argmax(dim=1)  # the end-of-text token has the highest number
        last: Tensor = self.ln_final(features[torch.arange(len(tokens), device=tokens.device), end])
        return last @ self.text_projection


class Transformer(nn.Module):
    """Residual blocks, one after the other, over tokens (B, N, width)."""

    def __init__(self, width: int, layers: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(Block(width, heads, causal) for _ in range(layers)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to features of the same shape."""
        features: Tensor = self.resblocks(tokens)
        return features


class Block(nn.Module):
    """Pre-norm attention and multilayer perceptron, each with a residual connection."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, causal)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to features of the same shape."""
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x


class Attention(nn.Module):
    """Multi-head self-attention with the parameters of `nn.MultiheadAttention` and torch's fused kernel."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (B, N, width) to features of the same shape; with `causal`, none sees a later token."""
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias).reshape(*x.shape[:2], 3, self.heads, -1)
        query, key, value = projected.permute(2, 0, 3, 1, 4)  # each (B, heads, N, width / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    """Two layers, four times as wide inside, with CLIP's sigmoid approximation of GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., width) to the same shape."""
        hidden = self.c_fc(x)
        out: Tensor = self.c_proj(hidden * torch.sigmoid(1.702 * hidden))
        return out

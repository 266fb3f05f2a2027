"""A vision transformer whose parameter names are those that layer-decay constructors know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopwright.core.nearest import did_you_mean
from loopwright.model.module import BaseModule
from loopwright.registry import MODELS
from loopwright.vision.models.common import drop_path

ARCHS: dict[str, tuple[int, int, int]] = {  # width, blocks, heads
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}


class PatchEmbed(nn.Module):
    """(N, C, H, W) to (N, patches, width)."""

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, embed_dims, patch_size, patch_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over (N, L, D)."""

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(x).view(n, length, 3, self.num_heads, width // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(n, length, width))


class FFN(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, embed_dims: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden)
        self.fc2 = nn.Linear(hidden, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual."""

    def __init__(
        self, embed_dims: int, num_heads: int, mlp_ratio: float = 4.0, drop_path_rate: float = 0.0
    ) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = Attention(embed_dims, num_heads)
        self.ln2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.ffn = FFN(embed_dims, int(embed_dims * mlp_ratio))
        self.drop_path_rate = drop_path_rate

    def forward(self, x: Tensor) -> Tensor:
        x = x + drop_path(self.attn(self.ln1(x)), self.drop_path_rate, self.training)
        return x + drop_path(self.ffn(self.ln2(x)), self.drop_path_rate, self.training)


@MODELS.register_module()
class VisionTransformer(BaseModule):
    """ViT (Dosovitskiy et al., 2021): `cls_token`, `pos_embed`, `patch_embed`, `blocks.i`, `ln1`.

    `arch` is a size by name ('tiny' to 'huge'); `embed_dims`, `num_layers`, `num_heads` override.
    `out_type` is what the forward gives, as a tuple over `out_indices` (blocks, negative from the
    end): 'cls_token' or 'avg' (N, D), 'featmap' (N, D, H, W), 'raw' (N, 1 + L, D).
    `layers_name='layers'` names the blocks as OpenMMLab's libraries do. Position embeddings are
    resized where an image has another size than `img_size`. `residual_init` multiplies the starting
    weights of the layers that end a branch: with 0.1 many narrow blocks learn from nothing, as with
    the small factors of LayerScale (Touvron et al., 2021), but without parameters of their own.

    >>> vit = VisionTransformer(img_size=8, patch_size=4, in_channels=1, embed_dims=8,
    ...                         num_layers=2, num_heads=2, out_type="featmap", out_indices=(0, 1))
    >>> [tuple(out.shape) for out in vit(torch.zeros(1, 1, 8, 12))]
    [(1, 8, 2, 3), (1, 8, 2, 3)]
    """

    def __init__(
        self,
        arch: str = "tiny",
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        embed_dims: int | None = None,
        num_layers: int | None = None,
        num_heads: int | None = None,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        out_type: str = "cls_token",
        out_indices: int | Sequence[int] = -1,
        final_norm: bool = True,
        frozen_stages: int = -1,
        layers_name: str = "blocks",
        residual_init: float = 1.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        width, layers, heads = _sizes(arch, embed_dims, num_layers, num_heads)
        size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        self.grid = (size[0] // patch_size, size[1] // patch_size)
        self.patch_size, self.embed_dims, self.num_layers = patch_size, width, layers
        self.out_type = _one_of("out_type", out_type, ("cls_token", "avg", "featmap", "raw"))
        self.layers_name = _one_of("layers_name", layers_name, ("blocks", "layers"))
        self.out_indices = _indices(out_indices, layers)
        self.patch_embed = PatchEmbed(in_channels, width, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[0] * self.grid[1], width))
        rates = [drop_path_rate * i / max(layers - 1, 1) for i in range(layers)]
        blocks = nn.ModuleList(Block(width, heads, mlp_ratio, rate) for rate in rates)
        self.add_module(self.layers_name, blocks)
        self.ln1 = nn.LayerNorm(width, eps=1e-6) if final_norm else nn.Identity()
        self._start(residual_init)
        self._freeze(frozen_stages)

    def _start(self, residual_init: float) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.xavier_uniform_(self.patch_embed.projection.weight.data.flatten(1))
        if self.patch_embed.projection.bias is not None:
            nn.init.zeros_(self.patch_embed.projection.bias)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.all_blocks:
            block.attn.proj.weight.data.mul_(residual_init)
            block.ffn.fc2.weight.data.mul_(residual_init)

    def _freeze(self, stages: int) -> None:
        if stages >= 0:
            for part in (self.patch_embed, *list(self.all_blocks)[:stages]):
                part.requires_grad_(False)
            self.cls_token.requires_grad = self.pos_embed.requires_grad = False

    @property
    def all_blocks(self) -> Any:
        """The transformer blocks, whatever they are called."""
        return getattr(self, self.layers_name)

    def embed(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (N, 1 + L, D) with their positions, and the grid (H, W) they lie on."""
        grid = (x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size)
        tokens = self.patch_embed(x)
        cls = self.cls_token.expand(len(x), -1, -1)
        return torch.cat([cls, tokens], 1) + self.positions(grid), grid

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """The position embeddings for a grid of patches."""
        if grid == self.grid:
            return self.pos_embed
        first, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        image = rest.transpose(1, 2).reshape(1, -1, *self.grid)
        image = functional.interpolate(image, size=grid, mode="bicubic", align_corners=False)
        return torch.cat([first, image.flatten(2).transpose(1, 2)], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        tokens, grid = self.embed(x)
        outs = []
        for number, block in enumerate(self.all_blocks):
            tokens = block(tokens)
            if number in self.out_indices:
                last = number == self.num_layers - 1
                outs.append(self._out(self.ln1(tokens) if last else tokens, grid))
        return tuple(outs)

    def _out(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.out_type == "raw":
            return tokens
        if self.out_type == "cls_token":
            return tokens[:, 0]
        if self.out_type == "avg":
            return tokens[:, 1:].mean(1)
        return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, *grid)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """`(layer, number of layers)` of a parameter: embeddings 0, block i i + 1, the rest last.

        >>> VisionTransformer(num_layers=2, num_heads=1, embed_dims=4).get_layer_depth("blocks.1.x")
        (2, 4)
        """
        total = self.num_layers + 2
        if not param_name.startswith(prefix):
            return total - 1, total
        name = param_name.removeprefix(prefix)
        if name in ("cls_token", "pos_embed") or name.startswith("patch_embed"):
            return 0, total
        if name.startswith(f"{self.layers_name}."):
            return int(name.split(".")[1]) + 1, total
        return total - 1, total


def _sizes(
    arch: str, embed_dims: int | None, num_layers: int | None, num_heads: int | None
) -> tuple[int, int, int]:
    if arch not in ARCHS:
        hint = did_you_mean(arch, ARCHS)
        raise ValueError(f"arch must be one of {', '.join(ARCHS)}, got {arch!r}{hint}")
    width, layers, heads = ARCHS[arch]
    width, layers, heads = embed_dims or width, num_layers or layers, num_heads or heads
    if width % heads:
        raise ValueError(f"embed_dims ({width}) must be a multiple of num_heads ({heads})")
    return width, layers, heads


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return value


def _indices(given: int | Sequence[int], layers: int) -> tuple[int, ...]:
    numbers = [given] if isinstance(given, int) else list(given)
    found = tuple(n + layers if n < 0 else n for n in numbers)
    if any(not 0 <= n < layers for n in found):
        raise ValueError(f"out_indices {numbers} are not among {layers} blocks")
    return found


def sincos_positions(width: int, grid: tuple[int, int]) -> Tensor:
    """Fixed 2-D position embeddings (1, 1 + H * W, width), zero for the class token.

    >>> sincos_positions(8, (2, 2)).shape
    torch.Size([1, 5, 8])
    """
    if width % 4:
        raise ValueError(f"the width of sine-cosine positions must be a multiple of 4, got {width}")
    rates = torch.exp(-math.log(10000) * torch.arange(width // 4, dtype=torch.float64) * 4 / width)
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    parts = []
    for place in (columns, rows):
        angle = place.reshape(-1, 1).double() * rates
        parts += [angle.sin(), angle.cos()]
    flat = torch.cat(parts, 1).float()
    return torch.cat([torch.zeros(1, width), flat])[None]

"""Learning without labels: masked autoencoders and SimCLR, each small and whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from loopwright.dist import get_rank, get_world_size
from loopwright.model.base import BaseModel
from loopwright.registry import MODELS
from loopwright.vision.models.common import as_batch
from loopwright.vision.models.vit import Block, VisionTransformer, sincos_positions


class MAEDecoder(nn.Module):
    """Puts mask tokens where patches are missing and says their pixels."""

    def __init__(
        self,
        grid: tuple[int, int],
        embed_dims: int,
        decoder_dims: int,
        num_layers: int,
        num_heads: int,
        pixels: int,
    ) -> None:
        super().__init__()
        self.decoder_embed = nn.Linear(embed_dims, decoder_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dims))
        self.decoder_pos_embed = nn.Parameter(sincos_positions(decoder_dims, grid), False)
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_dims, num_heads) for _ in range(num_layers)
        )
        self.ln1 = nn.LayerNorm(decoder_dims, eps=1e-6)
        self.decoder_pred = nn.Linear(decoder_dims, pixels)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, visible: Tensor, back: Tensor) -> Tensor:
        """Pixels (N, L, P) of all patches; `back` (N, L) puts tokens into their places again."""
        tokens = self.decoder_embed(visible)
        n, seen, width = tokens.shape
        missing = self.mask_token.to(tokens.dtype).expand(n, back.shape[1] + 1 - seen, -1)
        patches = torch.cat([tokens[:, 1:], missing], 1)
        patches = patches.gather(1, back[..., None].expand(-1, -1, width))
        tokens = torch.cat([tokens[:, :1], patches], 1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens)
        said: Tensor = self.decoder_pred(self.ln1(tokens))
        return said[:, 1:]


@MODELS.register_module()
class MAE(BaseModel):
    """A masked autoencoder (He et al., 2022): `backbone` is a VisionTransformer's config.

    Three quarters of the patches (`mask_ratio`) are hidden, the others encoded, the hidden ones'
    pixels predicted, each patch normalised by its own mean and spread (`norm_pix`). Positions are
    fixed sines. Predicts, one dict an image, `feat`, none hidden: the mean over patches (D,) or, as
    `feat_type` says, the 'cls_token' (D,) or all 'tokens' in a row (L * D,).
    """

    def __init__(
        self,
        backbone: Any,
        decoder_dims: int = 64,
        decoder_layers: int = 2,
        decoder_heads: int = 4,
        mask_ratio: float = 0.75,
        norm_pix: bool = True,
        feat_type: str = "avg",
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone: VisionTransformer = MODELS.build(backbone)
        if not isinstance(self.backbone, VisionTransformer):
            raise TypeError(
                f"MAE needs a VisionTransformer backbone, got {type(self.backbone).__name__}"
            )
        if not 0 < mask_ratio < 1:
            raise ValueError(f"mask_ratio must lie between 0 and 1, got {mask_ratio!r}")
        if feat_type not in ("avg", "cls_token", "tokens"):
            raise ValueError(f"feat_type must be avg, cls_token or tokens, got {feat_type!r}")
        vit, self.feat_type = self.backbone, feat_type
        self.mask_ratio, self.norm_pix = mask_ratio, norm_pix
        pixels = vit.patch_size**2 * vit.patch_embed.projection.in_channels
        vit.pos_embed.data.copy_(sincos_positions(vit.embed_dims, vit.grid))
        vit.pos_embed.requires_grad = False
        self.neck = MAEDecoder(
            vit.grid, vit.embed_dims, decoder_dims, decoder_layers, decoder_heads, pixels
        )

    def extract_feat(self, inputs: Any) -> Tensor:
        """(N, D) features of whole images, as `feat_type` says."""
        tokens, _ = self.backbone.embed(as_batch(inputs))
        encoded = self._encode(tokens)
        if self.feat_type == "cls_token":
            return encoded[:, 0]
        return encoded[:, 1:].mean(1) if self.feat_type == "avg" else encoded[:, 1:].flatten(1)

    def _encode(self, tokens: Tensor) -> Tensor:
        for block in self.backbone.all_blocks:
            tokens = block(tokens)
        encoded: Tensor = self.backbone.ln1(tokens)
        return encoded

    def reconstruct(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """Predicted patches (N, L, P) and which of them were hidden (N, L).

        Raises ValueError for images of another size than the decoder's positions are made for.
        """
        images, side = as_batch(inputs), self.backbone.patch_size
        wanted = (self.backbone.grid[0] * side, self.backbone.grid[1] * side)
        if tuple(images.shape[-2:]) != wanted:
            raise ValueError(
                f"this MAE learns from images of {wanted[0]} x {wanted[1]} (height x width), got "
                f"{images.shape[-2]} x {images.shape[-1]}: resize them, or set backbone.img_size"
            )
        tokens, _ = self.backbone.embed(images)
        n, length, width = tokens[:, 1:].shape
        order = torch.rand(n, length, device=tokens.device).argsort(1)
        seen = max(1, int(length * (1 - self.mask_ratio)))
        shown = tokens[:, 1:].gather(1, order[:, :seen, None].expand(-1, -1, width))
        back = order.argsort(1)
        said = self.neck(self._encode(torch.cat([tokens[:, :1], shown], 1)), back)
        return said, back >= seen

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        images = as_batch(inputs)
        if mode != "loss":
            feats = self.extract_feat(images)
            return feats if mode == "tensor" else [{"feat": feat} for feat in feats]
        said, hidden = self.reconstruct(images)
        target = patches_of(images, self.backbone.patch_size)
        if self.norm_pix:
            variance, mean = torch.var_mean(target, -1, keepdim=True)
            target = (target - mean) / (variance + 1e-6).sqrt()
        error = (said - target).square().mean(-1)
        return {"loss": (error * hidden).sum() / hidden.sum()}

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """`(layer, number of layers)`, as the backbone says."""
        return self.backbone.get_layer_depth(param_name, "backbone.")


def patches_of(images: Tensor, size: int) -> Tensor:
    """(N, C, H, W) as (N, patches, size * size * C), patches row by row.

    >>> patches_of(torch.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0].tolist()
    [0.0, 1.0, 4.0, 5.0]
    """
    n, channels, height, width = images.shape
    cut = images.reshape(n, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, size * size * channels)


@MODELS.register_module()
class SimCLR(BaseModel):
    """Contrastive learning of views (Chen et al., 2020): `backbone` by config, a projector above.

    `inputs` is a list of two batches, the views. The loss is NT-Xent over all views of all
    processes at `temperature`. Predicts, one dict an image, `feat` (D,), of the first view.
    """

    def __init__(
        self,
        backbone: Any,
        in_channels: int,
        hidden_channels: int = 128,
        out_channels: int = 64,
        temperature: float = 0.1,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature!r}")
        self.backbone = MODELS.build(backbone)
        self.neck = nn.Sequential()
        self.neck.add_module("fc0", nn.Linear(in_channels, hidden_channels))
        self.neck.add_module("bn0", nn.BatchNorm1d(hidden_channels))
        self.neck.add_module("relu", nn.ReLU())
        self.neck.add_module("fc1", nn.Linear(hidden_channels, out_channels, bias=False))
        self.temperature = temperature

    def extract_feat(self, inputs: Any) -> Tensor:
        """(N, D) features of images, before the projector."""
        feat: Tensor = self.backbone(as_batch(inputs))[-1]
        return feat.mean((2, 3)) if feat.ndim == 4 else feat

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        views = _views(inputs)
        if mode != "loss":
            feats = self.extract_feat(views[0])
            return feats if mode == "tensor" else [{"feat": feat} for feat in feats]
        if len(views) != 2:
            raise ValueError(f"SimCLR trains on two views an image, got {len(views)}")
        both = self.neck(self.extract_feat(torch.cat(views)))
        one, two = functional.normalize(both, dim=1).chunk(2)
        return {"loss": nt_xent(one, two, self.temperature)}


def _views(inputs: Any) -> list[Tensor]:
    if isinstance(inputs, Tensor):
        return [inputs]
    if isinstance(inputs[0], Tensor) and inputs[0].ndim == 3:
        return [as_batch(inputs)]
    return [as_batch(view) for view in inputs]


def nt_xent(one: Tensor, two: Tensor, temperature: float) -> Tensor:
    """Each view must find the other view of its image among all views (N, D) of all processes.

    >>> far = torch.eye(4)[:2], torch.eye(4)[:2]
    >>> round(nt_xent(*far, 0.1).item(), 4)
    0.0001
    """
    n, rank = len(one), get_rank()
    ones, twos = _everyone(one), _everyone(two)
    every = torch.cat([ones, twos])
    mine = torch.arange(n, device=one.device) + rank * n
    own = torch.cat([mine, mine + len(ones)])
    alike = torch.cat([one, two]) @ every.t() / temperature
    alike = alike.scatter(1, own[:, None], float("-inf"))
    partner = torch.cat([mine + len(ones), mine])
    return functional.cross_entropy(alike.float(), partner)


def _everyone(mine: Tensor) -> Tensor:
    """The rows of all processes, with gradients flowing back to each."""
    if get_world_size() == 1:
        return mine
    from torch.distributed.nn.functional import all_gather

    return torch.cat(tuple(all_gather(mine)))

"""How deep in a model a parameter lies, by its name: the rules of layer-wise lr decay (pure)."""

from __future__ import annotations

from collections.abc import Sequence

TOKENS = ("backbone.cls_token", "backbone.mask_token", "backbone.pos_embed")


def vit(name: str, layers: int, blocks: str = "blocks") -> int:
    """The layer of a plain transformer's parameter: embeddings 0, block i is i + 1.

    Everything else (heads, final norms) lies one after all.

    >>> [vit(n, 12) for n in ("backbone.pos_embed", "backbone.blocks.3.norm.bias", "head.fc")]
    [0, 4, 13]
    """
    if name in TOKENS or name.startswith("backbone.patch_embed"):
        return 0
    if name.startswith(f"backbone.{blocks}."):
        return int(name.split(".")[2]) + 1
    return layers + 1


def convnext_layers(name: str, layers: int) -> int:
    """The layer of a ConvNeXt parameter, three blocks of the third stage to a layer.

    Liu et al., "A ConvNet for the 2020s", 2022.
    """
    parts = name.split(".")
    if name in TOKENS:
        return 0
    if name.startswith("backbone.downsample_layers"):
        return (0, 2, 3, layers)[int(parts[2])]
    if name.startswith("backbone.stages"):
        stage, block = int(parts[2]), int(parts[3])
        return (1, 2, 3 + block // 3, layers)[stage]
    return layers + 1


def convnext_stages(name: str, layers: int) -> int:
    """The stage of a ConvNeXt parameter: down-sampling 0, stage s is s + 1."""
    if name in TOKENS or name.startswith("backbone.downsample_layers"):
        return 0
    if name.startswith("backbone.stages"):
        return int(name.split(".")[2]) + 1
    return layers + 1


def swin(name: str, depths: Sequence[int]) -> int:
    """The layer of a Swin parameter: blocks in order over all stages, down-sampling after them."""
    parts = name.split(".")
    if name.startswith("backbone.patch_embed"):
        return 0
    if name.startswith("backbone.stages"):
        stage = int(parts[2])
        if parts[3] == "downsample":
            return sum(depths[: stage + 1])
        return sum(depths[:stage]) + int(parts[4]) + 1
    return sum(depths) + 1


def mixmim(name: str, depths: Sequence[int]) -> int:
    """The layer of a MixMIM parameter; its embeddings lie one below the first."""
    parts = name.split(".")
    if name in ("backbone.mask_token", "backbone.pos_embed", "backbone.absolute_pos_embed"):
        return -1
    if name.startswith("backbone.patch_embed"):
        return -1
    if name.startswith("backbone.layers"):
        stage = int(parts[2])
        if parts[3] == "downsample":
            return sum(depths[: stage + 1]) - 1
        return sum(depths[:stage]) + int(parts[4])
    return sum(depths)


def internimage(name: str, layers: int, depths: Sequence[int]) -> int:
    """The layer of an InternImage parameter below `encoder.`; of any other, the one after all."""
    parts = name.split(".")
    if name.startswith("encoder.patch_embed"):
        return 0
    if name.startswith("encoder.levels"):
        level = int(parts[2])
        if parts[3] == "blocks":
            return sum(depths[:level]) + int(parts[4]) + 1
        return sum(depths[: level + 1])
    return layers + 1

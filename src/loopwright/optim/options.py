"""Which options `clip_grad`, `loss_scale`, `dtype` and `paramwise_cfg` may have, without torch."""

from __future__ import annotations

from math import inf
from typing import Any

from loopwright.optim.values import known, number, truth

_ADAPTIVE = ("clip_factor", "eps", "exclude")
CLIPS = {
    "norm": ("max_norm", "norm_type", "error_if_nonfinite", "foreach", "per"),
    "value": ("clip_value", "foreach"),
    "adaptive": _ADAPTIVE,
    "agc": _ADAPTIVE,
}
"""The kinds of clipping and their options; `agc` is another word for adaptive."""

MULTIPLIERS = (
    "bias_lr_mult",
    "bias_decay_mult",
    "norm_decay_mult",
    "flat_decay_mult",
    "dwconv_decay_mult",
    "dcn_offset_lr_mult",
)
PARAMWISE = ("custom_keys", *MULTIPLIERS, "bypass_duplicate")
"""The keys of a `paramwise_cfg` that the default rules know."""

_NEEDED = {"norm": "max_norm", "value": "clip_value"}
_LIMITS = ("max_norm", "clip_value", "clip_factor", "eps")
_TRUTHS = ("error_if_nonfinite", "foreach")
SCALER = ("init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled")
DTYPES = ("float16", "bfloat16", "float32", "fp16", "bf16")


def checked_clip(cfg: Any) -> tuple[str, dict[str, Any]]:
    """The kind and the options of a `clip_grad`.

    Raises ValueError for an empty dict, an unknown type or a limit that would stop all learning,
    TypeError for an unknown option or a value of another kind.

    >>> checked_clip(dict(max_norm=1.0, norm_type="inf"))
    ('norm', {'max_norm': 1.0, 'norm_type': inf})
    """
    if not isinstance(cfg, dict) or not cfg:
        raise ValueError(
            f"clip_grad must be a dict such as dict(max_norm=1.0), got {cfg!r}; None clips nothing"
        )
    options = {k: v for k, v in cfg.items() if k not in ("type", "_scope_")}
    kind = cfg.get("type", "norm")
    if kind not in CLIPS:
        raise ValueError(f"clip_grad.type must be one of {', '.join(CLIPS)}, got {kind!r}")
    known(options, CLIPS[kind], f"clip_grad of type {kind!r}")
    if kind in _NEEDED and _NEEDED[kind] not in options:
        raise TypeError(f"clip_grad of type {kind!r} needs {_NEEDED[kind]}")
    for name in _LIMITS:
        if name in options:
            number(options[name], f"clip_grad.{name}", above=0)
    for name in _TRUTHS:
        if options.get(name) is not None:
            truth(options[name], f"clip_grad.{name}")
    if options.get("norm_type") == "inf":
        options["norm_type"] = inf
    number(options.get("norm_type", 2.0), "clip_grad.norm_type", above=0)
    if options.get("per", "global") not in ("global", "param"):
        raise ValueError(f"clip_grad.per must be 'global' or 'param', got {options['per']!r}")
    return kind, options


def scaler_options(loss_scale: Any) -> dict[str, Any]:
    """The GradScaler options that a `loss_scale` means.

    >>> scaler_options("dynamic"), scaler_options(512)
    ({}, {'init_scale': 512.0})
    """
    if isinstance(loss_scale, dict):
        known(loss_scale, SCALER, "loss_scale")
        for name in SCALER[:-1]:
            if name in loss_scale:
                number(loss_scale[name], f"loss_scale.{name}", above=0)
        return dict(loss_scale)
    if loss_scale == "dynamic":
        return {}
    if isinstance(loss_scale, bool) or not isinstance(loss_scale, int | float):
        raise TypeError(f"loss_scale must be 'dynamic', a number or a dict, got {loss_scale!r}")
    return {"init_scale": float(number(loss_scale, "loss_scale", above=0))}


def dtype_name(dtype: Any) -> str:
    """The full name of a `dtype` for autocast, given as a name or as torch's object."""
    name = str(getattr(dtype, "dotted", dtype)).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(
            f"dtype must be one of {', '.join(DTYPES)}, which autocast can cast to, got {dtype!r}"
        )
    return {"fp16": "float16", "bf16": "bfloat16"}.get(name, name)


def apex_not_offered(opt_level: str = "O1", loss_scale: Any = "dynamic") -> str:
    """What to write in place of an `ApexOptimWrapper`."""
    said = "ApexOptimWrapper is not offered: Apex's amp is no longer developed. Write"
    if opt_level == "O0":
        return f"{said} optim_wrapper.type='OptimWrapper'"
    scale = "" if loss_scale in ("dynamic", None) else f", loss_scale={loss_scale!r}"
    return f"{said} optim_wrapper.type='AmpOptimWrapper', dtype='float16'{scale}"

"""`torch.compile` in place, and counting what it did: graphs, breaks, recompiles, seconds."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from loopwright.core.nearest import did_you_mean, nearest_or_all
from loopwright.model.compile_options import checked
from loopwright.model.wrap import unwrap

_REPORT = "_loopwright_compile"


@dataclass(slots=True)
class CompileReport:
    """What the compiler did since the model was compiled.

    `failures` are graphs that the backend could not compile and that run without it; `at_limit`
    are pieces of code that were compiled as often as they may be; `reasons` say, in torch's words,
    what was different when code was compiled again.
    """

    modules: list[str] = field(default_factory=list)
    graphs: int = 0
    graph_breaks: int = 0
    recompiles: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    at_limit: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = (
            f"torch.compile: {self.graphs} graphs, {self.graph_breaks} breaks, "
            f"{self.recompiles} recompiles, {self.seconds:.1f} s"
        )
        if self.failures:
            said += f", {len(self.failures)} graphs run without it ({self.failures[0]})"
        return said + self._why_again()

    def _why_again(self) -> str:
        """The last reason for compiling again; for batches of several sizes, what helps."""
        if not self.reasons:
            return ""
        if any("mismatch at index 0" in reason for reason in self.reasons):
            return (
                " (batches differ in size, as a shorter last one does: drop_last=True or "
                "compile.dynamic='batch' compiles once)"
            )
        return f" (last because {self.reasons[-1]})"


def compile_model(model: nn.Module, cfg: Any = True) -> nn.Module:
    """Compile a model in place, so that no name in its state dict changes; the same model.

    `cfg` is True, False or a dict of torch.compile's arguments (`mode`, `backend`, `dynamic`,
    `fullgraph`, `options`) and ours: `dynamic="batch"` (the first dimension of every tensor given
    may vary, so that a shorter last batch compiles nothing anew), `modules` (globs of sub-modules
    to compile instead of the whole), `recompile_limit` (graphs a piece of code may have; torch's
    second limit follows), `on_limit` and `on_failure` ('warn' goes on without compiling and says
    so, 'error' stops).
    Raises ValueError for an unknown key, with the nearest one.
    """
    options = checked(cfg)
    if not options.pop("enabled", True) or options.pop("disable", False):
        return model
    inner = unwrap(model)
    chosen = chosen_modules(inner, options.pop("modules", None))
    limit = _set_limits(options.pop("recompile_limit", None), options.pop("on_limit", "warn"))
    backend = CountingBackend(options, limit, stop=options.pop("on_failure", "warn") == "error")
    backend.report.modules = list(chosen)
    for name, module in chosen.items():
        _in_place(module, name or "model", backend, options)
    inner.__dict__[_REPORT] = backend
    return model


def compile_report(model: nn.Module) -> CompileReport | None:
    """What the compiler did for a model so far; None for one that was not compiled."""
    backend: CountingBackend | None = unwrap(model).__dict__.get(_REPORT)
    return None if backend is None else backend.counted()


def chosen_modules(model: nn.Module, globs: Any) -> dict[str, nn.Module]:
    """The sub-modules that globs choose, by name; ValueError for one that matches none."""
    if globs is None:
        return {"": model}
    patterns = [globs] if isinstance(globs, str) else list(globs)
    named = dict(model.named_modules())
    chosen = {n: m for n, m in named.items() if n and any(fnmatchcase(n, p) for p in patterns)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in chosen):
            hint = did_you_mean(pattern, named, most=3)
            raise ValueError(f"compile.modules: {pattern!r} matches no sub-module{hint}")
    return chosen


def _set_limits(limit: int | None, on_limit: str) -> int:
    """Set torch's limits, which only work together; how many graphs one piece of code may have."""
    import torch._dynamo

    config: Any = torch._dynamo.config
    new = hasattr(config, "recompile_limit")
    one, all_ = ("recompile_limit", "accumulated_recompile_limit") if new else _OLD
    if limit is not None:
        setattr(config, one, limit)
        setattr(config, all_, max(getattr(config, all_), 4 * limit))
    for name in ("fail_on_recompile_limit_hit", "fail_on_cache_limit_hit"):
        if hasattr(config, name):
            setattr(config, name, on_limit == "error")
            break
    return int(getattr(config, one))


_OLD = ("cache_size_limit", "accumulated_cache_size_limit")


def _in_place(
    module: nn.Module, name: str, backend: CountingBackend, options: dict[str, Any]
) -> None:
    """What `Module.compile` does, also for classes of torch itself, which it passes over."""
    any_batch = options.get("dynamic") == "batch"
    kept = ("fullgraph",) if any_batch else ("dynamic", "fullgraph")
    how = {key: options[key] for key in kept if key in options}
    target = module._call_impl
    if type(module).__module__.partition(".")[0] == "torch":
        target = _outside(target, name)
    compiled = torch.compile(target, backend=backend, **how)
    module._compiled_call_impl = _of_any_batch(compiled) if any_batch else compiled


def _of_any_batch(compiled: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function for which the first dimension of every tensor may vary."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            _mark((args, kwargs))
        return compiled(*args, **kwargs)

    return call


def _mark(given: Any) -> None:
    if isinstance(given, torch.Tensor):
        if given.ndim:
            torch._dynamo.maybe_mark_dynamic(given, 0)
    elif isinstance(given, Mapping):
        _mark(tuple(given.values()))
    elif isinstance(given, list | tuple):
        for one in given:
            _mark(one)


def _outside(forward: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same function from a file of ours: torch does not start a graph in one of its own.

    Graphs are kept by code object, so each module gets one of its own.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    call.__code__ = call.__code__.replace(co_name=f"compiled_{name.replace('.', '_')}")
    return call


class CountingBackend:
    """A backend of torch.compile that counts and, where told to, survives the real one's errors."""

    def __init__(self, options: Mapping[str, Any], limit: int, *, stop: bool) -> None:
        self.report = CompileReport()
        self.limit = limit
        self.stop = stop
        self._compile = _backend(options)
        self._breaks_before = _graph_breaks()
        self._made = time.time()

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.report.graphs += 1
        self._note_recompile()
        start = time.perf_counter()
        try:
            return self._compile(graph, inputs)
        except Exception as error:
            if self.stop:
                raise
            return self._without(graph, error)
        finally:
            self.report.seconds += time.perf_counter() - start

    def counted(self) -> CompileReport:
        """The report up to now."""
        self.report.graph_breaks = _graph_breaks() - self._breaks_before
        known = _compilations_since(self._made)
        seconds = sum(m.entire_frame_compile_time_s or 0 for m in known)
        self.report.seconds = max(self.report.seconds, seconds)
        self.report.reasons = [_short(m.recompile_reason) for m in known if m.recompile_reason]
        return self.report

    def _without(self, graph: Any, error: Exception) -> Any:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        self.report.failures.append(reason)
        warnings.warn(f"torch.compile failed, this graph runs without it: {reason}", stacklevel=2)
        return graph.forward

    def _note_recompile(self) -> None:
        from torch._guards import CompileContext

        current = CompileContext.current_compile_id()
        times = getattr(current, "frame_compile_id", 0) or 0
        if times == 0:
            return
        self.report.recompiles += 1
        if times + 1 >= self.limit:
            self.report.at_limit.append(str(current))
            warnings.warn(
                f"torch.compile made graph {times + 1} of {self.limit} for one piece of code: what "
                "comes next runs without it. Give batches one shape, or set compile.dynamic=True "
                "or a larger compile.recompile_limit",
                stacklevel=2,
            )


def _graph_breaks() -> int:
    from torch._dynamo.utils import counters

    return sum(counters["graph_break"].values())


def _compilations_since(moment: float) -> list[Any]:
    """What torch remembers of the compilations since then."""
    from torch._dynamo.utils import get_compilation_metrics

    return [m for m in get_compilation_metrics() if (m.start_time or 0) >= moment]


def _short(reason: str) -> str:
    """A reason without the number of the guard, on one line."""
    return reason.strip().splitlines()[0].partition(": ")[2][:200] or reason[:200]


def _backend(options: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
    """The real backend that the options name; inductor when they name none."""
    chosen = options.get("backend", "inductor")
    if chosen == "inductor":
        return _inductor(options.get("mode"), options.get("options"))
    if options.get("mode") or options.get("options"):
        raise ValueError(f"compile.mode and compile.options are inductor's, not {chosen!r}'s")
    if callable(chosen):
        return chosen  # type: ignore[no-any-return]
    import torch._dynamo

    known = torch._dynamo.list_backends(exclude_tags=())
    if chosen not in known:
        raise ValueError(f"compile.backend {chosen!r} is not known{nearest_or_all(chosen, known)}")
    found: Callable[[Any, Any], Any] = torch._dynamo.lookup_backend(chosen)
    return found


def _inductor(mode: str | None, options: Any) -> Callable[[Any, Any], Any]:
    patches = dict(options or {})
    if mode not in (None, "default"):
        patches = {**torch._inductor.list_mode_options(mode), **patches}

    def compiled(graph: Any, inputs: Any) -> Any:
        from torch._inductor.compile_fx import compile_fx

        return compile_fx(graph, inputs, config_patches=patches)

    return compiled

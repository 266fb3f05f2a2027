"""MMEngine's vis backends by name: thin faces over the writers."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.log.pictures import Picture
from loopwright.log.reading import read_numbers
from loopwright.log.record import LogRecord, is_timing
from loopwright.log.writers import (
    AimWriter,
    Background,
    ClearMLWriter,
    DVCLiveWriter,
    LocalWriter,
    MLflowWriter,
    NeptuneWriter,
    TensorBoardWriter,
    WandbWriter,
)
from loopwright.registry import VISBACKENDS

__all__ = ["BaseVisBackend", "LocalVisBackend", "TensorboardVisBackend"]


class BaseVisBackend(ABC):
    """`add_*` and `write(record)` over one writer, which is made on first use.

    `slow = True` puts the writer on a thread of its own behind a bounded queue.
    """

    slow = False

    def __init__(self, save_dir: str | os.PathLike[str] | None = None) -> None:
        self.save_dir = save_dir
        self._writer: Any = None
        self._front: Any = None

    @abstractmethod
    def make_writer(self) -> Any:
        """The writer of this backend."""

    @property
    def writer(self) -> Any:
        """The writer itself."""
        self._start()
        return self._writer

    @property
    def experiment(self) -> Any:
        """The library's own object; for local files the writer."""
        return getattr(self.writer, "experiment", self.writer)

    def _start(self) -> Any:
        if self._front is None:
            self._writer = self.make_writer()
            self._front = Background(self._writer) if self.slow else self._writer
        return self._front

    def write(self, record: LogRecord) -> None:
        """Take a record."""
        self._start().write(record)

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Keep the config's text as `config.py`."""
        self.writer.log_text(self.config_name(), getattr(config, "pretty_text", str(config)))

    def config_name(self) -> str:
        """What the config is called there."""
        return "config.py"

    def add_graph(self, model: Any, data_batch: Any, **kwargs: Any) -> None:
        """Keep the model as text."""
        self.writer.log_text("model.txt", str(model))

    def add_image(self, name: str, image: Any, step: int = 0, **kwargs: Any) -> None:
        """Keep an RGB image, uint8 of shape (H, W, 3)."""
        picture = Picture(name, image, int(step), layout="HWC")
        self.write(LogRecord(iter=int(step), epoch=0, images=(picture,)))

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Keep one number."""
        self.add_scalars({name: value}, step)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep several numbers of one step; what is no number is left out."""
        bare = {n: v for n, v in scalar_dict.items() if n not in ("iter", "step", "epoch")}
        numbers = zip(bare, read_numbers(list(bare.values())))
        values = {name: number for name, number in numbers if number is not None}
        step = int(scalar_dict.get("step", step))
        self.write(
            LogRecord(
                iter=int(scalar_dict.get("iter", step)),
                epoch=int(scalar_dict.get("epoch", 0)),
                scalars={n: v for n, v in values.items() if not is_timing(n)},
                timing={n: v for n, v in values.items() if is_timing(n)},
            )
        )

    def close(self) -> None:
        """Write what is left and close; never opens anything."""
        if self._front is not None:
            self._front.close()

    def state_dict(self) -> dict[str, Any]:
        """The writer's state (byte offsets, run ids)."""
        save = getattr(self._start(), "state_dict", None)
        return save() if save is not None else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the checkpoint was."""
        load = getattr(self._start(), "load_state_dict", None)
        if load is not None and state:
            load(state)


@VISBACKENDS.register_module()
class LocalVisBackend(BaseVisBackend):
    """Files under `save_dir`: scalars as JSON lines, images as PNG, the config."""

    def __init__(
        self,
        save_dir: str | os.PathLike[str],
        img_save_dir: str = "vis_image",
        config_save_file: str = "config.py",
        scalar_save_file: str = "scalars.json",
    ) -> None:
        super().__init__(save_dir)
        self.images, self.config_file, self.scalars = (
            img_save_dir,
            config_save_file,
            scalar_save_file,
        )

    def make_writer(self) -> LocalWriter:
        return LocalWriter(Path(self.save_dir or "."), scalars=self.scalars, images=self.images)

    def config_name(self) -> str:
        return self.config_file


@VISBACKENDS.register_module()
class TensorboardVisBackend(BaseVisBackend):
    """TensorBoard event files in `save_dir`."""

    def make_writer(self) -> TensorBoardWriter:
        return TensorBoardWriter(Path(self.save_dir or "."))


@VISBACKENDS.register_module()
class WandbVisBackend(BaseVisBackend):
    """A Weights & Biases run (`init_kwargs=dict(mode="offline")` needs no network)."""

    slow = True

    def __init__(
        self,
        save_dir: str | os.PathLike[str],
        init_kwargs: Mapping[str, Any] | None = None,
        define_metric_cfg: Mapping[str, str] | None = None,
        commit: bool = True,
    ) -> None:
        super().__init__(save_dir)
        self.init_kwargs, self.metrics, self.commit = init_kwargs, define_metric_cfg, commit

    def make_writer(self) -> WandbWriter:
        return WandbWriter(
            self.save_dir,
            init_kwargs=self.init_kwargs,
            define_metric_cfg=self.metrics,
            commit=self.commit,
        )


@VISBACKENDS.register_module()
class MLflowVisBackend(BaseVisBackend):
    """An MLflow run; without `tracking_uri` a file store under `save_dir/mlruns`."""

    slow = True

    def __init__(
        self,
        save_dir: str | os.PathLike[str],
        exp_name: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        tracking_uri: str | None = None,
        artifact_location: str | None = None,
    ) -> None:
        super().__init__(save_dir)
        self.uri = tracking_uri or (Path(save_dir) / "mlruns").absolute().as_uri()
        self.options: dict[str, Any] = {
            "experiment": exp_name or "Default",
            "run_name": run_name,
            "tags": tags,
            "params": params,
            "artifact_location": artifact_location,
        }

    def make_writer(self) -> MLflowWriter:
        return MLflowWriter(self.uri, **self.options)


class _InitKwargsBackend(BaseVisBackend):
    """Trackers that take nothing but what their own library's start call takes."""

    slow = True

    def __init__(
        self,
        save_dir: str | os.PathLike[str] | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(save_dir)
        self.init_kwargs = init_kwargs


@VISBACKENDS.register_module()
class ClearMLVisBackend(_InitKwargsBackend):
    """A ClearML task."""

    def make_writer(self) -> ClearMLWriter:
        return ClearMLWriter(init_kwargs=self.init_kwargs)


@VISBACKENDS.register_module()
class NeptuneVisBackend(_InitKwargsBackend):
    """A Neptune run."""

    def make_writer(self) -> NeptuneWriter:
        return NeptuneWriter(init_kwargs=self.init_kwargs)


@VISBACKENDS.register_module()
class AimVisBackend(_InitKwargsBackend):
    """A run in the Aim repository at `save_dir`."""

    def make_writer(self) -> AimWriter:
        repo = None if self.save_dir is None else str(self.save_dir)
        return AimWriter(repo, init_kwargs=self.init_kwargs)


@VISBACKENDS.register_module()
class DVCLiveVisBackend(_InitKwargsBackend):
    """A DVCLive folder at `save_dir`."""

    def make_writer(self) -> DVCLiveWriter:
        return DVCLiveWriter(Path(self.save_dir or "dvclive"), init_kwargs=self.init_kwargs)

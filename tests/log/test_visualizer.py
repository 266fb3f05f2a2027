"""Visualizer and vis backends: what is stored is read back from files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from loopwright.log import LogRecord, Visualizer
from loopwright.registry import VISBACKENDS, VISUALIZERS


def test_everything_stored_is_read_back_from_the_run_folder(tmp_path):
    visualizer = VISUALIZERS.build(
        {
            "type": "Visualizer",
            "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}],
            "save_dir": str(tmp_path),
        }
    )
    visualizer.add_config("a = 1")
    visualizer.add_image("seen", np.full((4, 6, 3), 9, np.uint8), step=3)
    visualizer.add_scalar("loss", torch.tensor(0.5), step=1)
    visualizer.add_scalars({"acc": 90.0, "name": "text", "time": 0.1, "step": 7})
    visualizer.write(LogRecord(9, 1, "val", scalars={"mIoU": 40.0}))
    visualizer.close()
    folder = tmp_path / "vis_data"
    written = [json.loads(line) for line in (folder / "scalars.json").read_text().splitlines()]
    assert [(e["iter"], e.get("loss", e.get("acc", e.get("mIoU")))) for e in written] == [
        (1, 0.5),
        (7, 90.0),
        (9, 40.0),
    ]
    assert "name" not in written[1]
    assert np.array(Image.open(folder / "vis_image" / "seen_3.png"))[0, 0].tolist() == [9, 9, 9]
    assert (folder / "config.py").read_text() == "a = 1"
    assert list(folder.glob("events.out.tfevents.*"))


def test_a_backend_that_fails_is_dropped_and_the_others_go_on(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    backends = [
        {"type": "LocalVisBackend", "save_dir": str(tmp_path / "file" / "below"), "name": "bad"},
        {"type": "LocalVisBackend", "save_dir": str(tmp_path / "good"), "name": "good"},
    ]
    visualizer = Visualizer(vis_backends=backends, save_dir=tmp_path)
    visualizer.add_image("x", np.zeros((2, 2, 3), np.uint8))
    assert (tmp_path / "good" / "vis_image" / "x_0.png").exists()
    assert "bad failed and is dropped" in caplog.text
    with pytest.raises(KeyError, match="there are: good"):
        visualizer.get_backend("bad")


def test_two_backends_of_a_kind_need_names(tmp_path):
    with pytest.raises(ValueError, match="give one a 'name'"):
        Visualizer(vis_backends=["LocalVisBackend", "LocalVisBackend"], save_dir=tmp_path)


def test_a_backends_config_is_left_as_it_was(tmp_path):
    config = {"type": "LocalVisBackend", "name": "mine"}
    Visualizer(vis_backends=config, save_dir=tmp_path)
    assert config == {"type": "LocalVisBackend", "name": "mine"}


def test_a_data_sample_is_kept_with_its_boxes(tmp_path):
    visualizer = Visualizer(vis_backends="LocalVisBackend", save_dir=tmp_path)
    sample = {
        "gt_instances": {"bboxes": torch.tensor([[2.0, 2, 8, 8]])},
        "pred_instances": {"bboxes": torch.tensor([[12.0, 2, 18, 8]])},
    }
    visualizer.add_datasample("x", np.zeros((20, 20, 3), np.uint8), sample)
    pixels = np.array(Image.open(tmp_path / "vis_data" / "vis_image" / "x_0.png"))
    assert pixels[5, 2, 1] > pixels[5, 2, 0]
    assert pixels[5, 12, 0] > pixels[5, 12, 1]


def test_a_data_sample_is_shown_when_asked_for():
    class Shown(Visualizer):
        def show(self, drawn_img=None, win_name="image", wait_time=0.0, **how):
            seen.append((win_name, wait_time, self.get_image().shape))

    seen = []
    image = np.zeros((4, 6, 3), np.uint8)
    Shown().add_datasample("x", image)
    Shown().add_datasample("y", image, show=True, wait_time=0.5)
    assert seen == [("y", 0.5, (4, 6, 3))]


def test_the_local_backend_continues_where_the_checkpoint_was(tmp_path):
    visualizer = Visualizer(vis_backends="LocalVisBackend", save_dir=tmp_path)
    visualizer.add_scalar("loss", 1.0, step=1)
    state = json.loads(json.dumps(visualizer.state_dict()))
    visualizer.add_scalar("loss", 2.0, step=2)
    again = Visualizer(vis_backends="LocalVisBackend", save_dir=tmp_path)
    again.load_state_dict(state)
    again.add_scalar("loss", 3.0, step=2)
    text = (tmp_path / "vis_data" / "scalars.json").read_text()
    assert [json.loads(line)["loss"] for line in text.splitlines()] == [1.0, 3.0]


@pytest.mark.parametrize(
    "name",
    ["Local", "Tensorboard", "Wandb", "MLflow", "ClearML", "Neptune", "DVCLive", "Aim"],
)
def test_every_backend_of_mmengine_has_its_name_and_starts_nothing_when_made(name, tmp_path):
    backend = VISBACKENDS.build({"type": f"{name}VisBackend", "save_dir": str(tmp_path / "x")})
    backend.close()
    assert not (tmp_path / "x").exists()


def test_a_missing_library_is_named_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "clearml", None)
    backend = VISBACKENDS.build({"type": "ClearMLVisBackend"})
    with pytest.raises(ImportError, match="pip install clearml"):
        backend.add_scalar("x", 1.0)

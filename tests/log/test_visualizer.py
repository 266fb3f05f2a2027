"""Visualizer and vis backends: pixels where they belong, and files that are read back."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from loopwright.log import LogRecord, Visualizer
from loopwright.log.draw import colour
from loopwright.registry import VISBACKENDS, VISUALIZERS

RED, GREEN, WHITE = [255, 0, 0], [0, 128, 0], [255, 255, 255]


@pytest.fixture
def canvas():
    return Visualizer(image=np.zeros((20, 30, 3), np.uint8))


def at(visualizer, x, y):
    return visualizer.get_image()[y, x].tolist()


def test_a_box_is_drawn_on_its_edges_and_not_inside(canvas):
    canvas.draw_bboxes(torch.tensor([[5, 4, 25, 15]]), edge_colors="r", line_widths=1, alpha=1)
    assert at(canvas, 15, 4) == at(canvas, 5, 10) == RED
    assert at(canvas, 15, 10) == [0, 0, 0]


def test_a_face_colour_fills_with_its_opacity(canvas):
    canvas.draw_bboxes([5, 4, 25, 15], edge_colors="none", face_colors="w", alpha=0.5)
    assert at(canvas, 15, 10) == [128, 128, 128]


def test_each_shape_takes_its_own_colour_from_a_list(canvas):
    boxes = [[0, 0, 5, 5], [10, 0, 15, 5]]
    canvas.draw_bboxes(boxes, edge_colors=["r", "w"], line_widths=[1, 1], alpha=1)
    assert (at(canvas, 2, 0), at(canvas, 12, 0)) == (RED, WHITE)
    with pytest.raises(ValueError, match="1 values were given for 2 shapes"):
        canvas.draw_bboxes(boxes, edge_colors=["r"])


def test_reversed_corners_and_wrong_shapes_are_refused(canvas):
    with pytest.raises(ValueError, match="x1 <= x2"):
        canvas.draw_bboxes([5, 5, 1, 1])
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        canvas.draw_bboxes([[1, 2, 3]])
    with pytest.raises(ValueError, match="image of size"):
        canvas.draw_binary_masks(np.ones((3, 3), bool))
    with pytest.raises(RuntimeError, match="set_image"):
        Visualizer().draw_bboxes([1, 1, 2, 2])


def test_boxes_outside_the_image_are_clipped(canvas):
    before = canvas.get_image()
    canvas.draw_bboxes([-50, -50, -10, -10]).draw_bboxes([100, 100, 120, 130])
    assert (canvas.get_image() == before).all()


def test_a_mask_tints_its_pixels_alone(canvas):
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2:4, 5:9] = True
    canvas.draw_binary_masks(mask, colors=(200, 100, 0), alphas=0.5)
    assert at(canvas, 6, 3) == [100, 50, 0]
    assert at(canvas, 9, 3) == [0, 0, 0]


def test_lines_circles_points_and_polygons(canvas):
    canvas.draw_lines(torch.tensor([0, 29]), torch.tensor([10, 10]), colors="r", line_widths=1)
    canvas.draw_circles(np.array([10, 5]), np.array([3]), face_colors="w", alpha=1)
    canvas.draw_points(np.array([[20, 5]]), colors="g", sizes=np.array([9]))
    triangle = np.array([[1, 12], [12, 12], [12, 19]])
    canvas.draw_polygons([triangle], edge_colors="none", face_colors="b", alpha=1)
    assert at(canvas, 15, 10) == RED
    assert at(canvas, 10, 5) == WHITE
    assert at(canvas, 20, 5) == GREEN
    assert at(canvas, 10, 14) == [0, 0, 255]


def test_a_dashed_line_has_gaps():
    visualizer = Visualizer(image=np.zeros((5, 60, 3), np.uint8))
    visualizer.draw_lines([0, 59], [2, 2], colors="w", line_styles="--", line_widths=1)
    row = visualizer.get_image()[2, :, 0]
    assert 15 < (row > 0).sum() < 45


def test_text_is_written_at_its_side_of_the_position():
    def columns(alignment):
        visualizer = Visualizer(image=np.zeros((40, 200, 3), np.uint8))
        visualizer.draw_texts(
            "word", [100, 5], font_sizes=16, colors="w", horizontal_alignments=alignment
        )
        return np.flatnonzero(visualizer.get_image().any(axis=(0, 2)))

    assert columns("left").min() >= 99
    assert columns("right").max() <= 101
    assert columns("center").min() < 100 < columns("center").max()


def test_a_text_may_have_a_box_behind_it():
    visualizer = Visualizer(image=np.zeros((40, 100, 3), np.uint8))
    visualizer.draw_texts(["a"], [[10, 10]], font_sizes=20, bboxes={"facecolor": "w", "alpha": 1})
    assert (visualizer.get_image() == 255).all(axis=2).sum() > 50
    with pytest.raises(ValueError, match="2 texts came with 1 positions"):
        visualizer.draw_texts(["a", "b"], [[1, 1]])


def test_feature_maps_are_reduced_overlaid_and_tiled():
    features = torch.rand(6, 8, 10)
    assert Visualizer.draw_featmap(features).shape == (8, 10, 3)
    over = Visualizer.draw_featmap(features, np.zeros((16, 20, 3), np.uint8))
    assert over.shape == (16, 20, 3)
    grid = Visualizer.draw_featmap(
        features, channel_reduction=None, topk=4, arrangement=(2, 3), resize_shape=(4, 5)
    )
    assert grid.shape == (8, 15, 3)
    assert (grid[4:, 5:] == 255).all()
    strongest = torch.zeros(2, 4, 4)
    strongest[1, 2, 3] = 1.0
    picked = Visualizer.draw_featmap(strongest, channel_reduction="select_max")
    assert picked[2, 3].tolist() != picked[0, 0].tolist()
    with pytest.raises(ValueError, match="no room for topk=9"):
        Visualizer.draw_featmap(features, channel_reduction=None, topk=9, arrangement=(2, 2))


def test_an_image_is_shown_without_a_screen(canvas):
    pytest.importorskip("matplotlib").use("Agg")
    canvas.show(wait_time=0.01)
    canvas.show(np.zeros((4, 4, 3), np.uint8))


def test_colours_of_every_spelling():
    assert colour("#ff8000") == colour((255, 128, 0)) == (255, 128, 0)
    assert colour("orange") == (255, 165, 0)
    with pytest.raises(ValueError):
        colour("no such colour")


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

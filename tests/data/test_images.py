"""Reading images, and telling broken ones before or while a run goes on."""

import struct
import zlib

import numpy as np
import pytest

from loopwright.data import DataError, SampleError, build_dataloader
from loopwright.data.preflight import broken_images
from loopwright.data.transforms.load import LoadAnnotations, LoadImageFromFile, read_image
from loopwright.registry import DATASETS

Image = pytest.importorskip("PIL.Image")

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def saved(path, pixels=PIXELS, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_channels_come_in_the_order_asked_for(tmp_path):
    path = saved(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path), PIXELS)
    np.testing.assert_array_equal(read_image(path, order="bgr"), PIXELS[..., ::-1])
    results = LoadImageFromFile()({"img_path": str(path)})
    np.testing.assert_array_equal(results["img"], PIXELS[..., ::-1])
    assert (results["img_shape"], results["ori_shape"]) == ((20, 30), (20, 30))
    assert LoadImageFromFile(color_type="grayscale")({"img_path": path})["img"].shape == (20, 30)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "F"])
def test_every_mode_becomes_eight_bit_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F") else "a.png")
    grey = Image.fromarray(PIXELS[..., 0])
    if mode == "I;16":
        image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256)
    else:
        image = (Image.fromarray(PIXELS) if mode in ("P", "RGBA", "CMYK") else grey).convert(mode)
    image.save(path)
    found = read_image(path)
    assert (found.shape, found.dtype) == ((20, 30, 3), np.uint8)
    if mode in ("L", "I;16"):
        np.testing.assert_array_equal(found[..., 1], PIXELS[..., 0])


def test_an_image_is_turned_as_its_exif_data_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.jpg", exif=exif.tobytes())
    assert read_image(path).shape == (30, 20, 3)


def huge_png():
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def corpus(tmp_path):
    """Forty files that are no whole images, and what each is."""
    jpg = saved(tmp_path / "whole.jpg", quality=95).read_bytes()
    png = saved(tmp_path / "whole.png").read_bytes()
    kinds = {"empty": b"", "html": b"<html>404</html>", "text": b"no image", "zeros": bytes(500)}
    kinds |= {"huge": huge_png(), "only magic": jpg[:3], "png magic": png[:8], "nul": b"\0"}
    kinds |= {f"jpg cut at {share} %": jpg[: len(jpg) * share // 100] for share in range(5, 85, 5)}
    kinds |= {f"png cut at {share} %": png[: len(png) * share // 100] for share in range(10, 90, 5)}
    return kinds


def test_forty_broken_files_are_errors_that_name_the_file(tmp_path):
    kinds = corpus(tmp_path)
    assert len(kinds) == 40
    for number, (kind, data) in enumerate(kinds.items()):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"cannot read the image .*{number}.jpg"):
            pytest.fail(f"{kind}: {read_image(path).shape}")


def test_a_look_before_the_run_finds_them_all_and_no_whole_one(tmp_path):
    whole = [
        saved(tmp_path / f"w{i}.{kind}") for i, kind in enumerate(("jpg", "png", "bmp", "tif"))
    ]
    trailing = tmp_path / "trailing.jpg"
    trailing.write_bytes(whole[0].read_bytes() + b"a phone's own data" * 100)
    broken = []
    for number, data in enumerate(corpus(tmp_path).values()):
        broken.append(tmp_path / f"{number}.jpg")
        broken[-1].write_bytes(data)
    broken.append(tmp_path / "missing.jpg")
    paths = [str(path) for path in [*whole, trailing, *broken]]
    found = {path: wrong for _, path, wrong in broken_images(paths)}
    assert set(found) == set(map(str, broken))
    assert (found[str(broken[0])], found[str(broken[-1])]) == ("empty", "missing")


@pytest.fixture
def folder(tmp_path):
    for number in range(200):
        place = tmp_path / "train" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        saved(place / f"{number:03}.png", PIXELS[:8, :8])
    for number in (3, 150):
        path = tmp_path / "train" / ("cat", "dog")[number % 2] / f"{number:03}.png"
        path.write_bytes(path.read_bytes()[:100])
    return tmp_path


def config(folder):
    pipeline = [{"type": "LoadImageFromFile"}, {"type": "PackInputs"}]
    data = {"type": "ImageFolder", "data_root": str(folder), "data_prefix": "train"}
    return {"dataset": {**data, "pipeline": pipeline}, "batch_size": 20, "shuffle": False}


def test_a_folder_a_class_is_a_classification_dataset(folder):
    dataset = DATASETS.build(config(folder)["dataset"])
    assert len(dataset) == 200
    assert dataset.metainfo["classes"] == ("cat", "dog")
    sample = dataset[199]
    assert (sample["inputs"].shape, sample["data_samples"].item()) == ((3, 8, 8), 1)
    assert dataset.get_cat_ids(0) == [0]
    (folder / "list.txt").write_text("cat/000.png 0\ndog/001.png 1\n")
    listed = {**config(folder)["dataset"], "ann_file": "list.txt"}
    assert [DATASETS.build(listed)[i]["data_samples"].item() for i in range(2)] == [0, 1]


def test_by_default_one_percent_of_broken_images_stop_before_the_first_step(folder):
    with pytest.raises(SampleError, match=r"(?s)2 of 200.*cat/150.png.*dog/003.png"):
        build_dataloader(config(folder))


def test_by_policy_training_goes_on_and_each_is_named_once(folder, tmp_path):
    cfg = {**config(folder), "on_bad_sample": "skip", "max_bad_samples": 0.02}
    loader = build_dataloader(cfg, bad_samples_file=str(tmp_path / "bad_samples.jsonl"))
    with pytest.warns(UserWarning, match="broken sample") as said:
        assert sum(len(batch["inputs"]) for _ in range(2) for batch in loader) == 400
    assert len(said) == 2
    lines = (tmp_path / "bad_samples.jsonl").read_text()
    assert lines.count("\n") == 2
    assert "cat/150.png" in lines


def test_annotations_become_arrays():
    square = [[2, 2, 6, 2, 6, 6, 2, 6]]
    instances = [
        {"bbox": [1, 2, 3, 4], "bbox_label": 5, "mask": square},
        {"bbox": [0, 0, 2, 2], "bbox_label": 1, "ignore_flag": 1, "mask": np.ones((8, 9))},
    ]
    results = {"img_shape": (8, 9), "instances": instances}
    results = LoadAnnotations(with_mask=True)(results)
    assert results["gt_bboxes"].tolist() == [[1, 2, 3, 4], [0, 0, 2, 2]]
    assert results["gt_bboxes_labels"].tolist() == [5, 1]
    assert results["gt_ignore_flags"].tolist() == [False, True]
    assert results["gt_masks"].shape == (2, 8, 9)
    assert results["gt_masks"][0].sum() == 25
    empty = LoadAnnotations()({"img_shape": (8, 9), "instances": []})
    assert empty["gt_bboxes"].shape == (0, 4)


def test_a_label_map_can_lose_its_zero(tmp_path):
    labels = np.array([[0, 1, 255], [2, 0, 1]], np.uint8)
    path = saved(tmp_path / "a.png", labels)
    results = LoadAnnotations(reduce_zero_label=True)({"seg_map_path": str(path)})
    assert results["gt_seg_map"].tolist() == [[255, 0, 255], [1, 255, 0]]
    mapped = LoadAnnotations()({"seg_map_path": str(path), "label_map": {1: 2, 2: 1}})
    assert mapped["gt_seg_map"].tolist() == [[0, 2, 255], [1, 0, 2]]

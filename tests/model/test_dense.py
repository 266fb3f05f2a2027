import torch

from loopwright.model import DetDataPreprocessor, SegDataPreProcessor, SelfSupDataPreprocessor

IMAGES = [torch.ones(1, 2, 3), torch.ones(1, 4, 4)]


def test_masks_are_padded_with_what_is_not_counted():
    masks = [torch.zeros(2, 3, dtype=torch.long), torch.zeros(4, 4, dtype=torch.long)]
    pre = SegDataPreProcessor(mean=[1.0], std=[1.0], size_divisor=4, pad_val=9)
    out = pre({"inputs": IMAGES, "data_samples": masks})
    assert out["inputs"].shape == (2, 1, 4, 4)
    assert out["inputs"][0, 0, 0].tolist() == [0, 0, 0, 9]
    assert out["data_samples"][0][0].tolist() == [0, 0, 0, 255]
    assert (out["data_samples"][0] == 255).sum() == 10
    assert not (out["data_samples"][1] == 255).any()


def test_masks_in_dicts_are_padded_and_the_rest_stays():
    sample = {"gt_sem_seg": torch.zeros(2, 3), "name": "a"}
    out = SegDataPreProcessor(size=(4, 6))({"inputs": IMAGES[:1], "data_samples": [sample]})
    assert out["inputs"].shape == (1, 1, 4, 6)
    assert out["data_samples"][0]["gt_sem_seg"].shape == (4, 6)
    assert out["data_samples"][0]["name"] == "a"
    assert sample["gt_sem_seg"].shape == (2, 3)


def test_tuples_are_batches_too():
    images, masks = SegDataPreProcessor(size=(4, 4))((IMAGES[:1], torch.zeros(1, 2, 3)))
    assert images.shape[-2:] == masks.shape[-2:] == (4, 4)


def test_samples_learn_their_sizes():
    samples = [{"boxes": torch.zeros(1, 4), "masks": torch.ones(1, 2, 3)}, {}]
    pre = DetDataPreprocessor(pad_size_divisor=8, pad_mask=True)
    out = pre({"inputs": IMAGES, "data_samples": samples})
    first = out["data_samples"][0]
    assert first["img_shape"] == (2, 3)
    assert first["batch_input_shape"] == (8, 8)
    assert first["masks"].shape == (1, 8, 8)
    assert first["masks"].sum() == 6
    assert samples[1] == {}


def test_columns_of_boxes_stay_as_they_are():
    columns = {"boxes": [torch.zeros(1, 4), torch.zeros(0, 4)], "labels": [[1], []]}
    out = DetDataPreprocessor()({"inputs": IMAGES, "data_samples": columns})
    assert out["data_samples"]["labels"] == [[1], []]


def test_every_view_is_a_batch():
    pre = SelfSupDataPreprocessor(mean=[1.0], std=[2.0], pad_size_divisor=4)
    views = pre({"inputs": [list(IMAGES), torch.zeros(2, 1, 4, 4)]})["inputs"]
    assert [view.shape for view in views] == [(2, 1, 4, 4)] * 2
    assert (views[1] == -0.5).all()
    assert pre({"inputs": IMAGES})["inputs"].shape == (2, 1, 4, 4)

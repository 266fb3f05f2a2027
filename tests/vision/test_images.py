"""Image files: no name leads out of its folder, and what cannot be decoded is named."""

import os

import numpy as np
import pytest
from PIL import Image

from loopwright.vision.images import PathError, confine, image_files, probe

OUT = [
    "../a.png",
    "a/../../b.png",
    "/etc/passwd",
    "//etc/passwd",
    "a/./../../root.png",
    "..",
    "../images-other/a.png",
    "",
    "a\0b.png",
    "link/../../outside/secret.png",
    None,
    7,
    ["a.png"],
    b"a.png",
]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"")
    os.symlink(outside, folder / "link")
    os.symlink(outside / "secret.png", folder / "secret-link.png")
    return folder


@pytest.mark.parametrize("name", OUT)
def test_a_name_that_leads_out_is_refused(root, name):
    with pytest.raises(PathError):
        confine(root, name)


@pytest.mark.parametrize("name", ["a/b.png", "a/../b.png", "..b.png", "a/..b/c.png", "~/a.png"])
def test_a_name_inside_is_a_path_inside(root, name):
    assert confine(root, name).is_relative_to(root.resolve())


@pytest.mark.parametrize("name", ["link/secret.png", "secret-link.png"])
def test_links_on_the_disk_are_followed_out_of_the_folder(root, name):
    assert confine(root, name).resolve() == root.parent / "outside" / "secret.png"


def test_two_dots_behind_a_link_stay_in_the_folder(root):
    assert confine(root, "link/../a/b.png") == root.resolve() / "a" / "b.png"


def test_an_absolute_name_inside_is_that_file_also_through_a_root_that_is_a_link(root, tmp_path):
    os.symlink(root, tmp_path / "linked")
    inside = (root / "a" / "b.png").resolve()
    assert confine(root, str(inside)) == inside
    assert confine(tmp_path / "linked", str(tmp_path / "linked" / "a" / "b.png")) == inside


@pytest.mark.parametrize("name", ["../outside/secret.png", "/etc/passwd"])
def test_a_name_may_lead_out_where_the_user_says_so(root, name):
    found = confine(root, name, outside=True)
    assert found == (root / name).resolve()


def test_images_behind_links_are_listed_and_circles_end(root):
    saved(root.parent / "outside", "far.png")
    saved(root / "a", "near.png")
    os.symlink(root, root / "a" / "up")
    os.symlink(root.parent, root / "above")
    os.symlink("/", root / "all")
    os.symlink(root / "nowhere.png", root / "broken.png")
    names = ["a/near.png", "link/far.png", "link/secret.png", "secret-link.png"]
    assert image_files(root) == names


def test_a_root_that_is_a_link_itself_is_fine(root, tmp_path):
    os.symlink(root, tmp_path / "linked")
    assert confine(tmp_path / "linked", "a/b.png") == (root / "a" / "b.png").resolve()


def saved(folder, name, **how):
    noise = np.random.RandomState(0).randint(0, 255, (40, 60, 3), np.uint8)
    path = folder / name
    Image.fromarray(noise).save(path, **how)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif", "a.webp", "a.tif"])
@pytest.mark.parametrize("decode", [True, False])
def test_a_whole_file_tells_its_size(tmp_path, name, decode):
    assert probe(saved(tmp_path, name), decode=decode)[:2] == (60, 40)
    assert not probe(saved(tmp_path, name), decode=decode).fault


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("decode", [True, False])
def test_a_file_cut_short_is_found_with_and_without_decoding(tmp_path, name, keep, decode):
    path = saved(tmp_path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    assert probe(path, decode=decode).fault


def test_a_flipped_byte_in_a_png_is_found_by_decoding(tmp_path):
    path = saved(tmp_path, "a.png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))
    assert probe(path).fault


def test_too_many_pixels_are_not_decoded(tmp_path):
    assert "2400 pixels" not in probe(saved(tmp_path, "a.png")).fault
    assert "more than the limit" in probe(tmp_path / "a.png", max_pixels=2000).fault


def test_a_turned_photograph_says_so(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert probe(saved(tmp_path, "a.jpg", exif=exif)).turned


def test_image_files_are_listed_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    saved(tmp_path / "b", "c.png")
    saved(tmp_path, "a.jpg")
    (tmp_path / "notes.txt").write_text("")
    assert image_files(tmp_path) == ["a.jpg", "b/c.png"]

"""`loopwright data check`: what it prints, writes, refuses, and ends with."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from loopwright.cli.data import command


@pytest.fixture(scope="module")
def data(faulty, tmp_path_factory):
    return faulty.dataset(tmp_path_factory.mktemp("faulty"))


def run(*arguments):
    return CliRunner().invoke(command, ["check", *map(str, arguments)])


def clean(tmp_path):
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
    path = tmp_path / "clean.json"
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10}],
                "categories": [{"id": 1, "name": "cat"}],
                "annotations": [box],
            }
        )
    )
    return path


def test_clean_annotations_pass_even_strictly(tmp_path):
    done = run(clean(tmp_path), "--strict")
    assert done.exit_code == 0, done.output
    assert "1 boxes" in done.output


def test_too_many_drops_end_with_one_and_write_nothing(data, tmp_path):
    done = run(data[0], "--fix", tmp_path / "fixed.json")
    assert done.exit_code == 1
    assert "more than the budget of 1 %" in done.output
    assert not (tmp_path / "fixed.json").exists()


def test_a_larger_budget_writes_the_fix_and_strict_still_ends_with_one(data, tmp_path):
    fixed = tmp_path / "fixed.json"
    done = run(data[0], "--fix", fixed, "--budget", 0.1, "--strict")
    assert done.exit_code == 1
    assert len(json.loads(fixed.read_text())["annotations"]) > 400
    again = run(fixed)
    assert again.exit_code == 0
    assert "reversed" not in again.output


def test_the_json_holds_counts_ids_and_the_policy(data, faulty, tmp_path):
    out = tmp_path / "found.json"
    run(data[0], "--images", data[1], "--classes", "cat,dogs", "--json", out, "--budget", 0.1)
    found = json.loads(out.read_text())
    assert found["table"] == faulty.WANTED
    assert found["policy"]["reversed"] == "repair"
    assert found["worst"][0]["objects"][0]["causes"]
    assert found["classes"]["bird"] == {"before": 0, "after": 0}


def test_the_html_needs_nothing_else_and_runs_nothing(data, tmp_path):
    evil = tmp_path / "evil.json"
    text = data[0].read_text().replace('"003.png"', '"<script>alert(1)</script>.png"')
    evil.write_text(text.replace('"name": "cat"', '"name": "<img src=x onerror=y>"'))
    out = tmp_path / "found.html"
    run(evil, "--images", data[1], "--html", out, "--budget", 0.1)
    page = out.read_text()
    assert page.count("data:image/jpeg;base64,") > 5
    assert "<script" not in page
    assert "<img src=x" not in page
    assert not re.search(r"(src|href)=.?https?:", page)


def test_a_report_does_not_replace_the_input(data, tmp_path):
    copy = tmp_path / "copy.json"
    shutil.copyfile(data[0], copy)
    done = run(copy, "--json", copy, "--budget", 0.1)
    assert done.exit_code == 1
    assert copy.read_bytes() == data[0].read_bytes()


def test_a_policy_is_given_by_cause(data):
    done = run(data[0], "--policy", "reversed=error", "--budget", 0.1)
    assert done.exit_code == 1
    assert "6 boxes are reversed" in done.output


@pytest.mark.parametrize("rule", ["reverse=drop", "reversed=clip", "reversed"])
def test_a_mistake_in_the_command_ends_with_two(data, rule):
    done = run(data[0], "--policy", rule)
    assert done.exit_code == 2
    assert "reversed" in done.output


def test_a_file_that_is_not_there_gives_the_nearest(data):
    done = run(data[0].with_name("annotation.json"))
    assert done.exit_code == 2
    assert "did you mean 'annotations.json'" in done.output


def test_a_folder_that_holds_a_json_names_it(data):
    done = run(data[0].parent)
    assert done.exit_code == 2
    assert "annotations.json: give the file" in " ".join(done.output.split())


def test_boxes_that_stop_are_named_by_file_and_id(data):
    done = run(data[0], "--policy", "reversed=error")
    assert "first: 003.png#502: [40.0, 20.0, 30.0, 28.0]; 004.png#503:" in done.output


@pytest.mark.parametrize("rule", [("--min-size", -1), ("--budget", 7)])
def test_numbers_that_cannot_be_end_with_two(data, rule):
    done = run(data[0], *rule)
    assert done.exit_code == 2
    assert rule[0].strip("-").replace("-", "_") in done.output


def test_where_nothing_can_be_written_is_told_before_anything_is_read(tmp_path):
    path = clean(tmp_path)
    there = tmp_path / "there.json"
    there.write_text("mine")
    for option, target, said in (
        ("--fix", there, "is there already"),
        ("--fix", path, "overwrite or mix"),
        ("--html", path, "overwrite or mix"),
    ):
        done = run(path, option, target)
        assert done.exit_code == 1
        assert said in done.output
        assert "Classes" not in done.output
    assert there.read_text() == "mine"
    (tmp_path / "a file").write_text("")
    done = run(path, "--json", tmp_path / "a file" / "found.json")
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith("Error: ")


def test_the_thumbnails_show_what_was_annotated_and_what_became_of_it(data):
    from loopwright.vision import annotations, report

    found = annotations.audit(annotations.read(data[0]), {"budget": None})
    row = next(r for r in found.repaired.findings.rows["partly_outside"].tolist())
    picture = report.thumbnail(found, int(found.annotations.image[row]), [row])
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {(220, 38, 38), (22, 163, 74)} <= colours


def test_names_with_markup_or_terminal_codes_are_shown_as_text(tmp_path):
    path = clean(tmp_path)
    text = path.read_text().replace('"cat"', r'"[bold]cat\u001b[31m"')
    path.write_text(text.replace("[1, 1, 5, 5]", "[1, 1, -5, 5]").replace("a.png", "[red]a.png"))
    done = run(path, "--budget", 1)
    assert "[bold]cat?[31m" in done.output
    assert "[red]a.png" in done.output


def test_checking_annotations_starts_without_torch(data):
    code = (
        "import sys; from click.testing import CliRunner; from loopwright.cli.data import command; "
        f"CliRunner().invoke(command, ['check', {str(data[0])!r}, '--images', {str(data[1])!r}]); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

"""A run folder from somebody else: what is in it is shown, not obeyed."""

import json
import os

import pytest
from click.testing import CliRunner

from loopwright.cli.main import main
from loopwright.cli.printing import printable
from loopwright.config import Config
from loopwright.plan.chart import chart
from loopwright.report import find_runs, read_run
from loopwright.report.page import page

SCRIPT = "<script>alert(1)</script>"
ESCAPE = "\x1b]0;title\x07\x1b[2J[/red]"


def a_run(folder, *entries, **texts):
    folder.mkdir(parents=True)
    for name, lines in {"metrics": entries, **texts}.items():
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def test_no_tag_of_a_record_becomes_one_of_the_page(tmp_path):
    entry = {"tag": SCRIPT, "iter": 1, f"m{SCRIPT}": 0.5, "epoch": SCRIPT}
    text = page(read_run(a_run(tmp_path / "run", entry)))
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text


def test_odd_records_are_passed_by_and_the_good_ones_shown(tmp_path):
    odd = [
        {"tag": 1, "iter": 1, "a": 1},
        {"tag": "val", "iter": "x"},
        {"tag": "val", "iter": float("nan")},
        {"tag": "train", "iter": 10**30, "loss": 1},
        {"tag": "val", "iter": 2, "d": 10**400, "e": [1], "f": float("nan"), "loss": 1e308},
        {"tag": "val", "iter": 3, "loss": -1e308},
    ]
    times = [{"wall_time": "x"}, {"wall_time": 1, "tag": "train", "iter": 1, "time": "x"}]
    what = [
        {"what": 1, "iter": "x", "time": "y"},
        {"what": "start", "iter": 0, "time": 1e300},
        {"what": "start", "iter": 0, "time": 5, "reason": [1]},
    ]
    run = read_run(a_run(tmp_path / "run", *odd, timing=times, sessions=what))
    assert [entry["iter"] for entry in run.metrics] == [2, 3]
    assert (run.timing, run.sessions) == ([], [])
    assert "<h1>run</h1>" in page(run)


@pytest.mark.parametrize("line", ["[" * 200_000, '{"tag":"v\\ud800","iter":1}', "x" * 3_000_000])
def test_a_line_that_is_no_record_is_passed_by(tmp_path, line):
    folder = a_run(tmp_path / "run")
    (folder / "metrics.jsonl").write_text(line + '\n{"tag":"train","iter":1,"loss":0.5}\n')
    assert page(read_run(folder)).encode()
    assert read_run(folder).iter == 1


def test_links_and_pipes_in_a_run_folder_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret of this machine")
    folder = a_run(tmp_path / "run", {"tag": "train", "iter": 1, "loss": 1})
    (folder / "config.py").symlink_to(secret)
    (folder / "vis_image").mkdir()
    (folder / "vis_image" / "a.png").symlink_to(secret)
    (folder / "vis_image" / "b.png").symlink_to(tmp_path / "not there")
    (folder / "vis_image" / "c.png").write_bytes(b"not a picture")
    (folder / "sessions.jsonl").symlink_to("/dev/zero")
    os.mkfifo(folder / "timing.jsonl")
    os.mkfifo(folder / "vis_image" / "d.png")
    run = read_run(folder)
    assert "secret of" not in page(run)
    assert "data:image" not in page(run)


def test_a_folder_whose_numbers_are_a_device_is_no_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to("/dev/zero")
    assert find_runs(tmp_path) == []


@pytest.mark.parametrize("values", [[1e308, -1e308], [5e-324, 0.0], [5e-324, 1e-323], [1e300]])
def test_any_numbers_can_be_drawn(values):
    assert chart({"a": list(enumerate(values))})


@pytest.mark.parametrize("command", [["compare"], ["compare", "--plain"], ["runs"]])
def test_names_are_no_commands_to_the_terminal(tmp_path, command):
    folders = [
        a_run(tmp_path / name, {"tag": "val", "iter": 1, ESCAPE: value})
        for name, value in (("a", 1), ("b", 2))
    ]
    given = [str(tmp_path)] if command == ["runs"] else list(map(str, folders))
    done = CliRunner().invoke(main, [*command, *given], color=True)
    assert done.exit_code == 0, done.output
    assert "\x1b]" not in done.output
    assert "\x1b[2J" not in done.output
    assert "[/red]" in done.output or "--plain" not in command  # a table may break a word


def test_a_key_of_a_config_is_no_command_either(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({ESCAPE: ESCAPE, "half": "\ud800"}))
    for more in ([], ["--origins"]):
        done = CliRunner().invoke(main, ["config", "show", str(tmp_path / "a.json"), *more])
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.output


def test_half_a_character_is_printed_as_its_escape():
    assert printable("a\ud800é\n") == "a\\ud800é\n"


@pytest.mark.parametrize("text", ['{"tensors": ' + "[" * 100_000, '{"tensors": {"w": SIZES}}'])
def test_a_fingerprint_of_somebody_else_ends_in_a_message(tmp_path, text):
    entry = {"sha256": "a", "shape": ["x" * 1000, 10**7], "dtype": "f", "kind": "parameter"}
    (tmp_path / "fingerprint.json").write_text(text.replace("SIZES", json.dumps(entry)))
    done = CliRunner().invoke(main, ["fingerprint", "show", str(tmp_path)])
    assert done.exit_code == 2
    assert "is not a fingerprint" in done.output


def test_a_dumped_config_is_the_text_that_reads_back(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a": "x\u00a0\u3000y", "b": {ESCAPE: ESCAPE}}))
    for kind in ("py", "yaml", "json"):
        done = CliRunner().invoke(
            main, ["config", "dump", str(tmp_path / "a.json"), "--format", kind]
        )
        read = Config.fromstring(done.output, f".{kind}")
        assert (read["a"], read["b"]) == ("x\u00a0\u3000y", {ESCAPE: ESCAPE})
        assert "\x1b" not in done.output

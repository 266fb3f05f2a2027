"""The command itself: help that teaches, typos that are answered, reading without torch."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from loopwright.cli.main import COMMANDS, main


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_that_says_more_than_its_name(name):
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    usage, _, rest = result.output.partition("\n\n")
    told = rest.partition("Options:")[0].split()
    assert name in usage
    assert len(told) > 3, told


def test_the_help_lists_every_command():
    output = invoke("--help").output
    assert all(name in output for name in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("raport", "report"), ("plna", "plan")]
)
def test_a_misspelt_command_is_answered_with_the_nearest(typed, meant):
    result = invoke(typed)
    assert result.exit_code == 2
    assert f"Did you mean {meant!r}?" in result.output


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("train", "--resum"), "--resume"),
        (("plan", "--by-parameters"), "--by-parameter"),
        (("report", "--outptu", "x"), "--output"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(arguments, meant):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert meant in result.output


def test_reading_runs_does_not_import_torch(tmp_path):
    place = make(tmp_path, "run", 0.1, 0.5)
    code = (
        "import sys\nfrom loopwright.cli.main import main\n"
        f"for a in (['report', {place!r}], ['runs', {str(tmp_path)!r}]):\n"
        "    main(a, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make(folder, name, lr, value):
    place = folder / name
    place.mkdir()
    (place / "config.py").write_text(f"optim_wrapper = dict(optimizer=dict(lr={lr}))\nsize = 1\n")
    entry = {"tag": "val", "iter": 3, "epoch": 1, "mIoU": value}
    (place / "metrics.jsonl").write_text(json.dumps(entry) + "\n")
    return str(place)


def test_compare_prints_what_differs(tmp_path):
    one, two = make(tmp_path, "one", 0.1, 0.5), make(tmp_path, "two", 0.2, 0.75)
    result = invoke("compare", "--plain", one, two)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "optim_wrapper.optimizer.lr\t0.1\t0.2" in lines
    assert "best mIoU\t0.5 @ 3\t0.75 @ 3" in lines
    assert not any(line.startswith("size") for line in lines)


def test_runs_lists_every_run(tmp_path):
    make(tmp_path, "one", 0.1, 0.5)
    make(tmp_path, "two", 0.2, 0.75)
    lines = invoke("runs", "--plain", str(tmp_path)).output.splitlines()
    assert len(lines) == 3
    assert "mIoU 0.75 @ 3" in lines[2]


def test_a_folder_without_a_run_is_an_error_that_says_so(tmp_path):
    for arguments in (("report", str(tmp_path)), ("runs", str(tmp_path))):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert "metrics.jsonl" in result.output


def test_compare_wants_two_runs(tmp_path):
    result = invoke("compare", make(tmp_path, "one", 0.1, 0.5))
    assert result.exit_code == 2
    assert "at least two" in result.output


def test_the_shell_completes_commands():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from loopwright.cli.main import main; main(prog_name='loopwright')",
        ],
        env={
            "PATH": "/usr/bin:/bin",
            "_LOOPWRIGHT_COMPLETE": "bash_complete",
            "COMP_WORDS": "loopwright re",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert "plain,report" in done.stdout

"""The starter project does what its README says, as it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopwright.cli.main import main


def loopwright(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "loopwright.cli.main", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starter")
    made = loopwright("new", "shapes", folder=folder)
    assert made.returncode == 0, made.stderr
    return folder / "shapes"


def test_its_plan_has_no_findings(project):
    plan = loopwright("plan", "config.py", "--import", "--json", folder=project)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert json.loads(plan.stdout)["findings"] == []


def test_it_trains_and_learns_and_can_be_reported(project):
    trained = loopwright("train", "config.py", folder=project)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "warning" not in trained.stderr
    lines = (project / "work_dirs/config/metrics.jsonl").read_text().splitlines()
    accuracies = [e["accuracy"] for e in map(json.loads, lines) if e["tag"] == "val"]
    assert len(accuracies) == 8
    assert max(accuracies) > 0.9
    reported = loopwright("report", "work_dirs/config", folder=project)
    assert reported.returncode == 0, reported.stderr
    assert "<polyline" in (project / "work_dirs/config/report.html").read_text()


def test_a_folder_that_has_something_in_it_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/file").write_text("")
    result = CliRunner().invoke(main, ["new", "mine"])
    assert result.exit_code == 2
    assert "is not empty" in result.output


@pytest.mark.parametrize("name", ["my-project", "3d", "class"])
def test_a_name_that_no_module_can_have_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["new", name])
    assert result.exit_code == 2
    assert "must be a Python name" in result.output

"""The page: self-contained, without secrets, and shown right by a real browser."""

import html.parser
import re
import shutil
import subprocess

import pytest

from loopwright.report import read_run
from loopwright.report.page import page
from loopwright.report.secrets import redacted

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def text(run_folder):
    return page(read_run(run_folder))


class Addresses(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [v for k, v in attrs if k in ("src", "href", "data", "action", "srcset")]


def test_nothing_is_loaded_from_anywhere(text):
    page_ = Addresses()
    page_.feed(text)
    assert page_.found
    assert all(a.startswith(("#", "data:image/png;base64,")) for a in page_.found)
    assert not {"script", "link", "iframe", "object"} & set(page_.tags)
    assert "url(" not in text


def test_every_part_is_there(text):
    headings = re.findall(r"<h2 id='(\w+)'", text)
    assert headings == [
        "curves",
        "validation",
        "predictions",
        "time",
        "sessions",
        "config",
        "environment",
    ]
    assert text.count("<tr><td>val</td>") == 6
    assert "resumed" in text
    assert text.count("<img ") == 6 * 4


def test_secrets_are_not_in_it(text):
    assert "tracker_token" in text
    assert "do-not-show" not in text


@pytest.mark.parametrize(
    ("given", "hidden"),
    [
        ("wandb_api_key='abc'", "abc"),
        ('{"password": "abc"}', "abc"),
        ("url = 'mysql://me:abc@host/db'", "abc"),
        ('aws_secret_access_key = "abc"', "abc"),
    ],
)
def test_secrets_of_every_kind_are_redacted(given, hidden):
    assert hidden not in redacted(given)


def test_text_from_the_run_cannot_become_markup(tmp_path):
    line = '{"tag": "val", "iter": 1, "epoch": 1, "<script>x</script>": 1.0}'
    (tmp_path / "metrics.jsonl").write_text(line)
    assert "<script>" not in page(read_run(tmp_path))


def test_an_empty_run_gives_a_page(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    assert tmp_path.name in page(read_run(tmp_path))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt-get install chromium)")
def test_a_browser_shows_it(text, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(text)
    picture = tmp_path / "page.png"
    common = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    shot = [*common, f"--screenshot={picture}", "--window-size=1200,3000", file.as_uri()]
    subprocess.run(shot, check=True, capture_output=True, timeout=120)
    assert picture.stat().st_size > 30_000
    dumped = subprocess.run(
        [*common, "--dump-dom", file.as_uri()], check=True, capture_output=True, timeout=120
    ).stdout.decode()
    assert dumped.count("<polyline") == text.count("<polyline")
    assert dumped.count("<img ") == 24

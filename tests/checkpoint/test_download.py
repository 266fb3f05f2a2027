"""Files from the web: https, a digest, the whole size, and then the data-only reader."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading

import pytest
import torch

from loopwright.checkpoint import Broken, CheckpointError, Refused, load_any
from loopwright.checkpoint.download import fetch


@pytest.fixture
def server(tmp_path):
    """A server on this machine that answers rightly, short, with a page, or elsewhere."""
    torch.save({"w": torch.ones(2)}, tmp_path / "good.pth")
    body = (tmp_path / "good.pth").read_bytes()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/elsewhere.pth":
                self.send_response(302)
                self.send_header("Location", "ftp://elsewhere/evil.pth")
                self.end_headers()
                return
            page = b"<html>404</html>" if self.path == "/page.pth" else body
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page[:-10] if self.path == "/short.pth" else page)

        def log_message(self, *args):
            """Quiet."""

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}", hashlib.sha256(body).hexdigest()
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_a_file_with_its_digest_is_fetched_once_and_read_as_data(server, tmp_path):
    url, digest = server
    cache = tmp_path / "cache"
    path = fetch(f"{url}/good.pth", sha256=digest, cache=cache, allow_http=True)
    assert load_any(path)["w"].tolist() == [1, 1]
    stamp = path.stat().st_mtime_ns
    assert fetch(f"{url}/good.pth", sha256=digest, cache=cache, allow_http=True) == path
    assert path.stat().st_mtime_ns == stamp
    assert os.listdir(cache) == [path.name]


@pytest.mark.parametrize(
    ("page", "error", "phrase"),
    [
        ("good.pth", Broken, "wanted 0000"),
        ("page.pth", Broken, "has the sha256"),
        ("short.pth", CheckpointError, "could not be fetched|ended after"),
        ("elsewhere.pth", CheckpointError, "only https|could not be fetched"),
    ],
)
def test_anything_else_leaves_nothing_behind(server, page, error, phrase, tmp_path):
    url, digest = server
    wanted = "0" * 64 if page == "good.pth" else digest
    with pytest.raises(error, match=phrase):
        fetch(f"{url}/{page}", sha256=wanted, cache=tmp_path / "cache", allow_http=True)
    assert os.listdir(tmp_path / "cache") == []


@pytest.mark.parametrize("url", ["http://x/y.pth", "file:///etc/passwd", "ftp://x/y", "y.pth"])
def test_only_https_is_fetched(url, tmp_path):
    with pytest.raises(Refused, match="only https"):
        fetch(url, sha256="0" * 64, cache=tmp_path)


def test_a_digest_is_required(tmp_path):
    with pytest.raises(CheckpointError, match="needs the sha256"):
        fetch("https://x/y.pth", sha256="", cache=tmp_path)


def test_load_any_does_not_fetch_by_itself():
    with pytest.raises(Refused, match="fetch"):
        load_any("https://example.invalid/x.pth")

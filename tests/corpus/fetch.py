"""Fetch the public configs that the reader is measured on: pip downloads, only configs are kept."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

DISTRIBUTIONS = (
    "mmpretrain==1.2.0",
    "mmsegmentation==1.2.2",
    "mmdet==3.3.0",
    "mmyolo==0.6.0",
    "mmocr==1.0.1",
)
DEFAULT_CACHE = Path.home() / ".cache" / "loopwright" / "corpus"
KEPT = re.compile(
    r"[^/]+/\.mim/(configs/.*|[^/]+)\.(py|json|ya?ml)"  # what `mim` serves
    r"|[^/]+/configs/.*\.py"  # a package of pure-Python configs
    r"|[^/]+\.dist-info/(METADATA|RECORD|WHEEL|top_level\.txt)"  # so that it counts as installed
)


def fetch(cache: Path, distributions: tuple[str, ...] = DISTRIBUTIONS) -> Path:
    """Download what is missing and extract the configs below ``cache/site``."""
    wheels, site = cache / "wheels", cache / "site"
    wheels.mkdir(parents=True, exist_ok=True)
    for name in distributions:
        stem = name.partition("==")[0]
        if not list(wheels.glob(f"{stem}-*.whl")):
            command = ["pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), name]
            subprocess.run([sys.executable, "-m", *command], check=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            kept = [name for name in archive.namelist() if KEPT.fullmatch(name)]
            archive.extractall(site, kept)
    return site


def config_files(site: Path) -> list[Path]:
    """Every config, Python and data, in a fixed order."""
    found = {
        path
        for pattern in ("*/.mim/configs/**/*", "*/configs/**/*")
        for path in site.glob(pattern)
        if path.suffix in (".py", ".json", ".yaml", ".yml") and path.name != "__init__.py"
    }
    return sorted(found)

"""The toy parts of the runner's tests, for plans to find by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))

import toy_models  # noqa: F401

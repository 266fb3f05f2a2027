"""The folder of the tests on the path, for the small models in it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

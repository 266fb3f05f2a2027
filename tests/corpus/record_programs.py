"""Compare random configs with MMEngine, and record its values for the tests.

Run by an interpreter that has mmengine 0.10.7, from the root of the repository:

    PYTHONPATH=src PYTHON tests/corpus/record_programs.py --compare 2000
    PYTHONPATH=src PYTHON tests/corpus/record_programs.py --record 150

``--compare`` ends with 1 if a value differs or if MMEngine reads what Loopwright refuses (a dict
that is put into itself for a while is the one exception).
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "config"))
from compare import read_ours, read_theirs, verdict
from programs import program
from tagging import tagged

GOLDEN = Path(__file__).parents[1] / "golden" / "configs" / "programs.json"
FORMS = ("read_base", "text")
LONGEST = 3000


def lay_out(files: dict[str, str], folder: Path) -> Path:
    """Write the files below ``folder``; the path of the one to read."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "child.py"


def compare(seed: int, form: str) -> tuple[str, Any, dict[str, str]]:
    """The verdict on one random program, MMEngine's value and the files."""
    files = program(seed, form)
    with tempfile.TemporaryDirectory() as folder:
        path = lay_out(files, Path(folder))
        ours, theirs = read_ours(path), read_theirs(path)
    found = verdict(ours, theirs)
    if found == "unread" and "contains itself" in str(ours):
        found = "contains itself"
    return found, theirs, files


def record(wanted: int) -> None:
    """The first ``wanted`` short programs of each form that MMEngine reads."""
    cases = []
    for form in FORMS:
        kept = seed = 0
        while kept < wanted:
            found, theirs, files = compare(seed, form)
            seed += 1
            if found != "equal" or sum(map(len, files.values())) > LONGEST:
                continue
            cases.append({"form": form, "files": files, "value": tagged(theirs)})
            kept += 1
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    GOLDEN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compare", type=int, default=0, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--record", type=int, default=0, metavar="N")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    counts: collections.Counter[str] = collections.Counter()
    for form in FORMS:
        for seed in range(options.first, options.first + options.compare):
            found, _, _ = compare(seed, form)
            counts[found] += 1
            if found in ("different", "unread"):
                print(f"{found}: {form} {seed}")
    print(dict(counts))
    if options.record:
        record(options.record)
    return int(counts["different"] + counts["unread"] > 0)


if __name__ == "__main__":
    sys.exit(main())

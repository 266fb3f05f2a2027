"""``loopwright data``: check annotations before training on them, and write a repaired copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loopwright.cli.printing import printable


@click.group()
def command() -> None:
    """Check and repair annotations."""


@command.command()
@click.argument("annotations", type=click.Path(path_type=Path))
@click.option("--images", type=click.Path(exists=True, file_okay=False), help="Folder of images.")
@click.option("--fix", type=click.Path(path_type=Path), metavar="OUT", help="Write repaired copy.")
@click.option("--json", "as_json", type=click.Path(path_type=Path), help="Write findings as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write one HTML file with pictures.")
@click.option("--strict", is_flag=True, help="End with 1 when there is any finding.")
@click.option("--format", "kind", type=click.Choice(["coco", "voc", "yolo"]), help="Else guessed.")
@click.option("--classes", metavar="A,B", help="Class names that must be there.")
@click.option("--policy", multiple=True, metavar="CAUSE=ACTION", help="As reversed=drop; repeat.")
@click.option("--budget", type=float, default=0.01, show_default=True, help="Share to drop.")
@click.option("--min-size", type=float, default=1.0, show_default=True, help="Pixels.")
@click.option("--voc-offset", type=click.Choice(["0", "1"]), default="1", show_default=True)
@click.option("--accept-format", is_flag=True, help="Go on though the format looks wrong.")
def check(
    annotations: Path,
    images: str | None,
    fix: Path | None,
    as_json: Path | None,
    html: Path | None,
    strict: bool,
    kind: str | None,
    classes: str | None,
    voc_offset: str,
    **rules: Any,
) -> None:
    """Look for bad boxes, ids, classes, images and formats in ANNOTATIONS.

    A COCO json, VOC xml or YOLO label folder; the input is never changed. Ends with 0 when the
    policy lets it pass, 1 when it does not (or with --strict when anything was found), 2 for a
    mistake in the command.
    """
    from loopwright.vision.annotations import kind_of
    from loopwright.vision.objects import no_collection
    from loopwright.vision.policy import AnnotationError

    wanted = [name for name in (classes or "").split(",") if name]
    how: dict[str, Any] = {
        "kind": kind,
        "images": images,
        "wanted": wanted,
        "offset": int(voc_offset),
    }
    policy = _policy(**rules)
    try:
        if kind is None or not annotations.exists():
            kind_of(annotations)
    except AnnotationError as error:
        raise click.UsageError(printable(error)) from error
    try:
        with no_collection():
            found = _checked(annotations, policy, outputs=(as_json, html, fix), **how)
    except (AnnotationError, OSError) as error:
        raise click.ClickException(printable(error)) from error
    if strict and found:
        raise click.exceptions.Exit(1)


def _checked(
    source: Path,
    policy: Any,
    *,
    outputs: tuple[Path | None, Path | None, Path | None],
    kind: str | None,
    images: str | None,
    wanted: list[str],
    offset: int,
) -> bool:
    """Read, audit, show and write; says whether anything was found."""
    from loopwright.vision.annotations import audit, read, refuse_input, refuse_output

    as_json, html, fix = outputs
    for report in filter(None, (as_json, html)):
        refuse_input(source, report)
    if fix is not None:
        refuse_output(source, fix)
    classes = wanted if wanted and kind == "voc" else None
    annotations = read(source, kind=kind, images=images, classes=classes, offset=offset)
    found = audit(annotations, policy, images=images, classes=wanted)
    _show(found)
    _reports(found, as_json, html, images)
    found.check()
    if fix is not None:
        _write(found, fix)
    return bool(found)


def _policy(policy: tuple[str, ...], budget: float, min_size: float, accept_format: bool) -> Any:
    from loopwright.vision.policy import policy_of

    rules: dict[str, Any] = {"budget": budget, "min_size": min_size}
    rules["suspicion"] = "warn" if accept_format else "error"
    for rule in policy:
        cause, sign, action = rule.partition("=")
        if not sign:
            raise click.UsageError(f"--policy takes CAUSE=ACTION, got {rule!r}")
        rules[cause] = action
    try:
        return policy_of(rules)
    except ValueError as error:
        raise click.UsageError(printable(error)) from error


def _show(found: Any) -> None:
    from loopwright.cli.printing import console
    from loopwright.vision import report

    screen = console()
    for table in report.tables(found):
        screen.print(table)
    for suspicion in found.suspicions:
        screen.print(
            f"{'hint' if suspicion.hint else 'FORMAT'}: {suspicion.message}",
            style="yellow" if suspicion.hint else "bold red",
            markup=False,
        )
    for note in found.annotations.notes:
        screen.print(note, markup=False)
    screen.print(report.summary(found), markup=False)


def _reports(found: Any, as_json: Path | None, html: Path | None, images: str | None) -> None:
    from loopwright.vision import report

    for path, text in (
        (as_json, lambda: report.to_json(found)),
        (html, lambda: report.to_html(found, images=images)),
    ):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), encoding="utf-8", errors="replace")
            click.echo(f"wrote {path}")


def _write(found: Any, fix: Path) -> None:
    from loopwright.vision.annotations import write

    written = write(found, fix)
    left = len(found.repaired.index)
    click.echo(f"wrote {written}: {left} boxes, {found.repaired.findings.dropped} dropped")

"""A plan as plain data, for ``--json`` and for the HTML page."""

from __future__ import annotations

from typing import Any

from loopwright.plan.hook_order import at_points
from loopwright.plan.plan import Plan


def to_data(plan: Plan) -> dict[str, Any]:
    """Everything the plan says as dicts, lists, numbers and text."""
    return {
        "sizes": plan.facts.to_dict() if plan.facts else None,
        "groups": groups_of(plan),
        "parameters": parameters_of(plan),
        "memory": dict(plan.model.memory) if plan.model else None,
        "dtypes": dict(plan.model.dtypes) if plan.model else None,
        "curves": [
            {"entry": c.entry, "group": c.label, "at": list(c.at), "values": list(c.values)}
            for c in plan.curves
        ],
        "hooks": [
            {"name": h.name, "priority": h.priority, "where": h.where, "origin": h.origin}
            for h in plan.hooks
        ],
        "points": {p: [h.name for h in there] for p, there in at_points(list(plan.hooks)).items()},
        "findings": [f.to_dict() for f in plan.findings],
        "notes": list(plan.notes),
        "exit_code": plan.exit_code,
    }


def groups_of(plan: Plan) -> list[dict[str, Any]]:
    """The parameter groups, or an empty list where the model was not made."""
    if plan.model is None:
        return []
    return [
        {
            "optimizer": g.optimizer,
            "tensors": g.tensors,
            "parameters": g.parameters,
            "frozen": g.frozen,
            "options": {k: _plain(v) for k, v in g.options.items()},
            "rules": list(g.rules),
            "names": list(g.names),
        }
        for g in plan.model.groups
    ]


def parameters_of(plan: Plan) -> list[dict[str, Any]]:
    """Every parameter by name with its group and the rule that decided."""
    if plan.model is None:
        return []
    return [
        {
            "name": p.name,
            "shape": list(p.shape),
            "group": p.group,
            "rule": p.rule,
            "trainable": p.trainable,
        }
        for p in plan.model.parameters
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)


def sizes_of(plan: Plan) -> list[tuple[str, str]]:
    """The sizes as pairs of words."""
    facts = plan.facts
    if facts is None:
        return [("training", "none: there is no train_cfg")]
    about = " (assumed)" if facts.nominal else ""
    unknown = "unknown"
    rows = [
        ("samples", _count(facts.samples) or unknown),
        ("batch x ranks x accumulated", _batch(plan)),
        ("samples an update", _count(facts.effective_batch) or unknown),
        ("steps an epoch", f"{_count(facts.epoch_length) or unknown}{about}"),
        ("epochs", _count(facts.max_epochs) if facts.by_epoch else "1 (counted in iterations)"),
        ("iterations", f"{_count(facts.max_iters)}{about}"),
        ("updates", f"{_count(facts.updates)}{about}"),
        ("validations", times(facts.validations, facts.unit)),
        ("checkpoints", times(facts.checkpoints, facts.checkpoint_unit)),
    ]
    return [(name, value or unknown) for name, value in rows]


def _batch(plan: Plan) -> str:
    facts = plan.facts
    assert facts is not None
    return f"{facts.batch_size or '?'} x {facts.world_size} x {facts.accumulation}"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def memory_rows(plan: Plan) -> list[tuple[str, str]]:
    """The estimate of memory in words, with the number formats of the parameters."""
    if plan.model is None:
        return []
    formats = ", ".join(plan.model.dtypes)
    named = {"parameters": f"parameters ({formats})"} if formats else {}
    return [
        (named.get(name, name), in_bytes(size)) for name, size in plan.model.memory.items() if size
    ]


def counted(plan: Plan) -> str:
    """How much is wrong, in words."""
    return f"{_some(len(plan.errors), 'error')}, {_some(len(plan.warnings), 'warning')}"


def _some(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def times(when: tuple[int, ...], unit: str) -> str:
    """How often and when.

    >>> times((5, 10, 15, 20, 25), "epoch"), times((), "iter")
    ('5: after epoch 5, 10, 15 … 25', 'none')
    """
    if not when:
        return "none"
    shown = ", ".join(map(str, when[:3]))
    if len(when) > 4:
        shown += f" … {when[-1]}"
    elif len(when) == 4:
        shown += f", {when[3]}"
    return f"{len(when)}: after {unit} {shown}"


def in_bytes(size: int) -> str:
    """A size in words.

    >>> in_bytes(3 * 2**20)
    '3.0 MiB'
    """
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"

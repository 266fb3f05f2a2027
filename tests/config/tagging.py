"""Values of configs as JSON that keeps tuples, sets, floats, names and non-text keys apart."""

from loopwright.config import Deferred


def tagged(value):
    """``value`` as JSON; an imported name is its dotted text."""
    if isinstance(value, dict):
        return {"d": [[tagged(key), tagged(child)] for key, child in value.items()]}
    if isinstance(value, list):
        return {"l": [tagged(child) for child in value]}
    if isinstance(value, tuple):
        return {"t": [tagged(child) for child in value]}
    if isinstance(value, set):
        return {"s": sorted(map(repr, value))}
    if isinstance(value, float):
        return {"f": repr(value)}
    if isinstance(value, Deferred):
        return value.dotted
    if value is None or isinstance(value, bool | int | str):
        return value
    return getattr(value, "dump_str", None) or {"r": repr(value)}


def unordered(value):
    """The same with the keys of dicts sorted: their order is not part of a config's value."""
    if isinstance(value, dict) and "d" in value:
        pairs = [[unordered(key), unordered(child)] for key, child in value["d"]]
        return {"d": sorted(pairs, key=repr)}
    if isinstance(value, dict):
        return {
            tag: [unordered(c) for c in body] if tag in ("l", "t") else body
            for tag, body in value.items()
        }
    return value

"""All rules by name: those of the package, chains of them, and those of a user's own file."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from triptych.data.rules import (
    compositional,
    geometric,
    grids,
    lettering,
    moves,
    photometric,
    pictures,
    relational,
    repairs,
    storyboard,
    structural,
    surfaces,
    symbolic,
    temporal,
    tones,
)
from triptych.data.rules.base import Rule, chain
from triptych.data.rules.held_out import (
    HELD_OUT_CHAINS,
    HELD_OUT_FAMILIES,
    HELD_OUT_FAMILY_CHAINS,
    HELD_OUT_RULES,
)
from triptych.errors import SourceError

__all__ = ["FAMILY_RULES", "RULES", "find_rule", "load_rules", "rule_names"]

_FILES = (
    photometric,
    geometric,
    structural,
    pictures,
    compositional,
    relational,
    temporal,
    storyboard,
    symbolic,
    grids,
    lettering,
)

_FAMILY_FILES = (tones, moves, surfaces, repairs)

FAMILY_RULES: frozenset[str] = frozenset(rule.name for file in _FAMILY_FILES for rule in file.RULES)
"""Rules whose parameters are drawn widely, for any picture: `families` and `held-out-families`."""

RULES: dict[str, Rule] = {rule.name: rule for file in (*_FILES, *_FAMILY_FILES) for rule in file.RULES}
"""Every rule of the package by name."""


def rule_names(group: str) -> tuple[str, ...] | None:
    """Names of the rules that a group stands for today; None for other words.

    Groups: `maps`, `photo-maps` (those that need no object), `held-out`, `held-out-chains`, `families`,
    `held-out-families`, `held-out-family-chains`, `all`.

    Files that are kept say the names, since a group grows with the package.
    """
    match group:
        case "maps":
            seen = (name for name in RULES if name not in HELD_OUT_RULES | FAMILY_RULES)
            return tuple(name for name in seen if RULES[name].is_map)
        case "photo-maps":
            return tuple(name for name in rule_names("maps") or () if not RULES[name].needs_object)
        case "families":
            return tuple(name for name in RULES if name in FAMILY_RULES - HELD_OUT_FAMILIES)
        case "held-out-families":
            return tuple(name for name in RULES if name in HELD_OUT_FAMILIES)
        case "held-out-family-chains":
            return tuple("+".join(pair) for pair in HELD_OUT_FAMILY_CHAINS)
        case "held-out":
            return tuple(name for name in RULES if name in HELD_OUT_RULES)
        case "held-out-chains":
            return tuple("+".join(pair) for pair in HELD_OUT_CHAINS)
        case "all":
            return tuple(RULES)
        case _:
            return None


def load_rules(path: Path) -> dict[str, Rule]:
    """The rules of a user's own Python file: its `RULES` tuple, or else every `Rule` at its top level.

    The file is run as a program: load only files you trust. Raises SourceError if it fails or holds no rule.
    """
    spec = importlib.util.spec_from_file_location(f"triptych_user_rules_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SourceError(f"{path} is not a Python file; give the path of a .py file that defines rules.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # Anything can go wrong in a user's file; the cause stays attached.
        raise SourceError(f"{path} could not be run: {type(error).__name__}: {error}.") from error
    listed = getattr(module, "RULES", None)
    found = listed if listed is not None else [value for value in vars(module).values() if isinstance(value, Rule)]
    rules = {rule.name: rule for rule in found if isinstance(rule, Rule)}
    if not rules:
        raise SourceError(f"{path} defines no rule; decorate a function with `picture_rule` or `page_rule`.")
    return rules


def find_rule(name: str, extra: Mapping[str, Rule] | None = None, *, trust_files: bool = False) -> Rule:
    """A rule by its name, `a+b` for a chain, or `file.py:name` (`file.py` alone if it holds one rule).

    A file is a program, and is run only with `trust_files`; otherwise SourceError says so.
    """
    known = {**RULES, **(extra or {})}
    if name in known:
        return known[name]
    file, colon, inner = name.rpartition(":")
    path = file if colon and file.endswith(".py") else name
    if path.endswith(".py"):
        if not trust_files:
            raise SourceError(
                f"the rule {name!r} is in a Python file, a program that would run with your rights. It was not run: "
                "read it first, then allow it (--trust-rules)."
            )
        loaded = load_rules(Path(path))
        if path != name:
            return find_rule(inner, loaded)
        if len(loaded) == 1:
            return next(iter(loaded.values()))
        raise SourceError(f"{path} holds several rules ({', '.join(loaded)}); name one as {path}:{next(iter(loaded))}.")
    if "+" in name:
        first, *rest = (find_rule(part, extra, trust_files=trust_files) for part in name.split("+"))
        for rule in rest:
            first = chain(first, rule)
        return first
    close = [other for other in known if name and (name in other or other in name)]
    hint = f" Did you mean {', '.join(close[:4])}?" if close else f" Rules: {', '.join(known)}."
    raise SourceError(f"there is no rule {name!r}.{hint}")

"""Rules: programs that make pages whose right answer is known, and verify what a model made of them."""

from triptych.data.rules import geometric, photometric, structural
from triptych.data.rules.base import Change, Draft, Rule, Task, chain, few_shot, page_rule, picture_rule
from triptych.data.rules.verifiers import Verdict

__all__ = [
    "HELD_OUT_CHAINS",
    "HELD_OUT_RULES",
    "RULES",
    "Change",
    "Draft",
    "Rule",
    "Task",
    "Verdict",
    "chain",
    "few_shot",
    "page_rule",
    "picture_rule",
]

_FAMILIES = (photometric, geometric, structural)

RULES: dict[str, Rule] = {rule.name: rule for family in _FAMILIES for rule in family.RULES}
"""Every rule of the package by name, in the order of the families."""

HELD_OUT_RULES: frozenset[str] = frozenset({"negative", "upside-down", "sticker"})
"""Never trained on."""

HELD_OUT_CHAINS: tuple[tuple[str, str], ...] = (("outline", "mirror"),)
"""Compositions that are never trained on, though their parts are."""

"""Rules: programs that make pages whose right answer is known, and verify what a model made of them."""

from triptych.data.rules import (
    compositional,
    geometric,
    photometric,
    pictures,
    relational,
    storyboard,
    structural,
    temporal,
)
from triptych.data.rules.base import Change, Draft, Rule, Task, chain, few_shot, page_rule, picture_rule
from triptych.data.rules.held_out import HELD_OUT_CHAINS, HELD_OUT_RULES
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

_FAMILIES = (photometric, geometric, structural, pictures, compositional, relational, temporal, storyboard)

RULES: dict[str, Rule] = {rule.name: rule for family in _FAMILIES for rule in family.RULES}
"""Every rule of the package by name."""

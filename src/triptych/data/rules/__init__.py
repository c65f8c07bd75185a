"""Rules: programs that make pages whose right answer is known, and verify what a model made of them."""

from triptych.data.rules.base import Change, Draft, Mark, Rule, Task, chain, few_shot, page_rule, picture_rule
from triptych.data.rules.checking import CheckReport, check
from triptych.data.rules.held_out import (
    HELD_OUT_CHAINS,
    HELD_OUT_FAMILIES,
    HELD_OUT_FAMILY_CHAINS,
    HELD_OUT_RULES,
    LATER_RULES,
)
from triptych.data.rules.registry import FAMILY_RULES, RULES, find_rule, load_rules, rule_names
from triptych.data.rules.verifiers import Verdict

__all__ = [
    "FAMILY_RULES",
    "HELD_OUT_CHAINS",
    "HELD_OUT_FAMILIES",
    "HELD_OUT_FAMILY_CHAINS",
    "HELD_OUT_RULES",
    "LATER_RULES",
    "RULES",
    "Change",
    "CheckReport",
    "Draft",
    "Mark",
    "Rule",
    "Task",
    "Verdict",
    "chain",
    "check",
    "few_shot",
    "find_rule",
    "load_rules",
    "page_rule",
    "picture_rule",
    "rule_names",
]

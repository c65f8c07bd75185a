"""Picks: which results somebody kept, rejected or passed over, as data that trains a skill.

Needs no torch, but where pictures' own records are read (`found`).
"""

from triptych.picks.pick import LEAST_PICKS, Outcome, Pick, Verdict, pick_schema
from triptych.picks.store import FILE, Shown, add_picks, load_picks, picks_path

__all__ = [
    "FILE",
    "LEAST_PICKS",
    "Outcome",
    "Pick",
    "Shown",
    "Verdict",
    "add_picks",
    "load_picks",
    "pick_schema",
    "picks_path",
]

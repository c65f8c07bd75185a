"""Finished pages of the demo: a picture, and what a rule makes of it."""

from random import Random

from PIL import Image

from triptych.data.rules import Change, find_rule
from triptych.data.sources import ShapeSource
from triptych.page import Page, Role, condition, slot

__all__ = ["change_of", "finished"]


def change_of(rule: str, seed: int) -> Change:
    """A rule's map from picture to picture, its parameters fixed by `seed`."""
    change = find_rule(rule).make(Random(seed), ShapeSource()).change
    assert change is not None, f"rule {rule} is a map from picture to picture"
    return change


def finished(before: Image.Image, after: Image.Image, words: str = "") -> Page:
    """A page whose slot has its answer."""
    return Page(panels=(condition(before, role=Role.EDIT), slot(words, answer=after)))

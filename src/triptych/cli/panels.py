"""Panels on the command line: `--condition FILE [TEXT]` and `--slot [TEXT]`, in their order, and what follows each."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from triptych.errors import PageError
from triptych.images import load_image
from triptych.page import NamedBox, Panel, Role, condition, slot

__all__ = ["CARRIER", "PanelArgument", "PanelCommand", "panel_from_word", "read_panels", "take_panels"]

CARRIER = "--panel"
"""The hidden option that carries panels through the parser, each as one word."""

_OPENING = ("--condition", "--slot")
_FOLLOWING = ("--as", "--role", "--box")
_BOX = re.compile(r"(?P<name>[^=\s]*)=(?P<corners>[^\s]*)\s*(?P<words>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelArgument:
    """One panel as the user wrote it; without a file it is a slot."""

    file: Path | None = None
    text: str = ""
    role: Role = Role.SUBJECT
    boxes: tuple[NamedBox, ...] = ()

    @property
    def word(self) -> str:
        """The panel as one word of a command line; `panel_from_word` reads it back."""
        boxes = [[box.name, box.corners, box.words] for box in self.boxes]
        return json.dumps([None if self.file is None else str(self.file), self.text, self.role.value, boxes])


def panel_from_word(word: str) -> PanelArgument:
    """The panel that `PanelArgument.word` wrote."""
    file, text, role, told = json.loads(word)
    boxes = tuple(NamedBox(name=name, corners=tuple(corners), words=words) for name, corners, words in told)
    return PanelArgument(file=None if file is None else Path(file), text=text, role=Role(role), boxes=boxes)


class PanelCommand(TyperCommand):
    """A command whose panels reach the parser as one kind of option, since it keeps no order between kinds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        panels, rest = take_panels(args)
        carried = [word for panel in panels for word in (CARRIER, panel.word)]
        return super().parse_args(ctx, [*carried, *rest])


def take_panels(args: Sequence[str]) -> tuple[tuple[PanelArgument, ...], list[str]]:
    """The panels among `args`, in order, and all other arguments.

    A text is what follows a file (or `--slot`) and does not begin with a dash; `--as=TEXT` gives one that does.
    Raises typer.BadParameter.
    """
    panels: list[PanelArgument] = []
    rest: list[str] = []
    queue = list(args)
    while queue:
        name, joined, value = queue.pop(0).partition("=")
        if name == "--":
            rest += [name, *queue]
            break
        if name not in _OPENING + _FOLLOWING:
            rest.append(name + joined + value)
            continue
        if not joined and name != "--slot":
            if not queue or queue[0].startswith("--"):
                raise typer.BadParameter(f"{name} needs a value.")
            value = queue.pop(0)
        if name in _OPENING:
            if not (name == "--slot" and joined) and queue and not queue[0].startswith("-"):
                panels.append(_opened(name, value, queue.pop(0)))
            else:
                panels.append(_opened(name, value, value if name == "--slot" else ""))
        elif not panels:
            raise typer.BadParameter(f"{name} belongs after the --condition or --slot that it describes.")
        else:
            panels[-1] = _told(panels[-1], name, value)
    return tuple(panels), rest


def _opened(name: str, value: str, text: str) -> PanelArgument:
    return PanelArgument(file=Path(value) if name == "--condition" else None, text=text)


def _told(panel: PanelArgument, name: str, value: str) -> PanelArgument:
    if name == "--as":
        return replace(panel, text=value)
    if name == "--box":
        return replace(panel, boxes=(*panel.boxes, _box(value)))
    roles = [role.value for role in Role if role is not Role.SLOT]
    if panel.file is None or value not in roles:
        raise typer.BadParameter(f"--role {value}: a condition's role is one of {', '.join(roles)}.")
    return replace(panel, role=Role(value))


def _box(value: str) -> NamedBox:
    """A box as it is written: `cup_1=0.1,0.2,0.4,0.9 a red cup`."""
    found = _BOX.fullmatch(value)
    try:
        corners = tuple(float(part) for part in found["corners"].split(",")) if found else ()
    except ValueError:
        corners = ()
    if found is None or len(corners) != 4:
        raise typer.BadParameter(
            f"--box {value!r}: write NAME=LEFT,TOP,RIGHT,BOTTOM and what stands there, each from 0 to 1: "
            '--box "cup_1=0.1,0.2,0.4,0.9 a red cup".'
        )
    try:
        return NamedBox(name=found["name"], corners=corners, words=found["words"].strip())
    except PageError as error:
        raise typer.BadParameter(f"--box: {error}") from error


def read_panels(arguments: Sequence[PanelArgument]) -> tuple[Panel, ...]:
    """The panels with their pictures read. Raises ImageError and PageError naming the panel."""
    panels = []
    for number, argument in enumerate(arguments, 1):
        if argument.file is None:
            panels.append(slot(argument.text, boxes=argument.boxes))
        else:
            image = load_image(argument.file, panel=number)
            panels.append(condition(image, argument.text, role=argument.role, boxes=argument.boxes))
    if panels and not any(panel.is_slot for panel in panels):
        raise PageError("the page has no slot; add --slot for each picture that you want.")
    return tuple(panels)

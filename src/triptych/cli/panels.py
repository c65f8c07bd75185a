"""Panels on the command line: `--condition FILE [TEXT]` and `--slot [TEXT]`, in their order."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from triptych.errors import PageError
from triptych.images import load_image
from triptych.page import Panel, Role, condition, slot

__all__ = ["CARRIER", "PanelArgument", "PanelCommand", "panel_from_word", "read_panels", "take_panels"]

CARRIER = "--panel"
"""The hidden option that carries panels through the parser, each as one word."""

_OPENING = ("--condition", "--slot")
_FOLLOWING = ("--as", "--role")


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelArgument:
    """One panel as the user wrote it; without a file it is a slot."""

    file: Path | None = None
    text: str = ""
    role: Role = Role.SUBJECT

    @property
    def word(self) -> str:
        """The panel as one word of a command line; `panel_from_word` reads it back."""
        return json.dumps([None if self.file is None else str(self.file), self.text, self.role.value])


def panel_from_word(word: str) -> PanelArgument:
    """The panel that `PanelArgument.word` wrote."""
    file, text, role = json.loads(word)
    return PanelArgument(file=None if file is None else Path(file), text=text, role=Role(role))


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
    roles = [role.value for role in Role if role is not Role.SLOT]
    if panel.file is None or value not in roles:
        raise typer.BadParameter(f"--role {value}: a condition's role is one of {', '.join(roles)}.")
    return replace(panel, role=Role(value))


def read_panels(arguments: Sequence[PanelArgument]) -> tuple[Panel, ...]:
    """The panels with their pictures read. Raises ImageError and PageError naming the panel."""
    panels = []
    for number, argument in enumerate(arguments, 1):
        if argument.file is None:
            panels.append(slot(argument.text))
        else:
            image = load_image(argument.file, panel=number)
            panels.append(condition(image, argument.text, role=argument.role))
    if panels and not any(panel.is_slot for panel in panels):
        raise PageError("the page has no slot; add --slot for each picture that you want.")
    return tuple(panels)

"""The demo's HTML page: one file that needs no other."""

import base64
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, StrictUndefined
from PIL.Image import Image

from triptych.cli.demo.exhibits import Exhibit
from triptych.images import png_bytes
from triptych.page import Page, Panel
from triptych.prompts import write_prompt
from triptych.sampling import Result

__all__ = ["Shown", "render_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An exhibit and what came out, one result a page."""

    exhibit: Exhibit
    results: tuple[Result, ...]

    @property
    def seconds(self) -> float:
        return sum(result.timings.total_s for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    kind: str
    image: str
    words: str
    answer: str | None = None


def _uri(image: Image) -> str:
    return "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode()


def _given(panel: Panel, kind: str) -> _Cell:
    assert panel.picture is not None, "conditions and examples have pictures"
    return _Cell(kind=kind, image=_uri(panel.picture), words=panel.instruction)


def _examples(context: tuple[Page, ...]) -> list[list[_Cell]]:
    return [[_given(panel, "example") for panel in example.panels] for example in context]


def _page(result: Result) -> dict[str, object]:
    return {"cells": _cells(result), "prompt": write_prompt(result.page).text, "result": result}


def _cells(result: Result) -> list[_Cell]:
    """The page's own panels, in order, its slots filled."""
    pictures = iter(result.images)
    cells = []
    for panel in result.page.panels:
        if panel.is_slot:
            answer = _uri(panel.answer) if panel.answer is not None else None
            cells.append(_Cell(kind="slot", image=_uri(next(pictures)), words=panel.instruction, answer=answer))
        else:
            cells.append(_given(panel, "condition"))
    return cells


def render_report(shown: tuple[Shown, ...], *, facts: tuple[tuple[str, str], ...]) -> str:
    """The page as HTML; `facts` are names and values for its head."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("triptych.cli.demo") / "report.html.jinja").read_text(encoding="utf-8"))
    exhibits = [
        {
            "title": each.exhibit.title,
            "lead": each.exhibit.lead,
            "seconds": each.seconds,
            "groups": [
                {"examples": _examples(context), "pages": [_page(result) for result in results]}
                for context, results in groupby(each.results, key=lambda result: result.page.context)
            ],
        }
        for each in shown
    ]
    return template.render(exhibits=exhibits, facts=facts)

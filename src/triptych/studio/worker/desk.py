"""Quick questions to the worker that need torch: what a training would need, a skill in another format."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.errors import TriptychError
from triptych.files import write_atomic
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.folders import DataFolder
from triptych.studio.pages import page_of
from triptych.studio.shelf import Shelf, export_name
from triptych.studio.worker.recalling import recall

__all__ = ["answer"]


def answer(name: str, values: Mapping[str, Any], folder: DataFolder, files: FileStore, shelf: Shelf) -> object:
    """The answer to a question of the server."""
    match name:
        case "preflight":
            return _preflight(values, files)
        case "export":
            return _export(values, folder)
        case "recall":
            return recall(Path(values["path"]), files, shelf)
    raise StudioError(f"there is no question {name!r}.", code="bad_question", status=500)


def _preflight(values: Mapping[str, Any], files: FileStore) -> dict[str, Any]:
    """What is wrong with pages to learn from, in plain words, and what a training will take."""
    from triptych.data.pagesets import load_pageset, save_pageset
    from triptych.models.catalog import known_card
    from triptych.models.hardware import best_device, operations_per_second
    from triptych.studio.worker.teaching import finished_page, recipe_of
    from triptych.training.estimate import need_of
    from triptych.training.preflight import preflight

    findings: list[dict[str, str]] = []
    pages = []
    for number, data in enumerate(values["pages"], 1):
        try:
            pages.append(finished_page(page_of(data, files.read), number))
        except TriptychError as error:
            findings.append({"level": "error", "text": str(error)})
    if not pages:
        return {"findings": findings, "estimate": None}
    recipe = recipe_of(values, pages)
    with tempfile.TemporaryDirectory() as scratch:
        pageset = Path(scratch) / "pages"
        save_pageset(pages, pageset)
        for problem in preflight(pageset, recipe, card=known_card(recipe.backbone)):
            findings.append({"level": problem.severity.value, "text": _plain(str(problem), pageset)})
        need = need_of(recipe, load_pageset(pageset))
    if len(pages) < 5:
        findings.append(
            {"level": "note", "text": f"{len(pages)} pages teach a little; about ten make a skill reliable."}
        )
    estimate = None
    if need:
        seconds = need.seconds(operations_per_second(best_device()))
        estimate = {"seconds": round(seconds, 1), "memory_gib": round(need.memory / 2**30, 2), "steps": recipe.steps}
    return {"findings": findings, "estimate": estimate}


def _plain(text: str, pageset: Path) -> str:
    """A finding without the names of scratch files."""
    text = text.partition(": ")[2] or text
    text = text.replace(f"{pageset / 'metadata.jsonl'}, line ", "page ").replace(str(pageset), "the pages")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _export(values: Mapping[str, Any], folder: DataFolder) -> str:
    """Write a skill with the keys of another program, or as a workflow that loads it; the file's name."""
    from dataclasses import replace

    from triptych.comfyui import skill_workflow_file
    from triptych.models.keyformats import KeyFormat, save_exported
    from triptych.skill import load_skill

    skill = load_skill(values["path"])
    card = skill.card.model_copy(update={"name": values["name"], "description": values["summary"]})
    out = folder.exports / export_name(values["id"], values["to"])
    if values["to"] == "comfyui-workflow":
        write_atomic(out, skill_workflow_file(skill, export_name(values["name"], "comfyui")))
        return out.name
    save_exported(replace(skill, card=card), out, KeyFormat(values["to"]))
    return out.name

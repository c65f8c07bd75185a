"""Files that accompany a shared skill: a model card for the Hub, and a sidecar for LoRA managers."""

import shlex
from collections.abc import Sequence

import yaml

from triptych.models.catalog import find_family
from triptych.models.keyformats import KeyFormat, advice
from triptych.skill import Skill

__all__ = ["hub_card", "sidecar"]


def hub_card(skill: Skill, images: Sequence[tuple[str, str]] = (), *, file: str) -> str:
    """`README.md` for a repository on the Hub; `images` are file names and the prompts they show."""
    card = skill.card
    family = find_family(card.family)
    in_diffusers = family is None or family.diffusers
    trigger = _trigger(skill)
    facts: dict[str, object] = {
        "license": "apache-2.0" if card.licence.lower() == "apache-2.0" else "other",
        "library_name": "diffusers" if in_diffusers else "triptych",
        "pipeline_tag": "image-to-image",
        # Only a repository on the Hub can be linked to.
        **({"base_model": card.backbone, "base_model_relation": "adapter"} if "/" in card.backbone else {}),
        # Programs that look for diffusers LoRAs must not be sent to one that diffusers cannot use.
        "tags": ["lora", *(["diffusers"] if in_diffusers else []), "in-context-lora", "triptych", card.family],
    }
    if facts["license"] == "other" and card.licence:
        facts["license_name"] = card.licence
    if trigger:
        facts["instance_prompt"] = trigger
    if images:
        facts["widget"] = [{"text": prompt, "output": {"url": name}} for name, prompt in images]
    lines = [
        "---",
        yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {skill.name}",
        "",
    ]
    lines += [card.description, ""] if card.description else []
    lines += ["<Gallery />", ""] if images else []
    lines += ["## Trigger words", "", f"Prompts begin with `{trigger}`.", ""] if trigger else []
    lines += ["## The page", "", *_panels(skill), ""]
    lines += ["## Use", "", "```sh", _command(skill, file), "```", ""]
    if told := advice(skill, KeyFormat.DIFFUSERS, file):
        lines += [told, ""]
    lines += [
        "## Training",
        "",
        f"{card.steps} steps on {card.pages} pages, rank {card.rank}, backbone {card.backbone}. "
        f"SHA-256 of the pages: `{card.data_sha256}`.",
        "",
    ]
    return "\n".join(lines)


def sidecar(skill: Skill) -> dict[str, object]:
    """What LoRA managers read from the JSON file of the same name: base model, words to say, weight to begin with."""
    family = find_family(skill.card.family)
    return {
        "description": skill.card.description,
        "sd version": family.base_model if family else skill.card.family,
        "activation text": _trigger(skill),
        "preferred weight": 1.0,
        "notes": f"{skill.card.steps} steps on {skill.card.pages} pages with triptych, licence {skill.card.licence}",
    }


def _trigger(skill: Skill) -> str:
    return " ".join(filter(None, (skill.card.template.opening, skill.card.trigger)))


def _panels(skill: Skill) -> list[str]:
    sketch = skill.card.template.page
    if sketch is None:
        return ["Any page."]
    lines = []
    for number, panel in enumerate(sketch.panels, 1):
        width, height = panel.size_px
        hint = f": {panel.hint}" if panel.hint else ""
        lines.append(f"{number}. {panel.role.value}, {width}x{height} px{hint}")
    return lines


def _command(skill: Skill, file: str) -> str:
    sketch = skill.card.template.page
    panels = sketch.panels if sketch else ()
    words = ["--condition PICTURE.png" for panel in panels if panel.role.value != "slot"] or ["--slot"]
    return f"triptych generate {' '.join(words)} --skill {shlex.quote(file)}"

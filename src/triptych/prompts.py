"""Page to prompt and back: the text that encoders read, written by templates that are data.

A prompt is a template's opening, the overview, and each instruction behind its panel's tag, with single spaces
between them: `[MOVIE-SHOTS] overview [SCENE-1] ... [SCENE-2] ...`, as In-Context LoRA was trained
(Huang et al. 2024, arXiv:2410.23775). Example pages follow, each behind `[EXAMPLE-k]`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from triptych.errors import PromptError
from triptych.files import parse_yaml, read_text
from triptych.page import MAX_CONDITIONS, MAX_SLOTS, Layout, Page, Panel, Role, slot

__all__ = [
    "PageSketch",
    "PanelSketch",
    "Prompt",
    "PromptPart",
    "Template",
    "find_template",
    "page_from_template",
    "read_prompt",
    "read_prompts",
    "template_names",
    "write_prompt",
]

_EXAMPLE = "[EXAMPLE-{number}]"
_TAG_PATTERN = r"^\[[^\[\]\s]+\]$"
_MAX_PANELS = MAX_CONDITIONS + MAX_SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptPart:
    """One stretch of a prompt: the overview (`panel` None) or the instruction of `page.all_panels[panel]`."""

    panel: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the text encoder reads: the whole as one string, and its parts for encoders that place text by panel.

    Parts have the texts without tags, and none that is empty. An example page's overview is a part with `panel`
    None of its own, unless it says what an earlier one says.
    """

    text: str
    parts: tuple[PromptPart, ...]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PanelSketch(_Data):
    """One panel of a template's page: `role` is taken when a picture is given; without one the panel is a slot."""

    role: Role = Role.SLOT
    size_px: tuple[int, int]
    hint: str
    """What its instruction should say."""


class PageSketch(_Data):
    """The page that a template was made for."""

    layout: Layout
    hint: str
    """What the overview should say."""
    panels: tuple[PanelSketch, ...] = Field(min_length=1, max_length=_MAX_PANELS)


class Template(_Data):
    """How texts become one prompt: `tag` numbers any number of panels, `tags` name a fixed number of them."""

    name: str
    title: str
    opening: str = ""
    """Words that stand in front of the overview: the trigger of a trained adapter."""
    tag: str | None = None
    """A tag with `{number}` in it, such as `[SCENE-{number}]`."""
    tags: tuple[str, ...] = ()
    page: PageSketch | None = None

    @model_validator(mode="after")
    def _check_tags(self) -> "Template":
        if (self.tag is None) == (not self.tags):
            raise ValueError("give either `tag` or `tags`")
        for tag in self.tags or (self._numbered(1),):
            if not re.match(_TAG_PATTERN, tag):
                raise ValueError(
                    f"{tag!r} is not a valid tag; a tag is written in square brackets, without spaces: [LEFT]"
                )
        if self.tag is not None and self.tag.count("{number}") != 1:
            raise ValueError(f"{self.tag!r} must have {{number}} in it once")
        if len(set(self.tags)) != len(self.tags) or self._reserved.search(self.opening):
            raise ValueError("tags must differ, and the opening must have none in it")
        if any(re.search(self._pattern(_EXAMPLE), tag) for tag in (*self.tags, self._numbered(1))):
            raise ValueError("[EXAMPLE-...] is kept for example pages")
        if self.page and self.tags and len(self.page.panels) != len(self.tags):
            raise ValueError("`page` must have a panel for each of `tags`")
        return self

    @staticmethod
    def _pattern(tag: str) -> str:
        return re.escape(tag).replace(re.escape("{number}"), "[1-9][0-9]*")

    def _numbered(self, number: int) -> str:
        return (self.tag or "").replace("{number}", str(number))

    @property
    def panel_tags(self) -> re.Pattern[str]:
        """Matches a panel's tag, and the space around it."""
        return re.compile(" ?(" + "|".join(map(self._pattern, self.tags or (self.tag or "",))) + ") ?")

    @property
    def _reserved(self) -> re.Pattern[str]:
        return re.compile(f"{self.panel_tags.pattern}|{self._pattern(_EXAMPLE)}")

    def tags_for(self, count: int) -> tuple[str, ...]:
        """One tag for each of `count` panels."""
        if not self.tags:
            return tuple(self._numbered(number) for number in range(1, count + 1))
        if count != len(self.tags):
            raise PromptError(
                f"template {self.name!r} is for {len(self.tags)} panels ({' '.join(self.tags)}); the page has {count}. "
                "The template 'panels' takes any number."
            )
        return self.tags

    def check_text(self, text: str, where: str) -> None:
        """Raise PromptError if `text` has a tag in it, which would not come back from the prompt as text."""
        if found := self._reserved.search(text):
            raise PromptError(f"{where} contains {found[0].strip()!r}, a tag of template {self.name!r}. Reword it.")


def find_template(name: str | Path) -> Template:
    """The template of that name in the package, or in a YAML file where `name` ends in .yaml or .yml."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return _parse_template(read_text(path, error=PromptError), str(path))
    return _packaged(str(name))


def template_names() -> tuple[str, ...]:
    """Names of the templates in the package, sorted."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")))


def page_from_template(
    template: Template,
    *,
    overview: str = "",
    instructions: Sequence[str] = (),
    images: Mapping[int, Image] | None = None,
) -> Page:
    """The template's page: `instructions` in order, `images` by panel index from 0; panels without one are slots."""
    if template.page is None:
        raise PromptError(f"template {template.name!r} has no page of its own. Write the page and name the template.")
    sketches, images = template.page.panels, images or {}
    if len(instructions) > len(sketches) or not set(images) <= set(range(len(sketches))):
        raise PromptError(f"template {template.name!r} has {len(sketches)} panels; texts or images are given for more.")
    panels = []
    for index, sketch in enumerate(sketches):
        text = instructions[index] if index < len(instructions) else ""
        if index in images:
            role = Role.SUBJECT if sketch.role is Role.SLOT else sketch.role
            panels.append(Panel(role=role, image=images[index], instruction=text))
        else:
            panels.append(slot(text, size_px=sketch.size_px))
    return Page(panels=tuple(panels), overview=overview, layout=template.page.layout, template=template.name)


def write_prompt(page: Page, template: Template | None = None) -> Prompt:
    """The page's prompt by `template`, or by the packaged template that the page names.

    Panels without instruction are left out; tags count panels in reading order. Raises PromptError for a text with
    a tag in it and for a page with more panels than the template names.
    """
    template = template or _packaged(page.template)
    pieces = [template.opening, page.overview]
    parts = [PromptPart(panel=None, text=page.overview)]
    if template.opening and page.overview.startswith(template.opening):
        raise PromptError(
            f"the overview begins with {template.opening!r}, which template {template.name!r} adds itself."
        )
    first = 0
    for number, source in enumerate((page, *page.context)):
        place = f"example page {number}, " if number else ""
        template.check_text(source.overview, f"{place}the overview")
        texts = [panel.instruction for panel in source.panels]
        for position, text in enumerate(texts, 1):
            template.check_text(text, f"{place}panel {position}: the instruction")
        if number and (source.overview or any(texts)):
            pieces += [_EXAMPLE.format(number=number), source.overview]
            if PromptPart(panel=None, text=source.overview) not in parts:
                parts.append(PromptPart(panel=None, text=source.overview))
        for tag, text in zip(template.tags_for(len(texts)), texts, strict=True):
            pieces += [tag, text] if text else []
        parts += [PromptPart(panel=first + index, text=text) for index, text in enumerate(texts)]
        first += len(texts)
    return Prompt(text=" ".join(filter(None, pieces)), parts=tuple(part for part in parts if part.text))


def read_prompt(text: str, template: Template | str) -> tuple[str, tuple[str, ...]]:
    """Overview and instructions of a prompt without example pages: the inverse of `write_prompt`.

    With a numbered tag there are as many instructions as the highest number; empty ones behind it are not known.
    """
    (own, *examples) = read_prompts(text, template)
    if examples:
        raise PromptError(f"the prompt has {len(examples)} example pages. Read it with read_prompts.")
    return own


def read_prompts(text: str, template: Template | str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Overview and instructions of the page and then of its example pages, up to the last that has a text."""
    template = find_template(template) if isinstance(template, str) else template
    head, *rest = re.split(" ?" + Template._pattern(_EXAMPLE).replace("[1-9][0-9]*", "([1-9][0-9]*)") + " ?", text)
    if template.opening:
        if head != template.opening and not head.startswith(template.opening + " "):
            raise PromptError(
                f"the prompt does not begin with {template.opening!r}, as template {template.name!r} does."
            )
        head = head.removeprefix(template.opening).removeprefix(" ")
    found = [_read_page(head, template, "the prompt")]
    for number, body in zip(rest[::2], rest[1::2], strict=True):
        if int(number[:9]) < len(found) or len(number) > 3:
            raise PromptError(f"[EXAMPLE-{number}] is in the wrong place; examples count up from 1.")
        empty = ("", ("",) * len(template.tags))
        found += [empty] * (int(number) - len(found))
        found.append(_read_page(body, template, f"example page {number}"))
    return tuple(found)


def _read_page(text: str, template: Template, where: str) -> tuple[str, tuple[str, ...]]:
    overview, *rest = template.panel_tags.split(text)
    known = template.tags or template.tags_for(_MAX_PANELS)
    instructions: list[str] = []
    for tag, instruction in zip(rest[::2], rest[1::2], strict=True):
        if tag not in known or known.index(tag) < len(instructions):
            raise PromptError(f"{where} has {tag} out of order, twice, or beyond {_MAX_PANELS} panels.")
        instructions += [""] * (known.index(tag) - len(instructions))
        instructions.append(instruction)
    return overview, tuple(instructions + [""] * (len(template.tags) - len(instructions)))


def _folder() -> Traversable:
    return files("triptych") / "templates"


@cache
def _packaged(name: str) -> Template:
    if name not in template_names():
        raise PromptError(f"no template {name!r}; there are {', '.join(template_names())}, or name a .yaml file.")
    return _parse_template((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), name)


def _parse_template(text: str, where: str) -> Template:
    try:
        return Template.model_validate(parse_yaml(text))
    except ValidationError as error:
        raise PromptError(f"template {where}: {'; '.join(_problems(error))}.") from error
    except ValueError as error:
        raise PromptError(f"template {where} is not valid YAML: {error}.") from error


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        yield f"key {'.'.join(map(str, problem['loc'])) or 'template'}: {problem['msg']}"

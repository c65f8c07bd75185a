"""Write the gallery of docs/rules.md: one picture and one line for every rule of the package.

Takes rendered sprites (`triptych pocket sprites`) if a folder of them is given, otherwise drawn shapes.
"""

import argparse
from pathlib import Path
from random import Random

from triptych.data.rules import HELD_OUT_RULES, RULES, Rule
from triptych.data.sheets import contact_sheet
from triptych.data.sources import ShapeSource, Source, SpriteScenes
from triptych.data.sprites import SpriteSource, is_held_out
from triptych.page import Page

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- gallery: written by scripts/rules_gallery.py -->", "<!-- end of gallery -->"
FAMILIES = ("photometric", "geometric", "structural", "compositional", "relational", "temporal", "symbolic")


def _shown(rule: Rule, source: Source) -> list[Page]:
    """Two pages; of wide rules the first that fits the width of the text."""
    pages: list[Page] = []
    for seed in range(40):
        page = rule.draw(Random(f"{rule.name}:{seed}"), source).page(Random(f"{rule.name}:{seed}:page"))
        if 2 <= len(page.panels) <= 4 or not page.conditions:
            pages.append(page)
        if len(pages) == 2:
            break
    return pages[:1] if len(pages[0].panels) > 2 else pages


def _entry(rule: Rule, source: Source) -> str:
    pages = _shown(rule, source)
    sheet = contact_sheet(pages, columns=len(pages), cell_px=128, caption=False)
    (DOCS / "rules").mkdir(exist_ok=True)
    sheet.save(DOCS / "rules" / f"{rule.name}.webp", quality=80, method=6)
    words = "; ".join(dict.fromkeys(panel.instruction for page in pages for panel in page.slots))
    held = " **Held out.**" if rule.name in HELD_OUT_RULES else ""
    picture = f"![{rule.name}](rules/{rule.name}.webp)"
    return f"#### {rule.name}\n\n{rule.description.capitalize()}.{held} *{words}*\n\n{picture}\n"


def gallery(source: Source) -> str:
    """The generated part of the page, and its pictures as files."""
    parts: list[str] = []
    for family in FAMILIES:
        rules = [rule for rule in RULES.values() if rule.family == family]
        parts.append(f"### {family.capitalize()} ({len(rules)})\n")
        parts += [_entry(rule, source) for rule in rules]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, help="folder of rendered sprites; shapes are used without it")
    folder = parser.parse_args().sprites
    sprites = SpriteScenes(SpriteSource(folder), names=lambda name: not is_held_out(name)) if folder else None
    page = DOCS / "rules.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{gallery(sprites or ShapeSource())}\n{END}{after}")


if __name__ == "__main__":
    main()

"""Figures of `skills.py` as Markdown and as one picture."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from triptych.evaluation.statistics import bootstrap, paired_test
from triptych.files import write_atomic

__all__ = ["write_docs"]

BEGIN, END = "<!-- figures: written by benchmarks/skills.py -->", "<!-- end of figures -->"
WITHOUT = ("zero-shot", "1 example", "2 examples", "3 examples")
WITH = ("skill", "skill, 3 examples")
WAYS = (*WITHOUT, *WITH, "U-Net")
MEASURES = (
    ("psnr", "PSNR, dB; `copy or white` is the better of the two, given as the answer"),
    ("found", "Right answer the nearest of 50 and the page's conditions, share"),
    ("passed", "The rule's own check passes, share"),
)


def write_docs(folder: Path, names: Sequence[str], docs: Path | None) -> None:
    """Print the tables; with `docs`, also put them between the marks in skills.md, and the pictures beside it."""
    rules = [json.loads((folder / f"{name}.json").read_text()) for name in names]
    text = "\n\n".join([_verdict(rules), *(_table(rules, key, title) for key, title in MEASURES)])
    print(text)
    if docs is None:
        return
    path = docs / "skills.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{path} has no lines {BEGIN} and {END}")
    picture = "![One held-out page of each rule, nobody's choice](skills/rules.webp)"
    write_atomic(path, f"{before}{BEGIN}\n\n{text}\n\n{picture}\n\n{END}{after}".encode())
    (docs / "skills").mkdir(exist_ok=True)
    _figure(folder, names).save(docs / "skills" / "rules.webp", quality=88, method=6)


def _gain(rule: dict) -> tuple[str, str, object]:
    """The best number of examples without a skill, the better use of the skill, and their difference in PSNR."""

    def mean(way: str) -> float:
        return statistics.fmean(rule["scores"][way]["psnr"])

    without, with_skill = max(WITHOUT, key=mean), max(WITH, key=mean)
    columns = ({str(i): v for i, v in enumerate(rule["scores"][way]["psnr"])} for way in (with_skill, without))
    return without, with_skill, paired_test(*columns)


def _verdict(rules: Sequence[dict]) -> str:
    lines = [
        "| rule | trained in, s | best without | best with | difference, dB | p |",
        "|---|---|---|---|---|---|",
    ]
    better = 0
    for rule in rules:
        without, with_skill, test = _gain(rule)
        better += test.difference.low > 0
        change = _interval(test.difference, "+.2f")
        lines.append(f"| {rule['rule']} | {rule['seconds']:.0f} | {without} | {with_skill} | {change} | {test.p:.4f} |")
    pages = rules[0]["settings"]["pages"]
    head = (
        f"Measurably better than the same pages as examples in {better} of {len(rules)} rules "
        f"({pages} held-out pages a rule, intervals of 95%):"
    )
    return "\n".join([head, "", *lines])


def _table(rules: Sequence[dict], key: str, title: str) -> str:
    ways = [way for way in ("copy or white", *WAYS) if all(key in rule["scores"].get(way, {}) for rule in rules)]
    lines = [f"{title}:", "", f"| rule | {' | '.join(ways)} |", f"|---|{'---|' * len(ways)}"]
    form = ".1f" if key == "psnr" else ".2f"
    for rule in rules:
        cells = [_interval(bootstrap(rule["scores"][way][key]), form) for way in ways]
        lines.append(f"| {rule['rule']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(estimate: object, form: str) -> str:
    return f"{estimate.mean:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def _figure(folder: Path, names: Sequence[str]) -> Image.Image:
    rows = [Image.open(folder / f"{name}.png").convert("RGB") for name in names]
    side, top, heads = 112, 24, ("given", "right", *WAYS)[: rows[0].width // 128]
    sheet = Image.new("RGB", (rows[0].width + side, top + sum(row.height for row in rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((side + 128 * column + 64, top // 2), head, fill="black", anchor="mm")
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        draw.text((8, top + 128 * number + 64), name, fill="black", anchor="lm")
        sheet.paste(row, (side, top + 128 * number))
    return sheet

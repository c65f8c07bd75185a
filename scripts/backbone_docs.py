"""Write the computed tables of docs/backbones: facts and memory of every checkpoint that is known by name.

With --check nothing is written: the exit code is 1 if a page is out of date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from triptych.models.catalog import FAMILIES, Checkpoint, Shape
from triptych.models.memory import estimate
from triptych.models.options import Offload, Quantise

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "backbones"
BEGIN, END = "<!-- computed by scripts/backbone_docs.py -->", "<!-- end of what is computed -->"


def facts(checkpoints: list[Checkpoint]) -> Iterator[str]:
    yield "| checkpoint | conditions enter by | steps | guidance | text tokens | licence of the weights | fetch |"
    yield "|---|---|---|---|---|---|---|"
    for each in checkpoints:
        card = each.card
        ways = ", ".join(way.value for way in card.conditionings)
        guidance = "none" if card.guidance is None else f"{card.guidance:g}"
        if card.negative is not None:
            guidance += ", two passes" if card.guidance != 1 else "; above 1 two passes"
        fetch = "after accepting the licence" if each.gated else "freely" if each.public else "not yet"
        cells = (f"`{card.name}`", ways, str(card.steps), guidance, str(card.max_text_tokens), card.licence, fetch)
        yield f"| {' | '.join(cells)} |"


def memory(checkpoints: list[Checkpoint]) -> Iterator[str]:
    """One row a size and page; one line for checkpoints of one shape."""
    shapes: dict[tuple[Shape, bool], list[str]] = {}
    for each in checkpoints:
        shapes.setdefault((each.shape, each.cached), []).append(each.card.name.rpartition("/")[2])
    yield "| checkpoint | px | n | m | bf16 | bf16, parts take turns | int8, parts take turns | nf4, parts take turns |"
    yield "|---|---|---|---|---|---|---|---|"
    ways = (
        (Quantise.NONE, Offload.NONE),
        (Quantise.NONE, Offload.PARTS),
        (Quantise.INT8, Offload.PARTS),
        (Quantise.NF4, Offload.PARTS),
    )
    for (shape, cached), names in shapes.items():
        for side in (512, 1024):
            for conditions, slots in ((1, 1), (3, 1), (1, 3), (3, 3)):
                needs = [
                    estimate(
                        shape,
                        conditions=conditions,
                        slots=slots,
                        side_px=side,
                        quantise=quantise,
                        offload=offload,
                        cached=cached,
                    )
                    for quantise, offload in ways
                ]
                gib = " | ".join(f"{need.peak_gib:.1f}" for need in needs)
                yield f"| {', '.join(names)} | {side} | {conditions} | {slots} | {gib} |"


def computed(checkpoints: list[Checkpoint]) -> str:
    lines = [*facts(checkpoints), "", "Memory in GiB at the peak, computed (`triptych.models.memory.estimate`), not"]
    lines += ["measured; n conditions, m slots, square panels:", "", *memory(checkpoints)]
    return "\n".join(lines)


def renewed(page: str, checkpoints: list[Checkpoint]) -> str:
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{computed(checkpoints)}\n\n{END}{tail}"


def main(*, check: bool) -> int:
    stale = []
    pages: dict[str, list[Checkpoint]] = {}
    for family in FAMILIES:
        if family.page:
            pages.setdefault(family.page, []).extend(family.checkpoints)
    for name, checkpoints in pages.items():
        path = FOLDER / name
        text = path.read_text(encoding="utf-8")
        wanted = renewed(text, checkpoints)
        if wanted != text:
            stale.append(name)
            if not check:
                path.write_text(wanted, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run scripts/backbone_docs.py.", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))

"""Which rules the pocket learns in context, which only with a skill, which not at all: one table over all rules.

    PYTHONPATH=src python benchmarks/learning.py --sprites DIR --out DIR [--skills DIR] [--docs docs/learning.md]

Each rule's pages, on objects that training never saw, are asked without words behind no, one, two and three examples,
behind as many of another rule, and by words alone. Scores are kept page by page in DIR: a stopped run goes on with the
same command, and `--rules` scores a part. `--skills` is the folder in which `benchmarks/skills.py` has left a file a
rule; rules that have none are judged without.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import triptych as tt
from triptych.data.mixture import Words
from triptych.data.rules import RULES, Rule
from triptych.evaluation.run import evaluate
from triptych.evaluation.scores import RowScores, Scores, load_scores
from triptych.evaluation.statistics import Estimate, bootstrap
from triptych.evaluation.suites import Arm, Control, Row, Suite
from triptych.files import write_atomic
from triptych.models.pocket import pocket_training
from triptych.training.pretrain.recipe import PretrainRecipe, trained_rules

SHOTS = (0, 1, 2, 3)
MOST = Arm(shots=3)
WRONG = Arm(shots=3, control=Control.OTHER_RULE)
KINDS = {
    "context": "In context: one to three examples are enough",
    "words": "By words, and not by examples alone",
    "skill": "Only with a skill, trained on ten pages",
    "partly": "In part: examples help, and the picture is seldom right",
    "not": "Not at all",
}

COLUMNS = ("rule", "family", "trained", "0", "1", "2", "3", "wrong", "words", "skill", "gain")
PAGE = """\
# What the pocket learns, and how

Every rule of the package, {pages} pages each in tasks of two, on objects that training never saw; weights `{weights}`,
solver steps: {steps}. Made by `benchmarks/learning.py`, the skills by `benchmarks/skills.py`.

| how | rules of {rules} | which |
|---|---|---|
{counts}

Of the {unseen} rules never trained on, {heard} are learnt in context: {which}.

**Reading it.** A share is of pages that are right: accepted by the rule's verifier, or found as the nearest of 50
answers and the page's own inputs, whichever share is larger. Numbers of examples are asked without words; *wrong* is
three examples of another rule. In context means half of the pages or more, and better than behind another rule's
examples by more than chance (PSNR, paired by page within tasks, p < 0.05). *Gain* is PSNR over the better of copy and
white with three examples, in dB, with its interval of 95%. {pages} pages are few: a share is known to a quarter or so.
An empty cell was not measured, or no other rule has the page's shape.
"""


def suite_of(pages: int) -> Suite:
    """Two rows a rule: by examples without words, and by words without examples."""
    rows = []
    for name in RULES:
        told = {"title": name, "rules": (name,), "pages": pages}
        wrong = {"controls": (Control.OTHER_RULE,), "control_shots": (3,)}
        rows.append(Row(name=name, shots=SHOTS, words=Words.NONE, **wrong, **told))
        rows.append(Row(name=f"{name}-by-words", shots=(0,), words=Words.ALL, **told))
    return Suite(title="What is learnt, and how", pages=pages, rows=tuple(rows))


def right(row: RowScores, arm: str) -> Estimate:
    """Share of pages that are right: accepted by the verifier, or found as the nearest of the candidates.

    Where an answer is one of many right ones its verifier refuses good pictures, and the retrieval tells.
    """
    return max((row.estimate(arm, figure) for figure in ("obeyed", "top1")), key=lambda found: found.mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule in one line."""

    rule: Rule
    is_trained: bool
    """The recipe that the weights carry has pages of it."""
    shots: dict[int, Estimate]
    gain: Estimate
    wrong: Estimate | None
    p: float | None
    """That right examples are better than another rule's, or than none where no other rule has the shape, by chance."""
    words: Estimate | None
    skill: Estimate | None

    @property
    def kind(self) -> str:
        heard = self.p is not None and self.p < 0.05
        best = max(self.shots[shots].mean for shots in (1, 2, 3))
        if best >= 0.5 and heard:
            return "context"
        if self.words is not None and self.words.mean >= 0.5:
            return "words"
        if self.skill is not None and self.skill.mean >= 0.5:
            return "skill"
        return "partly" if heard and (self.gain.low > 0 or best >= 0.25) else "not"

    @property
    def line(self) -> str:
        seen = "" if self.is_trained else "never"
        cells = [self.rule.name, self.rule.family, seen, *(_share(self.shots[shots]) for shots in SHOTS)]
        gain = f"{self.gain.mean:+.1f} ({self.gain.low:+.1f} to {self.gain.high:+.1f})"
        cells += [_share(self.wrong), _share(self.words), _share(self.skill), gain]
        return f"| {' | '.join(cells)} |"


def _share(estimate: Estimate | None) -> str:
    return "" if estimate is None or not estimate.pages else f"{estimate.mean:.2f}"


def finding(scores: Scores, rule: Rule, skills: Path | None, trained: frozenset[str]) -> Finding | None:
    """None where the rule was not scored yet."""
    row, told = scores.rows.get(rule.name), scores.rows.get(f"{rule.name}-by-words")
    if row is None or MOST.name not in row.names:
        return None
    has_wrong = WRONG.name in row.names
    other = WRONG.name if has_wrong else Arm(shots=0).name
    test = row.test(MOST.name, other, "psnr")
    return Finding(
        rule=rule,
        is_trained=rule.name in trained,
        shots={shots: right(row, Arm(shots=shots).name) for shots in SHOTS},
        gain=row.estimate(MOST.name, "gain"),
        wrong=right(row, WRONG.name) if has_wrong else None,
        p=test.p if test.difference.mean > 0 else None,
        words=right(told, Arm(shots=0).name) if told else None,
        skill=_skill(skills / f"{rule.name}.json") if skills else None,
    )


def _skill(path: Path) -> Estimate | None:
    """The better of a skill alone and behind three examples, as `benchmarks/skills.py` has kept it."""
    if not path.is_file():
        return None
    scores = json.loads(path.read_text())["scores"]
    ways = [scores[way][figure] for way in ("skill", "skill, 3 examples") for figure in ("passed", "found")]
    return max((bootstrap(values) for values in ways), key=lambda found: found.mean)


def page_of(scores: Scores, findings: Sequence[Finding], pages: int) -> str:
    """The table as Markdown, rules by how they are learnt."""
    settings = scores.settings
    by_kind = {kind: [found for found in findings if found.kind == kind] for kind in KINDS}
    counts = [f"| {title} | {len(by_kind[kind])} | {_named(by_kind[kind])} |" for kind, title in KINDS.items()]
    unseen = [found for found in findings if not found.is_trained]
    heard = [found for found in unseen if found.kind == "context"]
    text = PAGE.format(
        pages=pages,
        weights=settings.weights,
        steps=settings.steps,
        rules=len(findings),
        counts="\n".join(counts),
        unseen=len(unseen),
        heard=len(heard),
        which=_named(heard) or "none",
    )
    lines = [text.rstrip()]
    for kind, title in KINDS.items():
        if by_kind[kind]:
            lines += ["", f"## {title}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
            lines += [found.line for found in sorted(by_kind[kind], key=lambda found: -found.gain.mean)]
    return "\n".join(lines) + "\n"


def _named(findings: Sequence[Finding]) -> str:
    return ", ".join(sorted(found.rule.name for found in findings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=Path, required=True, help="rendered by `triptych pocket sprites`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the scores")
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--weights", default="pocket", help="a file of weights; by default the released ones")
    parser.add_argument("--skills", type=Path, help="folder that benchmarks/skills.py has written")
    parser.add_argument("--docs", type=Path, help="the page to write")
    asked = parser.parse_args()
    suite, backbone = suite_of(asked.pages), tt.load(asked.weights)
    for name in asked.rules.split(","):
        began = time.monotonic()
        evaluate(backbone, suite, out=asked.out, sprites=asked.sprites, rows=(name, f"{name}-by-words"), shown=2)
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    scores = load_scores(asked.out)
    file = None if asked.weights == "pocket" else Path(asked.weights)
    trained = trained_rules(PretrainRecipe.model_validate(pocket_training(file)["recipe"]))
    found = [one for rule in RULES.values() if (one := finding(scores, rule, asked.skills, trained)) is not None]
    for one in found:
        print(f"{one.kind:8}", one.line)
    if asked.docs:
        write_atomic(asked.docs, page_of(scores, found, asked.pages).encode())


if __name__ == "__main__":
    main()

"""Write requirements.lock: pyproject's dependencies, all extras but `gpu`, and all they need, as installed here."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Name and version of every distribution that `wanted` needs on this platform."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = [(requirement, extra) for requirement in wanted for extra in ("", *requirement.extras)]
    while queue:
        requirement, extra = queue.pop()
        name = canonicalize_name(requirement.name)
        if name == "triptych":  # one extra names others, all of which are asked for anyway
            continue
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed here; install the package with all extras first.") from None
        # A local label such as +cpu names a build, not a version.
        found[name] = re.sub(r"\+.*", "", installed.version)
        for text in installed.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                queue += [(needed, each) for each in ("", *needed.extras)]
    return found


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [text for extra, texts in project["optional-dependencies"].items() for text in texts if extra != "gpu"]
    found = closure([Requirement(text) for text in [*project["dependencies"], *extras]])
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    (ROOT / "requirements.lock").write_text(
        "# Written by scripts/lock.py. All of it on Python 3.11.\n" + "".join(lines)
    )


if __name__ == "__main__":
    main()

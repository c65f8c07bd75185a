"""Install the lowest versions that pyproject allows into an environment of its own, run the tests, say what broke.

    python scripts/lowest.py [PYTEST ARGUMENTS]

Not part of the checks: it fetches packages. `--keep` uses the environment that is there, so that a slow machine can run
the tests in portions: `python scripts/lowest.py tests/models`, then `python scripts/lowest.py --keep tests/sampling`.
build/lowest/tests.txt is what the tests of the last run said.
"""

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "lowest"
LEFT_OUT = {"gpu", "all"}
CUDA = re.compile(r"(nvidia|cuda|triton)\b")
"""What a torch for NVIDIA cards brings along, gigabytes that no test needs."""


def names(texts: list[str]) -> list[str]:
    """The distributions of some requirements; ends the program where one has no lower bound."""
    for requirement in map(Requirement, texts):
        if requirement.name != "triptych" and not any(one.operator in (">=", "==") for one in requirement.specifier):
            raise SystemExit(f"{requirement} has no lower bound; give it one in pyproject.toml.")
    return sorted({canonicalize_name(Requirement(text).name) for text in texts} - {"triptych"})


def resolved(python: Path, extras: list[str]) -> list[str]:
    """Every distribution with its version: the lowest of those that pyproject names."""
    asked = [part for extra in extras for part in ("--extra", extra)]
    command = [python, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--resolution"]
    found = subprocess.run(
        [*command, "lowest-direct", *asked, ROOT / "pyproject.toml"], check=False, capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(f"the lower bounds do not go together; raise one of them.\n{found.stderr}")
    return [line for line in found.stdout.splitlines() if line and not CUDA.match(line)]


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--keep"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: texts for name, texts in project["optional-dependencies"].items() if name not in LEFT_OUT}
    bounds = names([*project["dependencies"], *(text for texts in extras.values() for text in texts)])
    python = FOLDER / "bin" / "python"
    if "--keep" not in sys.argv:
        venv.create(FOLDER, clear=True, with_pip=True)
        # uv does in a minute what pip does not in an hour.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        wanted = FOLDER / "requirements.txt"
        wanted.write_text("\n".join(resolved(python, list(extras))))
        subprocess.run(
            [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--no-deps", "-r", wanted], check=True
        )
    report = FOLDER / "tests.txt"
    paths = {"PYTHONPATH": str(ROOT / "src"), "PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(FOLDER)}
    command = [python, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "--tb=line", "-rfE", *arguments]
    with report.open("w") as file:
        run = subprocess.run(command, cwd=ROOT, env=paths, check=False, stdout=file)
    said = report.read_text().splitlines()
    broken = [line for line in said if line.startswith(("FAILED", "ERROR"))]
    versions = subprocess.run([python, "-m", "pip", "freeze"], check=False, capture_output=True, text=True).stdout
    used = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in versions.splitlines())}
    print("\n".join(f"{name} {used.get(name, 'not installed')}" for name in bounds))
    print("\n".join(broken or said[-1:]))
    raise SystemExit(run.returncode)


if __name__ == "__main__":
    main()

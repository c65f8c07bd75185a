"""Install the lowest versions that pyproject allows into an environment of its own, run the tests, say what broke.

    python scripts/lowest.py [PYTEST ARGUMENTS]

Not part of the checks: it fetches packages. `--keep` uses the environment that is there.
"""

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "lowest"
LOCK = ROOT / "requirements.lock"
LEFT_OUT = {"gpu", "all", "dev"}


def lowest(texts: list[str]) -> dict[str, str]:
    """The lower bound of each requirement, by name."""
    bounds = {}
    for requirement in map(Requirement, texts):
        versions = [one.version for one in requirement.specifier if one.operator in (">=", "==")]
        if not versions:
            raise SystemExit(f"{requirement} has no lower bound; give it one in pyproject.toml.")
        bounds[canonicalize_name(requirement.name)] = versions[0]
    return bounds


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--keep"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(text for name in extras if name not in LEFT_OUT for text in extras[name])]
    bounds = lowest(needed)
    python = FOLDER / "bin" / "python"
    if "--keep" not in sys.argv:
        venv.create(FOLDER, clear=True, with_pip=True)
        # `==2.10.*` takes the newest patch of the lowest release. What the bounds say nothing of is as in the lock,
        # unless that does not go with them.
        pins = [f"{name}=={version}" + ".*" * (version.count(".") < 2) for name, version in bounds.items()]
        tools = [text for text in extras["dev"] if not text.startswith("triptych")]
        install = [python, "-m", "pip", "install", "--quiet", *pins, *tools]
        locked = [line for line in LOCK.read_text().splitlines() if line.partition("==")[0] not in bounds]
        FOLDER.with_suffix(".txt").write_text("\n".join(locked))
        if subprocess.run([*install, "--constraint", FOLDER.with_suffix(".txt")], check=False).returncode == 0:
            install = [python, "--version"]
        if subprocess.run(install, check=False).returncode:
            raise SystemExit("the lowest versions do not go together; raise the bounds that pip names above.")
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "--tb=no", "-rfE", *arguments],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT / "src"), "PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(FOLDER)},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    broken = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    versions = subprocess.run([python, "-m", "pip", "freeze"], check=False, capture_output=True, text=True).stdout
    used = dict(line.split("==") for line in versions.splitlines() if "==" in line)
    names = {canonicalize_name(name): version for name, version in used.items()}
    print("\n".join(f"{name} {names.get(name, 'not installed')}" for name in sorted(bounds)))
    print("\n".join(broken or run.stdout.splitlines()[-1:]))
    raise SystemExit(run.returncode)


if __name__ == "__main__":
    main()

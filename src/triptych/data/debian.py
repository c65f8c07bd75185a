"""Pictures from Debian packages: fetched with apt-get, unpacked, and taken where their licence allows it."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from triptych.data.qtresources import resource_files
from triptych.errors import SourceError

__all__ = [
    "DEBIAN_PACKAGES",
    "DebianPackage",
    "LicensedFile",
    "fetch_packages",
    "licence_of",
    "permitted",
    "pictures_in",
    "unpack_packages",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """One package, and where in it the pictures lie."""

    name: str
    folders: tuple[str, ...]
    """Below usr/share."""
    drawings: bool = False
    """True for drawings of single objects, SVG or with alpha; False for photographs and wallpapers."""


_LESSONS = "gcompris-qt/gcompris/src/activities"
DEBIAN_PACKAGES = (
    DebianPackage(name="openclipart-svg", folders=("openclipart/svg",), drawings=True),
    DebianPackage(
        name="gcompris-qt-data",
        folders=(f"{_LESSONS}/lang/resource/words_sample", f"{_LESSONS}/solar_system/resource"),
        drawings=True,
    ),
    DebianPackage(
        name="gcompris-qt-data",
        folders=(
            f"{_LESSONS}/categorization/resource/images",
            f"{_LESSONS}/erase/resource",
            f"{_LESSONS}/explore_farm_animals/resource/animals",
            f"{_LESSONS}/explore_monuments/resource",
            f"{_LESSONS}/explore_world_animals/resource/animals",
            f"{_LESSONS}/explore_world_music/resource/music",
        ),
    ),
    DebianPackage(name="palapeli-data", folders=("palapeli/collection",)),
    DebianPackage(name="plasma-workspace-wallpapers", folders=("wallpapers",)),
    DebianPackage(name="ukui-wallpapers", folders=("backgrounds",)),
    DebianPackage(name="lomiri-wallpapers-16.04", folders=("backgrounds",)),
    DebianPackage(name="lomiri-wallpapers-20.04", folders=("backgrounds",)),
)
"""Where photographs and clip art come from."""

# What may be adapted and passed on, for any purpose. Not here: NC, ND, and whatever is not understood.
_PERMITTED = re.compile(
    r"(CC0|CC-BY|CC-BY-SA|public-domain|Expat|MIT|GPL|LGPL|AGPL|Apache|BSD-[23]-clause|FAL|GFDL-NIV)(-?\d[.\d]*)?\+?$",
    re.IGNORECASE,
)
_PICTURES = {".svg", ".png", ".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LicensedFile:
    """One picture of a package, with the licence that the package's copyright file gives it."""

    package: str
    path: Path
    name: str
    """Its path below the package's folder, without its ending."""
    licence: str


def permitted(licence: str) -> bool:
    """True if every one of the licences named (`A and B`), or one of several to choose from (`A or B`), is free."""
    choices = [part.strip() for part in re.split(r"\s+or\s+", licence.strip())]
    return any(
        all(_PERMITTED.match(one.strip()) for one in re.split(r"\s+and\s+|,\s*", choice) if one.strip()) and choice
        for choice in choices
    )


def _stanzas(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """(patterns, licence) of each `Files:` paragraph of a machine-readable copyright file."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*((?:.*)(?:\n[ \t]+.*)*)", paragraph, re.MULTILINE))
        if "Files" in fields and "License" in fields:
            yield tuple(fields["Files"].split()), fields["License"].split("\n")[0].strip()


def licence_of(copyright_text: str, file_name: str) -> str | None:
    """The licence of a file by its name, of the last paragraph that matches it; None where the text says nothing.

    Patterns name files of the source, whose folders are others than the package's: the ends of the paths are compared.
    """
    if not copyright_text.lstrip().startswith("Format:"):
        return "public-domain" if "Public Domain Dedication" in copyright_text else None
    found = None
    for patterns, licence in _stanzas(copyright_text):
        for pattern in patterns:
            end = pattern.removeprefix("./").rsplit("/", 1)[-1]
            if pattern == "*" or (end != "*" and fnmatchcase(file_name, end)):
                found = licence
    return found


def fetch_packages(folder: Path) -> None:
    """Download the packages into `folder` with apt-get and unpack them. Needs Debian's tools and the network."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({package.name for package in DEBIAN_PACKAGES})
    try:
        subprocess.run(["apt-get", "download", *names], cwd=folder, check=True, capture_output=True)
    except FileNotFoundError as error:
        raise SourceError(
            "apt-get was not found; photographs and clip art are Debian packages. Download the .deb files of "
            f"{', '.join(names)} by other means and give their folder with --packages."
        ) from error
    except subprocess.CalledProcessError as error:
        raise SourceError(f"apt-get could not download {', '.join(names)}: {error.stderr.decode()[-400:]}") from error
    unpack_packages(folder)


def unpack_packages(folder: Path) -> None:
    """Unpack every .deb of `folder` into a folder of the package's name beside it, once."""
    for path in sorted(folder.glob("*.deb")):
        target = folder / path.name.split("_")[0]
        if target.exists():
            continue
        try:
            subprocess.run(["dpkg-deb", "-x", str(path), str(target)], check=True, capture_output=True)
        except FileNotFoundError as error:
            raise SourceError(
                f"dpkg-deb was not found; unpack {path} into {target} by other means (`ar x`, then `tar`)."
            ) from error
        except subprocess.CalledProcessError as error:
            raise SourceError(f"{path} could not be unpacked: {error.stderr.decode()[-400:]}") from error
        _unpack_resources(target)


def _unpack_resources(folder: Path) -> None:
    """The pictures of every .rcc file, as files of their names beside the folder it is in."""
    for path in sorted(folder.rglob("*.rcc")):
        for name, content in resource_files(path):
            target = path.parent.parent / name
            if target.suffix.lower() in _PICTURES:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def pictures_in(folder: Path, package: DebianPackage) -> Iterator[LicensedFile]:
    """The pictures of an unpacked package that its copyright file permits; links and refused ones are left out."""
    share = folder / package.name / "usr" / "share"
    notice = share / "doc" / package.name / "copyright"
    if not notice.is_file():
        raise SourceError(
            f"no {notice}; put the .deb file of {package.name} in {folder}, or leave --packages out to fetch it."
        )
    text = notice.read_text(errors="replace")
    for root in (share / name for name in package.folders):
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() not in _PICTURES or path.is_symlink() or not path.is_file():
                continue
            licence = licence_of(text, path.name)
            if licence and permitted(licence):
                name = str(path.relative_to(root).with_suffix(""))
                yield LicensedFile(package=package.name, path=path, name=name, licence=licence)

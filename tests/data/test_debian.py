"""Debian packages: which licence a copyright file gives a picture, and which pictures are taken."""

import struct
from pathlib import Path

import pytest

from triptych.data.debian import DebianPackage, licence_of, permitted, pictures_in
from triptych.data.qtresources import resource_files
from triptych.errors import SourceError

_COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: some-wallpapers

Files: 16.04/bridge.jpg
Copyright: 2018, A. Person
License: CC-BY-SA-4.0

Files: 16.04/penguin.jpg
 16.04/otter.jpg
Copyright: 2018, Another
License: CC-BY-NC-SA-1.0

Files: debian/*
Copyright: 2018, A. Packager
License: Expat

License: Expat
 Permission is hereby granted ...
"""


@pytest.mark.parametrize(
    ("name", "licence"), [("bridge.jpg", "CC-BY-SA-4.0"), ("otter.jpg", "CC-BY-NC-SA-1.0"), ("nobody.jpg", None)]
)
def test_licence_of_a_file_is_its_own_paragraphs(name: str, licence: str | None) -> None:
    assert licence_of(_COPYRIGHT, name) == licence


@pytest.mark.parametrize("licence", ["CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "GPL-2+", "LGPL-3+", "GPL-3 or Foo-1"])
def test_permitted_takes_free_licences(licence: str) -> None:
    assert permitted(licence)


@pytest.mark.parametrize("licence", ["CC-BY-NC-SA-1.0", "CC-BY-ND-4.0", "all-rights-reserved", "", "CC0 and Foo-1"])
def test_permitted_refuses_what_may_not_be_adapted_or_sold(licence: str) -> None:
    assert not permitted(licence)


def test_pictures_in_leaves_out_refused_unnamed_and_linked_ones(tmp_path: Path) -> None:
    share = tmp_path / "some-wallpapers/usr/share"
    (share / "doc/some-wallpapers").mkdir(parents=True)
    (share / "doc/some-wallpapers/copyright").write_text(_COPYRIGHT)
    (share / "backgrounds").mkdir()
    for name in ("bridge.jpg", "penguin.jpg", "nobody.jpg"):
        (share / "backgrounds" / name).write_bytes(b"")
    (share / "backgrounds/bridge-small.jpg").symlink_to("bridge.jpg")
    package = DebianPackage(name="some-wallpapers", folders=("backgrounds",))
    assert [(file.name, file.licence) for file in pictures_in(tmp_path, package)] == [("bridge", "CC-BY-SA-4.0")]


def test_pictures_in_a_package_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"put the \.deb file of nowhere"):
        list(pictures_in(tmp_path, DebianPackage(name="nowhere", folders=("backgrounds",))))


def _rcc(name: str, content: bytes) -> bytes:
    """A resource file of version 2 that holds one file in its root."""
    coded = name.encode("utf-16-be")
    names = struct.pack(">HI", len(name), 0) + coded
    root = struct.pack(">IHIIQ", 0, 2, 1, 1, 0)
    leaf = struct.pack(">IHHHIQ", 0, 0, 0, 1, 0, 0)
    data = struct.pack(">I", len(content)) + content
    header = 20
    places = (2, header, header + len(root + leaf), header + len(root + leaf) + len(data))
    return b"qres" + struct.pack(">IIII", *places) + root + leaf + data + names


def test_resource_files_gives_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "one.rcc").write_bytes(_rcc("fox.webp", b"pixels"))
    assert list(resource_files(tmp_path / "one.rcc")) == [("fox.webp", b"pixels")]


def test_resource_files_of_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.rcc").write_bytes(b"PK\x03\x04 something else entirely")
    with pytest.raises(SourceError, match="qres"):
        list(resource_files(tmp_path / "one.rcc"))

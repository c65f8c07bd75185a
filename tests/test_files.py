import codecs
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import triptych as tt
from triptych.errors import OutputError, PageError, TakenError, TextError, TriptychError
from triptych.files import (
    decode_text,
    new_folder,
    parse_json,
    parse_yaml,
    read_json,
    read_text,
    read_yaml,
    text_lines,
    write_atomic,
)
from triptych.leftovers import remove_leftovers, temporary_path
from triptych.models.keyformats import read_lora
from triptych.skill import load_skill


@pytest.mark.parametrize(
    "data",
    [
        "naïve\nfox".encode(),
        codecs.BOM_UTF8 + "naïve\nfox".encode(),
        "naïve\r\nfox".encode(),
        "naïve\nfox".encode("utf-16"),
        codecs.BOM_UTF16_BE + "naïve\r\nfox".encode("utf-16-be"),
        "naïve\nfox".encode("utf-32"),
    ],
)
def test_read_text_with_marks_and_line_ends_of_any_system_is_one_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert read_text(tmp_path / "a.txt") == "naïve\nfox"


def test_read_text_in_windows_1252_is_refused_or_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("a caf\u00e9 \u2013 shut".encode("cp1252"))
    with pytest.raises(PageError, match=r"a\.txt is not text in UTF-8 \(byte 5, 0xe9\)"):
        read_text(path, error=PageError)
    assert read_text(path, any_encoding=True) == "a caf\u00e9 \u2013 shut"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is not UTF-8 (byte 5); it was read as Windows-1252."
    ]


def test_read_text_in_the_encoding_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("狐".encode("shift_jis"))
    assert read_text(tmp_path / "a.txt", encoding="shift_jis") == "狐"
    with pytest.raises(TextError, match="'klingon' is not an encoding"):
        read_text(tmp_path / "a.txt", encoding="klingon")


@pytest.mark.parametrize(
    "data, said",
    [
        (b"a\0b", "NUL byte"),
        ("ab".encode("utf-16-le"), "NUL byte"),
        (b"caf\xe9 \x81", "neither in UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
    ],
)
def test_decode_text_of_what_is_no_text_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(TextError, match=f"^notes: ?.*{said}|^notes .*{said}"):
        decode_text(data, "notes", any_encoding=True)


def test_read_text_of_a_folder_a_missing_or_a_large_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * (2**20 + 1))
    for path, said in ((tmp_path, "not a file"), (tmp_path / "b.txt", "does not exist"), (tmp_path / "a.txt", "1 MiB")):
        with pytest.raises(TextError, match=said):
            read_text(path, max_bytes=2**20)


def test_text_lines_end_at_newlines_alone() -> None:
    assert list(text_lines("a\u2028b\n\n \nc\x85d\x0be\n")) == [(1, "a\u2028b"), (4, "c\x85d\x0be")]


@given(text=st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_decode_text_of_encoded_text_gives_it_back(text: str) -> None:
    assert decode_text(codecs.BOM_UTF8 + text.encode(), "a") == text
    assert decode_text(text.encode("utf-16"), "a") == text


def test_parsers_refuse_a_key_that_stands_twice() -> None:
    with pytest.raises(ValueError, match="duplicate key 'a'"):
        parse_json('{"b": {"a": 1, "a": 2}}')
    with pytest.raises(ValueError, match="duplicate key 'a'"):
        parse_yaml("b:\n  a: 1\n  a: 2\n")
    assert parse_yaml("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n")["y"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_parsers_refuse_what_nests_too_deep(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError):
        parse("[" * 100_000)


def test_read_json_and_read_yaml_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(PageError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json", error=PageError)
    with pytest.raises(TextError, match=r"a\.yaml is not valid YAML"):
        read_yaml(tmp_path / "a.yaml")


def test_write_atomic_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "weights.bin"
    write_atomic(path, b"old")
    write_atomic(path, memoryview(b"new"))
    assert path.read_bytes() == b"new"
    assert [file.name for file in path.parent.iterdir()] == ["weights.bin"]


def test_write_atomic_on_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match=r"weights\.bin cannot be written"):
            write_atomic(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["weights.bin"]


def test_write_atomic_below_a_file_or_with_too_long_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / "file" / "out.png", b"x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / ("n" * 300), b"x")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that even root cannot write to")
def test_write_atomic_in_a_read_only_folder_is_refused() -> None:
    with pytest.raises(OutputError, match=r"/proc/self/out\.png cannot be written"):
        write_atomic("/proc/self/out.png", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_write_atomic_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomic(tmp_path / "out.png", b"x")


def test_write_atomic_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "out.png", b"x")
    assert list(tmp_path.iterdir()) == []


def test_write_atomic_of_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"first", is_new=True)
    with pytest.raises(TakenError, match="already exists"):
        write_atomic(tmp_path / "a", b"second", is_new=True)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_write_atomic_of_a_new_file_without_hard_links_never_replaces_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    write_atomic(tmp_path / "a", b"first", is_new=True)
    with pytest.raises(TakenError):
        write_atomic(tmp_path / "a", b"second", is_new=True)
    assert (tmp_path / "a").read_bytes() == b"first"


def test_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    with new_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError), new_folder(tmp_path / "other") as folder:
        raise ValueError("broken off")
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "a"]


def test_new_folder_replaces_only_what_it_was_told_of(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "holiday.jpg").touch()
    for replaces in (None, "metadata.jsonl"):
        with pytest.raises(TakenError, match="already exists"), new_folder(tmp_path / "set", replaces=replaces):
            pass
    (tmp_path / "set" / "metadata.jsonl").touch()
    with new_folder(tmp_path / "set", replaces="metadata.jsonl") as folder:
        (folder / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "new"]


_HOLD = """
import sys, time
from pathlib import Path
from triptych.leftovers import held, held_folder, temporary_path
folder = Path(sys.argv[1])
file, directory = temporary_path(folder / "a.png"), temporary_path(folder / "set")
directory.mkdir()
with file.open("xb") as stream, held(stream.fileno()), held_folder(directory):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_remove_leftovers_takes_those_of_killed_writers_alone(tmp_path: Path) -> None:
    (tmp_path / ".keep.tmp").touch()
    (tmp_path / "a.png").touch()
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        for path in tmp_path.iterdir():
            os.utime(path, (0, 0))
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == 4
        writer.kill()
        writer.wait()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep.tmp", "a.png"]


def test_new_folder_removes_what_a_killed_writer_of_it_left(tmp_path: Path) -> None:
    left = temporary_path(tmp_path / "set")
    left.mkdir()
    (left / "1.png").touch()
    os.utime(left, (0, 0))
    with new_folder(tmp_path / "set") as out:
        (out / "2.png").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_remove_leftovers_leaves_young_files_alone(tmp_path: Path) -> None:
    temporary_path(tmp_path / "a").touch()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("read", ["skill", "lora", "backbone"])
def test_weights_that_are_a_note_of_git_lfs_say_so(tmp_path: Path, read: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(TriptychError, match="Git LFS pointer; run `git lfs pull`"):
        match read:
            case "skill":
                load_skill(path)
            case "lora":
                read_lora(path, family="flux2", backbone="x")
            case _:
                tt.load(str(path))

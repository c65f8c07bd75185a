import io
import os
import resource
import struct
import zlib

import pytest
from PIL import Image

from studio_pictures import png
from triptych.errors import ImageError
from triptych.leftovers import temporary_path
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore, file_id
from triptych.studio.store import Store


def test_files_of_a_studio_that_was_killed_while_writing_are_removed(tmp_path):
    left = temporary_path(tmp_path / "files" / "a")
    left.parent.mkdir()
    left.touch()
    os.utime(left, (0, 0))
    store = Store(tmp_path / "studio.sqlite")
    FileStore(tmp_path, store, limit_bytes=2**30)
    store.close()
    assert not left.exists()


@pytest.fixture
def files(tmp_path):
    store = Store(tmp_path / "studio.sqlite")
    yield FileStore(tmp_path, store, limit_bytes=2**30)
    store.close()


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def claimed_png(width, height):
    """A PNG that claims a size and holds hardly anything."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_add_keeps_the_bytes_by_their_hash_once(files):
    data = png((30, 20), "red")
    first, second = files.add(data), files.add(data)
    assert first == second and files.path(first.id).read_bytes() == data
    assert (first.width, first.height) == (30, 20)
    assert file_id(f"file:{first.id}") == file_id(f"/api/files/{first.id}?w=64") == first.id


def test_add_turns_what_browsers_do_not_show_into_png(files):
    image = Image.new("RGB", (12, 12), "blue")
    frames = [Image.new("RGB", (12, 12), colour) for colour in ("red", "green")]
    for data in (
        saved(image, "BMP"),
        saved(image, "TIFF"),
        saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    ):
        kept = files.add(data)
        assert kept.media_type == "image/png" and files.read(kept.id).size == (12, 12)


def test_a_photograph_comes_upright(files):
    image = Image.new("RGB", (40, 20), "white")
    exif = Image.Exif()
    exif[0x0112] = 6
    kept = files.add(saved(image, "JPEG", exif=exif))
    assert (kept.width, kept.height) == (20, 40)
    assert Image.open(files.thumb(kept.id, 64)).size == (20, 40)


BOMBS = {
    "empty": b"",
    "text": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "claims 30000x30000": claimed_png(30_000, 30_000),
    "claims 2^31": claimed_png(2**31 - 1, 2**31 - 1),
    "cut": png((300, 300), "red")[:200],
    "bomb": saved(Image.new("1", (12_000, 12_000)), "PNG"),
    "webp head": b"RIFF\xff\xff\xff\x7fWEBPVP8 " + b"\0" * 40,
    "tiff loop": b"II*\0\x08\0\0\0\x01\0\0\x01\x04\0\x01\0\0\0\x10\0\0\0\x08\0\0\0",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "html": b"<script>alert(1)</script>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_memory_stays_flat(files, name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ImageError, StudioError)):
        files.add(BOMBS[name])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10
    assert files.used_bytes() == 0


def test_nothing_but_an_id_becomes_a_path(files, tmp_path):
    kept = files.add(png((9, 9), "red"))
    for name in ("../studio.sqlite", kept.id.upper(), kept.id[:-1], "", f"{kept.id}/", "a" * 64):
        with pytest.raises(StudioError, match="there is no file"):
            files.path(name)
    path = files.path(kept.id)
    path.unlink()
    path.symlink_to(tmp_path / "studio.sqlite")
    with pytest.raises(StudioError, match="there is no file"):
        files.path(kept.id)


def test_add_refuses_when_there_is_no_room(tmp_path):
    store = Store(tmp_path / "studio.sqlite")
    files = FileStore(tmp_path, store, limit_bytes=500)
    files.add(png((9, 9), "red"))
    with pytest.raises(StudioError, match="empty the bin") as refused:
        files.add(saved(Image.effect_noise((90, 90), 90), "PNG"))
    assert refused.value.status == 507
    store.close()


def test_remove_unused_keeps_what_is_named(files):
    first, second = files.add(png((9, 9), "red")), files.add(png((9, 9), "blue"))
    files.thumb(second.id, 64)
    assert files.remove_unused(frozenset({first.id}), older_than_s=-1.0) == 1
    assert files.path(first.id).is_file()
    with pytest.raises(StudioError):
        files.path(second.id)


def test_a_photograph_of_twelve_megapixels_is_kept_and_shown_upright(files):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = Image.radial_gradient("L").resize((4032, 3024)).convert("RGB")
    kept = files.add(saved(photograph, "JPEG", exif=exif))
    assert (kept.width, kept.height) == (3024, 4032)
    assert Image.open(files.thumb(kept.id, 256)).size == (256, 341)

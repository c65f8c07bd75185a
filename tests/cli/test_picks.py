"""`triptych pick` and `triptych picks` as a user meets them."""

import pytest

from triptych.picks import FILE, Verdict, add_picks, load_picks


@pytest.fixture(scope="module")
def results(tmp_path_factory, pocket_file):
    """Four results of one request, made once."""
    from PIL import Image
    from typer.testing import CliRunner

    from triptych.cli.main import app

    folder = tmp_path_factory.mktemp("made")
    Image.linear_gradient("L").save(folder / "fox.png")
    words = ["--condition", folder / "fox.png", "--slot", "a red fox", "--number", 4, "--out", folder / "out"]
    made = CliRunner().invoke(app, ["generate", *map(str, words), "--backbone", str(pocket_file)])
    assert made.exit_code == 0, made.stderr
    return folder / "out"


def test_pick_without_numbers_lists_results_by_number(triptych, results):
    made = triptych("pick", results)

    assert made.exit_code == 0, made.stderr
    rows = made.stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["1", "2", "3", "4"]
    assert [row.split()[2] for row in rows] == ["0", "1", "2", "3"]
    assert not (results / FILE).exists()


def test_pick_keeps_rejects_and_passes_over(triptych, results, tmp_path):
    made = triptych("pick", results, "--keep", "3", "--reject", "1,2", "--to", tmp_path)

    assert made.exit_code == 0, made.stderr
    assert str(tmp_path / FILE) in made.stdout
    (pick,) = load_picks(tmp_path)
    assert {result.seed: result.verdict for result in pick.results} == {
        0: Verdict.REJECTED,
        1: Verdict.REJECTED,
        2: Verdict.KEPT,
        3: Verdict.UNSEEN,
    }
    assert pick.made_by.startswith("triptych ") and pick.request.page.conditions[0].image.size == (256, 256)


def test_pick_again_replaces_with_a_note_and_rest_is_all_others(triptych, results, tmp_path):
    triptych("pick", results, "--keep", "3", "--to", tmp_path)
    made = triptych("pick", results, "--keep", "1", "--reject", "rest", "--to", tmp_path)

    assert "seed 2 is rejected in place of kept" in made.stderr
    (pick,) = load_picks(tmp_path)
    assert [result.seed for result in pick.kept] == [0]
    assert {result.seed for result in pick.rejected} == {1, 2, 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--keep", "9"), "there are 4 results"),
        (("--keep", "0"), "there are 4 results"),
        (("--keep", "x"), "Write 3, or 1,2, or 1-4, or rest"),
        (("--keep", "1-3", "--reject", "3"), "result 3 is kept and rejected"),
        (("--keep", "rest", "--reject", "rest"), "exclude each other"),
    ],
)
def test_pick_wrong_number_is_one_line_and_records_nothing(triptych, results, tmp_path, words, said):
    made = triptych("pick", results, *words, "--to", tmp_path)

    assert made.exit_code == 2
    assert said in made.stderr
    assert not (tmp_path / FILE).exists()


def test_pick_picture_of_another_program_is_named(triptych, fox, tmp_path):
    assert "does not say how it was made" in triptych("pick", fox, "--keep", "1").stderr
    assert "no pictures that say" in triptych("pick", tmp_path, "--keep", "1").stderr
    assert "does not exist" in triptych("pick", tmp_path / "gone", "--keep", "1").stderr


def test_picks_list_show_export_and_import_are_one_round(triptych, results, tmp_path):
    triptych("pick", results, "--keep", "3", "--reject", "1,2", "--to", tmp_path / "a")
    (pick,) = load_picks(tmp_path / "a")

    listed, shown = (
        triptych("picks", "list", tmp_path / "a"),
        triptych("picks", "show", tmp_path / "a", pick.pick_id[:8]),
    )
    exported = triptych("picks", "export", tmp_path / "a", "--out", tmp_path / "pairs")
    imported = triptych("picks", "import", tmp_path / "pairs", "--out", tmp_path / "b")

    assert listed.stdout.splitlines()[1].split()[:4] == [pick.pick_id[:8], "1", "2", "1"]
    assert "seed 2" in shown.stdout and pick.pick_id in shown.stdout
    assert "2 pairs of 1 pick" in exported.stderr
    assert imported.exit_code == 0, imported.stderr
    (again,) = load_picks(tmp_path / "b")
    assert again.pick_id == pick.pick_id
    assert {result.seed for result in again.kept} == {2} and {result.seed for result in again.rejected} == {0, 1}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("pairs", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer"),
        ("pairs", b"PAR1", "is not a whole parquet file"),
        ("pairs/data/rows.parquet", None, "cannot be read"),
        ("empty", None, "cannot be read"),
    ],
)
def test_picks_import_of_what_is_no_parquet_says_what_it_is(triptych, tmp_path, name, data, said):
    (tmp_path / "pairs" / "data").mkdir(parents=True)
    if data is not None:
        (tmp_path / "pairs" / "data" / "rows.parquet").write_bytes(data)

    result = triptych("picks", "import", tmp_path / name, "--out", tmp_path / "picks")

    assert result.exit_code == 2 and said in result.stderr
    assert not (tmp_path / "picks").exists()


def test_picks_show_of_an_unknown_pick_says_how_to_list(triptych, results, tmp_path):
    from triptych.picks.found import find_results, judged

    add_picks(tmp_path, judged(find_results([results]), keep="1", reject=None))
    made = triptych("picks", "show", tmp_path, "ffffffffffff")
    assert made.exit_code == 2 and "picks list" in made.stderr

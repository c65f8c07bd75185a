import sqlite3

import pytest

from triptych.studio.documents import Documents
from triptych.studio.errors import StudioError
from triptych.studio.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "studio.sqlite")
    yield store
    store.close()


def test_removed_document_is_gone_until_it_is_restored(store):
    documents = Documents(store)
    kept = documents.add("a page", {"panels": []}, {"live": True})
    documents.remove(kept["id"])
    assert documents.listed() == []
    for ask in (documents.get, documents.remove):
        with pytest.raises(StudioError, match="there is no document"):
            ask(kept["id"])
    with pytest.raises(StudioError, match="there is no document"):
        documents.change(kept["id"], "other", {}, {}, kept["revision"])
    assert documents.restore(kept["id"]) == kept
    assert [one["id"] for one in documents.listed()] == [kept["id"]]


def test_list_shows_what_was_made_before_what_was_given(store):
    documents = Documents(store)
    given, made = "a" * 64, "b" * 64
    panels = [{"role": "edit", "image": f"file:{given}"}, {"role": "slot", "answer": None}]
    documents.add("given", {"panels": panels}, {})
    documents.add("made", {"panels": [panels[0], {"role": "slot", "answer": f"file:{made}"}]}, {})
    documents.add("empty", {}, {})
    shown = {one["title"]: one["picture"] for one in documents.listed()}
    assert shown == {"given": f"/api/files/{given}", "made": f"/api/files/{made}", "empty": None}


def test_document_deleted_long_ago_is_forgotten(store, monkeypatch):
    documents = Documents(store)
    old, new = (documents.add(title, {}, {})["id"] for title in ("old", "new"))
    documents.remove(old)
    monkeypatch.setattr("time.time", lambda: 10.0**10)
    documents.remove(new)
    documents.forget_old()
    assert documents.restore(new)["title"] == "new"
    with pytest.raises(StudioError, match="there is no document"):
        documents.restore(old)


def test_store_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "studio.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as old:
        old.execute("ALTER TABLE documents DROP COLUMN deleted")
        old.execute("INSERT INTO documents VALUES ('one', 'kept', '{}', '{}', 3, 1.0)")
        old.execute("PRAGMA user_version = 1")
    for _ in range(2):
        store = Store(path)
        assert Documents(store).get("one")["revision"] == 3
        store.close()

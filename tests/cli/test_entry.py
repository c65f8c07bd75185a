import importlib.abc
import sys

import pytest

from triptych.cli.entry import run


def test_run_ctrl_c_while_importing_is_one_line_and_130(monkeypatch, capsys):
    class Press(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):  # noqa: ARG002
            if name == "triptych.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "triptych.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Press(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C; nothing was started.\n"

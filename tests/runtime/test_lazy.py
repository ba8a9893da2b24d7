"""Modules that are imported for their first attribute."""

import sys

import pytest

from skfm.runtime.lazy import LazyModule, is_loaded, on_first_use


def test_a_module_is_imported_for_its_first_attribute(tmp_path, monkeypatch):
    (tmp_path / "some_module.py").write_text("answer = 42", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    lazy = LazyModule("some_module")
    assert not is_loaded("some_module")
    assert lazy.answer == 42
    assert is_loaded("some_module")
    # What others set there is seen, also where nothing was before.
    monkeypatch.setattr(sys.modules["some_module"], "answer", 43)
    sys.modules["some_module"].question = "?"
    assert (lazy.answer, lazy.question) == (43, "?")
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        lazy.missing  # noqa: B018
    del sys.modules["some_module"]


def test_a_class_attribute_is_found_when_it_is_read():
    found = []

    class Model:
        @on_first_use
        def part():
            found.append(1)
            return dict

    assert found == []
    assert Model.part is Model().part is dict

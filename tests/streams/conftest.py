"""Streams of few rows that are read as if there were many."""

import pytest

from skfm.streams import block_writer, source, tables


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Chunks and blocks of few rows, so that there are many."""
    monkeypatch.setattr(tables, "CHUNK_ROWS", 100)
    monkeypatch.setattr(block_writer, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(block_writer, "_BUFFER_BYTES", 5000)
    monkeypatch.setattr(source, "_POOL", 4)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

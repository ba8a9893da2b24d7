"""Streams of few rows that are read as if there were many."""

import pytest
from stream_cases import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    make_small(monkeypatch, tmp_path)

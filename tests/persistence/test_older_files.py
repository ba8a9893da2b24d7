"""Files that earlier format versions wrote are read, and mean the same."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skfm
from skfm.persistence import files

DATA = Path(__file__).parent
sys.path.insert(0, str(DATA))

from write_format import table  # noqa: E402

#: The first release's format is 1; users of the repository may have files from before.
VERSIONS = ["before_release", *(f"format_{n + 1}" for n in range(files.FORMAT))]


def expected(version):
    folder = DATA / version
    return json.loads((folder / "expected.json").read_text("utf-8"))


def test_each_version_has_its_files():
    assert all((DATA / version).is_dir() for version in VERSIONS)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize("name", ["classifier", "regressor", "pipeline"])
@pytest.mark.parametrize("version", VERSIONS)
def test_scores(version, name, mmap_mode):
    model = skfm.load(DATA / version / f"{name}.skfm", mmap_mode=mmap_mode)
    scores = getattr(model, "decision_function", model.predict)
    # Other processors round otherwise.
    assert_allclose(scores(table()), expected(version)[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_else_a_file_holds(version):
    folder = DATA / version
    pipeline = skfm.load(folder / "pipeline.skfm")
    assert type(pipeline).__name__ == "FieldPipeline"
    assert pipeline[0].get_feature_names_out().tolist() == expected(version)["columns"]
    model = skfm.load(folder / "classifier.skfm")
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.hidden_layer_sizes == (3,)
    assert model.fm_.n_iter_ == len(model.loss_curve_) == 3
    known = table()[lambda t: t["user"].str.startswith("ü")]
    labels = np.where(np.arange(len(known)) % 3, "no", "yes")
    assert model.fit(known, labels).n_iter_ == 6

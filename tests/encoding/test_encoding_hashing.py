"""The hash of categories: the same everywhere."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
from hash_references import MASK, hash_text, sip_hash, split_mix
from hypothesis import given, settings
from hypothesis import strategies as st

from skfm.encoding import FieldEncoder
from skfm.encoding.hashing import hash_values


class TestHashing:
    def test_reference_vector(self):
        """The paper's own example keeps the reference honest."""
        assert sip_hash(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5
        # First output of SplitMix64 for seed 0.
        assert split_mix(0) == 0xE220A8397B1DCDAF

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)))
    def test_strings(self, texts):
        hashed = hash_values(np.array(texts, dtype=object), "strings", "c")
        assert hashed.tolist() == [hash_text(text) for text in texts]

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
    def test_integers(self, numbers):
        hashed = hash_values(np.array(numbers, dtype=np.int64), "numbers", "c")
        assert hashed.tolist() == [split_mix(n & MASK) for n in numbers]

    def test_integral_floats_hash_as_integers(self):
        floats = hash_values(np.array([1.0, -7.0, 0.5]), "numbers", "c")
        assert floats.tolist()[:2] == [split_mix(1), split_mix(-7 & MASK)]

    def test_same_in_another_process(self):
        code = (
            "from skfm.encoding import FieldEncoder\n"
            "X = [['a', 1], ['bc', 2**60], ['é', -3], [None, None]]\n"
            "e = FieldEncoder(categorical_features='all', n_buckets=1000)\n"
            "print(e.fit_transform(X).indices.tolist())"
        )
        path = os.pathsep.join(sys.path)
        output = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path},
        ).stdout
        numbers = [split_mix(n & MASK) % 1000 + 1001 for n in (1, 2**60, -3)]
        texts = [hash_text(text) % 1000 for text in ("a", "bc", "é")]
        expected = [*zip(texts, numbers, strict=True), (1000, 2001)]
        assert output == f"{[i for row in expected for i in row]}\n"

    def test_by_column(self):
        df = pd.DataFrame({"a": ["x", None], "b": ["y", "z"]})
        encoder = FieldEncoder(n_buckets={"a": 3}).fit(df)
        assert encoder.get_feature_names_out().tolist() == [
            *["a_<hash 0>", "a_<hash 1>", "a_<hash 2>", "a_<missing>"],
            *["b_y", "b_z", "b_<unknown>", "b_<missing>"],
        ]

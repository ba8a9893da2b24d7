"""Reading and writing of libffm files."""

import bz2
import gzip
import io
import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skfm.datasets import dump_libffm, load_libffm, make_interactions
from skfm.datasets import libffm_text as text_module

FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-100, 100),
    st.integers(-(10**15), 10**15).map(float),
    st.decimals(-1000, 1000, places=4).map(float),
)


def load(text, **options):
    return load_libffm(io.BytesIO(text.encode()), **options)


class TestNumerals:
    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.one_of(
                FLOATS.map(repr),
                FLOATS.map("{:.3e}".format),
                FLOATS.map("{:+.12f}".format),
                st.from_regex(r"[-+]?[0-9]{1,24}\.?[0-9]{0,3}", fullmatch=True),
                st.from_regex(r"-?[0-9]{1,3}\.[0-9]{1,24}", fullmatch=True),
                st.from_regex(r"\.[0-9]{1,19}", fullmatch=True),
                st.sampled_from(["nan", "inf", "-inf", "1e-3", "1E5", "0", "-0", "5."]),
            ),
            min_size=1,
        )
    )
    @example(["9007199254740993", "9007199254740992.5", "1844674407370955161"])
    def test_floats_round_as_python(self, tokens):
        _, y, _ = load("\n".join(tokens))
        assert_array_equal(y, [float(token) for token in tokens])
        assert_array_equal(np.signbit(y), [t.startswith("-") for t in tokens])

    @pytest.mark.parametrize("exponent", [-22, -21, -1, 0, 1, 21, 22])
    def test_limits_of_exact_arithmetic(self, exponent):
        """About 2**53 and 10**22, where one rounding becomes two."""
        tokens = [
            f"{2**53 + i}e{exponent + j}" for i in range(-3, 4) for j in (-1, 0, 1)
        ]
        _, y, _ = load("\n".join(tokens))
        assert_array_equal(y, [float(token) for token in tokens])


@st.composite
def matrices(draw):
    n_rows, n_columns = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    cells = st.one_of(st.just(0.0), st.just(1.0), FLOATS)
    flat = draw(
        st.lists(cells, min_size=n_rows * n_columns, max_size=n_rows * n_columns)
    )
    X = sp.csr_matrix(np.array(flat).reshape(n_rows, n_columns))
    y = draw(st.lists(FLOATS, min_size=n_rows, max_size=n_rows))
    fields = draw(st.lists(st.integers(0, 5), min_size=n_columns, max_size=n_columns))
    return X, np.array(y), np.array(fields)


class TestRoundTrip:
    @settings(max_examples=150, deadline=None)
    @given(matrices(), st.booleans())
    def test_load_returns_what_was_dumped(self, data, zero_based):
        X, y, fields = data
        file = io.BytesIO()
        dump_libffm(X, y, file, fields=fields, zero_based=zero_based)
        file.seek(0)
        X_read, y_read, fields_read = load_libffm(
            file, n_features=X.shape[1], zero_based=zero_based
        )
        assert_array_equal(X_read.toarray(), X.toarray())
        assert_array_equal(y_read, y)
        used = np.unique(X.indices)
        assert_array_equal(fields_read[used], fields[used])

    @pytest.mark.parametrize(("end", "opener"), [("", open), (".gz", gzip.open)])
    def test_files(self, tmp_path, end, opener):
        X, y = make_interactions(50, n_fields=3, random_state=0)
        fields = np.repeat([0, 1, 2], 20)
        path = tmp_path / f"rows.ffm{end}"
        dump_libffm(X, y, path, fields=fields)
        with opener(path, "rt") as file:
            first = file.readline()
        entries = "".join(f" {j // 20}:{j}:1" for j in X[0].indices)
        assert first == f"{y[0]}{entries}\n"
        X_read, y_read, fields_read = load_libffm(str(path), n_features=60)
        assert (X_read != X).nnz == 0
        assert_array_equal(y_read, y)
        assert_array_equal(fields_read, fields)

    def test_bz2_and_float32(self, tmp_path):
        path = tmp_path / "rows.bz2"
        path.write_bytes(bz2.compress(b"1 0:0:0.1\n"))
        X, _, _ = load_libffm(path, dtype=np.float32)
        assert X.dtype == np.float32
        assert X[0, 0] == np.float32(0.1)

    def test_many_blocks(self, monkeypatch):
        X, y = make_interactions(400, n_fields=4, random_state=1)
        file = io.BytesIO()
        dump_libffm(X, y, file, fields=np.repeat(np.arange(4), 20))
        monkeypatch.setattr(text_module, "_CHUNK", 37)
        file.seek(0)
        X_read, y_read, _ = load_libffm(file, n_features=80)
        assert (X_read != X).nnz == 0
        assert_array_equal(y_read, y)


class TestLoad:
    def test_example(self):
        X, y, fields = load("1 0:0:1 2:5:0.5\n-1 1:2:2\n")
        assert X.toarray().tolist() == [[1, 0, 0, 0, 0, 0.5], [0, 0, 2, 0, 0, 0]]
        assert y.tolist() == [1, -1]
        # Columns without an entry belong to the field before.
        assert fields.tolist() == [0, 0, 1, 1, 1, 2]
        assert fields.dtype == np.int32

    @pytest.mark.parametrize(
        "text",
        [
            "1 0:0:1 1:1:2\n0\n",
            "1 0:0:1 1:1:2\n0",
            "\n 1\t0:0:1  1:1:2 \r\n\r\n0\r\n\n",
        ],
    )
    def test_blanks(self, text):
        X, y, fields = load(text)
        assert X.toarray().tolist() == [[1, 2], [0, 0]]
        assert y.tolist() == [1, 0]
        assert fields.tolist() == [0, 1]

    def test_order_and_repeats_within_a_line(self):
        X, _, _ = load("1 1:3:1 0:0:2 1:3:4\n")
        assert X.has_canonical_format
        assert X.toarray().tolist() == [[2, 0, 0, 5]]

    def test_numbered_from_one(self):
        X, _, fields = load("1 1:1:1 2:2:7\n", zero_based=False)
        assert X.toarray().tolist() == [[1, 7]]
        assert fields.tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("1 0:0", "expected field:feature:value, got '0:0'"),
            ("1 0:0:1:2", "expected field:feature:value, got '0:0:1:2'"),
            ("1 0::1", "a number is missing, got '0::1'"),
            ("1 :0:1", "a number is missing, got ':0:1'"),
            ("1 0:0: 1", "a number is missing, got '0:0:'"),
            ("1 0:0:1 7", "expected field:feature:value, got '7'"),
            ("0:0:1", "starts with a label, without colons, got '0:0:1'"),
            ("yes 0:0:1", "the label is not a number, got 'yes'"),
            ("1 a:0:1", "the field is not an integer.*, got 'a:0:1'"),
            ("1 0:-1:1", "the feature is not an integer.*, got '0:-1:1'"),
            ("1 0:0:1.2.3", "the value is not a number, got '0:0:1.2.3'"),
            ("1 0:0:0x1p3", "the value is not a number, got '0:0:0x1p3'"),
            ("1 0:0:1_0", "the value is not a number, got '0:0:1_0'"),
            ("1 0:0:nano", "the value is not a number, got '0:0:nano'"),
            ("1 0:0:é", "the value is not a number, got '0:0:é'"),
            ("1 0:1.5:1", "the feature is not an integer.*, got '0:1.5:1'"),
            ("1 0:99999999999999999999:1", "the feature is not an integer"),
            ("1 0:999999999:1", "feature 999999999 is beyond .* pass n_features"),
            ("1 99999999:0:1", "field 99999999 is beyond .* pass n_fields"),
            ("\x0b", "the label is not a number"),
            ("1 0:0:1\x0c", "the value is not a number"),
            ("1e400x 0:0", "the label is not a number"),
            ("1e-40 0:0", "expected field:feature:value"),
            ("1 1:0:1", "feature 0 is in field 1 here, but was.* 0.*, got '1:0:1'"),
        ],
    )
    def test_errors_name_line_and_token(self, line, message):
        good = "1 0:0:1 1:1:0.5\n\n"
        for before in (1, 200, 20_000):
            number = 2 * before + 1
            with pytest.raises(ValueError, match=f"^Line {number}: .*{message}"):
                load(good * before + line + "\n" + good)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_features": 2}, "Line 2: feature 2 does not fit n_features=2"),
            ({"n_fields": 1}, "Line 2: field 1 does not fit n_fields=1"),
            ({"zero_based": False}, "Line 1: field 0 .*zero_based=False"),
            ({"n_features": 0}, "n_features must be in"),
            ({"n_fields": 2**31}, "n_fields must be in"),
            ({"handle_unknown": "drop"}, "handle_unknown must be"),
            ({"handle_unknown": "ignore"}, "needs n_features or n_fields"),
        ],
    )
    def test_limits(self, options, message):
        with pytest.raises(ValueError, match=message):
            load("1 0:0:1\n1 1:2:1\n", **options)

    def test_unknown_features_and_fields_are_left_out(self):
        text = "1 0:0:1 1:2:3\n0 3:9:1\n1e-40 2:1:7 0:999999999999:1 0:0:5\n"
        X, y, fields = load(text, n_features=2, handle_unknown="ignore")
        assert X.toarray().tolist() == [[1, 0], [0, 0], [5, 7]]
        assert y.tolist() == [1, 0, 1e-40]
        assert fields.tolist() == [0, 2]
        X, _, _ = load(text, n_features=9, n_fields=2, handle_unknown="ignore")
        assert X.shape == (3, 9)
        assert X[:, [0, 1, 2]].toarray().tolist() == [[1, 0, 3], [0, 0, 0], [5, 0, 0]]

    def test_errors_beside_unknown_features(self):
        """The line of an error is right after entries have been left out."""
        with pytest.raises(ValueError, match="Line 2: feature 1 is in field 5 here"):
            load(
                "1 0:9:1 0:1:1\n1 0:9:1 0:9:2 5:1:1\n",
                n_features=2,
                handle_unknown="ignore",
            )
        with pytest.raises(ValueError, match=r"Line 1: feature 0 .*zero_based"):
            load("1 1:0:1\n", n_features=2, handle_unknown="ignore", zero_based=False)

    def test_both_claims_on_one_line(self):
        with pytest.raises(ValueError, match="Line 1: feature 4 is in field 2 here"):
            load("1 3:4:1 2:4:1\n1 3:4:1\n")

    @pytest.mark.parametrize("text", ["", "\n \n"])
    def test_empty(self, text):
        with pytest.raises(ValueError, match="no line"):
            load(text)

    def test_text_mode(self):
        with pytest.raises(ValueError, match="binary mode"):
            load_libffm(io.StringIO("1 0:0:1\n"))


NUMBER = re.compile(
    r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|[-+]?(nan|inf|infinity)",
    re.ASCII | re.IGNORECASE,
)


def reference(text):
    """Parse lines one by one; None where the text is malformed."""
    rows, claimed = [], {}
    for line in re.split(r"\n", text):
        label, *triples = re.split(r"[ \t\r]+", line.strip(" \t\r"))
        if not label and not triples:
            continue
        if not NUMBER.fullmatch(label):
            return None
        row = {}
        for triple in triples:
            parts = triple.split(":")
            if len(parts) != 3 or not NUMBER.fullmatch(parts[2]):
                return None
            if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts[:2]):
                return None
            field, feature = map(int, parts[:2])
            if field >= 10**6 or feature >= 10**8:
                return None
            if claimed.setdefault(feature, field) != field:
                return None
            row[feature] = row.get(feature, 0.0) + float(parts[2])
        rows.append((float(label), row))
    return (rows, claimed) if rows else None


class TestMalformed:
    @settings(max_examples=300, deadline=None)
    @given(
        st.one_of(
            st.text("01:. \n-e", max_size=60),
            st.text(st.characters(codec="utf-8"), max_size=40),
            st.lists(
                st.sampled_from(
                    [
                        *[
                            "1",
                            "0",
                            " ",
                            " 0:0:1",
                            " 1:2:0.5",
                            "\n",
                            ":",
                            "nan",
                            "1e-3",
                        ],
                        *[" 2:2:1", "-", ".", " 0:1:1e5", "\t", "\r\n", "x", "+3"],
                    ]
                ),
                max_size=25,
            ).map("".join),
        )
    )
    def test_error_or_what_a_reader_of_lines_reads(self, text):
        expected = reference(text)
        if expected is None:
            with pytest.raises(ValueError, match=r"^Line [0-9]+: .*got|no line"):
                load(text)
            return
        rows, claimed = expected
        X, y, fields = load(text)
        assert_array_equal(y, [label for label, _ in rows])
        dense = np.zeros(X.shape)
        for i, (_, row) in enumerate(rows):
            for feature, value in row.items():
                dense[i, feature] = value
        assert_array_equal(X.toarray(), dense)
        assert {j: fields[j] for j in claimed} == claimed

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_one_damaged_byte(self, data):
        """A damaged line is named, or the text is still in the format."""
        good = "1 0:0:1 1:11:0.25\n0 0:1:1 1:12:-3\n1 0:2:1 1:13:1e-3\n"
        at = data.draw(st.integers(0, len(good) - 2))
        byte = data.draw(st.sampled_from("xX:-_.\x00#,;é "))
        assume(good[at] != "\n")
        text = good[:at] + byte + good[at + 1 :]
        line = good[:at].count("\n") + 1
        if reference(text) is None:
            with pytest.raises(ValueError, match=f"^Line {line}: "):
                load(text)
        else:
            assert load(text)[0].shape[0] == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [([0], "1 elements, but X has 2"), ([0, -1], "negative"), ([0.5, 1.0], "integers")],
)
def test_dump_refuses_wrong_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        dump_libffm(sp.csr_matrix([[1.0, 2.0]]), [1], io.BytesIO(), fields=fields)

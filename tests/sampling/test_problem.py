"""Priors whose scales depend on the number of entries in a row."""

import numpy as np
import pytest

from skfm.sampling.problem import Prior


@pytest.mark.parametrize("entries", [2, 7.5, 24])
@pytest.mark.parametrize("k", [1, 16])
def test_the_variance_of_a_score_is_that_of_any_other_shape(k, entries):
    *factors, weight = Prior().scales(k, entries)
    pairs = entries * (entries - 1) / 2
    assert entries * weight**2 == pytest.approx(0.9**2)
    assert pairs * np.sum(np.power(factors, 4)) == pytest.approx(0.49**4)


def test_few_pairs_of_wide_rows_act():
    ends = Prior().scales(4, 24), Prior(wide=96).scales(4, 96)
    np.testing.assert_allclose(Prior().scales(4, 96)[:-1], ends[1][:-1] / 4)
    assert Prior().scales(4, 96)[-1] == pytest.approx(ends[0][-1] / 2)

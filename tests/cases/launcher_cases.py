"""Task of the workers of launchers, which import this file."""

from pathlib import Path

import collective_script

import skfm


def train(given):
    """Write the digest of a fit to a file of this worker."""
    with skfm.distributed.group(timeout=60):
        found = collective_script.fit_in_group(given["data"], given["checkpoint"])
        rank = skfm.distributed.rank()
    Path(given["results"], str(rank)).write_text(found)

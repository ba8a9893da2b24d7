#!/usr/bin/env bash
# Write .ci/constraints-hashed.txt: the pins of constraints.txt and of what builds the
# package, each with the hashes of all files that the package index has of it. Run it
# after a change of constraints.txt; it needs uv (pip install uv).
#
# torch is left out. Its CPU builds are on an index of their own, with other files than
# those of the package index, so that no list of hashes is right for both. The CI installs
# the pinned version from that index, over TLS and without a hash.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cat constraints.txt .ci/constraints-build.txt | grep -v '^torch==' | uv pip compile - --no-deps --generate-hashes \
    --universal --python-version 3.11.9 --no-annotate --no-header --quiet \
    --default-index https://pypi.org/simple --output-file .ci/constraints-hashed.txt

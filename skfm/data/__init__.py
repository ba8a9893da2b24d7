"""Rows of X as a network reads them: matrices, batches, their order, and devices."""

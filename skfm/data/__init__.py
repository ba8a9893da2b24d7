"""Rows of X on their way to a network: batches, order, devices."""

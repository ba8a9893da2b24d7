"""Data larger than memory: read in chunks, encoded into blocks on disk."""

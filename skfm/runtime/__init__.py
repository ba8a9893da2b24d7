"""The machine: threads, memory, compilation."""

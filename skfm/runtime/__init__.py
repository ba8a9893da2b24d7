"""Use of the machine: threads, memory and compilation."""

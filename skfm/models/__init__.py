"""Model architectures, each in a file of its own."""

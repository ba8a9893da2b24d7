"""Networks: a table of embeddings, layers, and the interaction of an architecture."""

"""Networks: the table, the layers, and the equations on top of them."""

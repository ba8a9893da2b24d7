"""Training by stochastic gradients: the loop, its steps, its records."""

"""The face of scikit-learn: parameters, checks, tasks, and fitted attributes."""

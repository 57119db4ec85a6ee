"""Training: one loop, many algorithms."""

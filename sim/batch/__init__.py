"""Batched simulation: one task, many environments, on CPU threads or on the GPU."""

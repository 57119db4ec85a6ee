"""The tolerant reading of instructions: what the grammar does not cover; begin with `read.py`."""

"""Warp kernels of our own: sensor columns that a first half-step must not clear."""
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false, reportIndexIssue=false
# ruff: noqa: ANN201 (a kernel returns nothing, and Warp forbids saying so)

from __future__ import annotations

import warp as wp


@wp.kernel(enable_backward=False)
def copy_columns(columns: wp.array[int], source: wp.array2d[float], target: wp.array2d[float]):
    """Copy some columns of every row; launch over (rows, columns)."""
    row, k = wp.tid()
    target[row, columns[k]] = source[row, columns[k]]


@wp.kernel(enable_backward=False)
def clear_columns(columns: wp.array[int], target: wp.array2d[float]):
    """Set some columns of every row to zero; launch over (rows, columns)."""
    row, k = wp.tid()
    target[row, columns[k]] = 0.0

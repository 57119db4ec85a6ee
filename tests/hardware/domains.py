"""ROS domains for tests: processes that run at the same time get different ones."""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import tempfile
from functools import cache
from typing import Any

_FIRST, _SIZE, _BLOCKS = 20, 20, 9  # 20 to 199
_numbers = itertools.count()


@cache
def _block() -> tuple[int, Any] | None:
    """Take a block of domains for this process until it ends; None if all are taken."""
    for block in random.sample(range(_BLOCKS), _BLOCKS):
        path = os.path.join(tempfile.gettempdir(), f"habilis-{os.getuid()}-domains-{block}.lock")
        file = open(path, "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        return block, file
    return None


def free_domain() -> int:
    """Return a ROS domain that no other test uses now."""
    taken = _block()
    if taken is None:
        return _FIRST + random.randrange(_SIZE * _BLOCKS)
    return _FIRST + _SIZE * taken[0] + next(_numbers) % _SIZE

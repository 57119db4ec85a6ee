"""What keeps a Python process in time beside a robot."""

from __future__ import annotations

import gc


def settle() -> None:
    """Set aside what the start has made, so that a collection of garbage looks at what is new only.

    A full collection stops every thread, for up to 0.15 s once planner, drivers and libraries are loaded; a
    watchdog of 0.1 s takes that for silence of the robot. Call it when all is imported and built, before the
    robot is listened to.
    """
    gc.collect()
    gc.freeze()

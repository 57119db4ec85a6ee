"""Definitions of messages as text, with their hashes, from the types of a ROS distribution."""

from __future__ import annotations

from functools import cache
from typing import Any


class Definitions:
    """Message definitions of a distribution.

    Args:
        distro: `humble`, `jazzy`, `kilted` or `lyrical`.
    """

    def __init__(self, distro: str) -> None:
        """See the class."""
        from hardware.dds.types import types_of

        self.distro = distro
        self.types = types_of(distro)  # type: ignore[arg-type]

    def of(self, type_name: str) -> tuple[str, str]:
        """Return the text of a definition with all that it needs, and its hash (`RIHS01_...`).

        Raises:
            ValueError: No such type.
        """
        self.types.fields(type_name)  # says which types are near
        text, _ = self.types.store.generate_msgdef(type_name, ros_version=2)
        return text, self.types.type_hash(type_name)

    def decode(self, type_name: str, data: bytes) -> Any:
        """Return the message of some CDR."""
        return _codec(self.distro, type_name).decode(data)

    def encode(self, type_name: str, message: Any) -> bytearray:
        """Return the CDR of a message."""
        return _codec(self.distro, type_name).encode(message)


@cache
def _codec(distro: str, type_name: str) -> Any:
    from hardware.dds.codec import Codec
    from hardware.dds.types import types_of

    return Codec(types_of(distro), type_name)  # type: ignore[arg-type]

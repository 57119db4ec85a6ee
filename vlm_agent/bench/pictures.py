"""Pictures of rows: read once they are needed, hashed as they lie on the disk."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Picture = Path | bytes


class MissingPicture(ValueError):
    """A picture of a row is not there, or can't be read; one line."""


def encoded(picture: Picture) -> bytes:
    """Return the bytes of a picture's file.

    Raises:
        MissingPicture: It is not there.
    """
    if isinstance(picture, bytes):
        return picture
    try:
        return picture.read_bytes()
    except OSError as error:
        raise MissingPicture(
            f"picture {picture} can't be read ({error.strerror}); put it there, or choose another data="
        ) from error


def sha256_of(picture: Picture) -> str:
    """Return the hash of a picture's file."""
    return hashlib.sha256(encoded(picture)).hexdigest()


def rgb_of(picture: Picture) -> NDArray[np.uint8]:
    """Return the pixels, shape (H, W, 3).

    Raises:
        MissingPicture: It is not there, or no picture.
    """
    return np.asarray(_opened(picture).convert("RGB"), np.uint8)


def mask_of(picture: Picture) -> NDArray[np.uint8]:
    """Return a mask's grey values, shape (H, W).

    Raises:
        MissingPicture: It is not there, or no picture.
    """
    return _mask(picture if isinstance(picture, bytes) else Path(picture))


@lru_cache(maxsize=64)
def _mask(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(_opened(picture).convert("L"), np.uint8)


def _opened(picture: Picture):  # noqa: ANN202  (PIL is imported lazily)
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(encoded(picture)))
        image.load()
        return image
    except (UnidentifiedImageError, OSError) as error:
        name = "a picture of a row" if isinstance(picture, bytes) else f"picture {picture}"
        raise MissingPicture(f"{name} can't be decoded (cut off?); get it again") from error

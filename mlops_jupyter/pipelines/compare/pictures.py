"""Equality of pictures by their pixels."""

from __future__ import annotations

import io


def same_picture(a: bytes, b: bytes) -> str | None:
    """What differs between two pictures: their pixels where Pillow can decode them, else bytes."""
    if a == b:
        return None
    try:
        from PIL import Image, ImageChops, UnidentifiedImageError
    except ImportError:
        return differing_bytes(a, b)
    try:
        left, right = (Image.open(io.BytesIO(data)).convert("RGBA") for data in (a, b))
    except (UnidentifiedImageError, OSError, ValueError):
        return differing_bytes(a, b)
    if left.size != right.size:
        return "{}x{} != {}x{} pixels".format(*left.size, *right.size)
    bands = ImageChops.difference(left, right).split()
    worst = bands[0]
    for band in bands[1:]:
        worst = ImageChops.lighter(worst, band)
    differing = left.width * left.height - worst.histogram()[0]
    if not differing:
        return None
    return f"{differing} of {left.width * left.height} pixels differ"


def differing_bytes(a: bytes, b: bytes) -> str:
    """Where two contents begin to differ."""
    at = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    at = min(len(a), len(b)) if at is None else at
    sizes = f" ({len(a)} != {len(b)} bytes)" if len(a) != len(b) else ""
    return f"the bytes differ from {at} on{sizes}"

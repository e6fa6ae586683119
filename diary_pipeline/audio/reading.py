"""Reading a few bytes at a place of an open file; a file that ends there raises struct.error, as short unpacks do."""

import os
import struct
from typing import BinaryIO


def read_at(file: BinaryIO, offset: int, count: int, *, exact: bool = True) -> bytes:
    """Return `count` bytes from `offset`, or as many as there are when `exact` is off."""
    file.seek(offset)
    data = file.read(count)
    if exact and len(data) < count:
        raise struct.error("the file ends inside its header")
    return data


def size_of(file: BinaryIO) -> int:
    """Return the size of the open file in bytes."""
    return file.seek(0, os.SEEK_END)

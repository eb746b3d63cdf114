"""Text files as they are or compressed: .xz and .gz by their suffix."""

import gzip
import io
import lzma
from pathlib import Path


def open_text(file: Path) -> io.TextIOBase:
    """The file as UTF-8 text for csv.reader; OSError, and later EOFError where it is cut off."""
    if file.suffix == ".xz":
        return lzma.open(file, "rt", encoding="utf-8-sig", newline="")
    if file.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(file), encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")

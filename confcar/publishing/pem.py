"""Checks PEM: at least one block, each with matching boundaries around Base64; other text may stand between them."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence

from confcar.publishing.located import FormatError

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ._#/-]*)-----")
_HEADER = re.compile(rb"[A-Za-z-]+:.*")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def check_pem(content: bytes) -> None:
    """Accept a file of PEM blocks.

    Raises:
        FormatError: Names the line at fault, or the BEGIN of the block that is.
    """
    lines = [line.rstrip() for line in content.split(b"\n")]
    blocks = 0
    for begin, end in _find_blocks(lines):
        _check_body(lines, begin, end)
        blocks += 1
    if not blocks:
        raise FormatError(1, 1, "there is no -----BEGIN ...----- block")


def _find_blocks(lines: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the line indexes of each block's boundaries."""
    label, begin = b"", 0
    for number, line in enumerate(lines):
        if not line.startswith(b"-----"):
            continue
        found = _BOUNDARY.fullmatch(line)
        if not found:
            raise FormatError(number + 1, 1, "a malformed -----BEGIN/END ...----- line")
        if found.group(1) == b"BEGIN":
            if label:
                raise FormatError(number + 1, 1, f"a block begins within the block of line {begin + 1}")
            label, begin = found.group(2), number
        elif found.group(2) != label:
            raise FormatError(
                number + 1, 1, f"END does not match BEGIN on line {begin + 1}" if label else "END without BEGIN"
            )
        else:
            yield begin, number
            label = b""
    if label:
        raise FormatError(begin + 1, 1, "the block does not end")


def _check_body(lines: Sequence[bytes], begin: int, end: int) -> None:
    first = begin + 1
    if first < end and _HEADER.fullmatch(lines[first]):
        # Headers of an encrypted key, up to an empty line.
        while first < end and lines[first]:
            first += 1
    for number in range(first, end):
        if not _BASE64_LINE.fullmatch(lines[number]):
            raise FormatError(number + 1, 1, "the block is not Base64")
    try:
        decoded = binascii.a2b_base64(b"".join(lines[first:end]), strict_mode=True)
    except binascii.Error:
        # Its padding is wrong, or characters are missing: only the whole tells.
        raise FormatError(first + 1, 1, "the block is not Base64") from None
    if not decoded:
        raise FormatError(begin + 1, 1, "the block is empty")

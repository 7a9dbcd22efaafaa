"""A folder as a source: one file is one key, a folder or a document is a mapping.

Looks up by path, so that a document that does not parse, or a name that stands for two things, fails only those who
read it. What starts with a dot can be read by its name and is not listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from confcar.errors import SourceDataError
from confcar.watchers.disk import Entry, Pass
from confcar.watchers.documents import SUFFIXES, document_suffix
from confcar.watchers.nodes import Leaf, Node, find

# A folder of so many files was named by mistake (`/`, a home).
_MAX_FILES = 100_000
# Stands at the root of every ext4 volume, and only root may enter it.
_UNLISTED = "lost+found"


class Folder:
    """A folder during one pass over the disk.

    Raises, from all its methods:
        SourceDataError: A document does not parse, or two things claim one name.
        SourceDeniedError: A file or folder that is asked for may not be read.
        SourceUnavailableError: The disk failed; worth a retry.
    """

    def __init__(self, disk: Pass, root: Entry) -> None:
        self._disk = disk
        self._root = root
        self._files = 0

    def find(self, segments: tuple[str, ...], *, depth: int) -> Node | None:
        """Return what lies at a path, or None.

        Args:
            segments: The path; empty for the whole folder.
            depth: How many levels of folders to read below it: 0 gives an empty mapping for a folder, 1 its own files
                and documents.
        """
        folder = self._root
        for index, name in enumerate(segments):
            entries = self._disk.entries(folder)
            rest = segments[index + 1 :]
            document = _sole_document(name, entries)
            if document is not None:
                return find(self._document(document, name), rest)
            entry = entries.get(name)
            if entry is None or (entry.kind == "file" and rest):
                return None
            if entry.kind == "file":
                return self._file(entry)
            folder = entry
        return self._mapping(folder, depth=depth, above=())

    def _mapping(self, folder: Entry, *, depth: int, above: tuple[str, ...]) -> dict[str, Node]:
        if depth == 0:
            return {}
        above = (*above, folder.path)
        entries = self._disk.entries(folder)
        mapping: dict[str, Node] = {}
        for name, entry in _listed(entries):
            if entry.path in above:
                continue  # a link to a folder that it lies in
            suffix = document_suffix(name) if entry.kind == "file" else None
            key = name.removesuffix(suffix) if suffix else name
            node: Node | None
            if suffix is not None:
                _sole_document(key, entries)
                node = self._document(entry, key)
            elif entry.kind == "file":
                node = self._file(entry)
            else:
                node = self._mapping(entry, depth=depth - 1, above=above)
            if node is not None:
                mapping[key] = node
        return mapping

    def _file(self, entry: Entry) -> Leaf | None:
        self._files += 1
        if self._files > _MAX_FILES:
            raise SourceDataError(f"{self._root.shown} holds more than {_MAX_FILES} files; name a folder below it")
        file = self._disk.read(entry)
        return None if file is None else Leaf(file.content, file=entry.shown)

    def _document(self, entry: Entry, stem: str) -> Node:
        file = self._disk.read(entry)
        # The file's own name may be a link's target; how it is read follows from the name that it has here.
        suffix = entry.shown[entry.shown.rindex("/") + 1 + len(stem) :]
        return {} if file is None else file.document(suffix=suffix, shown=entry.shown)


def _listed(entries: dict[str, Entry]) -> Iterator[tuple[str, Entry]]:
    return ((name, entry) for name, entry in entries.items() if not name.startswith(".") and name != _UNLISTED)


def _sole_document(name: str, entries: dict[str, Entry]) -> Entry | None:
    """Return the document that stands for a name, or None.

    Raises:
        SourceDataError: Two documents, or a document and a file or folder, claim the name.
    """
    claims = [
        entry for suffix in SUFFIXES if (entry := entries.get(name + suffix)) is not None and entry.kind == "file"
    ]
    if not claims:
        return None
    if (bare := entries.get(name)) is not None:
        claims.append(bare)
    if len(claims) > 1:
        first, second = (claim.shown + ("/" if claim.kind == "folder" else "") for claim in claims[:2])
        raise SourceDataError(f"{first} and {second} both stand for the same name; rename one of them")
    return claims[0]

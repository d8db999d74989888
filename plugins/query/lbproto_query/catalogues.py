"""Where the tables of applications are: a directory each."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from lbproto import NotFound

__all__ = ["Catalogue", "Catalogues"]

_FILE = re.compile(r"[A-Za-z0-9_][\w -]*\.(parquet|duckdb|csv|csv\.gz|tsv|tsv\.gz)", re.ASCII)


class Catalogue(NamedTuple):
    """An application's files as they were found; another `version` where any of them differs."""

    application_id: str
    version: str
    files: tuple[Path, ...]


class Catalogues:
    """A directory with one directory, or link to one, per application, called as its id.

    In each, every Parquet, CSV (plain or gzipped) or DuckDB file is a table, or several; whatever
    else there is is left out. To give an application other data, make a directory elsewhere and
    rename a link to it over the old one: queries that run go on with the files that they have open,
    new ones see the new files. A file that is written to in place may be seen half-written.
    """

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root)

    def find(self, application_id: str) -> Catalogue:
        """The files of an application; blocks.

        Raises:
            NotFound: there is no such directory, or none of that name exactly.
        """
        # No path is ever made of an id: it is compared with the names that there are.
        try:
            found = [each for each in self._root.iterdir() if each.name == application_id]
        except OSError:
            found = []
        if not found or application_id.startswith("."):
            raise NotFound("There is no catalogue for this application")
        digest = sha256()
        files = []
        try:
            folder = found[0].resolve(strict=True)
            for path in sorted(folder.iterdir()):
                if _FILE.fullmatch(path.name) and path.is_file():
                    status = path.stat()
                    key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
                    digest.update(repr(key).encode())
                    files.append(path)
        except OSError as error:
            raise NotFound("There is no catalogue for this application") from error
        return Catalogue(application_id, digest.hexdigest(), tuple(files))

"""A file at a URL, kept in raw storage version by version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import SourceError
from core.storage.storage import Storage
from etl.downloads.client import Client
from etl.downloads.facts import Facts
from etl.downloads.fetch import Patience, fetch
from etl.downloads.partial import Partial
from etl.downloads.urls import Target
from etl.downloads.versions import Version, Versions, digest


@dataclass(frozen=True, slots=True)
class Download:
    """The file at ``target``, which ``refresh`` brings into the storage that ``open_files`` opens.

    ``spool`` is a folder of this machine for what has come of a download that broke off. With ``sha256`` nothing but that file is
    taken, and once it is there the server is not asked again.
    """

    target: Target
    client: Client
    open_files: Callable[[], Storage]
    suffix: str
    spool: Path
    sha256: str | None = None
    patience: Patience = field(default_factory=Patience)

    def refresh(self) -> Version:
        """The newest version, fetched when it is not there yet.

        May be killed anywhere and called again. Raises SourceError or SourceDown (see ``fetch``), and StorageError; then no
        version was added.
        """
        versions = Versions(self.open_files(), self.suffix)
        newest = versions.newest()
        if newest is not None and newest.sha256 == self.sha256:
            return newest
        with Partial.open(self.spool, str(self.target)) as partial:
            known = newest.facts if newest is not None else None
            if known is not None and known.url != self.target.identity:
                known = None  # another server's validators mean nothing here
            told = self.sha256 is not None
            new = fetch(self.client, self.target, partial, known, patience=self.patience, cut_is_told=told)
            kept = newest if newest is not None and not new else self._keep(versions, newest, partial)
            partial.clear()
            return kept

    def _keep(self, versions: Versions, newest: Version | None, partial: Partial) -> Version:
        most = self.client.limits.body_bytes
        found = digest(partial.content(most))
        if self.sha256 not in {None, found}:
            partial.clear()
            raise SourceError(
                f"{self.target}: its SHA-256 is {found}, not {self.sha256}: see the source's key 'sha256', ask the file's owner"
            )
        facts = partial.facts or Facts(self.target.identity)
        if newest is not None and newest.sha256 == found:
            return versions.note(replace(newest, facts=facts))
        return versions.add(lambda: partial.content(most), found, facts)

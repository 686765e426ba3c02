"""A mutation: one change of one record, as its user made it.

It keeps what its user wrote and the base on which it was written. What goes over the wire follows from that, so that a
mutation that was sent once is the same whenever it goes again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .merge import least_patch
from .records import encode, same_content

NEW = "new"          # never sent, or known not to be taken: an edit goes into it
DEFERRED = "deferred"  # the server did not take it yet: it goes again as it is, or an edit takes its place
BATCH = "batch"      # in the batch on its way
SENT = "sent"        # sent without an outcome: it goes again as it is
EXPIRED = "expired"  # the server forgot its outcome: what is pulled will tell
REFUSED = "refused"  # in the quarantine

GONE = "gone"
CONFLICT = "conflict"
FIELD_MERGE = "field-merge"

@dataclass(slots=True)
class Mutation:
    """One mutation. `data` is None in a delete; `saves` counts what the user saved since the base."""

    n: int | None
    mutation_id: str
    type: str
    id: str
    data: str | None
    modified_at: str
    saves: int = 1
    base: str | None = None
    base_version: int = 0
    base_live: bool = False
    snapshot: str | None = None  # of a type that is merged: the live state on which the change was made
    files: str | None = None     # all files of the record, in their order
    snapshot_files: str | None = None
    replaces: str | None = None
    grp: str | None = None     # with whom it is taken, or not at all
    state: str = NEW
    discarded: bool = False
    cause: str | None = None
    code: str | None = None

    @property
    def deletes(self) -> bool:
        """Whether it deletes the record."""
        return self.data is None

    @property
    def version(self) -> int:
        """One more than the base's for each modification (`records.version.counted-up`)."""
        return self.base_version + self.saves

    @property
    def waits(self) -> bool:
        """Whether the server is known to have kept nothing of it."""
        return self.state in (NEW, DEFERRED)

    @property
    def changes_nothing(self) -> bool:
        """Whether there is nothing in it to push: it deletes what is not there, or says what is there already."""
        if self.data is None:
            return not self.base_live
        return self.snapshot is not None and ids_of(self.files) == ids_of(self.snapshot_files) \
            and same_content(json.loads(self.snapshot), json.loads(self.data))

    @property
    def shown(self) -> bool:
        """Whether its user sees it: not what was discarded, nor a refused change of what the server has."""
        if self.state == REFUSED:
            return self.code == GONE or not (self.deletes or self.base_live)
        return not self.discarded

    def wire(self, groups: bool = True) -> str:
        """The mutation as a push carries it; its group only where the server knows of such."""
        operation = "delete" if self.deletes else "update" if self.base_live else "create"
        head: dict[str, Any] = {"mutation_id": self.mutation_id, "op": operation, "type": self.type, "id": self.id,
                                "base": self.base, "version": self.version, "modified_at": self.modified_at}
        if self.replaces:
            head["replaces"] = self.replaces
        if self.grp and groups:
            head["group"] = self.grp
        if self.files:
            head["attachments"] = json.loads(self.files)
        if self.data is not None and self.snapshot is not None:
            return encode({**head, "patch": least_patch(json.loads(self.snapshot), json.loads(self.data))})
        text = encode(head)
        return text if self.deletes else f'{text[:-1]},"data":{self.data}}}'


def files_of(text: str | None) -> list[dict[str, Any]]:
    """The files of a record, as a mutation keeps them."""
    return json.loads(text) if text else []


def ids_of(text: str | None) -> list[str]:
    """Their ids."""
    return [file["id"] for file in files_of(text)]


def snapshot_of(mutation: Mutation) -> dict[str, Any] | None:
    """The state on which a change of a type that is merged was made."""
    return None if mutation.snapshot is None else json.loads(mutation.snapshot)


def data_of(mutation: Mutation) -> dict[str, Any] | None:
    """What the user wrote."""
    return None if mutation.data is None else json.loads(mutation.data)

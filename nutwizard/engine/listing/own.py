"""Where nutwizard keeps what is its own: answers, passwords, transactions."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.errors import WizardError
from nutwizard.engine.boot import FILE as RECOVER_UNIT
from nutwizard.engine.host import Host
from nutwizard.engine.listing.rows import MOST_OTHERS, Group, Look, Need, PathKind
from nutwizard.engine.store import Store


def own_rows(look: Look, remarks: list[str]) -> tuple[int, int] | None:
    """The rows. Returns how many transactions there are and their bytes."""
    group, saved = Group.OWN, "only once the guided run has saved its answers"
    look.add(group, PathKind.FOLDER, paths.OWN, "saved answers and passwords", Need.PRIVATE, absent=saved)
    for path, purpose in (
        (paths.SAVED_ANSWERS, "the answers of the guided run: replay them with nutwizard apply"),
        (paths.CLIENT_PASSWORD, "the password of the VMs' user"),
        (paths.MONITOR_PASSWORD, "the password of the host's own upsmon"),
    ):
        if path != paths.MONITOR_PASSWORD or look.exists(path):
            look.add(group, PathKind.FILE, path, purpose, Need.PRIVATE, absent=saved)
    if look.exists(paths.OUTSIDE):
        look.add(group, PathKind.FILE, paths.OUTSIDE, "what no program can see, as it was answered")
    _clients(look, f"{paths.OWN}/clients")
    look.others(group, paths.OWN, "beside nutwizard's own files")
    kept, note = _transactions(look.host, remarks)
    look.add(
        group, PathKind.FOLDER, paths.STATE, "files as they were before each change, for undo", Need.PRIVATE,
        absent="only once nutwizard has changed something", note=note,
    )  # fmt: skip
    look.add(
        group, PathKind.LOCK, f"{paths.STATE}/lock", "one run at a time",
        absent="only once nutwizard has changed something",
    )  # fmt: skip
    _not_written(look)
    look.add(
        group, PathKind.FILE, paths.NEXT, "what comes next, as the last run said", Need.PRIVATE,
        absent="only once a run has written it down",
    )  # fmt: skip
    _seen(look)
    look.add(
        group, PathKind.UNIT, RECOVER_UNIT, "puts files back after a power cut", absent="only during a change"
    )
    return kept


def _seen(look: Look) -> None:
    """What plays, tests and real shutdowns have shown."""
    if look.exists(paths.REHEARSED):
        look.add(Group.OWN, PathKind.FILE, paths.REHEARSED, "what the last rehearsals showed", Need.PRIVATE)
    if look.exists(paths.FSD):
        look.add(Group.OWN, PathKind.FOLDER, paths.FSD, "tests of a forced shutdown", Need.PRIVATE)
    look.add(
        Group.OWN, PathKind.FILE, paths.MEASURED, "how long shutdowns took, for nutwizard budget",
        Need.PRIVATE, absent="only once something was measured",
    )  # fmt: skip


def _not_written(look: Look) -> None:
    """What was typed and waits for being written."""
    look.add(
        Group.OWN, PathKind.FOLDER, paths.RESUME, "what was typed and is not written yet", Need.PRIVATE,
        absent="only while there is something",
    )  # fmt: skip
    purposes = {paths.RESUMED_ANSWERS: "the typed answers", paths.RESUMED_PLACE: "where the person was"}
    for name in look.names(paths.RESUME)[:MOST_OTHERS]:
        path = f"{paths.RESUME}/{name}"
        look.add(Group.OWN, look.kind(path), path, purposes.get(path, "a typed password"), Need.PRIVATE)


def _clients(look: Look, folder: str) -> None:
    """A folder for each client, with what it needs."""
    if not look.exists(folder):
        return
    look.add(Group.OWN, PathKind.FOLDER, folder, "a folder for each VM: copy it there", Need.PRIVATE)
    for name in look.names(folder)[:MOST_OTHERS]:
        inner = f"{folder}/{name}"
        look.add(Group.OWN, look.kind(inner), inner, f"what {name} needs", Need.PRIVATE)
        for file in look.names(inner)[:MOST_OTHERS]:
            look.add(Group.OWN, look.kind(f"{inner}/{file}"), f"{inner}/{file}", f"for {name}", Need.PRIVATE)


def _transactions(host: Host, remarks: list[str]) -> tuple[tuple[int, int] | None, str]:
    try:
        records = Store(host).records()
    except (WizardError, OSError) as error:
        text = error.text if isinstance(error, WizardError) else error.strerror
        remarks.append(f"the kept transactions: {text}")
        return None, ""
    size = sum(record.size for record in records)
    if not records:
        return (0, 0), ""
    many = f"{len(records)} transaction{'s' * (len(records) != 1)}"
    return (len(records), size), f"{many}, {-(-size // 1024)} KiB; old passwords are in them"

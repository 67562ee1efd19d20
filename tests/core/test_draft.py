"""The draft: what changes, in which order, with which copies, by whose hand and why."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.draft import NUT_OWNER, Draft
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Owner, Role
from nutwizard.core.plan import ActKind
from nutwizard.core.shown import diff_of
from nutwizard.core.text import FileText

ROOT = Owner("root", "root", 0o644)
SAVED = paths.SAVED_ANSWERS
PATHS = (
    paths.NUT_CONF, paths.UPS_CONF, paths.UPSD_CONF, paths.UPSD_USERS, paths.UPSMON_CONF, paths.UPSSCHED_CONF,
    paths.UPSSCHED_CMD, SAVED,
)  # fmt: skip


def draft(files: dict[str, bytes], owner: Owner = NUT_OWNER, touched: frozenset[str] = frozenset()) -> Draft:
    names = [*PATHS, *(path + ending for path in PATHS for ending in paths.COPIES)]
    facts = {
        path: FileFact(path, "file", path, FileText(path, files[path]), owner)
        if path in files
        else FileFact(path)
        for path in names
    }
    return Draft(Facts(Door.OFFLINE, Kind.PLAIN, files=facts, touched=touched), Role.HOST)


def test_reading_changes_nothing() -> None:
    drawn = draft({paths.UPSD_CONF: b"LISTEN 127.0.0.1", paths.UPSD_USERS: b"[a]\r\n"})

    drawn.nut(paths.UPSD_CONF)
    drawn.sections(paths.UPSD_USERS, users=True)
    drawn.shell(paths.NUT_CONF)

    assert drawn.plan().empty
    assert drawn.bytes(paths.NUT_CONF) in (None, b"")


def test_files_are_written_in_order_copies_first_and_the_ups_last() -> None:
    drawn = draft(dict.fromkeys(PATHS, b"x\n"))
    for path in PATHS:
        drawn.replace(path, b"new\n")

    order = [change.path for change in drawn.plan().files]

    assert order == [
        *sorted(f"{path}.orig" for path in PATHS if path.startswith("/etc/nut/")),
        paths.NUT_CONF, paths.UPSD_USERS, paths.UPSD_CONF, paths.UPSMON_CONF,
        paths.UPSSCHED_CMD, paths.UPSSCHED_CONF, SAVED, paths.UPS_CONF,
    ]  # fmt: skip


def test_a_copy_keeps_bytes_and_owner_of_the_state_before() -> None:
    drawn = draft({paths.NUT_CONF: b"MODE=none\n", f"{paths.NUT_CONF}.orig": b"older\n"}, ROOT)
    drawn.replace(paths.NUT_CONF, b"MODE=netserver\n")

    (copy, _) = drawn.plan().files

    assert (copy.path, copy.copy_of) == (f"{paths.NUT_CONF}.bkp", paths.NUT_CONF)
    assert (copy.before, copy.owner_before) == (None, None)
    assert (copy.after, copy.owner_after) == (FileText("", b"MODE=none\n"), ROOT)


def test_no_copy_of_what_we_changed_before_and_of_new_files() -> None:
    drawn = draft({paths.NUT_CONF: b"MODE=none\n"}, touched=frozenset({paths.NUT_CONF}))
    drawn.replace(paths.NUT_CONF, b"MODE=netserver\n")
    drawn.replace(paths.UPSSCHED_CONF, b"new\n")

    assert [change.copy_of for change in drawn.plan().files] == ["", ""]


def test_a_password_of_one_file_is_hidden_in_the_diff_of_another() -> None:
    users = b"[a]\npassword = old-word-1\nupsmon slave\n[b]\npassword = stays-2\n"
    script = b"#!/bin/sh\nupscmd -u a -p old-word-1 apc x\nupscmd -u b -p stays-2 apc x\n"
    drawn = draft({paths.UPSD_USERS: users, paths.UPSSCHED_CMD: script})
    drawn.sections(paths.UPSD_USERS, users=True).set("a", "password", "new-word-3")
    drawn.replace(paths.UPSSCHED_CMD, script.replace(b"old-word-1 apc x", b"new-word-3 apc y"))

    shown = {change.path: diff_of(change) for change in drawn.plan().files if not change.copy_of}

    script_lines = [line.text for line in shown[paths.UPSSCHED_CMD] if line.kind in "+-"]
    assert script_lines == ["upscmd -u a -p ******** apc x", "upscmd -u a -p ******** apc y"]
    text = "\n".join(line.text for lines in shown.values() for line in lines)
    assert not [word for word in ("old-word-1", "new-word-3", "stays-2") if word in text]


def test_the_way_back_is_no_change() -> None:
    drawn = draft({paths.NUT_CONF: b"MODE=none\n"})
    drawn.shell(paths.NUT_CONF).set("MODE", "netserver")
    assert drawn.changed(paths.NUT_CONF)
    drawn.shell(paths.NUT_CONF).set("MODE", "none")
    assert not drawn.changed(paths.NUT_CONF)
    assert drawn.plan().empty


def test_a_document_goes_on_where_another_kind_stopped() -> None:
    drawn = draft({})
    drawn.replace(paths.UPSD_CONF, b"MAXAGE 15\n")
    drawn.nut(paths.UPSD_CONF).set("LISTEN", "::1")
    assert drawn.bytes(paths.UPSD_CONF) == b"MAXAGE 15\nLISTEN ::1\n"


def test_steps_are_credited_with_what_they_changed() -> None:
    drawn = draft({paths.UPSD_USERS: b"[a]\n", paths.UPSD_CONF: b"x\n"}, ROOT)
    for step in ("one", "two", "three"):
        drawn.step = step
        drawn.nut(paths.UPSD_CONF)
        if step != "three":
            drawn.sections(paths.UPSD_USERS, users=True).set("a", "password", step)
        drawn.settle()
    drawn.readable_by_nut(paths.UPSD_CONF)

    changes = {change.path: change for change in drawn.plan().files if not change.copy_of}

    assert changes[paths.UPSD_USERS].steps == ("one", "two")
    assert changes[paths.UPSD_CONF].steps == ("three",)
    assert changes[paths.UPSD_CONF].why == ("root:root 0644 can be read by every user of this machine",)


def test_a_new_file_gets_nuts_owner_without_a_reason() -> None:
    drawn = draft({})
    drawn.replace(paths.UPSSCHED_CONF, b"x\n")
    drawn.readable_by_nut(paths.UPSSCHED_CONF)
    (change,) = drawn.plan().files
    assert (change.owner_before, change.owner_after, change.why) == (None, NUT_OWNER, ())


def test_acts_and_notes_are_planned_once() -> None:
    drawn = draft({})
    drawn.step = "services"
    for why in ("first", "second"):
        drawn.act(ActKind.RESTART, "a.service", why)
        drawn.note("n")
    drawn.act(ActKind.ENABLE, "a.service", "x")

    plan = drawn.plan()

    assert [(str(act), act.why, act.steps) for act in plan.acts] == [
        ("restart a.service", "first", ("services",)), ("enable a.service", "x", ("services",)),
    ]  # fmt: skip
    assert plan.notes == ("n",)
    assert not plan.empty

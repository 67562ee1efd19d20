"""Places that are full, read-only or locked: refused before the first write, with the reason, or put back."""

# ruff: noqa: B023 - functions made in a loop are called in the same round

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from nutwizard.core.errors import Exit
from tests.faults import gate
from tests.faults.places import Disk, command, mounted, private
from tests.faults.table import Table
from tests.faults.world import World, copy, do_apply, do_recover, each_file_is_whole, told
from tests.support.trees import BEFORE

pytestmark = pytest.mark.lab
FAILED, DONE, NOT_WHOLE = Exit.FAILED, Exit.DONE, Exit.NOT_WHOLE
CONF = "/etc/nut/ups.conf"  # the last that is written


@contextmanager
def small(world: World, size: int, inodes: int) -> Iterator[str]:
    """The machine on a file system of `size` bytes in memory."""
    options = f"size={size},nr_inodes={inodes}"
    with mounted(world.folder / "small", "-t", "tmpfs", "-o", options, "tmpfs") as where:
        yield copy(world.before, where / "machine")


def fill_bytes(where: Path) -> None:
    with open(where / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - the write that must fail is one of many


def fill_inodes(where: Path) -> None:
    (where / "filler").mkdir()
    for number in count():
        try:
            (where / "filler" / str(number)).touch()
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017
            return


def empty(where: Path) -> None:
    command("rm", "-rf", str(where / "filler"))


@pytest.mark.parametrize(
    ("fill", "stride", "fault"),
    [
        (fill_bytes, 1, "ENOSPC: the disk fills up at every call of apply"),
        (fill_inodes, 2, "ENOSPC: no inode is left at every 2nd call of apply"),
    ],
    ids=["bytes", "inodes"],
)
def test_the_disk_fills_up_meanwhile(
    world: World, table: Table, fill: Callable[[Path], None], stride: int, fault: str
) -> None:
    """Another program takes all the room before some call, and keeps it until this has ended."""

    def body(table: Table) -> None:
        codes = []
        for at in count(1, stride):
            with small(world, 1 << 20, 200) as root:
                where = Path(root).parent
                ended = gate.run(lambda: do_apply(root), root, partial(at_call, at, lambda: fill(where)))
                with table.point(fault) as point:
                    point.injected = at <= ended.calls
                    code, text = told(ended)
                    each_file_is_whole(root)
                    assert code == DONE or "No space left on device" in text
                    codes.append(code)
                    empty(where)
                    assert bool(do_recover(root)) == (code == NOT_WHOLE)
                    assert world.check(root) == ("after" if code == DONE else "before")
            if at > ended.calls:
                break
        assert {FAILED, DONE} <= set(codes)

    private(body, table)


def at_call(at: int, act: Callable[[], None], call: gate.Call) -> None:
    if call.number == at:
        act()


def test_a_disk_too_small(world: World, table: Table) -> None:
    """Refused before the first write, with the numbers, or large enough."""

    def body(table: Table) -> None:
        codes = []
        sizes = [(size << 10, 200) for size in range(64, 640, 16)] + [(1 << 20, n) for n in range(20, 90)]
        for size, inodes in sizes:
            with (
                small(world, size, inodes) as root,
                table.point("a disk too small, by bytes and by inodes") as point,
            ):
                ended = gate.run(lambda: do_apply(root), root)
                code, text = told(ended)
                codes.append(code)
                point.injected = code != DONE
                assert code == DONE or (ended.calls == 0 and "needed" in text)
                assert world.check(root) == ("after" if code == DONE else "before")
        assert set(codes) == {DONE, FAILED}

    private(body, table)


def test_read_only(world: World, table: Table) -> None:
    """NUT's folder or ours is mounted read-only: refused before the first write."""

    def body(table: Table) -> None:
        for folder in ("/etc/nut", "/etc", "/var/lib", "/"):
            with world.fresh(world.before) as root, table.point("EROFS: a read-only mount, from the start"):
                where = Path(root + folder.rstrip("/"))
                with mounted(where, "--bind", str(where)):
                    command("mount", "-o", "remount,ro,bind", str(where))
                    ended = gate.run(lambda: do_apply(root), root)
                    code, text = told(ended)
                    assert (code, ended.calls, "read-only" in text.lower()) == (FAILED, 0, True), text
                assert world.check(root) == "before"

    private(body, table)


def test_read_only_meanwhile(world: World, table: Table) -> None:
    """The kernel takes a file system away at a call, as ext4 does after an error; later it is there again."""

    def body(table: Table) -> None:
        refused = 0
        for at in count(1):
            with world.fresh(world.before) as root:
                where = Path(root, "etc")
                with mounted(where, "--bind", str(where)):
                    made: list[bool] = []
                    ended = gate.run(
                        lambda: do_apply(root),
                        root,
                        partial(at_call, at, lambda: made.append(remount(where, "ro"))),
                    )
                    code, text = told(ended)
                    command("mount", "-o", "remount,rw,bind", str(where))
                    if at > ended.calls:
                        break
                    if made != [True]:
                        continue  # a file was open for writing: the kernel refuses to remount
                    with table.point("EROFS: a mount turns read-only at every call of apply"):
                        each_file_is_whole(root)
                        assert code == DONE or "Read-only" in text
                        refused += code != DONE
                        do_recover(root)
                        assert world.check(root) == ("after" if code == DONE else "before")
        assert refused > 20

    private(body, table)


def remount(where: Path, how: str) -> bool:
    import subprocess

    try:
        command("mount", "-o", f"remount,{how},bind", str(where))
    except subprocess.CalledProcessError:
        return False
    return True


def test_immutable(world: World, table: Table) -> None:
    """Chattr +i on a file or a folder: refused by name before the first write; at a call: put back."""

    def body(table: Table) -> None:
        disk = Disk(world.folder)
        disk.make(world.before)
        for path in [*filter(BEFORE.get, BEFORE), "/etc/nut"]:
            disk.fresh()
            with disk.on(), table.point("chattr +i, from the start"):
                ended = with_immutable(disk, path, 1)
                code, text = told(ended)
                assert code == FAILED, text
                assert path in text
                assert "immutable" in text
                assert ended.calls == 0
                assert world.check(disk.root) == "before"
        for at in count(2, 3):
            disk.fresh()
            with disk.on(), table.point("chattr +i at every 3rd call of apply") as point:
                ended = with_immutable(disk, CONF, at)
                point.injected = at <= ended.calls
                code, text = told(ended)
                each_file_is_whole(disk.root)
                assert code == DONE or (CONF in text and "not permitted" in text) or "immutable" in text
                do_recover(disk.root)
                assert world.check(disk.root) == ("after" if code == DONE else "before")
            if at > ended.calls:
                break

    private(body, table)


def with_immutable(disk: Disk, path: str, at: int) -> gate.Ended:
    """An apply while `path` is immutable: from the start (1) or from call `at` on."""
    where = disk.root + path
    if at == 1:
        command("chattr", "+i", where)
    try:
        return gate.run(
            lambda: do_apply(disk.root),
            disk.root,
            partial(at_call, at, lambda: command("chattr", "+i", where)),
        )
    finally:
        command("chattr", "-i", where)


def test_a_file_that_is_a_mount(world: World, table: Table) -> None:
    """EBUSY: a file that is a mount of its own, as containers make them, cannot be replaced."""

    def body(table: Table) -> None:
        for path in filter(BEFORE.get, BEFORE):
            with world.fresh(world.before) as root, table.point("EBUSY: a file that is a mount"):
                command("mount", "--bind", root + path, root + path)
                try:
                    code, text = told(gate.run(lambda: do_apply(root), root))
                finally:
                    command("umount", root + path)
                assert (code, path in text) == (FAILED, True), text
                assert "busy" in text or "mount" in text
                assert do_recover(root) is None
                assert world.check(root) == "before"

    private(body, table)

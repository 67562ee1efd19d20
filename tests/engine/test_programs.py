"""Programs that NUT's files name, read from a folder: never an exception, whatever stands there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nutwizard.core.programs import UNKNOWN
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.programs import LARGEST_PROGRAM, program_fact

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def host(tmp_path: Path) -> OfflineHost:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nann:x:1000:\nstaff:x:50:\n")
    (tmp_path / "opt/own").mkdir(parents=True)
    for folder in ("", "etc", "opt", "opt/own"):
        (tmp_path / folder).chmod(0o755)
    return OfflineHost(str(tmp_path))


def put(host: OfflineHost, path: str, data: bytes = b"#!/bin/sh\npoweroff\n", mode: int = 0o755) -> Path:
    where = Path(host.root + path)
    where.write_bytes(data)
    where.chmod(mode)
    return where


@AS_ROOT
def test_a_script_with_its_text_and_owner(host: OfflineHost) -> None:
    put(host, "/opt/own/off")
    found = program_fact(host, "/opt/own/off")
    assert (found.kind, str(found.owner), found.runnable, found.exposed) == (
        "file",
        "root:root 0755",
        True,
        "",
    )
    assert found.content is not None
    assert found.content.data == b"#!/bin/sh\npoweroff\n"
    assert list(found.folders) == ["/opt/own", "/opt", "/"]


@AS_ROOT
@pytest.mark.parametrize(
    ("user", "group", "mode", "exposed"),
    [
        (0, 0, 0o755, False),
        (0, 0, 0o775, False),
        (0, 50, 0o775, False),
        (0, 1000, 0o755, False),
        (0, 1000, 0o775, True),
        (0, 0, 0o757, True),
        (1000, 0, 0o700, True),
    ],
)
def test_who_may_change_it(host: OfflineHost, user: int, group: int, mode: int, exposed: bool) -> None:
    script = put(host, "/opt/own/off")
    for path, shown in ((script, "/opt/own/off"), (script.parent, "/opt/own")):
        os.chown(path, user, group)
        path.chmod(mode)
        assert program_fact(host, "/opt/own/off").exposed == (shown if exposed else "")
        os.chown(path, 0, 0)
        path.chmod(0o755)


@AS_ROOT
def test_a_link_is_as_safe_as_both_ways(host: OfflineHost) -> None:
    put(host, "/opt/own/off")
    open_folder = Path(host.root) / "home"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    (open_folder / "off").symlink_to("/opt/own/off")
    found = program_fact(host, "/home/off")
    assert (found.kind, found.exposed) == ("file", "/home")
    open_folder.chmod(0o1777)
    assert program_fact(host, "/home/off").exposed == ""


@AS_ROOT
def test_a_link_never_leads_out_of_the_root(
    host: OfflineHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "off"
    outside.write_text("poweroff\n")
    (Path(host.root) / "opt/off").symlink_to(outside)
    assert program_fact(host, "/opt/off").kind == "missing"


@pytest.mark.parametrize("data", [b"\x7fELF\0\0", b"x" * (LARGEST_PROGRAM + 1)])
def test_what_is_no_text_has_none(host: OfflineHost, data: bytes) -> None:
    put(host, "/opt/own/off", data)
    found = program_fact(host, "/opt/own/off")
    assert (found.kind, found.content) == ("file", None)


def test_what_is_no_program(host: OfflineHost) -> None:
    os.mkfifo(f"{host.root}/opt/fifo")
    os.symlink("loop", f"{host.root}/opt/loop")
    kinds = {
        path: program_fact(host, path).kind for path in ("/opt/fifo", "/opt/own", "/opt/loop", "/opt/none")
    }
    assert kinds == {
        "/opt/fifo": "fifo",
        "/opt/own": "directory",
        "/opt/loop": UNKNOWN,
        "/opt/none": "missing",
    }
    for path in ("/opt/own/" + "x" * 5000, "/opt/\0", "/opt/own/none/off", "//", ""):
        assert program_fact(host, path).content is None

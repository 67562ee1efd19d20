"""Turns a process in fresh namespaces into a machine: root file system, /dev, /sys, files, host name.

Runs as PID 1 of the machine. The root is an overlay of the real `/` whose changes live in memory: it
may write anywhere, the computer that carries it stays as it is. Mounts below the real `/` are no part of an
overlay: what the tests need of them is bound in, read-only.
"""

from __future__ import annotations

import base64
import ctypes
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import TypedDict

MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
# Covered in this mount namespace only: no folder has to be made, none can be left behind.
STAGE = Path("/mnt")
ROOT = STAGE / "root"
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}

_libc = ctypes.CDLL(None, use_errno=True)


class FileSpec(TypedDict):
    """One file of the machine; `data` is base64, the owner and the group are names."""

    path: str
    data: str
    owner: str
    group: str
    mode: int


class Spec(TypedDict):
    """Everything that makes one machine differ from another."""

    hostname: str
    binds: list[str]
    tmpfs: list[str]
    hide: list[str]
    dmi: dict[str, str]
    files: list[FileSpec]


def build(spec: Spec) -> None:
    """Make the machine and move into it; afterwards `/` is the machine's root.

    Raises OSError where the kernel refuses a mount.
    """
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("lab", str(STAGE), "tmpfs", MS_NOSUID, "size=1g,mode=755")
    for name in ("upper", "work", "root"):
        (STAGE / name).mkdir()
    layers = f"lowerdir=/,upperdir={STAGE}/upper,workdir={STAGE}/work"
    mount("lab", str(ROOT), "overlay", 0, layers)
    _private_folders()
    _devices(ROOT / "dev")
    _system_files(ROOT, spec["dmi"])
    for source in spec["binds"]:
        _bind_read_only(source, ROOT)
    _enter()
    _process_files()
    for path in spec["tmpfs"]:
        Path(path).mkdir(parents=True, exist_ok=True)
        mount("lab", path, "tmpfs", MS_NOSUID, "mode=755")
    for path in spec["hide"]:
        remove(Path(path))
    for file in spec["files"]:
        put(file)
    socket.sethostname(spec["hostname"])


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2); raises OSError where the kernel refuses it."""
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    data = None if options is None else options.encode()
    if _libc.mount(*words, ctypes.c_ulong(flags), data) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind or ''} on {target}: {os.strerror(code)}")


def _private_folders() -> None:
    for name, mode in (("run", "755"), ("tmp", "1777"), ("dev", "755"), ("sys", "755")):
        (ROOT / name).mkdir(exist_ok=True)
        mount("lab", str(ROOT / name), "tmpfs", MS_NOSUID, f"mode={mode}")
    (ROOT / "run/lock").mkdir(mode=0o1777)
    (ROOT / "run/systemd/system").mkdir(parents=True)  # what sd_booted(3) looks for
    (ROOT / "run/nut").mkdir()  # as the packages' tmpfiles.d(5) make it
    shutil.chown(ROOT / "run/nut", "root", "nut")
    (ROOT / "run/nut").chmod(0o770)
    mount("proc", str(ROOT / "proc"), "proc", MS_NOSUID)


def _devices(dev: Path) -> None:
    previous = os.umask(0)
    for name, (major, minor) in DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    os.umask(previous)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to(f"/proc/self/fd{target}")
    (dev / "shm").mkdir()
    (dev / "shm").chmod(0o1777)
    (dev / "pts").mkdir()
    mount("devpts", str(dev / "pts"), "devpts", MS_NOSUID, "newinstance,ptmxmode=0666,mode=620,gid=5")
    (dev / "ptmx").symlink_to("pts/ptmx")


def _system_files(root: Path, dmi: dict[str, str]) -> None:
    # The network part of /sys is that of the namespace; the rest would show the real computer, UPS and all.
    mount("sysfs", str(root / "mnt"), "sysfs", MS_RDONLY | MS_NOSUID)
    for part in ("class/net", "devices/virtual/net"):
        (root / "sys" / part).mkdir(parents=True)
        mount(str(root / "mnt" / part), str(root / "sys" / part), None, MS_BIND)
    _unmount(str(root / "mnt"))
    identity = root / "sys/devices/virtual/dmi/id"
    identity.mkdir(parents=True)
    (root / "sys/class/dmi").mkdir()
    (root / "sys/class/dmi/id").symlink_to("../../devices/virtual/dmi/id")
    for name, text in dmi.items():
        (identity / name).write_text(text + "\n", encoding="ascii")


def _bind_read_only(source: str, root: Path) -> None:
    target = root / source.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    mount(source, str(target), None, MS_BIND)
    mount(None, str(target), None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def _enter() -> None:
    os.chdir(ROOT)
    if _libc.pivot_root(b".", b"mnt") != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"pivot_root: {os.strerror(code)}")
    os.chdir("/")
    _unmount("/mnt")


def _unmount(path: str) -> None:
    if _libc.umount2(path.encode(), MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"umount {path}: {os.strerror(code)}")


def _process_files() -> None:
    # A lost packet costs 3 s, not 134: a daemon that hangs in connect(2) must not outlast a test.
    Path("/proc/sys/net/ipv4/tcp_syn_retries").write_text("1\n", encoding="ascii")
    if Path("/proc/sysrq-trigger").exists():  # not in every kernel
        mount("/dev/null", "/proc/sysrq-trigger", None, MS_BIND)
    mount("/proc/sys", "/proc/sys", None, MS_BIND)
    mount(None, "/proc/sys", None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it; nothing there is nothing to do."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put(file: FileSpec, root: Path = Path("/")) -> None:
    """Write one file of a machine whose root folder is `root`; owners are looked up here."""
    path = root / file["path"].lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(base64.b64decode(file["data"]))
    shutil.chown(path, file["owner"], file["group"])
    path.chmod(file["mode"])

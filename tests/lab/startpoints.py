"""The NUT files that a set-up starts from: Debian's stock ones, and the earlier guide's standalone set-up.

Debian's files are read from the installed packages at test time; no text of theirs is kept here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support import debian_stock

NUT = Path("/etc/nut")
HOST_FILES = ("nut.conf", "ups.conf", "upsd.conf", "upsd.users", "upsmon.conf", "upssched.conf")
CLIENT_FILES = ("nut.conf", "upsmon.conf", "upssched.conf")
MONITOR_PASSWORD = "s3c4R3_p4sSw0rD"
ADMIN_PASSWORD = "4dm1n_p4sSw0rD"
SHUTDOWN = (
    r'SHUTDOWNCMD "logger -t upsmon.conf \"SHUTDOWNCMD calling /sbin/shutdown to shut down system\" ; '
    r'/sbin/shutdown -h +0"'
)
MESSAGES = {
    "ONLINE": "UPS %s: On line power.",
    "ONBATT": "UPS %s: On battery.",
    "LOWBATT": "UPS %s: Battery is low.",
    "REPLBATT": "UPS %s: Battery needs to be replaced.",
    "FSD": "UPS %s: Forced shutdown in progress.",
    "SHUTDOWN": "Auto logout and shutdown proceeding.",
    "COMMOK": "UPS %s: Communications (re-)established.",
    "COMMBAD": "UPS %s: Communications lost.",
    "NOCOMM": "UPS %s: Not available.",
    "NOPARENT": "upsmon parent dead, shutdown impossible.",
}


def stock_files(names: Iterable[str] = HOST_FILES) -> dict[str, bytes]:
    """Debian's own files by name: this computer's where dpkg vouches for them, else from the package.

    Raises KeyError for a NUT that the tests do not know, StockUnavailableError without its package.
    """
    return {name: _installed(name) or debian_stock.stock_files(_version())[name] for name in names}


def _installed(name: str) -> bytes | None:
    rows = [line.split() for line in _dpkg_status() if line.startswith(f" {NUT}/{name} ")]
    path = NUT / name
    data = path.read_bytes() if path.exists() else b""
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return data if any(row[1] == digest for row in rows) else None


def _version() -> str:
    lines = iter(_dpkg_status())
    next(line for line in lines if line == "Package: nut-client")
    return next(line for line in lines if line.startswith("Version: ")).split()[1].partition("-")[0]


def _dpkg_status() -> list[str]:
    return Path("/var/lib/dpkg/status").read_text(encoding="utf-8").splitlines()


def standalone_files(stock: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the earlier guide's reader, with the copies that the guide makes beside them.

    `stock` are Debian's six files; the result names files of /etc/nut, all root:nut 640.
    """
    text = {name: data.decode("utf-8") for name, data in stock.items()}
    changed = {
        "nut.conf": _replaced(text["nut.conf"], "MODE=none", "MODE=standalone"),
        "ups.conf": text["ups.conf"]
        + '\n[apc]\n    driver = usbhid-ups\n    port = auto\n    desc = "APC Back-UPS ES 700"\n',
        "upsd.conf": _replaced(text["upsd.conf"], "# LISTEN 127.0.0.1 3493", "LISTEN 127.0.0.1 3493"),
        "upsd.users": text["upsd.users"] + _users(),
        "upsmon.conf": _upsmon(text["upsmon.conf"]),
    }
    out = {name: data.encode("utf-8") for name, data in changed.items()}
    copies = {f"{name}.{'bkp' if name == 'upsmon.conf' else 'orig'}": stock[name] for name in changed}
    return {**out, "upssched.conf": stock["upssched.conf"], **copies}


def _users() -> str:
    return (
        f"\n[upsmon]\n    password = {MONITOR_PASSWORD}\n    upsmon master\n"
        f"\n[upsadmin]\n    password = {ADMIN_PASSWORD}\n    actions = SET\n    instcmds = ALL\n"
    )


def _upsmon(stock: str) -> str:
    lines = [
        f"#{line}" if line.startswith(("RBWARNTIME ", "SHUTDOWNCMD ")) else line
        for line in stock.splitlines()
    ]
    lines += [
        "",
        "# Customized settings",
        "",
        f"MONITOR apc@localhost 1 upsmon {MONITOR_PASSWORD} master",
        SHUTDOWN,
        "",
    ]
    lines += [f'NOTIFYMSG {kind} "{text}"' for kind, text in MESSAGES.items()]
    lines += ["", *(f"NOTIFYFLAG {kind} SYSLOG" for kind in MESSAGES), "", "RBWARNTIME 7200 # 2 hours"]
    return "\n".join(lines) + "\n"


def _replaced(text: str, old: str, new: str) -> str:
    lines = text.splitlines(keepends=True)
    if f"{old}\n" not in lines:
        raise LookupError(f"the stock file has no line {old!r}")
    return "".join(f"{new}\n" if line == f"{old}\n" else line for line in lines)

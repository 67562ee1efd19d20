"""Which form of a rehearsal this computer allows: the best one, and what the better ones lack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from nutwizard.core import paths
from nutwizard.core.facts import Role
from nutwizard.core.rehearsal.form import Form, Staging
from nutwizard.engine.machine import ENVIRONMENT

_MODULE = "import sys; sys.path.insert(0, {!r}); from nutwizard.engine.rehearsal.{} import main; main()"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
#: Each with the Debian package that has it.
_NEEDED = {"setpriv": "util-linux", "unshare": "util-linux", "ip": "iproute2", "logger": "bsdutils"}
_UPSMON = "/sbin/upsmon"
#: Where systemd-shutdown(8) looks for what runs last.
_HOOKS = ("/lib/systemd/system-shutdown/nutshutdown", "/usr/lib/systemd/system-shutdown/nutshutdown")
_TRIAL = 10.0


def staging(role: Role) -> Staging:
    """The best form here, for a rehearsal of this role."""
    why = lacking(role)
    if not why:
        return Staging()
    # What root borrows would still be root's for the kernel: it may write to /proc.
    if os.geteuid() == 0 or _nothing_to_run(role):
        return Staging(Form.MODEL, why)
    refused = _tried([*apart(Form.BORROWED), *python("borrowed")])
    if refused:
        return Staging(Form.MODEL, f"{why}, and without root the kernel refuses: {refused}")
    return Staging(Form.BORROWED, why)


def lacking(role: Role = Role.HOST) -> str:
    """Why NUT cannot be played on copies here; "" when it can."""
    if why := _nothing_to_run(role):
        return why
    if os.geteuid() != 0:
        return "only root may copy this computer with all its owners"
    refused = _tried([*apart(Form.COPIES), *python("copy")])
    return f"the kernel allows no copies of this computer: {refused}" if refused else ""


def driver() -> str:
    """The path of dummy-ups; "" when it is not installed."""
    return next((f"{f}/dummy-ups" for f in paths.DRIVER_FOLDERS if os.access(f"{f}/dummy-ups", os.X_OK)), "")


def hook(form: Form = Form.COPIES) -> str:
    """What cuts the power late in the shutdown of this computer; "" when it is not installed.

    A model of a machine that is not this computer has what Debian's nut-server brings.
    """
    here = next((path for path in _HOOKS if os.access(path, os.X_OK)), "")
    return here or (_HOOKS[0] if form is Form.MODEL and not driver() else "")


def apart(form: Form) -> list[str]:
    """What runs a program as PID 1 of new namespaces that end with this process."""
    found = {name: shutil.which(name, path=_PATH) or name for name in ("setpriv", "unshare")}
    user = ("--user", "--map-root-user") if form is Form.BORROWED else ()
    own = ("--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
    return [found["setpriv"], "--pdeathsig=KILL", found["unshare"], *user, *own]


def python(module: str) -> list[str]:
    """What runs the `main` of a module of this package in a process of its own."""
    package = os.path.abspath(__file__)
    for _ in range(4):
        package = os.path.dirname(package)
    return [sys.executable, "-I", "-c", _MODULE.format(package, module)]


def _nothing_to_run(role: Role) -> str:
    if not os.access(_UPSMON, os.X_OK):
        return "NUT is not installed here"
    if role is Role.HOST and not driver():
        return "dummy-ups, the driver that plays the UPS, is missing: apt-get install nut-server"
    for program, package in _NEEDED.items():
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is missing: apt-get install {package}"
    return ""


def _tried(argv: list[str]) -> str:
    """What a trial said when it failed, the last line of it; "" when it went well."""
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=_TRIAL, check=False, env=ENVIRONMENT, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with code {done.returncode}"

"""Which role a machine has: what it was set up as, else what its kind suggests."""

from __future__ import annotations

from nutwizard.core import paths
from nutwizard.core.errors import NeedsRoot
from nutwizard.core.facts import Kind, Role
from nutwizard.engine.host import Host
from nutwizard.formats.sections import SectionFile
from nutwizard.formats.shellfile import ShellFile


def proposed_role(kind: Kind) -> Role | None:
    """A PVE host serves its UPS, a guest follows; a plain machine is asked."""
    return {Kind.PVE: Role.HOST, Kind.VM: Role.CLIENT, Kind.CONTAINER: Role.CLIENT}.get(kind)


def configured_role(host: Host) -> Role | None:
    """What nut.conf says; None where it starts nothing. Raises NeedsRoot."""
    mode = ShellFile.parse(_read(host, paths.NUT_CONF)).get("MODE")
    return {"netserver": Role.HOST, "standalone": Role.HOST, "netclient": Role.CLIENT}.get(mode or "")


def role_of(host: Host, kind: Kind) -> Role | None:
    """The role that the machine has been given; None when neither its files nor its kind tell.

    A second PVE node may follow the first, and a VM may have the UPS: the files count before the kind. A
    guest whose nut.conf speaks of a server that has no UPS is a left-over of a full package, and follows.
    Raises NeedsRoot.
    """
    by_kind, configured = proposed_role(kind), configured_role(host)
    if by_kind is Role.CLIENT and configured is Role.HOST:
        serves = SectionFile.parse(_read(host, paths.UPS_CONF)).names()
        return configured if serves else by_kind
    return configured or by_kind


def _read(host: Host, path: str) -> bytes:
    """The file; b"" when it is not there. Raises NeedsRoot."""
    try:
        return host.read(path)
    except PermissionError as error:
        raise NeedsRoot(f"{path}: {error.strerror}") from None
    except OSError:
        return b""

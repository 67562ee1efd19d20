"""Facts of machines in folders: dpkg's table, units, what the machine is, files that are none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.errors import NeedsRoot, UsageError
from nutwizard.core.facts import (
    Address,
    Daemon,
    Door,
    DriverOptions,
    Facts,
    Kind,
    Listener,
    Owner,
    Role,
    UnitFact,
    UsbUps,
)
from nutwizard.engine.detect import detect
from nutwizard.engine.filefacts import file_fact
from nutwizard.engine.host import Completed
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.roles import configured_role, proposed_role, role_of
from nutwizard.engine.sources import MachineSources
from nutwizard.engine.store import Store

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Scripted(OfflineHost):
    """The files of a folder as a live machine; commands answer as `answers` says, others are not there."""

    door = Door.LIVE

    def __init__(self, root: Path, answers: Mapping[str, Completed] | None = None) -> None:
        super().__init__(str(root))
        self.answers = dict(answers or {})
        self.ran: list[str] = []

    def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
        assert 0 < timeout <= 20
        self.ran.append(" ".join(argv))
        known = [answer for start, answer in self.answers.items() if self.ran[-1].startswith(start)]
        return known[0] if known else Completed(-1, err="not there")


class Silent:
    """Sources of a machine of one kind, where asking for more is counted."""

    def __init__(self, kind: Kind = Kind.UNKNOWN) -> None:
        self._kind = kind
        self.asked: list[str] = []

    def kind(self) -> tuple[Kind, str]:
        return self._kind, "told"

    def addresses(self) -> tuple[Address, ...]:
        self.asked.append("addresses")
        return (Address("vmbr0", "10.0.0.1"),)

    def listeners(self) -> tuple[Listener, ...]:
        raise AssertionError

    def daemons(self) -> tuple[Daemon, ...]:
        raise AssertionError

    def booted(self) -> float:
        raise AssertionError

    def usb(self) -> tuple[UsbUps, ...]:
        raise AssertionError

    def driver_options(self, driver: str) -> DriverOptions:
        raise AssertionError


def put(root: Path, path: str, data: bytes | str) -> Path:
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(data if isinstance(data, bytes) else data.encode())
    return where


def facts_of(host: OfflineHost, role: Role | None = Role.HOST, kind: Kind = Kind.UNKNOWN) -> Facts:
    return detect(host, Silent(kind), role, (paths.UPS_CONF, paths.UPSMON_CONF), frozenset())


def stanza(name: str, version: str = "2.8.0-7", status: str = "install ok installed", more: str = "") -> str:
    return (
        f"Package: {name}\nStatus: {status}\nPriority: optional\n{more}Version: {version}\n"
        "Description: of a package\n Package: nut-server\n .\n Status: install ok installed\n"
    )


def packages(root: Path, *stanzas: str) -> Mapping[str, str]:
    put(root, "/var/lib/dpkg/status", "\n".join(stanzas))
    return facts_of(OfflineHost(str(root))).nut.packages


def test_packages_of_dpkg(tmp_path: Path) -> None:
    found = packages(
        tmp_path, stanza("adduser", "3.134"), stanza("nut-client"), stanza("nut-server", "2.8.1-5")
    )
    assert found == {"nut-client": "2.8.0-7", "nut-server": "2.8.1-5"}
    assert packages(tmp_path, stanza("nut-client"), stanza("zlib", "1:1.2")) == {"nut-client": "2.8.0-7"}
    assert packages(tmp_path, stanza("nut-clients"), stanza("libnut-client"), stanza("pve-manager")) == {}


@pytest.mark.parametrize(
    ("status", "installed"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("deinstall ok config-files", False),
        ("purge ok not-installed", False),
        ("install ok half-configured", False),
        ("install ok unpacked", False),
        ("install reinstreq half-installed", False),
        ("deinstall ok installed", True),
    ],
)
def test_states_of_a_package(status: str, installed: bool, tmp_path: Path) -> None:
    found = packages(tmp_path, stanza("nut-client", status=status), stanza("other"))
    assert ("nut-client" in found) is installed


def test_a_package_of_two_architectures(tmp_path: Path) -> None:
    old = stanza("nut-client", "2.7.4-1", "deinstall ok config-files", "Architecture: i386\n")
    assert packages(tmp_path, old, stanza("nut-client")) == {"nut-client": "2.8.0-7"}


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_the_last_stanza_counts(ending: str, tmp_path: Path) -> None:
    put(tmp_path, "/var/lib/dpkg/status", stanza("nut-client").rstrip("\n") + ending)
    assert "nut-client" in facts_of(OfflineHost(str(tmp_path))).nut.packages


def test_no_table_of_packages(tmp_path: Path) -> None:
    nut = facts_of(OfflineHost(str(tmp_path))).nut
    assert (nut.packages, nut.version, nut.known_from, nut.text) == ({}, (), "", "not found")


def test_a_large_table(tmp_path: Path) -> None:
    others = [stanza(f"package-{number}", "1.0") for number in range(40_000)]
    begin = time.monotonic()
    found = packages(tmp_path, *others, stanza("nut-client"), *others[:100])
    assert (tmp_path / "var/lib/dpkg/status").stat().st_size > 5_000_000
    assert found == {"nut-client": "2.8.0-7"}
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.8.0-7", (2, 8, 0)),
        ("2.8.1-5+deb13u1", (2, 8, 1)),
        ("1:2.7.4-13", (2, 7, 4)),
        ("2.8.3~rc1-1", (2, 8, 3)),
        ("2.10", (2, 10)),
        ("unknown", ()),
    ],
)
def test_versions(text: str, version: tuple[int, ...], tmp_path: Path) -> None:
    put(tmp_path, "/var/lib/dpkg/status", stanza("nut-client", text))
    nut = facts_of(OfflineHost(str(tmp_path))).nut
    assert (nut.version, nut.known_from) == (version, "dpkg")


UPSC = Completed(0, out="Network UPS Tools upscmd 2.8.2\n")
UPSD = Completed(0, err="Network UPS Tools upsd 2.7.4.1 (built from git)\n")


@pytest.mark.parametrize(
    ("programs", "answers", "version", "known"),
    [
        (["/usr/bin/upsc"], {"/usr/bin/upsc -V": UPSC}, (2, 8, 2), "/usr/bin/upsc -V"),
        (["/usr/sbin/upsd"], {"/usr/sbin/upsd -V": UPSD}, (2, 7, 4, 1), "/usr/sbin/upsd -V"),
        (
            ["/bin/upsc", "/sbin/upsd"],
            {"/bin/upsc -V": Completed(1, err="broken"), "/sbin/upsd -V": UPSD},
            (2, 7, 4, 1),
            "/sbin/upsd -V",
        ),
        (["/usr/bin/upsc"], {}, (), ""),
        ([], {"/usr/bin/upsc -V": UPSC}, (), ""),
    ],
    ids=["upsc", "upsd on stderr", "the first is broken", "no answer", "no program"],
)
def test_a_nut_that_dpkg_does_not_know(
    programs: list[str],
    answers: dict[str, Completed],
    version: tuple[int, ...],
    known: str,
    tmp_path: Path,
) -> None:
    for program in programs:
        put(tmp_path, program, "")
    nut = facts_of(Scripted(tmp_path, answers)).nut
    assert (nut.version, nut.known_from) == (version, known)


def test_below_another_root_nothing_runs(tmp_path: Path) -> None:
    class Closed(OfflineHost):
        def run(self, argv: Sequence[str], *, timeout: float, data: str = "", user: str = "") -> Completed:
            raise AssertionError(argv)

    put(tmp_path, "/usr/bin/upsc", "")
    put(tmp_path, "/usr/bin/pveversion", "")
    host = Closed(str(tmp_path))
    sources = MachineSources(host)
    facts = detect(host, sources, Role.HOST, (paths.UPS_CONF,), frozenset())
    assert (facts.units, facts.runs, facts.nut.version) == ({}, False, ())
    assert facts.kind is Kind.UNKNOWN
    assert (facts.addresses(), facts.listeners(), facts.daemons(), facts.usb(), facts.booted()) == (
        (), (), (), (), 0.0,
    )  # fmt: skip
    assert facts.driver_options("usbhid-ups") == DriverOptions(False)


def test_a_source_is_asked_once_and_only_when_needed(tmp_path: Path) -> None:
    sources = Silent()
    facts = detect(OfflineHost(str(tmp_path)), sources, Role.HOST, (), frozenset())
    assert sources.asked == []
    assert facts.addresses() == facts.addresses()
    assert sources.asked == ["addresses"]


#: As systemctl 252 prints it for units of Debian 12: properties in its own order, blocks apart by a line.
SHOW = """\
Id=nut-driver@apc.service
Names=nut-driver@apc.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestamp=@1700000001

Id=nut-driver.service
Names=nut-driver.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
ActiveEnterTimestamp=

Id=nut-driver-enumerator.service
Names=nut-driver-enumerator.service
LoadState=loaded
ActiveState=inactive
UnitFileState=static
ActiveEnterTimestamp=n/a

Id=nut-driver-enumerator.path
Names=nut-driver-enumerator.path
LoadState=loaded
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestamp=@1700000000

Id=nut.target
Names=nut.target
LoadState=loaded
ActiveState=active
UnitFileState=disabled
ActiveEnterTimestamp=@1700000000

Id=nut-server.service
Names=nut-server.service
LoadState=masked
ActiveState=inactive
UnitFileState=masked
ActiveEnterTimestamp=

Id=nut-monitor.service
Names=nut-client.service nut-monitor.service
LoadState=loaded
ActiveState=activating
UnitFileState=disabled
ActiveEnterTimestamp=

Id=apcupsd.service
Names=apcupsd.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
ActiveEnterTimestamp=
"""


def test_units(tmp_path: Path) -> None:
    put(tmp_path, paths.UPS_CONF, "[apc]\ndriver = usbhid-ups\n")
    host = Scripted(tmp_path, {"/usr/bin/systemctl show": Completed(0, out=SHOW)})
    facts = facts_of(host)
    assert facts.units == {
        "nut-driver@apc.service": UnitFact(
            "nut-driver@apc.service", "loaded", "active", "enabled", 1700000001.0
        ),
        "nut-driver.service": UnitFact("nut-driver.service"),
        "nut-driver-enumerator.service": UnitFact(
            "nut-driver-enumerator.service", "loaded", "inactive", "static"
        ),
        "nut-driver-enumerator.path": UnitFact(
            "nut-driver-enumerator.path", "loaded", "active", "enabled", 1700000000.0
        ),
        "nut.target": UnitFact("nut.target", "loaded", "active", "disabled", 1700000000.0),
        "nut-server.service": UnitFact("nut-server.service", "masked", "inactive", "masked"),
        "nut-monitor.service": UnitFact("nut-monitor.service", "loaded", "activating", "disabled"),
        "apcupsd.service": UnitFact("apcupsd.service"),
    }
    [asked] = [line for line in host.ran if "show" in line]  # one call for all
    assert asked.split()[-8:] == list(facts.units)
    assert "--timestamp=unix" in asked
    monitor, server = facts.unit("nut-monitor.service"), facts.unit("nut-server.service")
    assert (monitor.present, server.present) == (True, False)
    assert not server.running


CLIENT_UNITS = ("nut.target", "nut-monitor.service")


def test_units_of_a_client(tmp_path: Path) -> None:
    block = "\n".join(SHOW[SHOW.index(f"Id={name}") :].partition("\n\n")[0] + "\n" for name in CLIENT_UNITS)
    host = Scripted(tmp_path, {"/usr/bin/systemctl show": Completed(0, out=block)})
    assert list(facts_of(host, Role.CLIENT).units) == list(CLIENT_UNITS)
    assert host.ran[-1].endswith(" nut.target nut-monitor.service")


def test_no_systemd(tmp_path: Path) -> None:
    facts = facts_of(Scripted(tmp_path), Role.CLIENT)
    assert not facts.unit("nut-monitor.service").present
    assert not facts.unit("nut-monitor.service").running


MOUNTS = "sysfs /sys sysfs rw 0 0\n/dev/fuse /etc/pve fuse rw,nosuid,nodev 0 0\n"


def kind_of(root: Path, virt: Completed | None = None) -> tuple[Kind, str]:
    answers = {} if virt is None else {"/usr/bin/systemd-detect-virt": virt}
    return MachineSources(Scripted(root, answers)).kind()


def test_a_proxmox_host_is_one_also_in_a_vm(tmp_path: Path) -> None:
    put(tmp_path, "/usr/bin/pveversion", "")
    put(tmp_path, "/proc/self/mounts", MOUNTS)
    assert kind_of(tmp_path, Completed(0, out="kvm\n"))[0] is Kind.PVE


@pytest.mark.parametrize("lacking", ["/usr/bin/pveversion", "/proc/self/mounts"])
def test_half_of_proxmox_is_none(lacking: str, tmp_path: Path) -> None:
    for path, data in (("/usr/bin/pveversion", ""), ("/proc/self/mounts", MOUNTS)):
        if path != lacking:
            put(tmp_path, path, data)
    assert kind_of(tmp_path, Completed(0, out="kvm\n"))[0] is Kind.VM


def test_a_folder_that_looks_like_the_mount_is_none(tmp_path: Path) -> None:
    put(tmp_path, "/usr/bin/pveversion", "")
    put(tmp_path, "/proc/self/mounts", "/dev/sda1 /etc/pve-backup ext4 rw 0 0\n/etc/pve /mnt none bind 0 0\n")
    assert kind_of(tmp_path, Completed(1, out="none\n"))[0] is Kind.PLAIN


@pytest.mark.parametrize(
    ("word", "code", "kind"),
    [
        ("kvm", 0, Kind.VM),
        ("qemu", 0, Kind.VM),
        ("vmware", 0, Kind.VM),
        ("microsoft", 0, Kind.VM),
        ("lxc", 0, Kind.CONTAINER),
        ("docker", 0, Kind.CONTAINER),
        ("systemd-nspawn", 0, Kind.CONTAINER),
        ("none", 1, Kind.PLAIN),
    ],
)
def test_what_systemd_detects(word: str, code: int, kind: Kind, tmp_path: Path) -> None:
    assert kind_of(tmp_path, Completed(code, out=f"{word}\n")) == (kind, f"systemd-detect-virt says {word}")


@pytest.mark.parametrize("answer", [None, Completed(-1, timed_out=True)], ids=["absent", "timed out"])
@pytest.mark.parametrize(
    ("maker", "kind"),
    [("QEMU", Kind.VM), ("innotek GmbH", Kind.VM), ("Dell Inc.", Kind.PLAIN), (None, Kind.UNKNOWN)],
)
def test_without_systemd_dmi_is_asked(
    answer: Completed | None, maker: str | None, kind: Kind, tmp_path: Path
) -> None:
    if maker is not None:
        put(tmp_path, "/sys/class/dmi/id/sys_vendor", f"{maker}\n")
    found, evidence = kind_of(tmp_path, answer)
    assert found is kind
    assert (maker or "neither systemd-detect-virt nor DMI") in evidence


def test_the_package_tells_a_proxmox_host_below_another_root(tmp_path: Path) -> None:
    put(tmp_path, "/var/lib/dpkg/status", stanza("pve-manager", "8.4.0"))
    facts = facts_of(OfflineHost(str(tmp_path)))
    assert (facts.kind, facts.kind_evidence) == (Kind.PVE, "the package pve-manager is installed")
    assert facts.pve == "8.4.0"
    assert facts_of(OfflineHost(str(tmp_path)), kind=Kind.VM).kind is Kind.VM  # what is known is not guessed


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        (Kind.PVE, Role.HOST),
        (Kind.VM, Role.CLIENT),
        (Kind.CONTAINER, Role.CLIENT),
        (Kind.PLAIN, None),
        (Kind.UNKNOWN, None),
    ],
)
def test_the_proposed_role(kind: Kind, role: Role | None) -> None:
    assert proposed_role(kind) is role


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("MODE=netserver\n", Role.HOST),
        ("MODE=standalone\n", Role.HOST),
        ('MODE="netclient"\n', Role.CLIENT),
        ("MODE=none\n", None),
        ("#MODE=netserver\n", None),
        ("MODE=netserver\nMODE=netclient\n", Role.CLIENT),
        ("", None),
        (None, None),
    ],
)
def test_the_configured_role(text: str | None, role: Role | None, tmp_path: Path) -> None:
    if text is not None:
        put(tmp_path, paths.NUT_CONF, text)
    assert configured_role(OfflineHost(str(tmp_path))) is role


@pytest.mark.parametrize(
    ("kind", "mode", "ups", "role"),
    [
        (Kind.PVE, "none", "", Role.HOST),
        (Kind.PVE, "netclient", "", Role.CLIENT),  # a second node that follows the first
        (Kind.PVE, "standalone", "[apc]\n", Role.HOST),
        (Kind.VM, "none", "", Role.CLIENT),
        (Kind.VM, "netserver", "[apc]\n", Role.HOST),  # a VM that was given the UPS
        (Kind.VM, "standalone", "# empty\n", Role.CLIENT),  # the full package in a guest
        (Kind.PLAIN, "none", "[apc]\n", None),
        (Kind.PLAIN, "netserver", "", Role.HOST),
        (Kind.UNKNOWN, "netclient", "[apc]\n", Role.CLIENT),
    ],
)
def test_the_role_of_a_machine(kind: Kind, mode: str, ups: str, role: Role | None, tmp_path: Path) -> None:
    put(tmp_path, paths.NUT_CONF, f"MODE={mode}\n")
    put(tmp_path, paths.UPS_CONF, ups)
    assert role_of(OfflineHost(str(tmp_path)), kind) is role


def test_the_machine_itself(tmp_path: Path) -> None:
    put(tmp_path, "/etc/hostname", "pve1\nmore\n")
    put(tmp_path, "/etc/os-release", 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    put(tmp_path, "/etc/passwd", "root:x:0:0::/:/bin/sh\nnut:x:104:110::/:/bin/false\n")
    put(tmp_path, "/etc/group", "root:x:0:\nnutty:x:110:\n")
    put(tmp_path, "/sbin/upssched", "")
    for name in ("usbhid-ups", "dummy-ups", "upsd", "upsmon"):
        put(tmp_path, f"/lib/nut/{name}", "")
    put(tmp_path, "/usr/lib/nut/blazer_usb", "")
    facts = facts_of(OfflineHost(str(tmp_path)))
    assert (facts.hostname, facts.system) == ("pve1", "Debian GNU/Linux 12 (bookworm)")
    assert (facts.nut.user, facts.nut.group, facts.nut.upssched) == (True, False, "/sbin/upssched")
    assert facts.nut.drivers == ("blazer_usb", "dummy-ups", "usbhid-ups")
    assert facts.free > 0
    bare = facts_of(OfflineHost(str(tmp_path / "nowhere")))
    assert (bare.hostname, bare.system, bare.nut.user, bare.nut.drivers) == ("", "", False, ())


def test_managed_files_their_copies_and_our_own_are_read(tmp_path: Path) -> None:
    put(tmp_path, paths.UPS_CONF, "[apc]\n").chmod(0o640)
    put(tmp_path, "/etc/nut/ups.conf.orig", "")
    facts = facts_of(OfflineHost(str(tmp_path)))
    assert set(facts.files) == {
        paths.UPS_CONF, paths.UPSMON_CONF, paths.SAVED_ANSWERS, paths.CLIENT_PASSWORD, paths.MONITOR_PASSWORD,
        *(f"{path}{end}" for path in (paths.UPS_CONF, paths.UPSMON_CONF) for end in (".orig", ".bkp")),
    }  # fmt: skip
    found = facts.file(paths.UPS_CONF)
    assert (found.kind, found.actual, found.data, found.links) == ("file", paths.UPS_CONF, b"[apc]\n", 1)
    assert found.owner is not None
    assert found.owner.mode == 0o640
    assert abs(found.changed - time.time()) < 60
    assert facts.file("/etc/nut/ups.conf.orig").exists
    missing = facts.file(paths.UPSMON_CONF)
    assert (missing.kind, missing.exists, missing.data, missing.owner) == ("missing", False, b"", None)


@AS_ROOT
def test_owners_have_the_names_of_the_other_root(tmp_path: Path) -> None:
    put(tmp_path, "/etc/passwd", "nut:x:4711:4712::/:/bin/false\n")
    put(tmp_path, "/etc/group", "nut:x:4712:\n")
    os.chown(put(tmp_path, paths.UPS_CONF, ""), 4711, 4712)
    os.chmod(tmp_path / "etc/nut/ups.conf", 0o600)
    os.chown(put(tmp_path, paths.UPSMON_CONF, ""), 4713, 4714)
    os.chmod(tmp_path / "etc/nut/upsmon.conf", 0o644)
    host = OfflineHost(str(tmp_path))
    assert file_fact(host, paths.UPS_CONF).owner == Owner("nut", "nut", 0o600)
    assert file_fact(host, paths.UPSMON_CONF).owner == Owner("4713", "4714", 0o644)


@pytest.mark.parametrize(
    ("leads", "actual"),
    [
        ("real.conf", "/etc/nut/real.conf"),
        ("/srv/ups.conf", "/srv/ups.conf"),
        ("../../../../../../srv/ups.conf", "/srv/ups.conf"),
    ],
)
def test_a_link_is_followed_inside_the_root(leads: str, actual: str, tmp_path: Path) -> None:
    put(tmp_path, actual, "[apc]\n")
    (tmp_path / "etc/nut").mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/nut/ups.conf").symlink_to(leads)
    found = file_fact(OfflineHost(str(tmp_path)), paths.UPS_CONF)
    assert (found.kind, found.actual, found.data) == ("file", actual, b"[apc]\n")


def test_a_link_to_nothing_is_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "etc/nut").mkdir(parents=True)
    (tmp_path / "etc/nut/ups.conf").symlink_to("absent")
    assert not file_fact(OfflineHost(str(tmp_path)), paths.UPS_CONF).exists


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _large(path: Path) -> None:
    path.write_bytes(b"#" * ((1 << 20) + 1))


def _socket(path: Path) -> None:
    os.mknod(path, 0o140600)


IN_PLACE: dict[str, tuple[Callable[[Path], None], str]] = {
    "directory": (Path.mkdir, "/etc/nut/ups.conf is a directory, not a file"),
    "fifo": (os.mkfifo, "/etc/nut/ups.conf is a fifo, not a file"),
    "socket": (_socket, "/etc/nut/ups.conf is a socket, not a file"),
    "loop": (_loop, "/etc/nut/ups.conf: Too many levels of symbolic links"),
    "large": (
        _large,
        "/etc/nut/ups.conf has 1048577 bytes, more than 64 KiB: this is no configuration file of NUT",
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_stands_in_place_of_a_file(name: str, tmp_path: Path) -> None:
    make, text = IN_PLACE[name]
    (tmp_path / "etc/nut").mkdir(parents=True)
    make(tmp_path / "etc/nut/ups.conf")
    with pytest.raises(UsageError) as caught:
        facts_of(OfflineHost(str(tmp_path)))
    assert (caught.value.text, caught.value.hint) == (text, "Nothing was changed.")


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """This process as a user who may enter the test's folder and no closed one."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@AS_ROOT
class TestAsNobody:
    @pytest.fixture(autouse=True)
    def _closed(self, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        put(tmp_path, paths.UPS_CONF, "[apc]\n").chmod(0o600)
        put(tmp_path, paths.NUT_CONF, "MODE=netserver\n").chmod(0o600)
        put(tmp_path, "/etc/nutwizard/answers.yaml", "").parent.chmod(0o700)
        put(tmp_path, "/var/lib/nutwizard/transactions/x", "").parent.parent.chmod(0o700)
        request.getfixturevalue("as_nobody")

    @pytest.mark.parametrize("path", [paths.UPS_CONF, paths.SAVED_ANSWERS])
    def test_a_closed_file_needs_root(self, path: str, tmp_path: Path) -> None:
        with pytest.raises(NeedsRoot, match=f"{path}: Permission denied"):
            file_fact(OfflineHost(str(tmp_path)), path)

    def test_so_do_the_facts(self, tmp_path: Path) -> None:
        with pytest.raises(NeedsRoot):
            facts_of(OfflineHost(str(tmp_path)))

    def test_so_does_the_configured_role(self, tmp_path: Path) -> None:
        with pytest.raises(NeedsRoot):
            configured_role(OfflineHost(str(tmp_path)))

    def test_so_does_the_history(self, tmp_path: Path) -> None:
        with pytest.raises(NeedsRoot):
            Store(OfflineHost(str(tmp_path))).records()


def test_usb_devices_of_ups_makers(tmp_path: Path) -> None:
    for device, values in {
        "1-1": {"idVendor": "051d", "idProduct": "0002", "manufacturer": "APC", "product": "Back-UPS\xa0ES"},
        "1-2": {"idVendor": "046d", "idProduct": "c31c", "product": "Keyboard"},
        "usb1": {"idVendor": "1d6b"},
        "1-1:1.0": {"bInterfaceClass": "03"},
        "1-3": {"idVendor": "0764"},
    }.items():
        for key, value in values.items():
            put(tmp_path, f"/sys/bus/usb/devices/{device}/{key}", f"{value}\n")
    assert MachineSources(Scripted(tmp_path)).usb() == (
        UsbUps("051d", "0002", "APC", "Back-UPS\xa0ES", ""),
        UsbUps("0764", ""),
    )


def test_who_may_use_the_file_of_a_usb_device(tmp_path: Path) -> None:
    for device, numbers in {
        "1-1": ("1", "4"),
        "1-2": ("1", "12"),
        "1-3": ("x", "1"),
        "1-4": ("2", ""),
    }.items():
        for key, value in zip(("idVendor", "busnum", "devnum"), ("051d", *numbers), strict=True):
            put(tmp_path, f"/sys/bus/usb/devices/{device}/{key}", f"{value}\n")
    put(tmp_path, "/dev/bus/usb/001/004", "").chmod(0o664)
    nodes = [found.node for found in MachineSources(Scripted(tmp_path)).usb()]
    assert [node and node.mode for node in nodes] == [0o664, None, None, None]


def test_options_of_a_driver(tmp_path: Path) -> None:
    listed = 'VALUE offdelay "seconds"\nFLAG pollonly "text"\nnoise VALUE x\nVALUE lowbatt "per cent"\n'
    put(tmp_path, "/usr/lib/nut/usbhid-ups", "")
    host = Scripted(tmp_path, {"/usr/lib/nut/usbhid-ups -L": Completed(0, out=listed)})
    sources = MachineSources(host)
    assert sources.driver_options("usbhid-ups") == DriverOptions(
        True, frozenset({"offdelay", "pollonly", "lowbatt"})
    )
    assert sources.driver_options("absent") == DriverOptions(False)
    host.answers.clear()
    assert sources.driver_options("usbhid-ups") == DriverOptions(False)

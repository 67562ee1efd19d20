"""The doctor on real NUT: faults that are made for real are found, mended by `check --fix`, and gone then."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from .guided import CANARY
from .lab import VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import ADMIN_PASSWORD, MONITOR_PASSWORD
from .wizard import CHECK_LIMIT, Checked, change, check, clients, pair, status, tree, wait_clients, wizard

pytestmark = pytest.mark.lab

NUT_CONF, UPS_CONF, UPSD_CONF, USERS, UPSMON_CONF, UPSSCHED_CONF = (
    f"/etc/nut/{name}"
    for name in ("nut.conf", "ups.conf", "upsd.conf", "upsd.users", "upsmon.conf", "upssched.conf")
)
KILLPOWER, ENUMERATOR_PATH = "/etc/killpower", "nut-driver-enumerator.path"
WRONG = "wr0ng-Kly3Nt"
SECRETS = (CANARY, WRONG, MONITOR_PASSWORD, ADMIN_PASSWORD, "ab#cd")
CLIENT = f"client debiantpl ({VM_ADDRESS})"
FIX = ("check", "--fix", "--yes")
#: Seconds: upsmon asks every second, and waits 5 s more after a first try in vain.
SEEN = 15.0


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    with pair(CANARY) as lab:
        yield lab


def logged_in(host: Machine, *addresses: str) -> None:
    """Wait until these are logged in, no more and no fewer. Raises TimeoutError."""
    wait_until(lambda: clients(host) == set(addresses) or None, SEEN)


def wrong_password(host: Machine) -> None:
    change(host, UPSMON_CONF, r"^(MONITOR \S+ \S+ \S+) \S+", rf"\1 {WRONG}")
    host.systemctl("restart", "nut-monitor")


def wrong_role(host: Machine) -> None:
    change(host, USERS, r"^(\s*upsmon) (master|primary)", r"\1 slave")
    host.systemctl("restart", "nut-server")
    logged_in(host, "127.0.0.1", VM_ADDRESS)


def loopback_beside_wildcard(host: Machine) -> None:
    change(host, UPSD_CONF, r"^LISTEN .*\n", "")
    change(host, UPSD_CONF, r"\Z", "LISTEN 0.0.0.0 3493\nLISTEN 127.0.0.1 3493\n")
    host.systemctl("restart", "nut-server")
    logged_in(host, "127.0.0.1")


def unreadable_upssched(host: Machine) -> None:
    host.run(["chown", "root:root", UPSSCHED_CONF], check=True)


def other_name(host: Machine) -> None:
    change(host, UPSSCHED_CONF, r"^(AT \S+) apc@localhost", r"\1 apc")


def hash_in_password(host: Machine) -> None:
    change(host, UPSMON_CONF, r"^(MONITOR \S+ \S+ \S+) \S+", r"\1 ab#cd")
    host.systemctl("restart", "nut-monitor")


def mode_none(host: Machine) -> None:
    change(host, NUT_CONF, "^MODE=netserver$", "MODE=none")


def foreign_variable(host: Machine) -> None:
    """The path unit would do the same at a moment of its own."""
    host.systemctl("stop", ENUMERATOR_PATH)
    change(host, UPS_CONF, r"^(\s*)offdelay", r"\1foobar = 3\n\1offdelay")
    host.systemctl("restart", "nut-driver@apc")
    host.systemctl("start", ENUMERATOR_PATH)
    wait_until(lambda: status(host, "apc@localhost") == "" or None, SEEN)


def stopped_driver(host: Machine) -> None:
    host.systemctl("stop", "nut-driver@apc")
    wait_until(lambda: status(host, "apc@localhost") == "" or None, SEEN)


def killpower(host: Machine) -> None:
    host.write(KILLPOWER, "upsmon-shutdown-file")


@dataclass(frozen=True)
class Fault:
    """How the host is broken, and what is to be found: the broken links and the rules."""

    make: Callable[[Machine], None]
    links: set[str]
    rules: set[str]


FAULTS = (
    Fault(wrong_password, {"login", "upsmon"}, {"NW01"}),
    Fault(wrong_role, {"login"}, {"NW01"}),
    Fault(loopback_beside_wildcard, {"upsd"}, {"NW35"}),
    Fault(unreadable_upssched, {"events"}, {"NW12"}),
    Fault(other_name, {"events"}, {"NW13"}),
    Fault(hash_in_password, {"login", "upsmon"}, {"NW10"}),
    Fault(mode_none, {"poweroff", "boot"}, {"NW04", "NW25"}),
    Fault(foreign_variable, {"driver"}, {"NW18", "NW39"}),
    Fault(stopped_driver, {"driver"}, {"NW18"}),
    Fault(killpower, {"stale"}, {"NW31"}),
)


def broken(machine: Machine, links: set[str], rules: set[str]) -> Checked:
    """The check finds these, and no more."""
    found = check(machine)
    assert (found.code, set(found.broken()), found.rules()) == (4, links, rules)
    assert found.seconds < CHECK_LIMIT
    return found


def fix(machine: Machine, *words: str, code: int = 0, stdin: str | None = None) -> str:
    """`check --fix` without a question; all that it said, which holds no password."""
    done = wizard(machine, *FIX, *words, code=code, stdin=stdin)
    said = done.stdout + done.stderr
    assert [secret for secret in SECRETS if secret in said] == []
    return said


def sound(*machines: Machine) -> None:
    """The check finds nothing wrong on any of them."""
    for machine in machines:
        found = check(machine)
        assert (found.code, found.broken(), found.findings) == (0, {}, [])


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.make.__name__ for fault in FAULTS])
def test_a_fault_is_found_mended_and_gone(served: Lab, fault: Fault) -> None:
    fault.make(served.host)
    broken(served.host, fault.links, fault.rules)
    fix(served.host)
    wait_clients(served)
    sound(served.host)
    assert status(served.host, "apc@localhost") == "OL"


#: What is told of each of the five.
FIVE = (
    (wrong_password, "the password of upsmon in upsmon.conf is not the one in upsd.users"),
    (loopback_beside_wildcard, "beside 127.0.0.1 upsd cannot bind 0.0.0.0 on port 3493"),
    (unreadable_upssched, "it belongs to root:root 0640: user nut cannot read it"),
    (foreign_variable, "usbhid-ups has no foobar and ends at it"),
    (mode_none, "MODE is none, and ups.conf has apc: a plain reboot cuts the power"),
)


def test_five_faults_at_once(served: Lab) -> None:
    host = served.host
    for make in (loopback_beside_wildcard, wrong_password, unreadable_upssched, foreign_variable, mode_none):
        make(host)
    links = {"driver", "upsd", "login", "upsmon", "events", "poweroff", "boot"}
    broken(host, links, {"NW01", "NW04", "NW12", "NW18", "NW25", "NW35", "NW39"})
    told = wizard(host, "check", code=4).stdout.partition("\nLog: ")[0]
    parts = re.split(r"(?m)^(?=\S)", told)
    wrong = [part for part in parts if part.startswith("broken ")]
    for _, text in FIVE:
        assert any(text in " ".join(part.split()) for part in wrong), text
    assert all("\n          mend: " in part for part in wrong)
    states = re.findall(r"(?m)^(broken|waiting|unknown|proven) ", told.partition("\nAlso found:")[0])
    order = ["broken", "waiting", "unknown", "proven"]
    assert states == sorted(states, key=order.index)
    fix(host)  # once is enough: units are restarted in their order, the driver first
    wait_clients(served)
    sound(host, served.vm)


def test_a_forced_shutdown_that_stayed(served: Lab) -> None:
    """Both machines have obeyed it, and power is there: first upsd, then the flag, then upsmon."""
    host, vm = served.host, served.vm
    host.run(["upsmon", "-c", "fsd"], check=True)
    for machine in (vm, host):
        machine.wait_log("would run: shutdown -h +0")
    wait_until(lambda: status(host, "apc@localhost") == "FSD OL" or None, SEEN)
    logged_in(host)
    assert host.exists(KILLPOWER)
    for machine in (host, vm):
        broken(machine, {"upsmon", "stale"}, {"NW06"})
    assert "an upsmon that starts earlier obeys it" in fix(vm, code=2)
    orders = [len(off(machine)) for machine in (host, vm)]
    fix(host)
    assert not host.exists(KILLPOWER)
    assert status(host, "apc@localhost") == "OL"
    broken(vm, {"upsmon"}, {"NW31"})
    fix(vm)
    logged_in(host, "127.0.0.1", VM_ADDRESS)
    sound(host, vm)
    assert [len(off(machine)) for machine in (host, vm)] == orders


def off(machine: Machine) -> list[str]:
    return [line.text for line in machine.log() if "would run: shutdown" in line.text]


def test_a_stopped_upsmon_in_the_vm(served: Lab) -> None:
    host, vm = served.host, served.vm
    vm.systemctl("stop", "nut-monitor")
    broken(vm, {"upsmon"}, set())
    found = check(host)
    assert (found.code, found.broken(), found.findings) == (0, {}, [])
    assert found.link(CLIENT)["status"] == "waiting"
    assert wizard(host, "check", "--quiet").stdout.startswith(f"waiting   {CLIENT}\n")
    fix(vm)
    logged_in(host, "127.0.0.1", VM_ADDRESS)
    sound(host, vm)
    assert check(host).link(CLIENT)["status"] == "proven"


def test_a_wrong_password_in_the_vm(served: Lab) -> None:
    host, vm = served.host, served.vm
    wrong_password(vm)
    broken(vm, {"login", "upsmon"}, {"NW01"})
    before = vm.read(UPSMON_CONF)
    said = fix(vm, code=2)
    assert "The server denies this machine's password; only its side knows another." in said
    assert "nutwizard step monitor; a client's password also with --password-stdin" in said
    assert vm.read(UPSMON_CONF) == before
    fix(vm, "--password-stdin", stdin=f"{CANARY}\n")
    logged_in(host, "127.0.0.1", VM_ADDRESS)
    sound(vm)


def test_a_dropped_port_is_not_the_vms_to_mend(served: Lab) -> None:
    vm = served.vm
    served.drop_port()
    try:
        found = broken(vm, {"firewall"}, {"NW17"})
        cause, mend = found.broken()["firewall"]
        assert cause == "timed out: a firewall drops the packets, or the machine is off"
        assert "nutwizard firewall enable switches the rule on" in mend
        assert check(served.host).broken() == {}
        before = tree(vm)
        fix(vm, code=4)
        assert tree(vm) == before
    finally:
        served.open_port()
    wait_until(lambda: check(vm).code == 0 or None, SEEN)  # upsd goes on listing the connection that was cut
    sound(vm)

"""Who says low battery, on real NUT: not the guide's lowbatt; a limit of NUT's own does, and shuts down."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .dress import CHECKOUT, UPS_VALUES
from .lab import Lab
from .machine import Machine, wait_until
from .startpoints import standalone_files, stock_files
from .usbhid_standin import VALUES
from .wizard import COMMAND, HOST_ANSWERS, apply_host, check, host_answers, quick, status, wizard

pytestmark = pytest.mark.lab

UPS, DRIVER = "apc@localhost", "UPS apc, driver usbhid-ups"
SWITCHED_OFF = "would run: shutdown -h +0"
#: Longer than the driver (2 s) and upsmon (1 s) take to see a change.
SEEN = 4.0


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    with Lab(standalone_files(quick(stock_files()))) as lab:
        assert lab.host.systemctl("start", "nut.target").returncode == 0
        yield lab.host


def answers(low: str) -> str:
    """The guide's answers with these lines about the battery in place of its lowbatt."""
    return host_answers().replace("  lowbatt: 80\n", low)


def values(host: Machine) -> dict[str, str]:
    rows = host.run(["upsc", UPS]).stdout.splitlines()
    return dict(row.split(": ", 1) for row in rows if ": " in row)


def measures(host: Machine, state: str, **changes: str) -> dict[str, str]:
    """Let the UPS measure this; what upsd shows of it once all has arrived, and some time later still."""
    host.ups(state, None, **changes)
    wanted = {name.replace("__", "."): value for name, value in changes.items()}

    def arrived() -> dict[str, str] | None:
        found = values(host)
        same = all(found.get(name) == value for name, value in wanted.items())
        return found if same and found["ups.status"].startswith(state) else None

    wait_until(arrived, 15.0)
    time.sleep(SEEN)
    return values(host)


def switched_off(host: Machine) -> bool:
    return any(SWITCHED_OFF in line.text for line in host.log())


def driver_link(host: Machine) -> str:
    """The evidence of the driver's link; every link is proven."""
    found = check(host)
    assert (found.code, found.broken()) == (0, {})
    return str(found.link(DRIVER)["evidence"])


def mains(host: Machine) -> None:
    assert measures(host, "OL", battery__charge="100", battery__runtime="1830")["ups.status"] == "OL"


def test_lowbatt_is_shown_and_changes_nothing(host: Machine) -> None:
    apply_host(host, host_answers())
    found = measures(host, "OB DISCHRG", battery__charge="60")
    assert (found["battery.charge.low"], found["ups.status"]) == ("80", "OB DISCHRG")
    assert not switched_off(host)
    mains(host)


def test_a_limit_of_the_charge_is_what_the_driver_runs_on(host: Machine) -> None:
    apply_host(host, answers("  low_battery: charge\n  low_charge: 50\n"))
    found = values(host)
    assert (found["driver.flag.ignorelb"], found["battery.charge.low"]) == ("enabled", "50")
    assert "driver.parameter.lowbatt" not in found
    assert driver_link(host).endswith("driver.flag.ignorelb enabled, battery.charge.low 50")
    assert wizard(host, "apply", HOST_ANSWERS).stdout == "Nothing to do: everything is in place.\n"


def test_the_present_values_stand_beside_the_choice(host: Machine) -> None:
    done = host.run([*COMMAND, "step", "driver", "--plain"], input="\n" * 7, cwd=CHECKOUT)
    assert done.returncode == 130
    assert "now: charge 100 %, runtime 30 min, load 14 %" in " ".join(done.stdout.split())
    assert "now: runtime 30 min, charge 100 %, load 14 %" in " ".join(done.stdout.split())


def test_a_driver_that_still_runs_on_other_limits_is_found(host: Machine) -> None:
    text = host.read("/etc/nut/ups.conf")
    assert host.systemctl("stop", "nut-driver-enumerator.path").returncode == 0
    try:
        for line, new, told in (
            (b"low = 50\n", b"low = 40\n", "battery.charge.low is 50 in the running driver, 40 by ups.conf"),
            (
                b"    ignorelb\n",
                b"",
                "driver.flag.ignorelb is enabled in the running driver, absent by ups.conf",
            ),
        ):
            host.write("/etc/nut/ups.conf", text.replace(line, new), group="nut", mode=0o640)
            found = check(host)
            link = found.link(DRIVER)
            assert (link["status"], link["evidence"]) == ("broken", told)
            assert link["cause"] == "the driver runs on older options"
    finally:
        host.write("/etc/nut/ups.conf", text, group="nut", mode=0o640)
        assert host.systemctl("start", "nut-driver-enumerator.path").returncode == 0
    assert driver_link(host).endswith("battery.charge.low 50")


def test_the_runtime_and_back(host: Machine) -> None:
    charge = host.read("/etc/nut/ups.conf")
    apply_host(host, answers("  low_battery: runtime\n"))
    found = values(host)
    assert found["battery.runtime.low"] == "300"
    assert found.get("battery.charge.low") != "50"
    low = measures(host, "OL", battery__runtime="299")
    assert low["ups.status"] == "OL LB"
    mains(host)
    apply_host(host, answers("  low_battery: charge\n  low_charge: 50\n"))
    assert host.read("/etc/nut/ups.conf") == charge


def test_a_limit_for_what_the_ups_does_not_report_is_put_back(host: Machine) -> None:
    before, known = host.read("/etc/nut/ups.conf"), host.read(str(VALUES))
    lines = [f"{name}: {value}\n" for name, value in UPS_VALUES.items() if name != "battery.runtime"]
    host.write(str(VALUES), "".join(lines))
    try:
        done = apply_host(host, answers("  low_battery: runtime\n"), code=1)
        assert host.read("/etc/nut/ups.conf") == before
        assert "the UPS reports no battery.runtime" in done.stdout + done.stderr
    finally:
        host.write(str(VALUES), known)
    assert driver_link(host).endswith("battery.charge.low 50")
    wait_until(lambda: status(host, UPS) == "OL" or None, 15.0)


def test_below_the_limit_the_machine_shuts_down(host: Machine) -> None:
    host.write(HOST_ANSWERS, answers("  low_battery: charge\n  low_charge: 50\n"), mode=0o600)
    wizard(host, "plan", HOST_ANSWERS)
    assert measures(host, "OB DISCHRG", battery__charge="60")["ups.status"] == "OB DISCHRG"
    assert not switched_off(host)
    begin = time.time()
    host.ups("OB DISCHRG", charge=45)
    assert host.wait_log(SWITCHED_OFF, since=begin).tag == "REHEARSAL"
    assert "LB" in status(host, UPS).split()
    assert host.exists("/etc/killpower")

"""The doctor on real NUT that is well: what it proves, what it leaves alone, and what it tells others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .guided import CANARY
from .lab import VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .startpoints import ADMIN_PASSWORD, MONITOR_PASSWORD
from .wizard import CHECK_LIMIT, check, clients, edited, pair, status, stopped, tree, wait_clients, wizard

pytestmark = pytest.mark.lab

UPSMON_CONF, UPSSCHED_CONF, UPSD_CONF = (
    f"/etc/nut/{name}" for name in ("upsmon.conf", "upssched.conf", "upsd.conf")
)
OWN_ACTIONS, SCRIPT = "/usr/local/sbin/upssched-own", "/usr/local/bin/ups-events.sh"
#: At ONBATT a timer of ours begins, too, which would shut down.
TIMERS = "  timers: [{event: ONBATT, name: dying, seconds: 1, cancel: ONLINE, then: fsd}]\n"
DYING = 1.0
#: What our script calls where it exists: who runs it.
NOTIFY = '#!/bin/sh\nlogger -t notify "$(id -un): $1"\n'
TOLD = (
    "TEST, nothing has happened: apc@localhost, [OL]:100% - WARNING - Power failure. Now running on battery."
)
OWN_SCRIPT = """#!/bin/sh
case $1 in
power-gone) logger -t mine "$1 $UPSNAME" ;;
*) logger -t mine "something else" ;;
esac
"""
OWN_SHUTDOWN = (
    '#!/bin/sh\n# Whoever uses the files is told first.\nwall "going down"\nexec /sbin/shutdown -h +0\n'
)
SECRETS = (CANARY, MONITOR_PASSWORD, ADMIN_PASSWORD, "0ld-Kly3Nt")
#: Somebody without rights, and what upsd tells everybody.
DAEMON, UPSD = "daemon", "upsd on 127.0.0.1 port 3493"


@pytest.fixture(scope="module")
def well() -> Iterator[Lab]:
    with pair(CANARY, TIMERS) as lab:
        yield lab


def proven(machine: Machine) -> None:
    """Every link is, but for what only a person can answer; no rule has found anything."""
    found = check(machine)
    states = {link["status"] for link in found.links if link["step"] != "outside"}
    asked = {link["status"] for link in found.links if link["step"] == "outside"}
    assert (found.code, found.findings, states) == (0, [], {"proven"})
    assert asked <= {"unknown"}
    assert found.seconds < CHECK_LIMIT


def test_a_sound_pair_is_proven_and_quiet(well: Lab) -> None:
    for machine in (well.host, well.vm):
        proven(machine)
        done = wizard(machine, "check", "--quiet")
        assert done.stdout + done.stderr == ""


def test_status_tells_whether_the_last_check_still_counts(well: Lab) -> None:
    host = well.host
    proven(host)
    assert wizard(host, "status").stdout.startswith("nutwizard: protected: ")
    assert json.loads(wizard(host, "status", "--json").stdout)["protected"] is True
    with edited(host, UPSD_CONF, "^# MAXAGE .*$", "# MAXAGE as ever"):
        said = wizard(host, "status", code=4).stdout
    assert said.startswith("nutwizard: not known: files have changed since the last check")
    proven(host)
    with stopped(host, "nut-monitor"):
        assert "not known: upsmon does not run" in wizard(host, "status", code=4).stdout
        assert check(host).code == 4
        said = wizard(host, "status", code=4).stdout
        assert said.startswith("nutwizard: NOT protected: this machine's upsmon for apc on localhost broken")
    wait_clients(well)
    proven(host)
    assert wizard(host, "status").stdout.startswith("nutwizard: protected: ")


def test_a_login_of_the_check_is_taken_back(well: Lab) -> None:
    listed = well.host.run(["upsc", "-c", "apc"]).stdout.split()
    assert set(listed) == {"127.0.0.1", VM_ADDRESS}
    for machine in (well.host, well.vm):
        assert "and out again" in wizard(machine, "check").stdout
    assert sorted(well.host.run(["upsc", "-c", "apc"]).stdout.split()) == sorted(listed)


def said(machine: Machine, since: float, tag: str) -> list[str]:
    return [line.text for line in machine.log() if line.at >= since and line.tag == tag]


def test_a_test_event_reaches_the_script_and_starts_no_timer(well: Lab) -> None:
    host, begin = well.host, time.time()
    host.write("/usr/local/bin/notify-send-all", NOTIFY, mode=0o755)
    try:
        told = wizard(host, "test-event", "ONBATT").stdout
        assert host.wait_log(f"nut: {TOLD}", since=begin).tag == "notify"
    finally:
        host.run(["rm", "/usr/local/bin/notify-send-all"], check=True)
    assert host.wait_log(TOLD, since=begin).tag in ("notify", "upssched-cmd")
    for line in (
        "ran as user nut: AT ONBATT apc@localhost EXECUTE onbatt",
        "not run in a test: AT ONBATT apc@localhost START-TIMER dying 1",
        f"  {TOLD}",
        "It arrived.",
    ):
        assert line in told.splitlines()
    time.sleep(DYING + 0.5)  # were there a timer, it would have fired
    assert said(host, begin, "REHEARSAL") == []
    assert host.run(["pgrep", "-x", "upssched"]).stdout == ""
    assert not host.exists("/run/nut/upssched.pipe")
    assert "nutwizard" not in host.run(["ls", "/run"]).stdout  # the copy of upssched.conf is gone
    assert status(host, "apc@localhost") == "OL"


def test_our_script_shuts_nothing_down_in_a_test(well: Lab) -> None:
    """Also where the line calls it with the very word of the timer that would."""
    host, begin = well.host, time.time()
    with edited(host, UPSSCHED_CONF, "^(AT ONBATT .* EXECUTE) onbatt", r"\1 dying"):
        told = wizard(host, "test-event", "onbatt").stdout
    assert "On battery for 1 s. Shutting down now." in told
    assert "Power failure" not in told  # what an earlier test has logged
    time.sleep(1.5)
    assert said(host, begin, "REHEARSAL") == []
    assert (status(host, "apc@localhost"), clients(host)) == ("OL", {"127.0.0.1", VM_ADDRESS})


@contextmanager
def owner(machine: Machine, path: str, name: str) -> Iterator[None]:
    """A file that belongs to another meanwhile."""
    found = machine.stat(path)
    machine.run(["chown", name, path], check=True)
    try:
        yield
    finally:
        machine.run(["chown", f"{found.owner}:{found.group}", path], check=True)


def test_a_test_event_tells_why_it_fails(well: Lab) -> None:
    host = well.host
    with owner(host, UPSSCHED_CONF, "root:root"):
        told = wizard(host, "test-event", "ONBATT", code=4).stdout
    assert f"Can't open {UPSSCHED_CONF}: Permission denied" in told.splitlines()[-1]
    assert "ran as user nut" not in told
    told = wizard(host, "test-event", "FSD", code=4).stdout
    assert "It did not arrive: NOTIFYFLAG FSD has no EXEC" in told
    with edited(host, UPSSCHED_CONF, "^CMDSCRIPT .*$", f"CMDSCRIPT {SCRIPT}"):
        for mode, body, why in (
            (0o644, OWN_SCRIPT, "user nut cannot run the script: it ended with code 126"),
            (0o755, "#!/bin/sh\nexit 3\n", "the script ended with code 3"),
        ):
            host.write(SCRIPT, body, mode=mode)
            told = wizard(host, "test-event", "ONBATT", "--yes", code=4).stdout
            assert told.splitlines()[-1] == f"It was sent, and failed: {why}"


def test_actions_of_the_users_own_are_not_run_in_a_test(well: Lab) -> None:
    host, begin = well.host, time.time()
    host.write(OWN_ACTIONS, OWN_SHUTDOWN, mode=0o755)
    try:
        done = wizard(host, "test-event", "ONBATT", code=2)
    finally:
        host.run(["rm", OWN_ACTIONS], check=True)
    assert f"{OWN_ACTIONS} is your own, and may do anything, a shutdown too. It was not run." in done.stderr
    assert said(host, begin, "REHEARSAL") + said(host, begin, "upssched-cmd") == []


def test_what_is_the_users_own_is_left_alone(well: Lab) -> None:
    """A script and a SHUTDOWNCMD of the user's own, and an AT line for every UPS."""
    host, begin = well.host, time.time()
    host.write(SCRIPT, OWN_SCRIPT, mode=0o755)
    host.write("/usr/local/sbin/ups-off", OWN_SHUTDOWN, mode=0o755)
    with (
        edited(host, UPSSCHED_CONF, "^CMDSCRIPT .*$", f"CMDSCRIPT {SCRIPT}"),
        edited(host, UPSSCHED_CONF, "^AT ONBATT .* EXECUTE .*$", "AT ONBATT * EXECUTE power-gone"),
        edited(host, UPSMON_CONF, "^SHUTDOWNCMD .*$", 'SHUTDOWNCMD "/usr/local/sbin/ups-off"'),
    ):
        host.systemctl("restart", "nut-monitor")
        wait_clients(well)
        proven(host)
        found = check(host)
        events = found.link("events reach the script")["evidence"]
        assert f"{SCRIPT} is your own" in events
        assert events.endswith("not run")
        assert found.link("SHUTDOWNCMD")["evidence"].endswith("; it was not run")
        assert said(host, begin, "mine") + said(host, begin, "REHEARSAL") == []
        assert f"{SCRIPT} is your own" in wizard(host, "test-event", "ONBATT", code=2).stderr
        assert said(host, begin, "mine") == []
        assert "It arrived." in wizard(host, "test-event", "ONBATT", "--yes").stdout
        assert host.wait_log("power-gone apc@localhost", since=begin).tag == "mine"
    host.systemctl("restart", "nut-monitor")
    wait_clients(well)
    proven(host)


def test_without_root_it_tells_what_upsd_tells(well: Lab) -> None:
    for machine, known in (
        (well.host, {UPSD, "driver of apc", "this machine's upsmon for apc", "the UPS"}),
        (well.vm, set()),
    ):
        before = tree(machine), kept(machine)
        found = check(machine, DAEMON)
        assert (found.code, found.findings) == (0, [])
        states = {link["subject"]: (link["status"], link["evidence"]) for link in found.links}
        assert {subject for subject, (state, _) in states.items() if state == "proven"} == known
        rest = [(state, why) for subject, (state, why) in states.items() if subject not in known]
        silent = "the server does not tell the status of the UPS"
        assert all(
            state == "unknown" and (why.startswith("not seen: only root may read /etc/") or why == silent)
            for state, why in rest
        )
        quiet = wizard(machine, "check", "--quiet", user=DAEMON)
        assert quiet.stdout + quiet.stderr == ""
        for words in (("status",), ("test-event", "ONBATT"), ("check", "--fix", "--yes")):
            assert "sudo nutwizard" in wizard(machine, *words, code=8, user=DAEMON).stderr
        assert (tree(machine), kept(machine)) == before


def kept(machine: Machine) -> str:
    look = ["find", "/var/lib/nutwizard", "/tmp", "-printf", "%p %u %m %s %T@\n"]
    return "".join(sorted(machine.run(look).stdout.splitlines(keepends=True)))


def test_report_and_proof_hold_what_helps_and_no_password(well: Lab) -> None:
    old = "# MONITOR apc@localhost 1 upsmon 0ld-Kly3Nt master"
    for machine in (well.host, well.vm):
        with (
            edited(machine, UPSMON_CONF, "^DEADTIME .*$", f"{old}\nDEADTIME 15"),
            owner(machine, UPSSCHED_CONF, "root:root"),
        ):
            report = written(machine, "report", "--output", "/root/report.txt")
            proof = written(machine, "check", "--html", "/root/proof.html", code=4)
        for part in ("Check", "Units", "What the server tells", "Plan", "History", "Files"):
            assert f"\n== {part}\n" in report
        for text in (
            "\nnut-monitor.service: loaded, active, enabled\n",
            "apc: ups.status: OL\n",
            f"\n{UPSSCHED_CONF}  owner  actions\n",  # what would mend it
            " 1 upsmon",  # the MONITOR line, masked
        ):
            assert text in report
        assert "5B1234T56789" not in report  # the UPS's serial number
        assert proof.startswith("<!doctype html>")
        assert "Something is broken: this set-up does not protect." in proof


def written(machine: Machine, *words: str, code: int = 0) -> str:
    """What a command writes into the file that it is given last, for root alone; no password is in it."""
    done = wizard(machine, *words, code=code)
    text = machine.read(words[-1]).decode()
    assert machine.stat(words[-1])[:3] == ("root", "root", 0o600)
    assert [secret for secret in SECRETS if secret in text + done.stdout + done.stderr] == []
    assert version(machine) in text
    assert f"NW12 {UPSSCHED_CONF}: it belongs to root:root 0640: user nut cannot read it" in text
    return text


def version(machine: Machine) -> str:
    """NUT's version as Debian counts it, without Debian's own part."""
    words = ["dpkg-query", "-W", "-f", "${Version}", "nut-client"]
    return machine.run(words, check=True).stdout.partition("-")[0]


def test_a_server_that_hangs_is_not_waited_for(well: Lab) -> None:
    host, vm = well.host, well.vm
    pid = host.properties("nut-server")["MainPID"]
    host.run(["kill", "-STOP", pid], check=True)
    try:
        for machine, broken in ((host, {"upsd", "driver"}), (vm, {"upsd"})):
            found = check(machine)
            assert (found.code, set(found.broken())) == (4, broken)
            assert found.seconds < CHECK_LIMIT
            cause, fix = found.broken()["upsd"]
            assert (cause, fix) == ("the server does not answer", "On the host: systemctl restart nut-server")
            login = [link for link in found.links if link["id"] in ("login", "upsmon")]
            asked = [link for link in login if link["step"] in ("monitor", "services")]
            assert all(
                link["status"] == "unknown" and link["evidence"].startswith("not asked: ") for link in asked
            )
            assert len(asked) == 2
    finally:
        host.run(["kill", "-CONT", pid], check=True)
    wait_until(lambda: {check(machine).code for machine in (host, vm)} == {0} or None, 15.0)

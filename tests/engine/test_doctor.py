"""The examination: side by side, in bounded time, as far as a user may see; and what is kept of it."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
from pathlib import Path

import pytest

from nutwizard.core import paths
from nutwizard.core.errors import UsageError
from nutwizard.core.facts import Door, Facts, FileFact, Kind, Lazy, Owner, Role, UnitFact
from nutwizard.core.links import (
    ENABLE,
    DriverData,
    Finding,
    LetIn,
    Link,
    LinkId,
    Listens,
    LoggedIn,
    Login,
    Server,
    State,
    Told,
)
from nutwizard.core.plan import Act, ActKind, Plan
from nutwizard.core.rules.catalogue import all_rules
from nutwizard.core.rules.rule import Severity, Spot, Trouble
from nutwizard.core.secret import Secret
from nutwizard.core.text import UNSEEN, FileText, Unseen
from nutwizard.engine import doctor, lastproof, mending
from nutwizard.engine.doctor import Examination
from nutwizard.engine.keeping import keep
from nutwizard.engine.machine import LiveHost, OfflineHost
from nutwizard.engine.sidebyside import Jobs

RULES = {rule.id: rule for rule in all_rules()}
SERVER = Server("127.0.0.1", 3493)


def test_jobs_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)
    jobs = Jobs(LiveHost(), 20)
    found = [jobs.begin(together.wait) for _ in range(3)]
    assert {job.value() for job in found} == {0, 1, 2}


def test_groups_run_side_by_side_and_their_items_in_order() -> None:
    together = threading.Barrier(2, timeout=20)
    jobs = Jobs(LiveHost(), 20)

    def work(item: str) -> str:
        if item.endswith("1"):
            together.wait()
        return item.upper()

    came = list(jobs.each((("a1", "a2"), ("b1", "b2")), work))
    assert dict(came) == {"a1": "A1", "a2": "A2", "b1": "B1", "b2": "B2"}
    order = [item for item, _ in came]
    assert order.index("a1") < order.index("a2")
    assert order.index("b1") < order.index("b2")


def test_what_is_late_is_left_behind() -> None:
    free = threading.Event()
    jobs = Jobs(LiveHost(), 0.2)
    late = jobs.begin(lambda: free.wait(20))
    assert list(jobs.each((("slow",),), lambda item: free.wait(20))) == []
    assert late.value() is None
    free.set()


def test_an_error_in_the_work_is_raised_where_it_is_waited_for() -> None:
    jobs = Jobs(LiveHost(), 20)

    def wrong(_: object = None) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jobs.begin(wrong).value()
    with pytest.raises(ZeroDivisionError):
        list(jobs.each(((1,),), wrong))


def of_files(role: Role, **contents: str) -> Facts:
    """Facts of a live machine with these files of /etc/nut; "-": there, and not to be read."""
    from nutwizard.engine import registry

    files = {
        path: FileFact(path, actual=path) for step in registry.steps_of(role) for path in step.paths(role)
    }
    for name, text in contents.items():
        path = f"{paths.NUT}/{name.replace('_', '.')}"
        content = None if text == "-" else FileText(path, text.encode())
        files[path] = FileFact(
            path, UNSEEN if text == "-" else "file", path, content, Owner("root", "nut", 0o640)
        )
    return Facts(Door.LIVE, Kind.PLAIN, files=files)


def test_servers_that_hang_end_with_the_time_of_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take connections and never answer: a probe alone would wait for longer."""
    monkeypatch.setattr(doctor, "LIMIT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [each.getsockname()[1] for each in (first, second)]
        lines = "".join(f"MONITOR a@127.0.0.1:{port} 1 u p slave\n" for port in ports)
        facts = of_files(Role.CLIENT, upsmon_conf=lines, nut_conf="MODE=netclient\n")
        found = doctor.examine(LiveHost(), facts, Role.CLIENT)
    late = [each for each in found.findings if each.evidence == doctor.LATE]
    assert late
    assert {each.state for each in late} == {State.UNKNOWN}


def test_what_may_not_be_read_is_told_and_not_guessed() -> None:
    facts = of_files(Role.CLIENT, upsmon_conf="-", nut_conf="-", upssched_conf="-")
    found = doctor.examine(OfflineHost("/nowhere"), facts, Role.CLIENT)
    assert set(found.unseen) == {paths.UPSMON_CONF, paths.NUT_CONF, paths.UPSSCHED_CONF}
    assert {each.state for each in found.findings} == {State.UNKNOWN}
    assert found.troubles == ()
    assert any("only root may read /etc/nut/upsmon.conf" in each.evidence for each in found.findings)


def test_unseen_contents_are_no_contents() -> None:
    with pytest.raises(Unseen):
        FileFact(paths.UPSMON_CONF, UNSEEN).data  # noqa: B018


def finding(target: object, state: State, step: str = "monitor", fix: str = "") -> Finding:
    link = Link(LinkId.LOGIN, "it", target, step)  # type: ignore[arg-type]
    return Finding(link, state, fix=fix)


def examined(
    *findings: Finding, troubles: tuple[Trouble, ...] = (), facts: Facts | None = None
) -> Examination:
    return Examination(findings, troubles, None, (), facts or of_files(Role.HOST))


STEPS = ("mode", "driver", "listen", "monitor", "actions", "firewall", "services")


def test_the_steps_of_what_is_broken_are_planned_in_the_guides_order() -> None:
    found = examined(
        finding(Listens(SERVER), State.BROKEN, "listen", "see why; then nutwizard step listen"),
        finding(Told(), State.BROKEN, "mode", "only a person can mend it"),
        finding(Told(), State.WAITING, "clients"),
        finding(Told(), State.PROVEN, "driver"),
        troubles=(
            Trouble(RULES["NW12"], Spot("it belongs to root")),
            Trouble(RULES["NW28"], Spot("too short", severity=Severity.WARNING)),
        ),
    )
    assert mending.steps_for(found, STEPS) == ("listen", "actions", "services")
    assert mending.steps_for(examined(), STEPS) == ()


def test_a_rule_that_is_off_is_switched_and_not_planned() -> None:
    found = examined(finding(LetIn(SERVER, "apc"), State.BROKEN, "firewall", ENABLE))
    assert mending.switches_rule(found)
    assert mending.steps_for(found, STEPS) == ()


def test_a_latched_shutdown_is_ended_first_and_alone() -> None:
    latched = (Trouble(RULES["NW06"], Spot("apc is FSD OL")),)
    facts = dataclasses.replace(
        of_files(Role.HOST), units={"nut-server.service": UnitFact("nut-server.service", "loaded", "active")}
    )
    plan = mending.released(Role.HOST, examined(troubles=latched, facts=facts))
    assert plan is not None
    assert [str(act) for act in plan.acts] == ["restart nut-server.service"]
    assert mending.released(Role.HOST, examined(troubles=latched)) is None  # no server here
    assert mending.released(Role.HOST, examined(facts=facts)) is None


def test_units_that_run_and_do_not_work_are_restarted_once() -> None:
    units = {
        name: UnitFact(name, "loaded", "active")
        for name in ("nut-monitor.service", "nut-driver@apc.service", "nut-server.service")
    }
    found = examined(
        finding(LoggedIn(SERVER, "apc"), State.BROKEN, "services"),
        finding(DriverData(SERVER, "apc"), State.BROKEN, "driver"),
        facts=dataclasses.replace(of_files(Role.HOST), units=units),
    )
    alone = mending.mended(Plan(Role.HOST), found)
    assert [str(act) for act in alone.acts] == [
        "restart nut-monitor.service",
        "restart nut-driver@apc.service",
    ]
    planned = Plan(Role.HOST, acts=(Act(ActKind.RESTART, "nut-monitor.service", "its file changed"),))
    again = mending.mended(planned, found)
    assert [str(act) for act in again.acts] == [
        "restart nut-monitor.service",
        "restart nut-driver@apc.service",
    ]
    assert again.acts[0].why == "its file changed"


def test_only_a_clients_denied_login_needs_a_password() -> None:
    denied = finding(Login(SERVER, "apc", "u", Secret("x")), State.BROKEN)
    assert mending.needs_password(Role.CLIENT, examined(denied))
    assert not mending.needs_password(Role.HOST, examined(denied))
    assert not mending.needs_password(Role.CLIENT, examined(dataclasses.replace(denied, state=State.PROVEN)))


class Kept(OfflineHost):
    """A folder as a live machine with a clock."""

    door = Door.LIVE
    clock = 1_700_000_000.0

    def now(self) -> float:
        return self.clock

    def may_write(self) -> bool:
        return True


@pytest.mark.skipif(os.geteuid() != 0, reason="files get owners")
def test_since_when_nothing_was_broken_is_kept(tmp_path: Path) -> None:
    for folder in ("var/lib", "etc", "run/nut"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    host = Kept(str(tmp_path))
    good, bad = examined(finding(Told(), State.PROVEN)), examined(finding(Told(), State.BROKEN))
    assert lastproof.last_proof(host) is None
    for found, since in ((good, 0.0), (good, 0.0), (bad, None), (good, 300.0), (good, 300.0)):
        lastproof.remember(host, found)
        kept = lastproof.last_proof(host)
        assert kept is not None
        assert kept.at == host.clock
        assert kept.since == (0.0 if since is None else Kept.clock + since)
        host.clock += 100.0
    stat = (tmp_path / paths.PROOF.lstrip("/")).stat()
    assert stat.st_mode & 0o777 == 0o600


def test_a_proof_speaks_of_the_files_and_the_boot_that_it_saw(tmp_path: Path) -> None:
    facts = of_files(Role.CLIENT, upsmon_conf="MONITOR x\n")
    host = Kept(str(tmp_path))
    files = lastproof.fingerprint(facts.files.values())
    proof = lastproof.LastProof(100.0, 100.0, {"proven": 1}, (), files, 50.0)
    other = of_files(Role.CLIENT, upsmon_conf="MONITOR xy\n")
    assert lastproof.stands(host, proof, other) == "files have changed since the last check"
    booted = dataclasses.replace(facts, booted=Lazy.of(101.0))
    assert lastproof.stands(host, proof, booted) == "this machine has started anew since the last check"
    assert lastproof.stands(host, proof, facts) == "upsmon does not run"
    (tmp_path / "run/nut").mkdir(parents=True)
    (tmp_path / "run/nut/upsmon.pid").write_text("77\n")
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/comm").write_text("upsmon\n")
    assert lastproof.stands(host, proof, facts) == ""


def test_a_file_to_keep_is_written_whole_for_its_owner_alone(tmp_path: Path) -> None:
    target = tmp_path / "proof.html"
    secret = tmp_path / "other"
    secret.write_text("other")
    target.symlink_to(secret)
    assert keep(str(target), "a page\n") == str(target)
    assert (target.read_text(), target.is_symlink(), secret.read_text()) == ("a page\n", False, "other")
    assert target.stat().st_mode & 0o777 == 0o600
    for wrong in (str(tmp_path), f"{tmp_path}/no/folder", f"{tmp_path}/"):
        with pytest.raises(UsageError):
            keep(wrong, "x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "proof.html"]

"""One run over one machine: how each step stands, what is narrowed, what proves it, what is left behind."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutwizard import opening
from nutwizard.core import paths
from nutwizard.core.errors import Exit
from nutwizard.core.facts import Role
from nutwizard.core.links import Finding, Reachable, State
from nutwizard.core.secret import Secret
from nutwizard.core.standing import Standing, StepState
from nutwizard.engine.practice import PracticeHost, daemons
from nutwizard.engine.saved import ALPHABET, PASSWORD_LENGTH
from nutwizard.engine.session import Session
from tests.support.sessions import AS_ROOT, make, opened

CANARY = "canary-93d2"
DRIVER = {"ups": "rack", "driver": "usbhid-ups", "port": "auto"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make(tmp_path / "tree")


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeHost]:
    """The practice host as after installation, played without real daemons."""
    monkeypatch.setattr(daemons, "find_programs", lambda: None)
    host = PracticeHost.open(str(tmp_path / "practice"), Role.HOST)
    yield host
    host.close()


def run(host: PracticeHost, role: Role = Role.HOST) -> Session:
    return opening.open_session(host, host, role, save=True)


def states(session: Session) -> dict[str, StepState]:
    return {step: session.standing(step).state for step in session.steps}


def done(tree: Path) -> None:
    """The machine as a first run leaves it."""
    assert opened(tree).apply(lambda text: None).code is Exit.DONE


def edit(tree: Path, name: str, old: str, new: str) -> None:
    path = tree / "etc/nut" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@AS_ROOT
def test_how_the_steps_of_a_fresh_host_stand(tree: Path) -> None:
    session = opened(tree)
    assert session.first
    assert session.standing("mode") == Standing(StepState.TO_DO, "nut.conf: 1 line")
    assert session.standing("driver").why.startswith("ups.conf: ")
    assert all(len(session.standing(step).why) <= 45 for step in session.steps)
    assert session.standing("timing") == Standing(StepState.IN_PLACE)
    assert session.state("mode") == "to do"
    assert session.state("timing") == "in place"


@AS_ROOT
def test_the_guide_has_the_steps_of_both_roles(tree: Path) -> None:
    host, client = opened(tree), opened(tree, Role.CLIENT)
    assert host.guide == client.guide
    assert [name for name, _ in host.guide if name in host.steps] == list(host.steps)
    assert dict(host.guide)["driver"] == host.title("driver") == client.title("driver")
    assert client.standing("driver") == Standing(StepState.OTHER_ROLE, "a host has it")
    assert {client.standing(name).state for name, _ in client.guide} >= {StepState.OTHER_ROLE}
    with pytest.raises(KeyError):
        host.standing("weather")


@AS_ROOT
def test_a_step_that_lacks_an_answer_is_told_and_those_behind_it_cannot(tmp_path: Path) -> None:
    session = opened(make(tmp_path / "vm", Role.CLIENT), Role.CLIENT)
    found = session.standing("monitor")
    assert found.state is StepState.TO_DO
    assert found.why.startswith("server is needed")
    assert session.standing("services") == Standing(StepState.UNKNOWN, "after Monitor that needs server")
    assert session.first


@AS_ROOT
def test_a_file_that_cannot_be_edited_is_told(tree: Path) -> None:
    (tree / "etc/nut/ups.conf").write_text('maxretry = "3\n')
    session = opened(tree)
    assert session.standing("mode").state is StepState.TO_DO
    found = session.standing("driver")
    assert (found.state, found.why[:34]) == (StepState.TO_DO, "/etc/nut/ups.conf cannot be edited")
    behind = Standing(StepState.UNKNOWN, "after UPS driver that needs mending")
    assert session.standing("listen") == session.standing("services") == behind


@AS_ROOT
def test_after_an_apply_all_is_in_place(tree: Path) -> None:
    done(tree)
    session = opened(tree)
    assert set(states(session).values()) == {StepState.IN_PLACE}
    assert not session.first


@AS_ROOT
def test_files_that_changed_since_differ_from_the_answers(tree: Path) -> None:
    done(tree)
    edit(tree, "ups.conf", "offdelay = 60", "offdelay = 50")
    edit(tree, "nut.conf", "MODE=netserver", "MODE=standalone")
    password = (tree / "etc/nutwizard/client.password").read_text().strip()
    edit(tree, "upsd.users", password, CANARY)
    session = opened(tree)
    assert session.standing("driver") == Standing(StepState.DIFFERS, "offdelay: 60 answered, 50 in place")
    assert session.standing("mode").state in (StepState.TO_DO, StepState.DIFFERS)
    assert session.standing("client_user") == Standing(StepState.DIFFERS, "password: another is in place")
    shown = str([session.standing(step) for step in session.steps])
    assert CANARY not in shown
    assert password not in shown


@AS_ROOT
def test_a_lost_line_differs_until_it_is_answered_anew(tree: Path) -> None:
    done(tree)
    edit(tree, "upsd.conf", "LISTEN", "#LISTEN")
    session = opened(tree)
    found = session.standing("listen")
    assert found.state is StepState.DIFFERS
    assert found.why.startswith("upsd.conf: ")
    values = {name: proposal.value for name, proposal in session.proposals("listen").items()}
    assert session.answer("listen", values) == ()
    assert session.standing("listen").state is StepState.TO_DO


@AS_ROOT
def test_a_step_counts_its_own_lines(tree: Path) -> None:
    """Monitor and actions both edit upsmon.conf; each tells of what it does itself."""
    session = opened(tree)
    session.answer("timing", {"deadtime": 30})
    assert session.standing("timing") == Standing(StepState.TO_DO, "upsmon.conf: 1 line")


@AS_ROOT
def test_one_walk_serves_all_steps(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(tree)
    walks: list[int] = []
    walk = session._planner.walk

    def counted(*given: object, **named: object) -> object:
        walks.append(1)
        return walk(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(session._planner, "walk", counted)
    session.answer("driver", DRIVER)
    assert [session.standing(step) for step, _ in session.guide]
    assert len(walks) == 1


@AS_ROOT
def test_answers_of_steps_that_are_left_out_do_not_count(tree: Path) -> None:
    """A new name of the UPS would stand in upsmon.conf and upssched.conf, and not in ups.conf."""
    done(tree)
    session = opened(tree)
    assert session.answer("driver", {**DRIVER, "ups": "renamed"}) == ()
    session.narrow(["actions"])
    assert session.open_steps() == ("driver",)
    assert "renamed" not in str(session.decided())
    assert [c.path for c in session.plan().files] == []
    assert session.standing("driver").state is StepState.IN_PLACE
    assert session.typed("driver")["ups"].value == "renamed"
    session.narrow(["driver"])
    assert session.open_steps() == ()
    assert {"/etc/nut/ups.conf", "/etc/nut/upsmon.conf"} <= {c.path for c in session.plan().files}
    session.narrow(())
    assert session.open_steps() == ()
    assert session.standing("driver").state is StepState.TO_DO


@AS_ROOT
def test_a_step_that_is_left_out_is_still_checked(tree: Path) -> None:
    session = opened(tree)
    session.narrow(["actions"])
    assert session.answer("driver", {**DRIVER, "offdelay": 45, "ondelay": 10}) != ()
    assert session.answer("driver", {**DRIVER, "offdelay": 45, "ondelay": 90}) == ()
    assert session.open_steps() == ("driver",)


@AS_ROOT
def test_a_drawn_password_fits_its_field(tree: Path) -> None:
    session = opened(tree)
    drawn = session.draw("client_user", "password")
    assert drawn.file == paths.CLIENT_PASSWORD
    assert len(drawn.reveal()) == PASSWORD_LENGTH
    assert set(drawn.reveal()) <= set(ALPHABET)
    assert session.draw("client_user", "password") != drawn
    assert session.draw("monitor", "password").file == paths.MONITOR_PASSWORD
    assert session.answer("client_user", {"password": drawn}) == ()
    assert session.proposals("client_user")["password"].value == drawn


@AS_ROOT
def test_what_comes_next_is_written_down(tree: Path) -> None:
    session = opened(tree)
    assert session.leave_next("Set up the VM.\n") == paths.NEXT
    assert session.leave_next("Look at the UPS.") == paths.NEXT
    path = tree / paths.NEXT.lstrip("/")
    assert path.read_text() == "Look at the UPS.\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["next.txt"]


@AS_ROOT
def test_below_another_root_nothing_is_asked(tree: Path) -> None:
    done(tree)
    what, values = opened(tree).values()
    assert values == {}
    assert "below another root" in what


def test_each_finding_is_told_as_it_is_found(practice: PracticeHost) -> None:
    session = run(practice)
    assert session.values() == ("There is no UPS in the files yet.", {})
    session.answer("driver", {**DRIVER, "ups": "rack"})
    session.answer("firewall", {"enabled": True})
    assert session.apply(lambda text: None).code is Exit.DONE
    links = session.watch_links()
    told: list[Finding] = []
    found = session.prove(told=told.append)
    assert len(told) == len(found)  # servers are asked side by side
    assert all(each in found for each in told)
    assert [each.link for each in found] == list(links)
    left = {each.state for each in found if each.state is not State.PROVEN}
    assert left == {State.WAITING, State.UNKNOWN}  # of the client, and of step outside
    assert len(quick := session.prove(quick=True)) < len(links)
    assert all(each.link in links for each in quick)
    what, values = session.values()
    assert what == "rack on 127.0.0.1:3493"
    assert values["ups.status"].startswith("OL")
    assert set(states(run(practice)).values()) == {StepState.IN_PLACE}


def test_told_comes_before_the_next_link_is_asked(practice: PracticeHost) -> None:
    class Stop(Exception):
        pass

    def told(finding: Finding) -> None:
        raise Stop

    with pytest.raises(Stop):
        run(practice).prove(told=told)


def test_a_client_asks_the_server_that_it_follows(practice: PracticeHost, tmp_path: Path) -> None:
    vm = PracticeHost.open(str(tmp_path / "practice"), Role.CLIENT)
    session = run(vm, Role.CLIENT)
    host = run(practice)
    password = Secret(CANARY, paths.CLIENT_PASSWORD)
    host.answer("client_user", {"name": "vms", "password": password})
    host.answer("driver", {**DRIVER, "ups": "rack"})
    host.answer("firewall", {"enabled": True})
    assert host.apply(lambda text: None).code is Exit.DONE
    given = {"server": "192.168.1.107", "ups": "rack", "user": "vms", "password": password}
    assert session.answer("monitor", given) == ()
    assert session.apply(lambda text: None).code is Exit.DONE
    what, values = session.values()
    assert what == "rack on 192.168.1.107:3493"
    assert values["ups.status"].startswith("OL")
    links = session.watch_links()
    assert sum(isinstance(link.target, Reachable) for link in links) == 4
    assert [finding.link for finding in session.prove()] == list(links)
    practice.run(["/usr/bin/systemctl", "stop", "nut-server"], timeout=30)
    what, values = session.values()
    assert values == {}
    assert "refused" in what

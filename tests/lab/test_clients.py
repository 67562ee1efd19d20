"""From the host to its clients: two VMs set up from the folders that the host wrote, no secret typed."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from .lab import SECOND_ADDRESS, VM_ADDRESS, Lab
from .machine import Machine, wait_until
from .remote import sshd
from .startpoints import CLIENT_FILES, stock_files
from .wizard import (
    HOST_ANSWERS,
    PASSWORD,
    Running,
    apply_host,
    check,
    clients,
    host_answers,
    quick,
    stopped,
    tree,
    wizard,
)

pytestmark = pytest.mark.lab

FOLDERS = "/etc/nutwizard/clients"
ANSWERS = (
    host_answers()
    + f"clients: {{clients: {{web: {VM_ADDRESS}, db: {SECOND_ADDRESS}, later: 192.168.1.12}}}}\n"
)
WEB, DB, LATER = f"client web ({VM_ADDRESS})", f"client db ({SECOND_ADDRESS})", "client later (192.168.1.12)"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    stock = quick(stock_files())
    with Lab(stock, {name: stock[name] for name in CLIENT_FILES}, guests=2) as machines:
        yield machines


@pytest.fixture(scope="module")
def printed(lab: Lab) -> str:
    """What the host's apply said."""
    return apply_host(lab.host, ANSWERS).stdout


def awaited(machine: Machine) -> dict[str, str]:
    """Subject -> state of the clients that the host knows, by a check that finds nothing broken."""
    found = check(machine)
    assert (found.code, found.having("broken")) == (0, set())
    return {link["subject"]: link["status"] for link in found.links if link["step"] == "clients"}


def test_the_host_writes_a_folder_for_each_client(lab: Lab, printed: str) -> None:
    drawn = lab.host.read(PASSWORD)
    for name in ("web", "db", "later"):
        for file in ("answers.yaml", "client.password"):
            found = lab.host.stat(f"{FOLDERS}/{name}/{file}")
            assert (found.owner, found.group, found.mode) == ("root", "root", 0o600)
        assert lab.host.stat(f"{FOLDERS}/{name}").mode == 0o700
        assert lab.host.read(f"{FOLDERS}/{name}/client.password") == drawn
        assert b"\n  server: 192.168.1.107\n" in lab.host.read(f"{FOLDERS}/{name}/answers.yaml")
    assert lab.host.stat(FOLDERS).mode == 0o700
    assert drawn.decode().strip() not in printed
    assert json.loads(wizard(lab.host, "plan", HOST_ANSWERS, "--json").stdout)["empty"] is True
    before = tree(lab.host)
    again = json.loads(wizard(lab.host, "apply", HOST_ANSWERS, "--json").stdout)
    assert [each["folder"] for each in again["clients"]] == [f"{FOLDERS}/{n}" for n in ("web", "db", "later")]
    assert tree(lab.host) == before
    assert awaited(lab.host) == {WEB: "waiting", DB: "waiting", LATER: "waiting"}


def test_a_client_may_come_before_its_server(lab: Lab, printed: str) -> None:
    db = lab.vms[1]
    for file in ("answers.yaml", "client.password"):
        db.write(f"/root/db/{file}", lab.host.read(f"{FOLDERS}/db/{file}"), mode=0o600)
    with stopped(lab.host, "nut-server"):
        said = wizard(db, "apply", "/root/db/answers.yaml").stdout
        assert "This machine waits for its server" in said
        assert f"port      3493/tcp open for {SECOND_ADDRESS}\n" in said
        assert "user      upsmonclient, in upsd.users" in said
        assert "For the next VM copy these files, and run there:\n  /root/db/answers.yaml\n" in said
        assert b"MONITOR apc@192.168.1.107 1 upsmonclient " in db.read("/etc/nut/upsmon.conf")
        assert json.loads(wizard(db, "plan", "/root/db/answers.yaml", "--json").stdout)["files"] == []
    wait_until(lambda: SECOND_ADDRESS in clients(lab.host, "apc@localhost") or None, 20.0)
    assert awaited(lab.host) == {WEB: "waiting", DB: "proven", LATER: "waiting"}


def test_the_printed_lines_set_a_client_up(lab: Lab, printed: str) -> None:
    """Each line as it is printed, pasted into a shell of the host's root; the answers are not touched."""
    lines = printed.splitlines()
    at = lines.index(f"Client web ({VM_ADDRESS})")
    program, answers, apply = lines[at + 1 : at + 4]
    with sshd(lab, lab.vm, VM_ADDRESS):
        for _ in range(2):  # they may be repeated
            pasted(lab.host, program)
            pasted(lab.host, answers)
        # There is no registry here: what ./run would make of it is what the tests run with.
        lab.vm.run(["ln", "-s", sys.prefix, "/root/nutwizard/.venv"], check=True)
        said = pasted(lab.host, apply)
    assert lab.vm.stat("/root/nutwizard-answers").mode == 0o700
    assert lab.vm.stat("/root/nutwizard").owner == "root"
    assert lab.vm.stat("/root/nutwizard/run").owner == "root"
    assert lab.host.read(PASSWORD).decode().strip() not in said
    found = check(lab.vm)
    assert (found.code, {link["status"] for link in found.links}) == (0, {"proven"})
    assert awaited(lab.host) == {WEB: "proven", DB: "proven", LATER: "waiting"}


def pasted(host: Machine, line: str) -> str:
    done = host.run(["sh", "-c", line], cwd="/root", timeout=120.0)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_a_client_is_seen_to_come(lab: Lab, printed: str) -> None:
    with tempfile.TemporaryFile() as output:
        with stopped(lab.vm, "nut-monitor"):
            wait_until(lambda: VM_ADDRESS not in clients(lab.host, "apc@localhost") or None, 20.0)
            words = ("check", "--watch", "0.5", "--for", "60", "--json")
            run = Running(lab.host, *words, output=output.fileno())
            wait_until(lambda: len(rounds(output.fileno())) > 1 or None, 20.0)
        with run:
            wait_until(lambda: states(rounds(output.fileno())[-1])[WEB] == "proven" or None, 20.0)
        seen = [states(each)[WEB] for each in rounds(output.fileno())]
    turn = seen.index("proven")
    assert turn > 1
    assert (set(seen[:turn]), set(seen[turn:])) == ({"waiting"}, {"proven"})


def test_what_changes_is_told_in_a_line(lab: Lab, printed: str) -> None:
    with tempfile.TemporaryFile() as output:
        run = Running(lab.host, "check", "--watch", "0.5", "--for", "12", output=output.fileno())
        with run:
            run.wait_said("Looking every 0.5 s")
            with stopped(lab.vms[1], "nut-monitor"):
                text = wait_until(lambda: told(output.fileno(), f"proven -> waiting  {DB}"), 10.0)
            assert run.process.wait(30.0) == 0
        text = os.pread(output.fileno(), 1 << 20, 0).decode()
    assert f"waiting -> proven  {DB}: upsd lists {SECOND_ADDRESS}" in text


def told(output: int, line: str) -> str | None:
    text = os.pread(output, 1 << 20, 0).decode()
    return text if line in text else None


def rounds(output: int) -> list[dict[str, Any]]:
    """The whole lines so far."""
    text = os.pread(output, 1 << 24, 0).decode()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def states(found: dict[str, Any]) -> dict[str, str]:
    return {link["subject"]: link["status"] for link in found["links"]}


def test_a_new_password_names_who_is_locked_out(lab: Lab, printed: str) -> None:
    text = ANSWERS.replace("password_file: client.password", "password_file: next.password")
    lab.host.write("/root/next.yaml", text, mode=0o600)
    lab.host.write("/root/next.password", "n3xt-p4ssword\n", mode=0o600)
    notes = json.loads(wizard(lab.host, "plan", "/root/next.yaml", "--json", code=3).stdout)["notes"]
    assert f"web ({VM_ADDRESS})" in notes[0]
    assert f"db ({SECOND_ADDRESS})" in notes[0]
    assert notes[0].endswith("are locked out until they get the new one")
    wizard(lab.host, "apply", "/root/next.yaml")  # that they are locked out is no failure of this change
    assert lab.host.read(f"{FOLDERS}/web/client.password") == b"n3xt-p4ssword\n"
    wizard(lab.host, "undo")
    assert lab.host.read(f"{FOLDERS}/web/client.password") == lab.host.read(PASSWORD)


def test_undo_takes_the_folders_back(lab: Lab, printed: str) -> None:
    wizard(lab.host, "undo", "1")
    assert not lab.host.exists("/etc/nutwizard")

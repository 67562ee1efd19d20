"""The real upsmon and upsd read the cases as the models do."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from nutwizard.formats.sections import SectionFile
from nutwizard.formats.words import UNBALANCED, parse
from tests.support.real_nut import free_port

from .cases import load, params
from .test_words import TEXTS

pytestmark = pytest.mark.lab

INVALID = re.compile(rb".*upsmon\.conf line \d+: invalid directive (.*)", re.DOTALL)


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "NUT_CONFPATH": str(folder), "NUT_STATEPATH": str(folder)}


def as_upsmon_reads(folder: Path, data: bytes) -> list[str | None]:
    """The words of each line, joined, from upsmon's complaints about directives; None for a dropped line."""
    (folder / "upsmon.conf").write_bytes(data)
    run = subprocess.run(
        ["/lib/nut/upsmon", "-F"], env=environment(folder), capture_output=True, timeout=10
    )  # ends at once: no MONITOR
    found: list[str | None] = []
    for line in run.stderr.split(b"\n"):
        if match := INVALID.match(line):
            found.append(match[1].decode("latin-1"))
        elif b"Parse error" in line:
            found.append(None)
    return found


def as_we_read(data: bytes) -> list[str | None]:
    lines = [line for line in parse(data) if line.words or line.error == UNBALANCED]
    return [None if line.error else " ".join(line.words) for line in lines]


@pytest.mark.parametrize("case", params("words.yaml"))
def test_words(case: dict[str, Any], tmp_path: Path) -> None:
    data = case["text"].encode("latin-1")
    assert as_upsmon_reads(tmp_path, data) == as_we_read(data)


@given(TEXTS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_of_any_bytes(tmp_path: Path, data: bytes) -> None:
    assert as_upsmon_reads(tmp_path, data) == as_we_read(data)


def test_no_more_than_32_words(tmp_path: Path) -> None:
    data = b"xa " + b"w " * 40 + b"\n"
    assert as_upsmon_reads(tmp_path, data) == as_we_read(data)


@contextmanager
def upsd(folder: Path, ups: str, users: str) -> Iterator[int]:
    """A real upsd on loopback without drivers; the port."""
    port = free_port()
    for name, text in {
        "ups.conf": ups,
        "upsd.users": users,
        "upsd.conf": f"LISTEN 127.0.0.1 {port}\n",
    }.items():
        (folder / name).write_text(text, encoding="latin-1")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["/lib/nut/upsd", "-F", "-u", "root"], env=environment(folder), stdout=log, stderr=log
        )
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def await_port(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    pytest.fail("upsd does not answer")


def ask(port: int, *commands: str) -> list[str]:
    """Send commands one by one; the first line of each answer, and of a list all lines."""
    answers: list[str] = []
    with (
        socket.create_connection(("127.0.0.1", port), 5) as link,
        link.makefile("r", encoding="ascii") as lines,
    ):
        for command in commands:
            link.sendall(command.encode("ascii") + b"\n")
            answers.append(lines.readline().rstrip("\n"))
            while command.startswith("LIST") and not answers[-1].startswith(("END", "ERR")):
                answers.append(lines.readline().rstrip("\n"))
    return answers


def test_sections_of_ups_conf(tmp_path: Path) -> None:
    """Every UPS that upsd lists and its description, from all cases in one file."""
    texts = [case["text"] for case in load("sections.yaml") if case["file"] == "ups"]
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        ups = text.replace("\n[", "\ndriver = x\nport = y\n[") + "\n[last]\ndriver = x\nport = y\n"
        document = SectionFile.parse(ups.encode())
        with upsd(folder, ups, "") as port:
            listed = ask(port, "LIST UPS")[1:-1]
        complete = [name for name in document.names() if {"driver", "port"} <= document.values(name).keys()]
        described = {name: document.get(name, "desc") or "Description unavailable" for name in complete}
        assert set(listed) == {f'UPS {name} "{text}"' for name, text in described.items()}


def test_sections_of_upsd_users(tmp_path: Path) -> None:
    """Password and the right to LOGIN and be primary, of every user of every case."""
    cases = [case for case in load("sections.yaml") if case["file"] == "users"]
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        document = SectionFile.parse(case["text"].encode(), users=True)
        with upsd(folder, "[u]\ndriver = x\nport = y\n", case["text"]) as port:
            for name, values in document.effective_users().items():
                roles = {role.casefold() for role in values.get("upsmon", ())}
                granted = "password" in values and bool(roles & {"master", "primary"})
                password = values.get("password", ("none",))[0]
                answers = ask(port, f"USERNAME {name}", f"PASSWORD {password}", "PRIMARY u")
                assert (answers[2] == "OK PRIMARY-GRANTED") == granted, (case["why"], name, answers)
                wrong = ask(port, f"USERNAME {name}", f"PASSWORD {password}x", "PRIMARY u")
                assert wrong[2] == "ERR ACCESS-DENIED"

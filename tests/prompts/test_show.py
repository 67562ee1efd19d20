"""Plans, findings, history and pages as text."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

from nutwizard.core import paths
from nutwizard.core.facts import Owner, Role
from nutwizard.core.links import State
from nutwizard.core.plan import NOTHING, FileChange, Plan
from nutwizard.core.text import FileText
from nutwizard.wording import show
from nutwizard.wording.layout import Line, Tone, cells, markdown, rows, wrapped
from tests.prompts.fake import CANARY, FakeSession, finding


@dataclass
class Record:
    id: int = 3
    started: float = 1_700_000_000.0
    state: str = "committed"
    command: str = "apply host.yaml"
    paths: tuple[str, ...] = ("/etc/nut/ups.conf",)
    size: int = 4097
    forgotten: bool = False


def users(password: str) -> bytes:
    return f"[admin]\n    password = {password}\n    actions = SET\n".encode()


def change(before: bytes | None, after: bytes | None, path: str = paths.UPSD_USERS) -> FileChange:
    old, new = (None if data is None else FileText(path, data) for data in (before, after))
    owner = Owner("root", "nut", 0o640)
    return FileChange(path, path, old, new, owner if old else None, owner if new else None)


def test_a_copy_is_made_or_goes_with_its_file() -> None:
    made = replace(change(None, b"x\n", paths.UPS_CONF + ".orig"), copy_of=paths.UPS_CONF)
    gone = replace(change(b"x\n", None, paths.UPS_CONF + ".orig"), copy_of=paths.UPS_CONF)
    assert show.copy_text(made) == "/etc/nut/ups.conf.orig  keeps /etc/nut/ups.conf as it is now"
    assert show.copy_text(gone) == "/etc/nut/ups.conf.orig  removed: /etc/nut/ups.conf is put back"


def test_a_plan_is_told_whole() -> None:
    text = show.plan_text(FakeSession().plan(), color=False)
    lines = text.splitlines()
    assert lines[0] == "/etc/nut/ups.conf.orig  keeps /etc/nut/ups.conf as it is now"
    assert "/etc/nut/ups.conf  1 line  driver" in lines
    assert "    root:root 0640 -> root:nut 0640" in lines
    assert "  +     offdelay = 60" in lines
    assert "    nut cannot read it" in lines
    assert lines[-4:] == [
        "Then:", "  restart nut-server: its configuration changes", "", "Note: The first start takes 20 s.",
    ]  # fmt: skip
    assert "\x1b" not in text


def test_colour_says_nothing_that_the_text_does_not() -> None:
    plan = FakeSession().plan()
    colored = show.plan_text(plan, color=True)
    assert "\x1b[32m  +     offdelay = 60\x1b[0m\n" in colored
    assert colored.replace("\x1b[32m", "").replace("\x1b[0m", "") == show.plan_text(plan, color=False)


def test_an_empty_plan_is_told_in_one_sentence() -> None:
    assert show.plan_text(Plan(Role.HOST), color=False) == NOTHING + "\n"


def test_neither_old_nor_new_password_is_shown() -> None:
    text = show.plan_text(Plan(Role.HOST, (change(users(CANARY), users("n3w-" + CANARY)),)), color=False)
    assert CANARY not in text
    assert "1 line" in text


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [
        (None, b"a\n", "new"),
        (b"a\n", None, "removed"),
        (b"a\nb\n", b"a\nc\nd\n", "2 lines"),
        (b"a\n", b"a\n", "owner"),
    ],
)
def test_sizes(before: bytes | None, after: bytes | None, size: str) -> None:
    assert show.size_of(change(before, after, paths.UPSD_CONF)) == size


def test_a_long_file_shows_only_the_places_that_change() -> None:
    lines = [f"# {n}" for n in range(40)]
    before = "\n".join(lines).encode()
    text = show.plan_text(
        Plan(Role.HOST, (change(before, before.replace(b"# 5\n", b"# five\n") + b"x\n", paths.UPSD_CONF),)),
        color=False,
    )
    assert "  - # 5\n  + # five\n" in text
    assert text.count("    ...\n") == 1
    assert "No newline at end of file" in text
    assert "# 20" not in text


def test_a_link_is_named() -> None:
    linked = replace(change(b"a\n", b"b\n", paths.UPSD_CONF), actual="/srv/upsd.conf")
    text = show.plan_text(Plan(Role.HOST, (linked,)), color=False)
    assert "actually /srv/upsd.conf: the link stays" in text


def test_findings_begin_with_what_is_broken() -> None:
    text = show.findings_text(
        [
            finding(State.PROVEN, "data", evidence="fresh", values={"battery.charge": "100"}),
            finding(State.NOT_APPLICABLE, "firewall"),
            finding(State.BROKEN, "login", evidence="refused\nagain", cause="upsd is down", fix="start it"),
        ]
    )
    assert text.splitlines() == [
        "broken    login", "          refused", "          again", "          cause: upsd is down",
        "          mend: start it", "proven    data", "          fresh", "          battery.charge: 100",
        "not applicable firewall",
    ]  # fmt: skip


def test_every_state_has_its_place() -> None:
    text = show.findings_text([finding(state, state.name) for state in State])
    assert all(state.name in text for state in State)


def test_history() -> None:
    text = show.history_text([Record(command="apply \x1b]0;x")])
    assert "3  2023-11-1" in text
    assert "5 KiB  apply \\x1b]0;x" in text
    assert "  3 days ago  " in show.history_text([Record()], 1_700_000_000.0 + 3.9 * 86400)
    assert "committed, forgotten  700 bytes" in show.history_text([Record(size=700, forgotten=True)])
    assert "      /etc/nut/ups.conf\n" in text
    assert "changed nothing" in show.history_text([])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3600, "in the future"), (-2, "just now"), (59, "just now"), (60, "1 minute ago"), (7199, "1 hour ago"),
     (3 * 86400, "3 days ago"), (65 * 86400, "2 months ago"), (800 * 86400, "2 years ago")],
)  # fmt: skip
def test_age(seconds: float, words: str) -> None:
    assert show.age(seconds) == words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "color"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_when_there_is_colour(stream: io.StringIO, environ: dict[str, str], color: bool) -> None:
    assert show.wants_color(stream, environ) is color


def test_the_commands_that_never_ask_load_no_prompts() -> None:
    program = (
        "import sys, nutwizard.wording.show, nutwizard.prompts.guided, nutwizard.prompts.asker\n"
        "print(sorted({'questionary', 'prompt_toolkit', 'textual', 'asyncio', 'yaml'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "[]\n"


def test_markdown_is_readable_plain_text() -> None:
    source = (
        "# Head\n\nOne *two* **three**\n_four_ `a*b*c` [text](https://x.org/a_b_c)\n"
        "snake_case_name 2 * 3 * 4\n\n"
        "- item one\n  goes on\n* item **two**\n1. first\n\n```\nLISTEN  *x*\n```\n\n    code = `1`\n"
    )
    assert [(line.text, line.tone) for line in markdown(source) if line.text] == [
        ("Head", Tone.PROSE),
        ("One two three four a*b*c text (https://x.org/a_b_c) snake_case_name 2 * 3 * 4", Tone.PROSE),
        ("- item one goes on", Tone.PROSE),
        ("- item two", Tone.PROSE),
        ("1. first", Tone.PROSE),
        ("    LISTEN  *x*", Tone.PLAIN),
        ("    code = `1`", Tone.PLAIN),
    ]
    assert [line.text for line in markdown("one\n\n\n\ntwo\n")] == ["one", "", "two"]


def test_nothing_is_wider_than_the_terminal() -> None:
    long = "- " + "word " * 30
    parts = wrapped(Line(long), 40)
    assert all(cells(part.text) <= 40 for part in parts)
    assert [part.text[:4] for part in parts] == ["- wo"] + ["  wo"] * (len(parts) - 1)
    cut = wrapped(Line(long, Tone.ADDED), 40)
    assert all(cells(part.text) <= 40 and part.tone is Tone.ADDED for part in cut)
    assert cut[0].text + "".join(part.text.removeprefix(" " * 6) for part in cut[1:]) == long
    assert wrapped(Line(f"left{' ' * 60}right", Tone.TITLE), 40)[0].text == f"left{' ' * 31}right"
    assert wrapped(Line("-" * 75, Tone.TITLE), 40) == [Line("-" * 40, Tone.TITLE)]
    assert rows("ü" * 81, 80) == 2
    assert rows("電" * 41, 80) == 2
    assert rows("", 80) == 1

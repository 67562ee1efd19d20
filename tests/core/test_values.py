"""Small values: system words, LISTEN and MONITOR lines, origins, secrets, contents, owners, pages, checks."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from nutwizard.core import checks, server
from nutwizard.core.answers import AnswersSet, Given, Origin, Proposed, choose
from nutwizard.core.draft import nut_reads
from nutwizard.core.events import events_of
from nutwizard.core.facts import Lazy, Owner, Role
from nutwizard.core.page import parse_page
from nutwizard.core.secret import TO_BE_GENERATED, Secret
from nutwizard.core.site import split_system, system_word
from nutwizard.core.text import FileText
from nutwizard.core.upsmon import local_primary, monitors
from nutwizard.formats.nutfile import NutFile
from nutwizard.formats.sections import SectionFile

CANARY = "canary-5d1c"
HOME = ("127.0.0.1", 3493)
LONG = "x" * 64


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("apc", ("apc", "localhost", 3493)),
        ("apc@", ("apc", "localhost", 3493)),
        ("apc@nas.lan", ("apc", "nas.lan", 3493)),
        ("apc@10.0.0.5:4000", ("apc", "10.0.0.5", 4000)),
        ("apc@[2001:db8::7]", ("apc", "2001:db8::7", 3493)),
        ("apc@[::1]:1", ("apc", "::1", 1)),
        ("apc@h:65535", ("apc", "h", 65535)),
    ],
)
def test_split_system(word: str, parts: tuple[str, str, int]) -> None:
    assert split_system(word) == parts
    assert split_system(system_word(*parts)) == parts


@pytest.mark.parametrize("word", ["a@h:0", "a@h:65536", "a@h:x", "a@[::1]:x", "a@h:-1"])
def test_split_system_refuses(word: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int's own text is no promise
        split_system(word)


def test_system_word_leaves_nuts_own_port_out() -> None:
    assert system_word("apc", "::1", 3493) == "apc@[::1]"
    assert system_word("apc", "h", 4000) == "apc@h:4000"


@pytest.mark.parametrize(
    ("text", "lines", "hidden", "local"),
    [
        ("", [HOME, ("::1", 3493)], "", HOME),
        ("LISTEN 0.0.0.0\nLISTEN 127.0.0.1\n", [("0.0.0.0", 3493), HOME], "0.0.0.0", HOME),
        ("LISTEN 0.0.0.0 4000\nLISTEN ::2\n", [("0.0.0.0", 4000), ("::2", 3493)], "", ("127.0.0.1", 4000)),
        ("LISTEN ::\nLISTEN 10.0.0.5\n", [("::", 3493), ("10.0.0.5", 3493)], "", ("::1", 3493)),
        ("LISTEN ::0 1\nLISTEN 2001:db8::7 1\n", [("::0", 1), ("2001:db8::7", 1)], "::0", ("::1", 1)),
        ("LISTEN 10.0.0.5 x\n", [("10.0.0.5", 3493)], "", ("10.0.0.5", 3493)),
        ("LISTEN localhost 5\n", [("localhost", 5)], "", ("127.0.0.1", 5)),
        ("#LISTEN 1.1.1.1\nlisten 2.2.2.2\nLISTEN\n", [HOME, ("::1", 3493)], "", HOME),
    ],
)
def test_listen_lines(text: str, lines: list[tuple[str, int]], hidden: str, local: tuple[str, int]) -> None:
    found = server.listen_lines(NutFile.parse(text.encode()))

    assert found == lines
    assert server.hides_the_network(found, (2, 8, 0)) == hidden
    assert server.local_address(found) == local


def test_role_words_follow_the_version() -> None:
    assert server.role_words((2, 7, 4)) == ("master", "slave")
    assert server.role_words((2, 8, 0)) == ("primary", "secondary")
    words = ("MASTER", "Primary", "slave", "secondary", "")
    assert [word for word in words if server.is_primary(word, (2, 7, 4))] == ["MASTER"]
    assert [word for word in words if server.is_primary(word, (2, 8, 1))] == ["MASTER", "Primary"]


def test_rights_of_users() -> None:
    users = SectionFile.parse(
        b"[a]\nUPSMON Master\n[b]\nactions = SET\n[c]\nINSTCMDS = ALL\n[d]\n", users=True
    )

    assert [server.upsmon_right(users, name) for name in "abcdx"] == ["master", "", "", "", ""]
    assert [server.is_administrator(users, name) for name in "abcd"] == [False, True, True, False]


def test_monitor_lines_as_upsmon_takes_them() -> None:
    text = b"""MONITOR a@localhost 1 u p slave
MONITOR a 1 u p
MONITOR b@h:99999 1 u p master
monitor c@h 1 u p master
MONITOR a@localhost 1 u other master
MONITOR a@127.0.0.2 1 u "p q" MASTER x
MONITOR d@[::1]:4000 0 u p master
"""
    found = monitors(NutFile.parse(text))

    assert [(m.ups, m.server, m.port, m.password, m.word, m.local) for m in found] == [
        ("a", "localhost", 3493, "p", "slave", True),
        ("a", "127.0.0.2", 3493, "p q", "MASTER", True),
        ("d", "::1", 4000, "p", "master", True),
    ]
    assert local_primary(found, (2, 8, 0)) is found[1]
    assert local_primary(found[:1], (2, 8, 0)) is found[0]
    assert local_primary([], (2, 8, 0)) is None


def test_the_first_origin_wins_and_the_first_given_of_one_origin() -> None:
    order = [Origin.TYPED, Origin.NAMED, Origin.CURRENT, Origin.SAVED, Origin.DETECTED, Origin.GUIDE]
    for better, worse in pairwise(order):
        assert choose(Proposed("p", worse), [Given("g", better, "f:1:2")]) == Proposed("g", better, "f:1:2")
        assert choose(Proposed("p", better), [Given("g", worse)]) == Proposed("p", better)
    assert choose(Proposed("p", Origin.GUIDE), [Given(1, Origin.NAMED), Given(2, Origin.NAMED)]).value == 1
    assert choose(Proposed("p", Origin.CURRENT), [Given("g", Origin.CURRENT)]).value == "p"


def test_answers_set_knows_what_was_given() -> None:
    given = Given(0, Origin.NAMED)
    answers = AnswersSet(Role.HOST, "", {"driver": {"offdelay": given}})
    assert answers.get("driver", "offdelay") is given
    assert answers.get("driver", "ups") is answers.get("listen", "port") is None


@pytest.mark.parametrize(
    "show",
    [repr, str, ascii, "{}".format, lambda s: f"{s!r}", lambda s: repr({"a": [s]})],
)
def test_a_secret_never_shows_itself(show: Callable[[Any], str]) -> None:
    assert show(Secret(CANARY, "/f")).count("********") == 1
    assert CANARY not in show(Secret(CANARY, "/f"))


def test_a_secret_in_a_log_or_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("x").error("%s %r", secret, (secret,))
    with pytest.raises(ValueError, match=r"^Secret\(\*+\)$"):
        raise ValueError(secret)
    assert CANARY not in caplog.text


def test_a_secret_does_not_leave_the_process() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(Secret(CANARY), protocol)
    with pytest.raises(TypeError):
        copy.copy(Secret(CANARY))
    assert not hasattr(Secret(CANARY), "__dict__")


def test_secrets_are_equal_by_value_and_file() -> None:
    assert Secret("a", "/f") == Secret("a", "/f") == Secret("a").kept_in("/f")
    assert len({Secret("a", "/f"), Secret("a", "/f"), Secret("b", "/f"), Secret("a")}) == 3
    assert Secret("a") != "a"


def test_a_secret_to_be_drawn() -> None:
    pending = Secret(None, "/f")
    assert pending.pending
    assert not Secret("").pending
    assert pending.reveal() == TO_BE_GENERATED
    assert checks.password(TO_BE_GENERATED) is not None, "or it could be taken for a password"


def test_contents_do_not_show_themselves() -> None:
    text = FileText("/etc/nut/upsd.users", CANARY.encode())
    assert repr(text) == f"FileText('/etc/nut/upsd.users', {len(CANARY)} bytes)"
    assert CANARY not in repr(text)
    assert text == FileText("/elsewhere", CANARY.encode()) != FileText("/etc/nut/upsd.users", b"")


@pytest.mark.parametrize(
    ("owner", "reads"),
    [
        (Owner("root", "nut", 0o640), True),
        (Owner("root", "nut", 0o604), False),
        (Owner("nut", "root", 0o400), True),
        (Owner("nut", "nut", 0o044), False),
        (Owner("root", "root", 0o640), False),
        (Owner("root", "root", 0o644), True),
    ],
)
def test_what_user_nut_can_read(owner: Owner, reads: bool) -> None:
    assert nut_reads(owner) is reads


def test_owner_for_a_person() -> None:
    assert str(Owner("root", "nut", 0o640)) == "root:nut 0640"


def test_a_lazy_value_is_read_once() -> None:
    reads = iter(range(5))
    lazy = Lazy(lambda: next(reads))
    assert (lazy(), lazy(), next(reads)) == (0, 0, 1)


def test_a_lazy_value_that_failed_is_read_again() -> None:
    failures = [OSError()]

    def read() -> str:
        if failures:
            raise failures.pop()
        return "found"

    lazy = Lazy(read)
    with pytest.raises(OSError):  # noqa: PT011 - the only one
        lazy()
    assert lazy() == "found"


def test_events_by_version() -> None:
    assert len(events_of((2, 7, 4))) == 10
    assert set(events_of((2, 8, 0))) - set(events_of((2, 7, 4))) == {"CAL"}
    assert set(events_of((2, 8, 1))) - set(events_of((2, 8, 0))) == {"OFF", "NOTOFF", "BYPASS", "NOTBYPASS"}
    assert len(events_of((2, 8, 5))) == 30
    assert events_of(()) == ()


PAGE = """Both *roles*.

## user
Who.

# host
Only the host.

## password
Of the host.

# client
Only the client.

## password
Of the VM.

### smaller
still the VM's.
"""


def test_pages_by_role() -> None:
    host, client = parse_page(PAGE, Role.HOST), parse_page(PAGE, Role.CLIENT)

    assert (host.intro, client.intro) == (
        "Both *roles*.\n\nOnly the host.",
        "Both *roles*.\n\nOnly the client.",
    )
    assert dict(host.help) == {"user": "Who.", "password": "Of the host."}
    assert dict(client.help) == {"user": "Who.", "password": "Of the VM.\n\n### smaller\nstill the VM's."}


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.ups_name, "apc A.b_c-1 3S " + LONG, "-a a@b é a[b " + LONG + "x"),
        (checks.driver_name, "usbhid-ups nutdrv_qx al175", "../x /lib/nut/x X -x"),
        (checks.user_name, "upsmonclient a.b", 'a] a# a=b "a ü ' + LONG + "x"),
        (checks.password, "s3c4R3_Kly3Nt_p4sSw0rD! " + LONG, 'a#b a\\b a=b "a ü ' + LONG + "x"),
        (checks.listen_address, "0.0.0.0 :: 2001:db8::7", "nas 1.2.3 fe80::1%eth0 [::1] *"),
        (checks.server_address, "nas nas.lan 10.0.0.5 ::1 a-b", "1.2.3 a_b -a a..b h:1 1.2.3.4.5"),
        (checks.nut_text, 'APC #1 "b"', "ü \x1b[1m \x00"),
    ],
)
def test_checks(check: Callable[[str], str | None], good: str, bad: str) -> None:
    assert [value for value in good.split(" ") if check(value) is not None] == []
    assert [value for value in ["", " ", "a\n", *bad.split(" ")] if check(value) is None] == []

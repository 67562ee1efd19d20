"""No secret is shown: not in its place, not elsewhere, not in a diff, however it is spelled."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutwizard.formats.redact import MASK, NEW, OLD, PLACEHOLDER, diff, diff_text, masked_lines, secrets_of
from nutwizard.formats.words import encode

CANARY = "Xy7-canary_Qz"
SPELLINGS = {
    "upsd.users": [
        "password = %s",
        "PASSWORD=%s",
        '  password = "%s" # note',
        "password %s",
        '"password=%s"',
        "password\\=%s",
        "password = \\\n %s",
        'password = "a#%s"',
        'password = "%s#a"',
        "password = a#%s",
        "password = my %s",
        "# password = %s",
        "#\t#password=%s",
        "# password: %s",
        "; password = %s",
        "[u] password = %s",
        "upsmon slave # was: password = %s",
        'password = "%s',
        "password =\n%s",
        'x = "open\npassword = %s\n"',
        'desc = "a # b" password = %s',
        'password = "my\n%s"',
        'password = "a#b" "c\n%s"',
        "ïpassword = %s",
    ],
    "upsmon.conf.orig": [
        "MONITOR a@b 1 u %s slave",
        'MONITOR a@b 1 u "%s" primary # c',
        "monitor a@b 1 u %s slave",
        "MONITOR a@b 1 %s slave",
        "MONITOR a@b 1 u %s",
        "MONITOR a@b 1 u %s#x slave",
        'MONITOR a@b 1 u "x#%s" slave',
        "MONITOR a@b 1 u my %s slave",
        "MONITOR a@b \\\n1 u \\\n%s slave",
        "# MONITOR a@b 1 u %s master",
        "#MONITOR a 1 u %s slave",
        'MONITOR a@b 1 u "%s slave',
        "MONITOR a@b 1 u x=%s slave",
        'CERTIDENT "n" %s',
        '# CERTIDENT "n" "%s"',
    ],
    "upsd.conf": [
        'CERTIDENT n "%s"',
        "CERTIDENT %s",
    ],
    "/etc/nut/ups.conf.bkp": [
        "community = %s",
        'authPassword = "%s"',
        "privpassword=%s",
        "# community = %s",
        "secName = %s",
        "password = %s",
    ],
    "client.password": [
        "%s",
    ],
    "/etc/nutwizard/answers.yaml": [
        "  password: %s",
        '  password: "%s" # mine',
        "client_user: {name: vm, password: %s}",
        "monitor: {'password' : '%s', user: a}",
        "# password: %s",
    ],
}
PLANTED = [(name, text) for name, texts in SPELLINGS.items() for text in texts]
GENERATED = st.text("ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789-_", min_size=12, max_size=24)


def shown(name: str, data: bytes) -> str:
    """All that can be shown of a file: its lines, and diffs in which it comes, goes and is context."""
    diffs = (
        diff(name, None, data),
        diff(name, data, None),
        diff(name, data + b"\nz = 1\n", data + b"\nz = 2\n"),
    )
    return "\n".join([*masked_lines(name, data), *(diff_text(lines, "/x") for lines in diffs)])


@pytest.mark.parametrize(("name", "text"), PLANTED)
def test_a_planted_secret_is_not_shown(name: str, text: str) -> None:
    frames = itertools.product(["", "a b\n", "\ufeff"], ["", "\n", "\r\n", "\n[z]\nz = z\n"])
    for before, after in frames:
        data = (before + text.replace("%s", CANARY) + after).encode()
        assert CANARY[:8] not in shown(name, data), data


@pytest.mark.parametrize(("name", "text"), PLANTED)
def test_nor_where_else_it_stands(name: str, text: str) -> None:
    if not secrets_of(name, text.replace("%s", CANARY).encode()) & {CANARY}:
        return  # part of a word that NUT breaks up: hidden in its place only
    data = f"# see {CANARY} above\n{text.replace('%s', CANARY)}\nZ x{CANARY}x\n".encode()
    assert CANARY not in shown(name, data)


@given(GENERATED, st.sampled_from(PLANTED), st.binary(max_size=20), st.binary(max_size=20))
@settings(max_examples=200)
def test_a_generated_secret_is_not_shown(
    secret: str, planted: tuple[str, str], before: bytes, after: bytes
) -> None:
    name, text = planted
    data = before + b"\n" + text.replace("%s", secret).encode() + b"\n" + after
    assert secret not in shown(name, data)


def test_nor_one_that_goes_on_behind_a_quote_opened_before() -> None:
    data = f'"\n[u]\npassword = "my\n{CANARY}"\n'.encode()
    assert CANARY not in shown("upsd.users", data)
    for spelled in ('"my', '"a#b" "c'):
        data = f'"\npassword = {spelled}\n{CANARY}"\n'.encode()
        assert CANARY not in shown("upsd.users", data)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6, max_size=20))
def test_any_spelled_value_is_hidden(secret: str) -> None:
    data = f"[u]\npassword = {encode('K' + secret)}\n# K{secret}\n".encode()
    assert "K" + secret not in "\n".join(masked_lines("upsd.users", data))
    assert secrets_of("upsd.users", data) == {"K" + secret}


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(max_examples=200)
def test_any_bytes_can_be_shown(before: bytes, after: bytes) -> None:
    for name in ("upsd.users", "upsmon.conf", "nut.conf", "x.password"):
        assert len(masked_lines(name, before)) == before.count(b"\n") + (
            not before.endswith(b"\n") and before != b""
        )
        lines = diff(name, before, after)
        assert bool(lines) == (before != after)
        assert all("\x1b" not in line.text and "\n" not in line.text for line in lines)


def test_what_is_no_secret_stays_readable() -> None:
    data = b"# a password is needed\n[mon]\n\tpassword = abcd1 # note\n\tupsmon slave\n"
    assert masked_lines("upsd.users", data) == [
        "# a password is needed",
        "[mon]",
        f" password = {MASK}",
        " upsmon slave",
    ]
    monitor = b"MONITOR apc@localhost 1 mon abcd1 slave # home\nPOLLFREQ 5\n"
    assert masked_lines("upsmon.conf", monitor) == [
        f"MONITOR apc@localhost 1 mon {MASK} slave # home",
        "POLLFREQ 5",
    ]


def test_sample_words_of_comments_do_not_blot_out_the_rest() -> None:
    data = b"# password = pass\npassword = Secret9\n"
    assert masked_lines("upsd.users", data) == [f"# password = {MASK}", f"password = {MASK}"]


def test_marks() -> None:
    data = b"[a]\npassword = first1\n# other22\n"
    marks = {"first1": "<1>", "other22": "<2>"}
    assert masked_lines("upsd.users", data, marks) == ["[a]", "password = <1>", "# <2>"]


def test_diff_tells_old_from_new() -> None:
    before = b"[a]\npassword = oldone\n[b]\npassword = same12\n"
    after = b"[a]\npassword = newone\n[b]\npassword = same12\n# oldone newone"
    lines = diff("upsd.users", before, after)
    assert [(line.kind, line.text) for line in lines[1:]] == [
        (" ", "[a]"),
        ("-", f"password = {OLD}"),
        ("+", f"password = {NEW}"),
        (" ", "[b]"),
        (" ", f"password = {MASK}"),
        ("+", f"# {OLD} {NEW}"),
        ("@", "\\ No newline at end of file"),
    ]
    assert [(line.old_line, line.new_line) for line in lines[1:4]] == [(1, 1), (2, None), (None, 2)]


def test_a_secret_to_be_generated_is_told() -> None:
    after = f'[a]\npassword = "{PLACEHOLDER}"\n'.encode()
    lines = diff("upsd.users", b"[a]\npassword = oldone\n", after)
    assert [line.text for line in lines if line.kind == "+"] == [f'password = "{PLACEHOLDER}"']
    assert secrets_of("upsd.users", after) == set()


def test_line_ends_show_where_they_change() -> None:
    lines = diff("nut.conf", b"MODE=none\r\nA=1\n", b"MODE=none\nA=1\n")
    assert [(line.kind, line.text) for line in lines[1:3]] == [("-", "MODE=none\\x0d"), ("+", "MODE=none")]
    lines = diff("nut.conf", b"MODE=none\r\n", b"MODE=netserver\r\n")
    assert [line.text for line in lines[1:]] == ["MODE=none", "MODE=netserver"]
    assert [line.kind for line in diff("nut.conf", b"A=1", b"A=1\n")] == ["@", "-", "@", "+"]


def test_diff_text_is_unified() -> None:
    before = b"".join(b"L%d\n" % number for number in range(1, 21))
    text = diff_text(
        diff("x", before, before.replace(b"L3\n", b"").replace(b"L18\n", b"M\n"), context=1), "/etc/x"
    )
    assert text == (
        "--- a/etc/x\n+++ b/etc/x\n@@ -2,3 +2,2 @@\n L2\n-L3\n L4\n@@ -17,3 +16,3 @@\n L17\n-L18\n+M\n L19\n"
    )
    assert diff_text(diff("x", before, before), "/etc/x") == ""
    assert diff_text(diff("x", None, b"a\n"), "/etc/x").splitlines()[2] == "@@ -0,0 +1 @@"

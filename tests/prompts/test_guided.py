"""The guided run, driven through the plain asker as over a pipe."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest

from nutwizard.core.errors import AnswersError, Exit, Problem, UsageError
from nutwizard.core.facts import PRACTICE, Door, Role
from nutwizard.core.plan import NOTHING, FileChange
from nutwizard.core.secret import Secret
from nutwizard.core.text import FileText
from nutwizard.engine.rehearsal.ready import Readiness
from nutwizard.prompts.guided import TRIES, run
from nutwizard.prompts.plain import PlainAsker
from nutwizard.prompts.writing import write
from nutwizard.wording.layout import Text
from nutwizard.wording.rehearsing import QUESTION
from tests.prompts.fake import CANARY, FakeOutcome, FakeSession

#: Enter for every field and menu of the three steps.
DRIVER, LISTEN, USER = [""] * 5, [""], [""] * 4


def play(session: FakeSession, *lines: str, only: tuple[str, ...] = ()) -> tuple[Exit, str]:
    out = io.StringIO()
    code = run(session, PlainAsker(io.StringIO("".join(f"{line}\n" for line in lines)), out), only=only)
    return code, out.getvalue()


def test_the_whole_run_writes_after_a_clear_yes() -> None:
    session = FakeSession()
    code, text = play(session, "", *DRIVER, *LISTEN, *USER, "diff", "write", "yes")
    assert (code, session.applied) == (Exit.DONE, 1)
    assert session.answers["driver"] == {"ups": "apc", "driver": "usbhid-ups", "offdelay": 60, "ondelay": 70}
    assert session.answers["listen"] == {"addresses": ("192.168.1.107", "127.0.0.1")}
    assert session.answers["client_user"]["password"].pending
    for wanted in (
        "1 of 3  UPS driver", "[apc, from ups.conf]", "offdelay, 0 to 600 s, or none [60, the guide's value]",
        "address of vmbr0", "(generated at apply)", "+     offdelay = 60", "root:root 0640 -> root:nut 0640",
        "restart nut-server", "nutwizard apply /etc/nutwizard/answers.yaml",
        "Restarts cannot be undone; the files can",
        "server    192.168.1.107, port 3493", "UPS name  apc", "user      upsmonclient",
        "it is in /etc/nutwizard/client.password", "undo 7", "cause: a firewall", "ups.status: OL",
    ):  # fmt: skip
        assert wanted in text
    assert text.index("clients log in") < text.index("upsd answers"), "broken first"
    assert "\x1b" not in text
    assert PRACTICE not in text


def test_the_budget_is_shown_and_its_advice_becomes_an_answer_when_it_is_taken() -> None:
    session = FakeSession()
    code, text = play(session, "budget", "", "quit")
    assert "IT DOES NOT FIT: 172 s lack." in text
    assert "Take one as an answer?" in text
    assert session.answers == {}

    code, text = play(session, "budget", "1", "quit")
    assert "Taken as an answer of the step UPS driver." in text
    assert session.answers == {"driver": {"low_battery": "runtime", "low_runtime": 390}}
    assert session.applied == 0
    assert code is Exit.INTERRUPTED


def test_the_chain_is_proven_before_anything_is_asked() -> None:
    session = FakeSession()
    code, text = play(session, "prove", "quit")
    assert (code, session.applied) == (Exit.INTERRUPTED, 0)
    shown = text.partition("[upsd]\nBROKEN\n")[2]
    assert shown.index("broken    clients log in") < shown.index("mend: open port 3493")
    assert shown.index("mend: open port 3493") < shown.index("proven    upsd answers")
    assert "1 broken, 1 proven" in shown


def test_enter_alone_never_writes() -> None:
    session = FakeSession()
    code, text = play(session, *[""] * 60)
    assert (code, session.applied) == (Exit.INTERRUPTED, 0)
    assert text.endswith("Nothing was written.\n")


@pytest.mark.parametrize("read", range(12))
def test_the_end_of_the_input_writes_nothing_wherever_it_comes(read: int) -> None:
    session = FakeSession()
    code, text = play(session, *["", *DRIVER, *LISTEN, *USER, "write"][:read])
    assert (code, session.applied) == (Exit.INTERRUPTED, 0)
    assert text.endswith("Nothing was written.\n")


def test_no_at_the_last_question_goes_back_to_the_review() -> None:
    session = FakeSession()
    code, _ = play(session, "", *DRIVER, *LISTEN, *USER, "write", "no", "write", "perhaps", "y")
    assert (code, session.applied) == (Exit.DONE, 1)


def test_an_outage_is_waited_for_at_the_review() -> None:
    session = FakeSession(outages=["Not during an outage: UPS apc runs on battery."])
    code, text = play(session, "", *DRIVER, *LISTEN, *USER, "write", "yes", "", "write", "yes")
    assert (code, session.applied) == (Exit.DONE, 1)
    assert "UPS apc runs on battery.\nThen write again, or start with --on-battery." in text
    code, _ = play(FakeSession(outages=["no"]), "", *DRIVER, *LISTEN, *USER, "write", "yes", "quit")
    assert code is Exit.INTERRUPTED


def test_what_an_answer_would_replace_is_shown_before_it_is_asked() -> None:
    path = "/usr/sbin/upssched-cmd"
    mine, ours = FileText(path, b"mine\n"), FileText(path, b"ours\n")
    change = FileChange(path, path, mine, ours, None, None, (), ("it would be replaced",))
    session = FakeSession(previews={"driver": {"ondelay": change}})
    _, text = play(session, "", "", "", "", "", "<")
    shown = text.index("it would be replaced\n  - mine\n  + ours\n")
    assert text.index("offdelay, 0 to 600 s") < shown < text.index("ondelay, 0 to 600 s")
    assert text.count("it would be replaced") == 1


def test_a_problem_asks_its_field_again() -> None:
    session = FakeSession()
    _, text = play(session, "", "", "", "", "50", "61", "")
    assert "must be greater than offdelay (60)" in text
    assert text.count("UPS name") == 1
    assert text.count("ondelay, 0 to 600 s") == 2
    assert session.answers["driver"]["ondelay"] == 61


def test_a_problem_that_stays_offers_a_way_out() -> None:
    session = FakeSession()
    code, text = play(session, "", "", "", "", *["50"] * TRIES, "quit")
    assert (code, session.refusals) == (Exit.INTERRUPTED, TRIES)
    assert "this step from its start" in text


def test_back_goes_one_field_and_one_step_back() -> None:
    session = FakeSession()
    play(session, "", *DRIVER, "<", "home", "", "", "<", "30", "", "b", "", "eaton", "", "", "", "q")
    assert session.answers["driver"] == {
        "ups": "eaton",
        "driver": "usbhid-ups",
        "offdelay": 30,
        "ondelay": 70,
    }


def test_back_from_the_review_is_the_last_step() -> None:
    session = FakeSession()
    _, text = play(session, "", *DRIVER, *LISTEN, *USER, "back", "other")
    assert text.count("3 of 3  Client user") == 2
    assert text.index("Review") < text.rindex("3 of 3")


def test_one_step_and_then_the_review() -> None:
    session = FakeSession()
    code, text = play(session, "one", "listen", "0.0.0.0", "write", "yes")
    assert (code, session.answers) == (Exit.DONE, {"listen": {"addresses": ("0.0.0.0",)}})
    assert "1 of 3" not in text
    assert "192.168.1.107 or 10.0.0.2, port 3493" in text, (
        "a wildcard is named by its addresses, the bridge first"
    )


def test_only_asks_just_these_steps() -> None:
    session = FakeSession()
    code, text = play(session, "<", *DRIVER, "write", "yes", only=("driver",))
    assert (code, set(session.answers)) == (Exit.DONE, {"driver"})
    assert "What now?" in text
    assert "Found here" not in text


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(UsageError, match="firewal"):
        play(FakeSession(), only=("firewal",))


def test_nothing_to_do_is_said() -> None:
    session = FakeSession(settled=True)
    code, text = play(session, "")
    assert (code, session.applied) == (Exit.DONE, 0)
    assert text.endswith(f"{NOTHING}\n")
    code, text = play(session, "", only=("listen",))
    assert (code, session.applied) == (Exit.DONE, 0)
    assert text.endswith(f"{NOTHING}\n")


def test_practice_is_told_on_every_screen() -> None:
    session = FakeSession(practice=True)
    _, text = play(session, "", *DRIVER, *LISTEN, *USER, "write", "yes")
    assert text.count(PRACTICE) == 7  # overview, three steps, review, writing, result
    assert "nutwizard --practice apply" in text
    assert text.index("Result") > text.rindex(PRACTICE)


def test_commands_below_another_root_name_it() -> None:
    session = FakeSession(door=Door.OFFLINE, host=SimpleNamespace(root="/srv/pve"))
    _, text = play(session, "one", "listen", "0.0.0.0", "write", "yes")
    assert "nutwizard --root /srv/pve undo 7" in text
    assert "nutwizard --root /srv/pve apply /srv/pve/etc/nutwizard/answers.yaml" in text
    assert not re.search(r"nutwizard (undo|apply|check)", text)
    assert "10.0.0.2" not in text, "the addresses of this machine are not those of that one"


def test_a_typed_password_is_never_shown() -> None:
    session = FakeSession()
    _, text = play(session, "", *DRIVER, *LISTEN, "", CANARY, "", "", "write", "yes")
    assert session.answers["client_user"]["password"] == Secret(CANARY)
    assert CANARY not in text


def test_a_plan_that_other_answers_forbid_is_told() -> None:
    session = FakeSession(plan_error=AnswersError([Problem("taken", "listen.port")], "Choose another."))
    code, text = play(session, "one", "client_user", *USER, "quit")
    assert code is Exit.USAGE
    assert "listen.port: taken" in text
    assert "Choose another." in text


def test_the_code_of_the_result_is_the_commands() -> None:
    failed = FakeOutcome(Exit.FAILED, "It failed; every file is as it was.", id=0)
    code, text = play(FakeSession(outcome=failed), "one", "listen", "", "write", "yes")
    assert code is Exit.FAILED
    assert "in each VM" not in text
    assert "undo 0" not in text


def test_a_client_is_not_told_about_clients() -> None:
    session = FakeSession(role=Role.CLIENT, steps=("listen",))
    code, text = play(session, "", "", "write", "yes")
    assert code is Exit.DONE
    assert "in each VM" not in text
    assert "nutwizard check" in text


def test_text_from_outside_cannot_act() -> None:
    session = FakeSession(outcome=FakeOutcome(Exit.DONE, "\x1b[2Jgone\u202e", notes=("[red]x[/red] \x07",)))
    _, text = play(session, "one", "listen", "", "write", "yes")
    assert r"\x1b[2Jgone\u202e" in text
    assert r"[red]x[/red] \x07" in text


@pytest.mark.parametrize(
    ("only", "offered"), [((), True), (("listen",), False)], ids=["whole run", "one step"]
)
def test_a_rehearsal_is_offered_at_the_end_of_a_whole_run(only: tuple[str, ...], offered: bool) -> None:
    session = FakeSession(ready=Readiness())
    lines = ("", "write", "yes") if only else ("", *DRIVER, *LISTEN, *USER, "diff", "write", "yes")
    code, text = play(session, *lines, "no", only=only)
    assert (code, session.applied, QUESTION in text) == (Exit.DONE, 1, offered)
    assert "nutwizard rehearse" in text


def test_who_was_asked_to_end_does_not_wait_for_enter() -> None:
    class Stops(PlainAsker):
        def page(self, text: Text) -> None:
            raise AssertionError(text)

    out = io.StringIO()
    session = FakeSession(outcome=FakeOutcome(Exit.DONE, "It is done.", signals=(15,)))
    assert write(session, Stops(io.StringIO(), out), session.plan()) is Exit.DONE
    assert "It is done." in out.getvalue()


def test_leaving_the_result_keeps_its_code() -> None:
    class Leaves(PlainAsker):
        def page(self, text: Text) -> None:
            raise KeyboardInterrupt

    out = io.StringIO()
    session = FakeSession(outcome=FakeOutcome(Exit.BROKEN, "It is written; one link is broken."))
    assert write(session, Leaves(io.StringIO(), out), session.plan()) is Exit.BROKEN
    assert out.getvalue().endswith("It is written; one link is broken.\n")

"""What is typed is kept until it is written: through lost lines, full disks and files of other people."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nutwizard import opening
from nutwizard.core import paths
from nutwizard.core.answers import AnswersSet, Given, Origin
from nutwizard.core.errors import AnswersError, Exit
from nutwizard.core.facts import Owner, Role
from nutwizard.core.secret import Secret
from nutwizard.core.site import Client
from nutwizard.core.standing import StepState
from nutwizard.engine.machine import OfflineHost
from nutwizard.engine.resume import Resume
from nutwizard.engine.session import Session
from nutwizard.engine.sources import MachineSources
from tests.support.sessions import AS_ROOT, make, opened

pytestmark = AS_ROOT
CANARY = "canary-5ab1"
DRIVER = {"ups": "rack", "driver": "usbhid-ups", "port": "auto", "description": "left, #1", "offdelay": 45}
PASSWORD = {"name": "vms", "password": Secret(CANARY, paths.CLIENT_PASSWORD)}
FOLDER = paths.RESUME.lstrip("/")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make(tmp_path / "tree")


def kept(tree: Path) -> dict[str, str]:
    """The kept files and what is in them."""
    folder = tree / FOLDER
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else {}


def values(session: Session, step: str) -> dict[str, Any]:
    return {name: given.value for name, given in session.typed(step).items()}


def typed_in(tree: Path) -> Session:
    """A run in which two steps were answered, and that was ended then."""
    session = opened(tree)
    assert session.answer("driver", DRIVER) == session.answer("client_user", PASSWORD) == ()
    session.stay("monitor")
    return session


def test_what_was_typed_is_there_again(tree: Path) -> None:
    first = typed_in(tree)
    again = opened(tree)
    assert (again.resumed, again.place, again.kept_trouble) == (7, "monitor", "")
    assert again.resumed_at == pytest.approx((tree / FOLDER / "answers.yaml").stat().st_mtime)
    assert values(again, "driver") == DRIVER
    assert values(again, "client_user") == PASSWORD
    assert {given.origin for given in again.typed("driver").values()} == {Origin.RESUMED}
    assert again.proposals("driver")["ups"].value == "rack"
    assert again.proposals("driver")["ups"].origin is Origin.RESUMED
    assert [change.after for change in again.plan().files] == [c.after for c in first.plan().files]
    assert (first.resumed, first.resumed_at) == (0, 0.0)


def test_nothing_is_kept_of_a_run_that_only_looks(tree: Path) -> None:
    typed_in(tree)
    looking = opened(tree, save=False)
    assert (looking.resumed, looking.typed("driver"), looking.place) == (0, {}, "")
    looking.answer("mode", {})
    looking.stay("mode")
    assert looking.place == "mode"
    assert "place" in kept(tree)
    assert opened(tree).place == "monitor"


def test_a_password_lies_in_a_file_of_its_own_alone(tree: Path) -> None:
    typed_in(tree)
    holding = [path for path in tree.rglob("*") if path.is_file() and CANARY in path.read_text("latin-1")]
    assert holding == [tree / FOLDER / "client_user.password"]
    for path in (tree / FOLDER).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tree / FOLDER).stat().st_mode) == 0o700
    opened(tree).answer("client_user", {"name": "vms"})
    assert "client_user.password" not in kept(tree)


def test_a_pending_password_is_no_answer(tree: Path) -> None:
    opened(tree).answer("client_user", {"name": "vms", "password": Secret(None, paths.CLIENT_PASSWORD)})
    assert set(kept(tree)) == {"answers.yaml"}
    assert values(opened(tree), "client_user") == {"name": "vms"}


def test_what_was_written_is_dropped(tree: Path) -> None:
    session = typed_in(tree)
    assert session.apply(lambda text: None).code is Exit.DONE
    assert not (tree / FOLDER).exists()
    assert values(session, "driver") == DRIVER, "what follows in this run still shows it"
    again = opened(tree)
    assert (again.resumed, again.place, again.typed("driver")) == (0, "", {})
    holding = {
        path for path in (tree / "var").rglob("*") if path.is_file() and CANARY in path.read_text("latin-1")
    }
    assert all(path.parts[-2] in ("before", "after") for path in holding)


def test_a_failed_apply_drops_nothing(tree: Path) -> None:
    session = typed_in(tree)
    before = kept(tree)
    (tree / "etc/nut/ups.conf").chmod(0o600)  # another hand was faster
    os.truncate(tree / "etc/nut/ups.conf", 0)
    with pytest.raises(Exception, match=r"ups\.conf"):
        session.apply(lambda text: None)
    assert kept(tree) == before


def test_a_run_that_was_cut_off_after_its_apply_leaves_nothing_to_ask(tree: Path) -> None:
    """The worker had written everything; the screen died before it could drop the answers."""
    session = typed_in(tree)
    files = kept(tree)
    assert session.apply(lambda text: None).code is Exit.DONE
    (tree / FOLDER).mkdir(mode=0o700)
    for name, text in files.items():
        (tree / FOLDER / name).write_text(text)
        (tree / FOLDER / name).chmod(0o600)
    again = opened(tree)
    assert (again.resumed, kept(tree)) == (0, {})


def test_start_over_forgets_all(tree: Path) -> None:
    typed_in(tree)
    again = opened(tree)
    assert again.proposals("driver")["ups"].value == "rack"
    again.start_over()
    assert (again.resumed, again.typed("driver"), again.place, again.resumed_at) == (0, {}, "", 0.0)
    assert again.proposals("driver")["ups"].value != "rack"
    assert not (tree / FOLDER).exists()
    again.answer("driver", DRIVER)
    assert set(kept(tree)) == {"answers.yaml"}


def test_refused_values_are_kept_and_do_not_count(tree: Path) -> None:
    session = opened(tree)
    assert session.answer("driver", DRIVER) == ()
    assert session.answer("driver", {**DRIVER, "offdelay": 45, "ondelay": 10}) != ()
    assert values(session, "driver")["ondelay"] == 10
    assert session.proposals("driver")["ondelay"].value != 10
    assert session.standing("driver").state is StepState.TO_DO
    with pytest.raises(AnswersError, match="must be greater"):
        session.plan()  # what was typed is never written as something else
    again = opened(tree)
    assert values(again, "driver")["ondelay"] == 10
    assert again.proposals("driver")["ups"].value != "rack", "all of the step that was refused stands aside"
    with pytest.raises(AnswersError, match="do not fit any more"):
        again.plan()
    assert again.answer("driver", DRIVER) == ()
    assert again.plan().files
    assert again.proposals("driver")["ups"].value == "rack"


def test_every_kind_of_value_comes_back(tree: Path) -> None:
    session = opened(tree)
    events = ("ONLINE", "ONBATT", "COMMBAD")
    given: dict[str, dict[str, Any]] = {
        "listen": {"addresses": ("127.0.0.1", "192.168.1.107"), "port": 3494},
        "clients": {"clients": (Client("web", ("192.168.1.5",)), Client("db", ()))},
        "actions": {"events": events},
        "driver": {**DRIVER, "ondelay": None},
    }
    for step, section in given.items():
        assert session.answer(step, section) == (), step
    again = opened(tree)
    assert {step: values(again, step) for step in given} == given


def test_answers_of_the_other_role_are_not_used(tree: Path) -> None:
    typed_in(tree)
    other = opened(tree, Role.CLIENT)
    assert (other.resumed, other.place, other.kept_trouble) == (0, "", "")
    other.answer("monitor", {"server": "192.0.2.7"})
    assert "role: client" in kept(tree)["answers.yaml"]
    assert set(kept(tree)) == {"answers.yaml", "place"}


def test_one_step_uses_its_own_answers_alone(tree: Path) -> None:
    typed_in(tree)
    one = opened(tree, only=["client_user"])
    assert (one.resumed, one.open_steps()) == (2, ("driver",))
    assert one.proposals("client_user")["password"].value == PASSWORD["password"]
    assert one.apply(lambda text: None).code is Exit.DONE
    assert "[rack]" not in (tree / "etc/nut/ups.conf").read_text()
    assert CANARY in (tree / "etc/nut/upsd.users").read_text()
    left = kept(tree)
    assert set(left) == {"answers.yaml", "place"}
    assert "driver:" in left["answers.yaml"]
    assert "client_user" not in left["answers.yaml"]


def test_an_answer_of_this_run_comes_before_a_kept_one(tree: Path) -> None:
    typed_in(tree)
    again = opened(tree)
    assert again.answer("driver", {**DRIVER, "ups": "left"}) == ()
    assert again.proposals("driver")["ups"].value == "left"
    assert again.resumed == 2


def test_what_the_command_line_gives_comes_before_a_kept_answer(tree: Path) -> None:
    """As `step client_user --password-stdin` does."""
    typed_in(tree)
    host, given = OfflineHost(str(tree)), Secret("given-now", paths.CLIENT_PASSWORD)
    named = AnswersSet(Role.HOST, "", {"client_user": {"password": Given(given, Origin.NAMED)}})
    session = opening.open_session(
        host, MachineSources(host), Role.HOST, named=named, save=True, only=["client_user"]
    )
    assert session.proposals("client_user")["password"].value == given
    assert session.proposals("client_user")["name"].value == "vms"


def test_two_writers_at_once_do_no_harm(tree: Path) -> None:
    """A front end keeps the place from its screen and the answers from a worker."""
    session = opened(tree)

    def stay() -> None:
        for number in range(60):
            session.stay(f"place-{number}")

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(stay)
        for number in range(60):
            session.answer("driver", {**DRIVER, "ups": f"rack{number}"})
        other.result()
    assert session.kept_trouble == ""
    assert (opened(tree).place, values(opened(tree), "driver")["ups"]) == ("place-59", "rack59")


Spoil = Callable[[Path], None]


def other_owner(tree: Path) -> None:
    os.chown(tree / FOLDER / "answers.yaml", 4711, 4711)


def readable(tree: Path) -> None:
    (tree / FOLDER / "answers.yaml").chmod(0o644)


def no_yaml(tree: Path) -> None:
    (tree / FOLDER / "answers.yaml").write_text("nutwizard: 1\nrole: host\ndriver: [\n")


def no_text(tree: Path) -> None:
    (tree / FOLDER / "answers.yaml").write_bytes(b"\xff\xfe")


def of_the_future(tree: Path) -> None:
    (tree / FOLDER / "answers.yaml").write_text("nutwizard: 2\nrole: host\n")


def link(tree: Path) -> None:
    (tree / FOLDER / "answers.yaml").rename(tree / "elsewhere")
    (tree / FOLDER / "answers.yaml").symlink_to("/elsewhere")


def foreign_folder(tree: Path) -> None:
    os.chown(tree / FOLDER, 4711, 4711)


def open_folder(tree: Path) -> None:
    (tree / FOLDER).chmod(0o755)


def linked_folder(tree: Path) -> None:
    (tree / FOLDER).rename(tree / "var/lib/elsewhere")
    (tree / FOLDER).symlink_to("/var/lib/elsewhere")


def no_folder(tree: Path) -> None:
    for path in (tree / FOLDER).iterdir():
        path.unlink()
    (tree / FOLDER).rmdir()
    (tree / FOLDER).write_text("mine")


@pytest.mark.parametrize(
    "spoil",
    [other_owner, readable, no_yaml, no_text, of_the_future, link, foreign_folder, open_folder,
     linked_folder, no_folder],
)  # fmt: skip
def test_what_cannot_be_trusted_or_read_is_replaced(tree: Path, spoil: Spoil) -> None:
    typed_in(tree)
    spoil(tree)
    again = opened(tree)
    assert (again.resumed, again.typed("driver"), again.resumed_at) == (0, {}, 0.0)
    assert again.kept_trouble.startswith("What was typed before cannot be used again: /")
    again.answer("driver", DRIVER)
    again.stay("driver")
    assert set(kept(tree)) == {"answers.yaml", "place"}
    assert (tree / FOLDER).is_dir()
    assert not (tree / FOLDER).is_symlink()
    assert stat.S_IMODE((tree / FOLDER).stat().st_mode) == 0o700
    assert opened(tree).place == "driver"
    assert values(opened(tree), "driver") == DRIVER


def test_only_what_no_longer_fits_is_left_out(tree: Path) -> None:
    typed_in(tree)
    text = kept(tree)["answers.yaml"]
    text = text.replace("offdelay: 45", "offdelay: soon").replace("name: vms", "title: vms")
    text += "weather:\n  port: 1\n  wind: 2\nlisten:\n  port: 3494\n"
    (tree / FOLDER / "answers.yaml").write_text(text)
    again = opened(tree)
    assert again.kept_trouble == ""
    assert values(again, "driver") == {name: value for name, value in DRIVER.items() if name != "offdelay"}
    assert values(again, "client_user") == {"password": PASSWORD["password"]}
    assert values(again, "listen") == {"port": 3494}


def test_a_password_file_that_is_gone_or_open_is_left_out(tree: Path) -> None:
    typed_in(tree)
    (tree / FOLDER / "client_user.password").chmod(0o644)
    assert values(opened(tree), "client_user") == {"name": "vms"}
    typed_in(tree)
    (tree / FOLDER / "client_user.password").unlink()
    assert values(opened(tree), "client_user") == {"name": "vms"}


def test_a_text_that_no_file_could_hold_costs_nothing_else(tree: Path) -> None:
    session = opened(tree)
    session.answer("driver", {**DRIVER, "description": "two\nlines\x00"})
    assert "description" not in values(opened(tree), "driver")
    assert values(opened(tree), "driver")["ups"] == "rack"


class Full(OfflineHost):
    """A machine whose disk takes nothing more, or is read-only."""

    number = 0

    def _refuse(self, path: str) -> None:
        if self.number and path.startswith(paths.STATE):
            raise OSError(self.number, os.strerror(self.number), path)

    def create(self, path: str, data: bytes, owner: Owner) -> None:
        self._refuse(path)
        super().create(path, data, owner)

    def make_folder(self, path: str, owner: Owner) -> None:
        self._refuse(path)
        super().make_folder(path, owner)

    def remove(self, path: str) -> None:
        self._refuse(path)
        super().remove(path)

    def rename(self, source: str, target: str) -> None:
        self._refuse(target)
        super().rename(source, target)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_ends_no_run(tree: Path, number: int) -> None:
    host = Full(str(tree))
    session = opened(host)
    assert session.answer("driver", DRIVER) == ()
    before = kept(tree)
    host.number = number
    assert session.answer("client_user", PASSWORD) == ()
    session.stay("monitor")
    said = session.kept_trouble
    assert said.startswith("What you type is not kept: /var/lib/nutwizard")
    assert said.endswith(os.strerror(number))
    assert session.leave_next("later") == ""
    assert kept(tree) == before
    assert (session.place, values(session, "client_user")) == ("monitor", PASSWORD)
    session.start_over()
    assert session.kept_trouble.startswith("What was typed is still there: /var/lib/nutwizard/resume")
    host.number = 0
    session.answer("client_user", PASSWORD)
    assert values(opened(tree), "client_user") == PASSWORD


def test_a_torn_writing_leaves_what_was_there(tree: Path) -> None:
    """Killed between the new file and its rename: the old answers count, the rest goes at the next keep."""
    typed_in(tree)
    before = kept(tree)
    (tree / FOLDER / ".answers.yaml.nutwizard-0").write_text("nutwizard: 1\nro")
    assert values(opened(tree), "driver") == DRIVER
    session = opened(tree)
    session.answer("driver", DRIVER)
    assert {name: kept(tree)[name] for name in kept(tree)} == before


class Killed(BaseException):
    """As if the process had ended here."""


class Dying(OfflineHost):
    """A machine whose process dies at its `left`-th changing call; -1: never."""

    left = -1

    def _count(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def create(self, path: str, data: bytes, owner: Owner) -> None:
        self._count()
        super().create(path, data, owner)

    def make_folder(self, path: str, owner: Owner) -> None:
        self._count()
        super().make_folder(path, owner)

    def remove(self, path: str) -> None:
        self._count()
        super().remove(path)

    def rename(self, source: str, target: str) -> None:
        self._count()
        super().rename(source, target)


def test_killed_at_every_call_the_old_or_the_new_answers_are_there(tmp_path: Path) -> None:
    other = {"name": "others", "password": Secret(f"{CANARY}-2", paths.CLIENT_PASSWORD)}
    for calls in range(60):
        tree = make(tmp_path / f"tree{calls}")
        typed_in(tree)
        host = Dying(str(tree))
        session = opened(host)
        host.left = calls
        try:
            session.answer("client_user", other)
            session.answer("client_user", {"name": "others"})
            session.stay("listen")
            session.start_over()
        except Killed:
            pass
        else:
            assert kept(tree) == {}
            break
        again = opened(tree)
        assert again.kept_trouble == ""
        assert values(again, "driver") in (DRIVER, {})
        passwords = (PASSWORD["password"], other["password"], None)
        assert values(again, "client_user").get("password") in passwords
        assert again.place in ("monitor", "listen", "")
    assert 10 < calls < 59


def test_nothing_is_written_twice(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = typed_in(tree)
    written: list[str] = []
    rename = OfflineHost.rename

    def counted(self: OfflineHost, source: str, target: str) -> None:
        written.append(os.path.basename(target))
        rename(self, source, target)

    monkeypatch.setattr(OfflineHost, "rename", counted)
    session.answer("driver", DRIVER)
    session.stay("monitor")
    assert written == []
    session.answer("driver", {**DRIVER, "ups": "left"})
    assert written == ["answers.yaml"]


def test_a_place_that_is_no_word_is_none(tree: Path) -> None:
    typed_in(tree)
    (tree / FOLDER / "place").write_text("\x1b[2J\n")
    assert opened(tree).place == ""


def test_without_a_machine_that_can_be_written_there_is_no_trouble(tmp_path: Path) -> None:
    resume = Resume(OfflineHost(str(tmp_path)))
    assert resume.load(Role.HOST) == {}
    resume.clear()
    assert (resume.trouble, list(tmp_path.iterdir())) == ("", [])

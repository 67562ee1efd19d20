"""What is said of the form in which a rehearsal is played, and of what it cannot show."""

from __future__ import annotations

from nutwizard.core.rehearsal.form import Form, Staging


def plays(form: Form) -> str:
    """Who plays, and where; it stands before the files and the intervals."""
    return "A model of NUT" if form is Form.MODEL else "NUT's daemons"


def where(form: Form) -> str:
    """What happens to this computer meanwhile."""
    return {
        Form.COPIES: "all of it in copies in memory: nothing here is shut down, written or signalled",
        Form.BORROWED: "all of it apart, in memory: nothing here is shut down, written or signalled",
        Form.MODEL: "nothing runs, and nothing here is shut down, written or signalled",
    }[form]


def limits(staging: Staging) -> str:
    """Which form plays, why, and what it cannot show."""
    if staging.form is Form.COPIES:
        return "NUT plays as in life, each program as its own user."
    why = f"{staging.why[:1].upper()}{staging.why[1:]}"
    if staging.form is Form.BORROWED:
        return (
            f"{why}: NUT's real daemons play as one user, on this computer's own files, which they can only"
            " read. Wrong owners and modes of files do not show."
        )
    return (
        f"{why}: a model of NUT 2.8.0 plays, not NUT. Your script does not run. What another version does"
        " otherwise does not show."
    )

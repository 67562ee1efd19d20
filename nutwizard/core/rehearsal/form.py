"""Who plays a rehearsal: NUT on copies, NUT on what a user without root may borrow, or a model of NUT."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """`copies`: NUT's daemons on copies of this computer, with every owner. `borrowed`: the same daemons as
    one user on this computer's own files, which they can only read. `model`: no NUT runs.
    """

    COPIES = "copies"
    BORROWED = "borrowed"
    MODEL = "model"


@dataclass(frozen=True)
class Staging:
    """The form that is possible here, and why a better one is not, "" for the best."""

    form: Form = Form.COPIES
    why: str = ""

"""Passwords as a type of their own: no `repr`, `str` or diff shows one."""

from __future__ import annotations

from nutwizard.formats.secretspots import PLACEHOLDER

#: Stands in a plan for a password that will be drawn when the plan is applied: a plan holds no chance.
TO_BE_GENERATED = PLACEHOLDER


class Secret:
    """A password, and the file it is kept in.

    `file` is the path of its own 0600 file ("" when it has none). A secret without a value is one that is
    drawn at apply; in a plan its text is `TO_BE_GENERATED`. Two secrets are equal when value and file are.
    """

    __slots__ = ("_value", "file")

    def __init__(self, value: str | None, file: str = "") -> None:
        self._value = value
        self.file = file

    @property
    def pending(self) -> bool:
        """Whether the value is still to be drawn."""
        return self._value is None

    def reveal(self) -> str:
        """The value, for the one place that writes or sends it."""
        return TO_BE_GENERATED if self._value is None else self._value

    def kept_in(self, file: str) -> Secret:
        """The same value, kept in `file`."""
        return Secret(self._value, file)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._value, self.file) == (other._value, other.file)

    def __hash__(self) -> int:
        return hash(self.file)

    def __repr__(self) -> str:
        return f"Secret({'pending' if self.pending else '********'})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")

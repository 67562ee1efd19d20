"""What upssched and our script do on a practice machine: upssched reads its file and ends, as in a check."""

from __future__ import annotations

from collections.abc import Sequence

from nutwizard.core import paths
from nutwizard.core.rules.events import nut_may
from nutwizard.core.upsschedcmd import CHECK_WORD
from nutwizard.engine.host import Completed
from nutwizard.engine.tree import Tree


def upssched(tree: Tree, user: str) -> Completed:
    """Reading the file as this user. Exit code and words as NUT 2.7.4 to 2.8.5 were seen to have them."""
    found = tree.stat(paths.UPSSCHED_CONF)
    if user == "nut" and (found is None or not nut_may(found.owner, 4)):
        why = "No such file or directory" if found is None else "Permission denied"
        return Completed(1, err=f"Can't open {paths.UPSSCHED_CONF}: {why}\n")
    return Completed(0)


def script(tree: Tree, words: Sequence[str], user: str) -> Completed:
    """The script with the word of a check; nothing else is run here."""
    found = tree.stat(words[0])
    if list(words[1:]) != [CHECK_WORD] or found is None:
        return Completed(-1, err=f"{words[0]}: no such program on the practice machine")
    if user == "nut" and not nut_may(found.owner, 1):
        return Completed(-1, err=f"{words[0]}: Permission denied")
    return Completed(0)

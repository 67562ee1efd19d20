"""What a transaction has to know of earlier ones, and of the files it replaces, before it begins."""

from __future__ import annotations

from nutwizard.core.links import LinkId
from nutwizard.core.plan import Plan
from nutwizard.engine import pve
from nutwizard.engine.attributes import Attributes
from nutwizard.engine.host import Host
from nutwizard.engine.store import Store


def can_be_kept(store: Store, takes_back: tuple[int, ...]) -> frozenset[LinkId]:
    """The links that may be proven after this: an undo leads back to what was, and no link was made by it.

    Of several transactions that are taken back the oldest, the last in the chain, knows what was.
    """
    then = store.load(takes_back[-1]).proven if takes_back else None
    return frozenset(LinkId) if then is None else then


def carried(host: Host, plan: Plan, store: Store, takes_back: tuple[int, ...]) -> dict[int, Attributes]:
    """The extended attributes of each file that replaces one, that copies one, or that an undo brings back.

    Raises OSError.
    """
    then: dict[str, Attributes] = {}
    for number in takes_back:  # the oldest comes last and decides
        kept = store.load(number)
        then |= {kept.plan.files[index].path: extra for index, extra in kept.attributes.items()}
    out = {}
    for index, change in enumerate(plan.files):
        source = change.target if change.before else change.copy_of and host.real(change.copy_of)
        if change.before is None and change.path in then:
            out[index] = then[change.path]
        elif source and not pve.below(source) and host.stat(source, follow=False) is not None:
            out[index] = host.attributes(source)
    return out


def folders(host: Host, plan: Plan, store: Store, takes_back: tuple[int, ...]) -> tuple[str, ...]:
    """Those below /etc/pve that this makes, or that came with what it takes back. Raises OSError."""
    then = [folder for number in takes_back for folder in store.load(number).folders]
    return tuple(dict.fromkeys([*then, *pve.new_folders(host, plan)]))

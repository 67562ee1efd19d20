"""Makes README's pictures: the real screens of a practice machine, as they stand in a terminal of 80x24.

    python -m tests.pictures [FOLDER]        (as root, with NUT installed: the rehearsal is a real one)

FOLDER is docs/pictures by default. Nothing outside it and a temporary folder is touched.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from nutwizard.core.facts import Role
from nutwizard.engine.practice import PracticeHost
from tests.tui.screens import Person, open_session, shown

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
#: Seconds for all of them; the apply takes a few.
LIMIT = 120.0


def picture(person: Person) -> str:
    """The screen as SVG, with fonts of the one who looks: nothing is loaded from elsewhere."""
    svg = person.app.export_screenshot(title="nutwizard")
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "DejaVu Sans Mono")
    # Some viewers drop no-break blanks at the beginning of a text.
    svg = svg.replace("&#160;", " ").replace("<svg ", '<svg xml:space="preserve" ', 1)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


async def take(folder: Path, machine: PracticeHost) -> None:
    """Walk through a set-up and take a picture where it is worth one."""
    async with shown(open_session(machine)) as person:
        await person.at("nutwizard")
        (folder / "overview.svg").write_text(picture(person))
        await person.press("down", "enter")
        await person.at("driver")
        await person.press("tab", "tab", "tab", "tab", "tab")
        await person.fill("50")
        (folder / "step.svg").write_text(picture(person))
        await person.fill("70")
        await person.press("escape", "escape", "t")
        await person.at("review")
        await person.press("down", "down")
        (folder / "review.svg").write_text(picture(person))
        await person.press("a", "w")
        await person.until(lambda: "Enter goes on" in person.text, "the end of the writing")
        await person.press("enter")
        await person.at("check")
        await person.until(lambda: "proven" in person.title and "ups.status" in person.text, "the proof")
        (folder / "check.svg").write_text(picture(person))
        await person.press("b")
        await person.at("Budget")
        (folder / "budget.svg").write_text(picture(person))
        await person.press("escape")
        await person.at("check")
        await person.press("n")
        await person.at("rehearsal")
        await person.press("enter")
        await person.until(lambda: "well" in person.title, "the verdict")
        (folder / "rehearsal.svg").write_text(picture(person))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as found:
        machine = PracticeHost.open(f"{found}/practice", Role.HOST)
        try:
            asyncio.run(asyncio.wait_for(take(folder, machine), LIMIT))
        finally:
            machine.close()
    print(f"{', '.join(sorted(path.name for path in folder.glob('*.svg')))} in {folder}")


if __name__ == "__main__":
    main()

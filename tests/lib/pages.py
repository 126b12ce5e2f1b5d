# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages, and the blocks of code on them.

The fence of a block of shell names the row of tests/table that runs the block as it stands: "```sh
commands/machine". "```sh hw" is a block that needs a board or Windows: only its syntax is tested.

    pages.py ROW PAGE    the blocks of a page that the row runs, as one script
"""
import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent.parent
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", *sorted(DOCS.glob("*.md")), TOP / "guests" / "README.md",
         TOP / "kvmtool" / "README.md"]
FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.M)
SHELL, HARDWARE = "sh", "hw"


class Block(NamedTuple):
    """Code between two fences, and the paragraph before it."""

    page: Path
    line: int
    language: str
    row: str
    text: str
    paragraph: str

    def __str__(self):
        return f"{self.page.relative_to(TOP)}:{self.line}: {self.text.splitlines()[0]}"


def find_blocks(page):
    """Yields the blocks of a page, in order."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        before = text[:match.start()]
        language, _, row = match[2].partition(" ")
        yield Block(page, before.count("\n") + 1, language, row, textwrap.dedent(match[3]),
                    before.rstrip().rpartition("\n\n")[2])


def find_scripts(row, pages=PAGES):
    """The blocks of shell that a row runs."""
    return [block for page in pages for block in find_blocks(page)
            if block.language == SHELL and block.row == row]


if __name__ == "__main__":
    print("\n".join(block.text for block in find_scripts(sys.argv[1], [TOP / sys.argv[2]])))

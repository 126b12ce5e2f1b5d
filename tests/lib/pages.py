# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of docs/, and the commands that they have."""
import re
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", *sorted(DOCS.glob("*.md"))]
COMMANDS = TOP / "tests" / "docs-commands"
# A command on a page: in a block of shell, or indented, and it starts with a program
BLOCK, INDENTED = re.compile(r"^```sh\n(.*?)^```", re.M | re.S), re.compile(r"(?:^    .*\n)+", re.M)
ANY_BLOCK = re.compile(r"^```.*?^```", re.M | re.S)
PROGRAM = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\./)?(?:sudo )?[a-z][\w./-]*(?: |$)")
# The word before a block, or on the command's line
NEEDS_HARDWARE = "(hw)"
# Runs those that no other test does
RUNNER = TOP / "tests" / "full" / "commands.t"


def commands(page):
    """Those of a page that are not marked; of each its first line, without what is explained beside it."""
    text = page.read_text()
    # the lines stay, as what is before a match is looked at
    unfenced = ANY_BLOCK.sub(lambda block: re.sub(".", "", block[0]), text)
    for match in [*BLOCK.finditer(text), *INDENTED.finditer(unfenced)]:
        paragraph = match.string[:match.start()].rstrip().rpartition("\n\n")[2]
        if NEEDS_HARDWARE in paragraph:
            continue
        lines = re.sub(r"\\\n\s*", "", match[match.re.groups]).splitlines()
        for line in lines:
            command = re.split(r"\s{3,}|\s+#", line.strip())[0]
            if PROGRAM.match(command) and NEEDS_HARDWARE not in line:
                yield command


def read_table():
    """Beginning of a command: the test that runs it, and the text of that test which does."""
    rows = [line.split(" | ") for line in COMMANDS.read_text().splitlines() if line and line[0] != "#"]
    return {beginning: (TOP / test, text[0] if text else beginning) for beginning, test, *text in rows}


def find_rows(table, page, command):
    """The beginnings in the table that are those of a page's command."""
    return [beginning for beginning in table if page.name == beginning or command.startswith(beginning)]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads tests/table, the one list of tests; its head says what a row is."""
import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
TABLE, ALLOWED_SKIPS = Path("tests/table"), Path("tests/allowed-skips")
SETS, MARKS = ("core", "full"), ("alone", "untraced", "history")
COLUMNS = "NAME | SET | SECONDS | NEEDS | COMMAND"
NAME = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*")
DEFAULT = re.compile(r"[A-Z_]+=")
# A claim in the head of a program, for rows without one
CLAIM = re.compile(r"^# Claim: (.*(?:\n# .*)*)|^\"\"\"Claim: ([^\"]*?)(?:\n\n|\"\"\")", re.M)
HEAD = 2000


class UsageError(Exception):
    """What the user wrote is wrong; the message says what to do."""


@dataclass(frozen=True)
class Row:
    """A test program and its arguments."""

    name: str
    core: bool
    alone: bool
    traced: bool
    history: bool
    seconds: int
    needs: tuple
    defaults: tuple
    command: tuple
    claim: str

    @property
    def file(self):
        """Name of the files with the row's TAP and log, without the suffix."""
        return self.name.replace("/", "-")


def read_lines(path):
    """Yields number and text of each line that is neither empty nor a comment."""
    for number, line in enumerate((TOP / path).read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def split(line, most=-1):
    return [cell.strip() for cell in line.split("|", most)]


def find_claim(program):
    """The claim in the head of a program, or an empty text."""
    found = CLAIM.search((TOP / program).read_text(encoding="utf-8", errors="replace")[:HEAD])
    return " ".join((found[1] or found[2]).replace("\n# ", " ").split()) if found else ""


def parse_row(place, line, claim, folders):
    """The row of a line; an error names its place."""
    cells = split(line, COLUMNS.count("|"))
    if len(cells) != COLUMNS.count("|") + 1:
        raise UsageError(f"{place}: '{line}' has {len(cells)} columns; a row is {COLUMNS}")
    name, words, seconds, needs = cells[0], cells[1].split(), cells[2], cells[3].split()
    command = shlex.split(cells[4])
    defaults = list(itertools.takewhile(DEFAULT.match, command))
    command = command[len(defaults):]
    if not NAME.fullmatch(name):
        raise UsageError(f"{place}: '{name}' is no name; use lower case, digits, '-' and '/'")
    if not words or words[0] not in SETS or not set(words[1:]) <= set(MARKS):
        raise UsageError(f"{place}: {name}: '{cells[1]}' is no set; give {' or '.join(SETS)}, then "
                         f"what holds of {', '.join(MARKS)}")
    if not seconds.isdecimal() or int(seconds) == 0:
        raise UsageError(f"{place}: {name}: '{seconds}' is no number of seconds; give about how "
                         "long it takes on two idle cores")
    if unknown := [target for target in needs if target not in folders]:
        raise UsageError(f"{place}: {name} needs '{unknown[0]}', but no line 'make "
                         f"{unknown[0]} = ...' says what that is made of")
    if not command or not (TOP / command[0]).is_file():
        raise UsageError(f"{place}: {name}: there is no program '{command[0] if command else ''}'; "
                         "fix the path or delete the row")
    claim = claim or find_claim(command[0])
    if not claim:
        raise UsageError(f"{place}: {name} claims nothing; say what passing proves in an indented "
                         f"line below the row, or as 'Claim: ...' in the head of {command[0]}")
    return Row(name, words[0] == "core", "alone" in words, "untraced" not in words,
               "history" in words, int(seconds), tuple(needs), tuple(defaults), tuple(command),
               claim)


class Table:
    """All rows, in their order, and what things below build/ are made of."""

    def __init__(self):
        self.rows, self.made_of = {}, {}
        pending = None
        if not (TOP / TABLE).is_file():
            raise UsageError(f"there is no {TABLE}; it is the list of all tests")
        for number, line in read_lines(TABLE):
            place = f"{TABLE}:{number}"
            if line[0].isspace():
                if pending is None:
                    raise UsageError(f"{place}: this indented line follows no row; it is to be a "
                                     "row's claim")
                pending[2].append(line.strip())
                continue
            self._add(pending)
            pending = None
            left, equals, right = line.partition(" = ")
            if equals and "|" not in left:
                self.made_of |= {word: tuple(right.split()) for word in self._words(place, left)}
            else:
                pending = (place, line, [])
        self._add(pending)
        self._find_unnamed()

    @staticmethod
    def _words(place, left):
        """The words of a line's left side: TARGET of 'make TARGET', or folders below build/."""
        if not re.fullmatch(r"make [a-z-]+|build/\S+( build/\S+)*", left):
            raise UsageError(f"{place}: '{left}' is neither 'make TARGET' nor folders below build/")
        return left.removeprefix("make ").split()

    def _add(self, pending):
        if pending:
            place, line, claim = pending
            row = parse_row(place, line, " ".join(claim), self.made_of)
            if row.name in self.rows:
                raise UsageError(f"{place}: there are two rows '{row.name}'; rename one")
            self.rows[row.name] = row

    def _find_unnamed(self):
        named = {word.removeprefix("./") for row in self.rows.values() for word in row.command}
        for path in sorted([*TOP.glob("tests/*.t"), *TOP.glob("tests/*/*.t")]):
            name = str(path.relative_to(TOP))
            if name not in named:
                raise UsageError(f"no row of {TABLE} names {name}; add one, or delete the program")

    def select(self, names, full, only):
        """Rows with these names or programs, by default those of the set, that match ONLY."""
        rows = [row for row in self.rows.values() if full or row.core]
        if names:
            rows = [row for name in names for row in self._find(name)]
        chosen = [row for row in rows if re.search(only, row.name)]
        if not chosen:
            raise UsageError(f"ONLY={only} matches no row; there are: "
                             f"{' '.join(row.name for row in rows)}")
        return list(dict.fromkeys(chosen))

    def _find(self, name):
        path = Path(name).resolve()
        found = [row for row in self.rows.values() if name == row.name
                 or path == TOP / row.command[0]]
        if not found:
            raise UsageError(f"no row '{name}' in {TABLE}; name rows like "
                             f"{next(iter(self.rows), 'trees')}, or their programs")
        return found


def read_allowed_skips(table):
    """Row name and pattern of each test that may skip."""
    allowed = []
    if not (TOP / ALLOWED_SKIPS).exists():
        return allowed
    for number, line in read_lines(ALLOWED_SKIPS):
        cells = split(line)
        if len(cells) != 3 or not all(cells):
            raise UsageError(f"{ALLOWED_SKIPS}:{number}: '{line.rstrip()}' is not ROW | TEST | "
                             "REASON; give all three")
        if cells[0] not in table.rows:
            raise UsageError(f"{ALLOWED_SKIPS}:{number}: there is no row {cells[0]}; delete the "
                             "line")
        allowed.append((cells[0], ".*".join(map(re.escape, cells[1].split("*")))))
    return allowed

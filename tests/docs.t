#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: the pages' links lead somewhere, every page is in the index, each error that the QEMU
series can give is explained, and each block of shell is valid, and run by a row of the tests or
marked as needing hardware. docs/testing.md names only rows that exist, docs/kernel.md each patch of
the Linux series. Pictures and tables of SoCs are what docs/renew.py makes of its data."""
import re
import subprocess
import sys

import renew
import tap
from pages import DOCS, HARDWARE, PAGES, SHELL, TOP, find_blocks

KERNEL, TESTING = DOCS / "kernel.md", DOCS / "testing.md"
SOURCES = [TOP / "qemu" / "target" / "arm" / name for name in ("host-pmu.c", "kvm-pmu-hybrid.c")]
# error_setg(errp, "text" ...), error_setg_errno(errp, number, "text" ...)
ERRORS = re.compile(r"error_setg(?:_errno)?\(errp,\s*(?:[^\",]+,\s*)?"
                    r"((?:\"(?:[^\"\\]|\\.)*\"\s*|EVENT_SOURCES\s*)+)")
COMMAND = re.compile(r"^(?:sudo |[A-Z_]+=\S+ )*"
                     r"(?:make|git|virsh|apt-get|pmu-hybrid-check|qemu-system-[\w-]+"
                     r"|(?:tests|scripts|testbed)/\S+) ", re.M)
# The mark for readers, who do not see the fence
NEEDS_HARDWARE = "(hw)"
# Code without fences, at the margin or in a numbered list
INDENTED = re.compile(r"(?<=\n\n)(?: {4}| {7})\S.*")
# Numbers and names in an error, for which the pages have examples
FORMAT = re.compile(r"%[a-z]+|[0-9]+")


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.M)}


def dead_links(page):
    """Yields the links of a page that lead to no file, or to no heading."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if link.startswith("http"):
            continue
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: no such heading"


def errors(source):
    """Yields each error of a source, and the longest part of it that is always the same."""
    for literals in ERRORS.findall(source.read_text()):
        literals = literals.replace("EVENT_SOURCES", '"%s"')
        text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
        yield text, max((part.strip(" ';:(),") for part in FORMAT.split(text)), key=len)


def unexplained():
    """Yields the errors that no page has."""
    told = " ".join("".join(page.read_text() for page in PAGES).replace("`", "").split())
    found = [error for source in SOURCES for error in errors(source)]
    if len(found) < 10:
        yield (f"found {len(found)} errors in {', '.join(source.name for source in SOURCES)}, "
               "expected 10 at least")
    for text, part in found:
        if part not in told:
            yield text


def not_in_index():
    index = (DOCS / "README.md").read_text()
    return [page.name for page in PAGES if page.parent == DOCS and page.name != "README.md"
            and f"({page.name})" not in index]


def wrong_block(block, rows):
    """What is wrong with a block of code, if anything."""
    if block.language != SHELL:
        return "a command, in a block that is not ```sh" if COMMAND.search(block.text) else None
    if (block.row == HARDWARE) != (NEEDS_HARDWARE in block.paragraph):
        return f"marked either by its fence or by {NEEDS_HARDWARE} before it, not by both"
    if block.row != HARDWARE and block.row not in rows:
        return f"'{block.row}' is no row of tests/table"
    result = subprocess.run(["bash", "-n"], input=block.text, stderr=subprocess.PIPE, text=True,
                            check=False)
    return result.stderr.strip() or None


def wrong_blocks(rows):
    """Yields blocks with something wrong, and code that is in no block."""
    for page in PAGES:
        for block in find_blocks(page):
            if fault := wrong_block(block, rows):
                yield f"{block}: {fault}"
        yield from (f"{page.name}: indented code; put it between fences: {code.strip()}"
                    for code in INDENTED.findall(page.read_text()))


def read_rows():
    """Names of all rows."""
    output = subprocess.run([TOP / "tests" / "run", "--list"], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    return re.findall(r"^([a-z0-9/-]+): ", output, re.M)


def wrong_layers(rows):
    """Yields rows without a layer in the table, and words of the table that match no row."""
    words = [word for _, _, names in renew.read_layers() for word in names]
    used = set()
    for row in rows:
        # a word is a name, or the beginning of names; the longest that fits counts
        fitting = [word for word in words if row == word
                   or (word[-1] in "/-" and row.startswith(word))]
        if not fitting:
            yield f"no layer has {row}"
            continue
        used.add(max(fitting, key=len))
    yield from (f"no row is {word}" for word in words if word not in used)
    yield from (f"{word} is there twice" for word in set(words) if words.count(word) > 1)


def wrong_names(rows):
    """Yields names of rows and patterns in docs/testing.md that match no row."""
    text = TESTING.read_text()
    for names in re.findall(r"`tests/run ([a-z][^`]*)`", text):
        yield from (f"tests/run {names}: there is no row {name}"
                    for name in names.split() if name not in rows)
    for pattern in re.findall(r"ONLY='?([^'` ]+)", text):
        # a page needs the backslash within a table
        pattern = pattern.replace("\\|", "|")
        if not any(re.search(pattern, row) for row in rows):
            yield f"ONLY={pattern} matches no row"


def wrong_patches():
    """Yields the ranges of docs/kernel.md unless they are all patches of the series, in order."""
    ranges = re.findall(r"^\| (\d+)(?: (?:to|and) (\d+))? \|", KERNEL.read_text(), re.M)
    listed = [number for first, last in ranges
              for number in range(int(first), int(last or first) + 1)]
    count = len(list((TOP / "linux" / "patches").glob("*.patch")))
    if listed != [*range(1, count + 1)]:
        yield f"the table has {listed}, the series has patches 1 to {count}"


def main():
    rows = read_rows()
    checks = [(f"links of {page.relative_to(TOP)}", dead_links(page)) for page in PAGES]
    checks += [("each page is in the index", not_in_index()),
               ("each error of the QEMU series is explained", unexplained()),
               ("each block of shell is valid, and run by a row", wrong_blocks(rows)),
               ("the table of the tests' layers has each row once", wrong_layers(rows)),
               ("docs/kernel.md says of each patch what it does", wrong_patches()),
               ("pictures and the tables of SoCs are what docs/renew.py makes", renew.stale()),
               ("docs/testing.md names only rows that exist", wrong_names(rows))]
    return tap.run(tap.Test(name, tap.expect_nothing, faults) for name, faults in checks)


if __name__ == "__main__":
    sys.exit(main())

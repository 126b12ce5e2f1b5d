#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the text of the pages at one width. Tables, code and headings stay as they are, and so does
a paragraph that fits.

    docs/wrap.py            wraps the paragraphs that have a longer line
    docs/wrap.py --check    names these lines, and ends with 1 if there are any
"""
import re
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
WIDTH = 130
# The start of a list item: a paragraph of its own, whose next lines are indented by this length
ITEM = re.compile(r"(?:[-*]|\d\d?\.) +")
# Lines that are no text: tables, headings, marks and pictures
NO_TEXT = re.compile(r"[|#<!]|    |```|$")


def list_pages():
    return [TOP / "README.md", TOP / "guests" / "README.md", TOP / "kvmtool" / "README.md",
            *sorted((TOP / "docs").glob("*.md"))]


def split(text):
    """Yields line number, lines, and whether they are code, for each paragraph and other line."""
    lines, fenced = text.splitlines(), False
    at = 0
    while at < len(lines):
        end = at + 1
        if lines[at].startswith("```"):
            fenced = not fenced
        elif not fenced and not NO_TEXT.match(lines[at]):
            # an item continues with indented lines
            inside = re.compile(r" {2,3}\S") if ITEM.match(lines[at]) else re.compile("")
            while (end < len(lines) and inside.match(lines[end])
                   and not NO_TEXT.match(lines[end]) and not ITEM.match(lines[end].lstrip())):
                end += 1
        yield at + 1, lines[at:end], fenced
        at = end


def is_long(lines, fenced):
    return not fenced and not NO_TEXT.match(lines[0]) and any(len(line) > WIDTH for line in lines)


def wrap(lines):
    indent = len(lines[0]) - len(lines[0].lstrip())
    item = ITEM.match(lines[0].lstrip())
    # four spaces would be code; a paragraph continues with fewer, too
    later = " " * min(indent + (len(item[0]) if item else 0), 3)
    return textwrap.wrap(" ".join(line.strip() for line in lines), WIDTH,
                         initial_indent=" " * indent, subsequent_indent=later,
                         break_long_words=False, break_on_hyphens=False)


def wrap_all(text):
    lines = []
    for _, paragraph, fenced in split(text):
        lines += wrap(paragraph) if is_long(paragraph, fenced) else paragraph
    return "\n".join(lines) + "\n"


def find_long(page):
    for number, lines, fenced in split(page.read_text(encoding="utf-8")):
        for offset, line in enumerate(lines if is_long(lines, fenced) else []):
            if len(line) > WIDTH:
                yield (f"{page.relative_to(TOP)}:{number + offset}: {len(line)} columns, the width "
                       f"is {WIDTH}; run docs/wrap.py")


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    if sys.argv[1:]:
        found = [fault for page in list_pages() for fault in find_long(page)]
        print("\n".join(found))
        return bool(found)
    for page in list_pages():
        text = page.read_text(encoding="utf-8")
        if (wrapped := wrap_all(text)) != text:
            page.write_text(wrapped, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

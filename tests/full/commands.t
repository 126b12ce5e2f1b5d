#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: commands of the pages work as they are there; tests/docs-commands tells which are run here, and where the others are."""
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from pages import PAGES, RUNNER, TOP, commands, find_rows, read_table  # noqa: E402


def find_commands():
    """In the pages' order, each once."""
    table = read_table()
    found = {}
    for page in PAGES:
        for command in commands(page):
            rows = find_rows(table, page, command)
            # the row that says most of it counts
            if rows and table[max(rows, key=len)][0] == RUNNER:
                found[command] = page
    return found


def main():
    found = find_commands()
    failed = False
    print(f"1..{len(found)}", flush=True)
    for number, (command, page) in enumerate(found.items(), 1):
        result = subprocess.run(["sh", "-c", command], cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, check=False, errors="replace")
        failed |= result.returncode != 0
        print(f"{'not ' if result.returncode else ''}ok {number} - {page.name}: {command.replace('#', '')}", flush=True)
        if result.returncode:
            print("".join(f"# {line}\n" for line in [f"status {result.returncode}", *result.stdout.splitlines()[-30:]]), end="")
    return failed


if __name__ == "__main__":
    sys.exit(main())

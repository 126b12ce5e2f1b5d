#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: commands of the pages work as they are there; tests/docs-commands tells which are run here, and where the others are."""
import subprocess
import sys

import tap
from pages import PAGES, RUNNER, TOP, commands, find_rows, read_table


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


def check_command(command):
    result = subprocess.run(["sh", "-c", command], cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False, errors="replace")
    if result.returncode:
        raise AssertionError("\n".join([f"status {result.returncode}", *result.stdout.splitlines()[-30:]]))


def main():
    return tap.run(tap.Test(f"{page.name}: {command}", check_command, command) for command, page in find_commands().items())


if __name__ == "__main__":
    sys.exit(main())

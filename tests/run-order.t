#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: tests/run runs as many rows at a time as it may, never more, and a row that is marked
alone without any other. With stand-ins for rows: what runs is noted whenever one starts."""
import collections
import importlib.util
import sys
import types
from pathlib import Path

import tap

RUNNER = Path(__file__).resolve().parent / "runner"
# its file is __main__.py, a name that this program has already
SPEC = importlib.util.spec_from_file_location("runner", RUNNER / "__main__.py")
runner = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(runner)

PASSED = types.SimpleNamespace(counts=collections.Counter(passed=1), failures=[], skips=[])


class Books:
    """Starts stand-ins. SEEN has the rows that run, in order, for each start; a row runs until the
    runner has taken its result."""

    def __init__(self):
        self.seen, self._running = [], []

    def fits(self, _row):
        return True

    def start(self, row, _limit):
        self._running.append(row.name)
        self.seen.append("".join(self._running))
        return types.SimpleNamespace(row=row, seconds=0, run=lambda _allowed: PASSED)

    def keep(self, job, _judge):
        self._running.remove(job.row.name)


def see(names, most):
    """What runs at each start; a row whose name is a capital letter runs alone."""
    books = Books()
    runner.Run([], most, books).run([types.SimpleNamespace(name=name, alone=name.isupper())
                                     for name in names])
    return books.seen


def check_most(most):
    found = see("abcdef", most)
    if max(map(len, found)) != most:
        raise AssertionError(f"expected {most} at most, and at some time, got {found}")


def check_alone():
    """rows that are marked alone run one by one, after all others"""
    found = see("aBcD", 3)
    if found != ["a", "ac", "B", "D"]:
        raise AssertionError(f"expected a, a and c, B, D, got {found}")


if __name__ == "__main__":
    sys.exit(tap.run([*(tap.Test(f"JOBS={most}", check_most, most) for most in (1, 2, 3)),
                      tap.Test(check_alone.__doc__, check_alone)]))

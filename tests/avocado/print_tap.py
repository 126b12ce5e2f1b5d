# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints Avocado's results as TAP, with the reasons that Avocado's own TAP lacks: print_tap.py
RESULTS.json"""
import json
import os
import sys
import unittest
from pathlib import Path

import tap

TOP = Path(__file__).resolve().parent.parent.parent


def judge(test):
    """Passes, skips or fails as the test did in Avocado."""
    reason = test["fail_reason"].strip()
    if test["status"] in ("CANCEL", "SKIP"):
        raise unittest.SkipTest(" ".join(reason.split()))
    if test["status"] != "PASS":
        raise AssertionError(f"{test['status']}: {reason}\nlogs: "
                             f"{os.path.relpath(test['logdir'], TOP)}")


def main():
    tests = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tests"]
    return tap.run(tap.Test(test["name"].removeprefix("tests/avocado/"), judge, test)
                   for test in tests)


if __name__ == "__main__":
    sys.exit(main())

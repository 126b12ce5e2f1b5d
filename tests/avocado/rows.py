# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: exactly one row of tests/table runs each Avocado test. Those of Windows need an image, and
tests/windows.t runs them."""
import collections
import shlex
import subprocess
import sys
from pathlib import Path

import tap

TOP = Path(__file__).resolve().parent.parent.parent
AVOCADO, RUNNER = Path(sys.executable).parent / "avocado", "tests/avocado/run"
OTHERS = ("--filter-by-tags=-windows", "--filter-by-tags-include-empty")


def list_tests(arguments):
    """The tests that `avocado run` runs with these arguments."""
    output = subprocess.run([AVOCADO, "list", *arguments], cwd=TOP, stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    return [words[1] for words in map(str.split, output.splitlines())
            if len(words) > 1 and words[0] == "avocado-instrumented"]


def rows():
    """Arguments of each row that runs Avocado tests."""
    output = subprocess.run([TOP / "tests/run", "--list"], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    for line in output.splitlines():
        command = line.partition(" s: ")[2]
        if line.startswith("    ") and command.startswith(f"{RUNNER} "):
            yield [word for word in shlex.split(command)[1:] if word != "--tap"]


def check():
    files = sorted(str(path.relative_to(TOP)) for path in (TOP / "tests/avocado").glob("test_*.py"))
    count = collections.Counter()
    for arguments in rows():
        named = any("test_" in word for word in arguments)
        count.update(list_tests(arguments if named else [*arguments, *files]))
    tests = list_tests([*OTHERS, *files])
    assert len(tests) > 10, f"avocado list knows {len(tests)} tests; there are more"
    tap.expect_nothing(f"{test} is run by {count[test]} rows" for test in tests if count[test] != 1)
    print(f"{len(tests)} tests")


if __name__ == "__main__":
    sys.exit(tap.run([tap.Test("each test is run by one row", check)]))

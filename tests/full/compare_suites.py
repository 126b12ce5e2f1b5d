# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what two builds' test suites came to, as meson's testlog.json has it; prints TAP, one test for each of theirs.

    python3 compare_suites.py BASE.json OURS.json [BASE.json OURS.json]...
    python3 compare_suites.py --different BASE.json OURS.json

Tests that fail in both are named, for whoever wants to know what this machine lacks; tests that only we have must not fail. Of a test
that is in more than one pair the last counts. With --different: the names of those that differ, as meson takes them.
"""

import argparse
import collections
import json
import re
import sys

import tap

# A run in which hardly anything passes compares nothing.
ENOUGH_PASSED = 1000
# Tests that the series changes or adds: a comparison in which they fail on either side says nothing.
MUST_PASS = ("qtest-aarch64/arm-cpu-features", "qtest-arm/arm-cpu-features", "test-arm-host-pmu")
SUBTEST = re.compile(r"^(?P<bad>not )?ok \d+ *-? *(?P<name>.*?)(?: *# *(?P<directive>SKIP|TODO).*)?$", re.MULTILINE)


def read_log(path):
    """Name of each test -> name of each subtest -> what it came to. The program as a whole is the subtest "all"."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            subtests = {match["name"]: "fails" if match["bad"] else (match["directive"] or "passes").lower()
                        for match in SUBTEST.finditer(test.get("stdout", ""))}
            found[test["name"]] = {"all": test["result"], **subtests}
    return found


def list_differences(base, ours):
    """One line each."""
    for name in sorted(base.keys() | ours.keys()):
        before, now = base.get(name, "absent"), ours.get(name, "absent")
        # A run that ends early leaves out the rest; that is a difference, too. What is new must not fail.
        if before != now and not (before == "absent" and now in ("passes", "skip", "OK")):
            yield f"{name}: {before} in the base, {now} with the series"


def short_name(name):
    """Of a test, without its suites."""
    return name.rpartition(" / ")[2]


def different_tests(base, ours):
    """Their names."""
    return [short_name(name) for name in sorted(base.keys() | ours.keys())
            if list(list_differences(base.get(name, {}), ours.get(name, {})))]


def compare(before, now):
    """One test of theirs."""
    differences = list(list_differences(before, now))
    tap.expect_nothing(differences)
    print("".join(f"{subtest} fails in both\n" for subtest, result in now.items() if result == "fails"), end="")


def expect_enough(passed, wanted):
    """The comparison compares something."""
    if passed < wanted:
        raise AssertionError(f"expected at least {wanted}, got {passed}")


def list_tests(base, ours):
    """One for each of theirs, and that they say something."""
    results = collections.Counter()
    for name in sorted(base.keys() | ours.keys()):
        subtests = ours.get(name, {})
        count = collections.Counter(result for subtest, result in subtests.items() if subtest != "all")
        results += count
        summary = ", ".join(f"{amount} {result}" for result, amount in sorted(count.items())) or "no subtests"
        yield tap.Test(f"{name}: {subtests.get('all', 'absent')}, {summary}", compare, base.get(name, {}), subtests)
    yield tap.Test(f"{results['passes']} subtests passed", expect_enough, results["passes"], ENOUGH_PASSED)
    passed = {short_name(name) for name, subtests in ours.items() if subtests["all"] == "OK"}
    for name in MUST_PASS:
        yield tap.Test(f"{name} passed", tap.expect_nothing, [] if name in passed else ["it did not, with the series"])


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--different", action="store_true")
    parser.add_argument("logs", nargs="+")
    options = parser.parse_args()
    base, ours = (dict(collections.ChainMap(*map(read_log, reversed(logs)))) for logs in (options.logs[::2], options.logs[1::2]))
    if options.different:
        print("".join(f"{name}\n" for name in different_tests(base, ours)), end="")
        return 0
    return tap.run(list_tests(base, ours))


if __name__ == "__main__":
    sys.exit(main())

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
    good, results = True, collections.Counter()
    names = sorted(base.keys() | ours.keys())
    for number, name in enumerate(names, 1):
        subtests = ours.get(name, {})
        differences = list(list_differences(base.get(name, {}), subtests))
        count = collections.Counter(result for subtest, result in subtests.items() if subtest != "all")
        results += count
        verdict = "not ok" if differences else "ok"
        good = good and not differences
        print(f"{verdict} {number} - {name}: {subtests.get('all', 'absent')},",
              ", ".join(f"{amount} {result}" for result, amount in sorted(count.items())) or "no subtests")
        for line in differences or [f"{subtest} fails in both" for subtest, result in subtests.items() if result == "fails"]:
            print(f"# {line}")
    enough = results["passes"] >= ENOUGH_PASSED
    print(f"{'ok' if enough else 'not ok'} {len(names) + 1} - {results['passes']} subtests passed, of at least {ENOUGH_PASSED}")
    passed = {short_name(name) for name, subtests in ours.items() if subtests["all"] == "OK"}
    failed = [name for name in MUST_PASS if name not in passed]
    print(f"{'not ok' if failed else 'ok'} {len(names) + 2} - {', '.join(failed or MUST_PASS)} {'did not pass' if failed else 'passed'}")
    print(f"1..{len(names) + 2}")
    return 0 if good and enough and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

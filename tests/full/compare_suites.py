# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the results of two builds' test suites; prints TAP, one test for each of theirs.

    python3 compare_suites.py BASE OURS SUITE...

Both are build folders of meson, each with the log of a run of these suites, meson-logs/suites.json.
Nothing may be worse with the series than without: what passes must not fail, be skipped or be
absent, and what is new must not fail. There is no second run. Some of upstream's tests fail now and
then, but the series can only be the cause if a test runs something else than in the base. So a test
whose files are all the same in both is reported when it differs, but does not fail. Tests that fail
in both are reported, too: they show what this machine lacks.
"""

import argparse
import collections
import hashlib
import json
import re
import sys
from pathlib import Path

import tap

# Suite -> the least number of subtests that have to pass, as a run with hardly any compares
# nothing; the test that the series changes or adds
SUITES = {
    "unit": (1000, "test-arm-host-pmu"),
    "func-quick": (1, None),
    "qtest-aarch64": (100, "qtest-aarch64/arm-cpu-features"),
    "qtest-arm": (200, "qtest-arm/arm-cpu-features"),
}
SUBTEST = re.compile(r"^(?P<bad>not )?ok \d+ *-? *(?P<name>.*?)(?: *# "
                     r"*(?P<directive>SKIP|TODO).*)?$", re.MULTILINE)
# Results: meson's word for a program, and ours for a subtest of TAP
GOOD, SKIPPED = ("OK", "passes"), ("SKIP", "skip")


class Build:
    """A build folder with the log of a run."""

    def __init__(self, folder):
        # the sources are beside it
        self.root = Path(folder).absolute().parent
        self.results = self.read_log(Path(folder) / "meson-logs" / "suites.json")
        info = Path(folder) / "meson-info"
        self._tests = {test["name"]: test
                       for test in json.loads((info / "intro-tests.json").read_text())}
        self._made = {target["id"]: target["filename"]
                      for target in json.loads((info / "intro-targets.json").read_text())}

    @staticmethod
    def read_log(path):
        """Test -> subtest -> result; the subtest "all" is the program as a whole."""
        found = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                test = json.loads(line)
                subtests = {match["name"]: "fails" if match["bad"]
                            else (match["directive"] or "passes").lower()
                            for match in SUBTEST.finditer(test.get("stdout", ""))}
                found[test["name"]] = {"all": test["result"], **subtests}
        return found

    def inputs(self, name):
        """What a test runs, as far as meson knows: its words, with digests of the files that they
        name and of the files that are built for it. None if meson does not know the test."""
        test = self._tests.get(short_name(name))
        if test is None:
            return None
        words = [*test["cmd"], *(f"{key}={value}" for key, value in sorted(test["env"].items()))]
        made = [path for target in test["depends"] for path in self._made.get(target, ())]
        return [self.describe(word) for word in words], sorted(self.describe(path) for path in made)

    def describe(self, word):
        """A word without the place of the build, and the digest of the file that it may name."""
        path = self.root / word.rpartition("=")[2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        return word.replace(str(self.root), ""), digest


def short_name(name):
    """Name of a test without its suites."""
    return name.rpartition(" / ")[2]


def list_differences(base, ours):
    """Yields a line for each difference, and whether it is for the worse."""
    for name in sorted(base.keys() | ours.keys()):
        before, now = base.get(name, "absent"), ours.get(name, "absent")
        if before != now:
            # a run that ends early leaves out the rest: that is worse, too
            better = now in GOOD or (now in SKIPPED and before not in GOOD)
            yield f"{name}: {before} in the base, {now} with the series", not better


def judge(name, base, ours):
    """Fails if a test of theirs is worse with the series."""
    before, now = base.results.get(name, {}), ours.results.get(name, {})
    differences = list(list_differences(before, now))
    lines = [line for line, _ in differences]
    if not differences:
        lines = [f"{subtest} fails in both" for subtest, result in now.items() if result == "fails"]
    print("".join(f"{line}\n" for line in lines), end="")
    inputs = ours.inputs(name)
    if not any(worse for _, worse in differences):
        return
    if inputs is None or inputs != base.inputs(name):
        raise AssertionError("worse with the series")
    print("not by the series: all that it runs is the same in the base")


def expect_enough(passed, wanted):
    """Fails if too few subtests passed for a comparison."""
    if passed < wanted:
        raise AssertionError(f"expected at least {wanted}, got {passed}")


def list_tests(base, ours, suites):
    """Yields a test for each of theirs, and tests that enough of theirs passed."""
    results = collections.Counter()
    for name in sorted(base.results.keys() | ours.results.keys()):
        subtests = ours.results.get(name, {})
        count = collections.Counter(result for subtest, result in subtests.items()
                                    if subtest != "all")
        results += count
        amounts = ", ".join(f"{amount} {result}" for result, amount in sorted(count.items()))
        title = f"{name}: {subtests.get('all', 'absent')}, {amounts or 'no subtests'}"
        yield tap.Test(title, judge, name, base, ours)
    yield tap.Test(f"{results['passes']} subtests passed", expect_enough, results["passes"],
                   sum(SUITES[suite][0] for suite in suites))
    passed = {short_name(name) for name, subtests in ours.results.items()
              if subtests["all"] == "OK"}
    for name in filter(None, (SUITES[suite][1] for suite in suites)):
        yield tap.Test(f"{name} passed", tap.expect_nothing,
                       [] if name in passed else ["it did not, with the series"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Build)
    parser.add_argument("ours", type=Build)
    parser.add_argument("suites", nargs="+", choices=SUITES)
    sys.exit(tap.run(list_tests(**vars(parser.parse_args()))))

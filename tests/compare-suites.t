#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: the comparison of QEMU's own suites fails for what is worse with the series, and for
nothing else; tested on made-up builds."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import tap

TOP = Path(__file__).resolve().parent.parent
COMPARE = TOP / "tests" / "full" / "compare_suites.py"
MUST_PASS = ("qtest-aarch64/arm-cpu-features", "qtest-arm/arm-cpu-features", "test-arm-host-pmu")
MANY = "".join(f"ok {number} many {number}\n" for number in range(1, 1301))
# result of the program, its TAP
PASSES = ("OK", "ok 1 /one\nok 2 /two\n")
FAILS = ("ERROR", "ok 1 /one\nnot ok 2 /two\n")
ENDS = ("ERROR", "ok 1 /one\n")
SKIPS = ("OK", "ok 1 /one\nok 2 /two # SKIP no such device\n")

# before, now, whether that passes; the emulator differs
OUTCOMES = (
    (PASSES, PASSES, True), (FAILS, FAILS, True), (FAILS, PASSES, True), (SKIPS, PASSES, True),
    (None, PASSES, True), (None, SKIPS, True),
    (PASSES, FAILS, False), (PASSES, ENDS, False), (PASSES, SKIPS, False), (PASSES, None, False),
    (None, FAILS, False),
    (PASSES, ("TIMEOUT", ""), False),
)


def make_build(root, tests, emulator="emulator", program="program"):
    """Makes a build folder, with its sources beside it. Tests: name -> result and TAP."""
    build, logs, info = root / "build", root / "build" / "meson-logs", root / "build" / "meson-info"
    for folder in logs, info:
        folder.mkdir(parents=True)
    (build / "qemu-system-aarch64").write_text(emulator)
    (build / "program").write_text(program)
    lines = [json.dumps({"name": f"qemu:suite / {name}", "result": result, "stdout": tap})
             for name, (result, tap) in tests.items()]
    (logs / "suites.json").write_text("".join(f"{line}\n" for line in lines))
    targets = [{"id": "emulator@exe", "filename": [str(build / "qemu-system-aarch64")]}]
    described = [{"name": name, "cmd": [str(build / "program"), "--tap"],
                  "env": {"BUILD": str(build)},
                  "depends": ["emulator@exe"] if name.startswith("qtest") else []}
                 for name in tests]
    (info / "intro-tests.json").write_text(json.dumps(described))
    (info / "intro-targets.json").write_text(json.dumps(targets))
    return build


class Compare(unittest.TestCase):
    """Comparisons of builds that have the tests that have to pass."""

    def compare(self, name, before, now, **ours):
        """Compares two builds; returns exit status and output."""
        both = {"many": ("OK", MANY), **dict.fromkeys(MUST_PASS, PASSES)}
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            base = make_build(root / "base", both | ({name: before} if before else {}))
            series = make_build(root / "ours", both | ({name: now} if now else {}), **ours)
            done = subprocess.run([sys.executable, COMPARE, base, series, "unit", "qtest-aarch64",
                                   "qtest-arm"], stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout

    def test_outcomes_where_the_emulator_differs(self):
        for before, now, well in OUTCOMES:
            status, output = self.compare("qtest-x", before, now, emulator="with the series")
            self.assertEqual((status, "not ok" in output), (0, False) if well else (1, True),
                             (before, now, output))

    def test_what_runs_the_same_is_reported_without_failing(self):
        status, output = self.compare("unit-x", PASSES, FAILS, emulator="with the series")
        self.assertEqual(status, 0, output)
        for line in "# /two: passes in the base, fails with the series\n", "# not by the series: ":
            self.assertIn(line, output)

    def test_another_program_is_not_the_same(self):
        self.assertEqual(self.compare("unit-x", PASSES, FAILS, program="with the series")[0], 1)

    def test_required_tests_must_pass(self):
        status, output = self.compare(MUST_PASS[2], FAILS, FAILS)
        self.assertEqual(status, 1, output)
        failed = [line.partition(" - ")[2] for line in output.splitlines()
                  if line.startswith("not ok ")]
        self.assertIn(f"{MUST_PASS[2]} passed", failed)


if __name__ == "__main__":
    sys.exit(tap.run(unittest.defaultTestLoader.loadTestsFromTestCase(Compare)))

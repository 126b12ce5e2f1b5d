#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: the demo calls an outcome as expected only if it is: it finds each wrong or empty
recording."""

import copy
import sys
import unittest

import demo
import scenarios as table
import tap

PMUS = {"armv8_cortex_a53": [0, 1], "armv8_cortex_a72": [2, 3]}
GROUPS = [[0, 1], [2, 3]]
LITTLE = "armv8_cortex_a53"


def make_move(vcpu, group):
    return {"vcpu": vcpu, "host_ns": 0, "group": group, "after_delta": 0}


RIGHT = {"short": "1000000", "long": "9000000", "held": "5", "frequency": "1000000000",
         "clock": "right"}
WRONG = RIGHT | {"long": "0", "frequency": "18446744073584551616", "clock": "wrong"}
DEAD = {"short": "0", "long": "0", "held": "5", "frequency": "0"}


def make_run(name, verdict, **changes):
    """A recording in which all went well and each vCPU moved often."""
    run = {
        "name": name, "started": True, "refusal": "", "hang": False, "state": "", "exit": 0,
        "stderr": "", "backends": [""] * table.VCPUS, "loaders": [RIGHT], "uncharged": 0,
        "guest": {"vcpus": table.VCPUS}, "output": [verdict],
        "deltas": [{"vcpu": vcpu, "cycles": 1000} for vcpu in range(table.VCPUS)],
        "moves": [make_move(vcpu, group % 2) for group in range(table.MIN_MOVES + 1)
                  for vcpu in range(table.VCPUS)],
    }
    return run | changes


PASSED = "PASS: 2 deltas, none zero"
STOPPED = "STOP: divide by zero vcpu=1 cntvct=1 pmccntr_before=0x5 pmccntr_after=0x5"
PLACED = [make_move(vcpu, 0) for vcpu in range(table.VCPUS)]
NOT_RUN = {"guest": {}, "output": [], "deltas": [], "moves": [], "backends": []}
ZERO = {"vcpu": 1, "cycles": 0}

LOADER_STOPPED = "STOP: divide by zero vcpu=0 loader stall=cntvct short=0 long=0 held=5 frequency=0"
IN_LOADER = {"guest": {}, "deltas": [], "moves": [*PLACED, make_move(0, 1)]}

GOOD = {run["name"]: run for run in (
    make_run("stock-loader", LOADER_STOPPED, loaders=[DEAD], **IN_LOADER),
    make_run("stock-moving", STOPPED, deltas=[{"vcpu": 1, "cycles": 1000}, ZERO]),
    make_run("patched-off-moving", STOPPED, deltas=[{"vcpu": 1, "cycles": 1000}, ZERO]),
    make_run("patched-on-one-cluster", PASSED, backends=[LITTLE] * table.VCPUS, moves=PLACED),
    make_run("patched-on-loader", PASSED, backends=[table.FIXED_COUNTERS] * table.VCPUS),
    make_run("patched-on-moving", PASSED, backends=[table.FIXED_COUNTERS] * table.VCPUS),
    make_run("homogeneous-on-moving", PASSED, backends=[LITTLE] * table.VCPUS),
    make_run("stock-on-moving", "", refusal="no", **NOT_RUN | {"started": False}),
    make_run("no-pmu", "STOP: no PMU vcpu=0 pmuver=0x0", deltas=[], moves=PLACED, loaders=[]),
)}
# Scenarios that only tests run: one of each outcome
GOOD_CALIBRATIONS = {run["name"]: run for run in (
    make_run("stock-loader-end-back", LOADER_STOPPED, loaders=[DEAD], **IN_LOADER),
    make_run("stock-loader-between-away", "PASS: calibrated, the clock is wrong", loaders=[WRONG],
             **IN_LOADER),
    make_run("patched-loader-between-away", "PASS: calibrated, the clock is right",
             backends=[table.FIXED_COUNTERS] * table.VCPUS, **IN_LOADER),
    make_run("stock-kernel", "PASS: threads ran on 2 vCPUs", uncharged=10),
    make_run("patched-kernel", "PASS: threads ran on 2 vCPUs",
             backends=[table.FIXED_COUNTERS] * table.VCPUS),
    make_run("patched-reboots", "PASS: threads ran on 2 vCPUs",
             backends=[table.FIXED_COUNTERS] * table.VCPUS, loaders=[RIGHT] * 4,
             moves=[*PLACED, *[make_move(0, number % 2) for number in range(4)]]),
)}

# scenario, what is wrong with the recording, what the problem must be about
BAD = (
    ("stock-loader", {"moves": PLACED}, "not moved in the"),
    ("stock-loader", {"loaders": [DEAD | {"held": "0"}]}, "did not run before"),
    ("stock-loader", {"loaders": []}, "did not run before"),
    ("stock-loader", {"output": [PASSED], "loaders": [RIGHT]}, "guest status"),
    ("patched-on-loader", {"loaders": [WRONG]}, "guest status"),
    ("patched-on-loader", {"moves": PLACED}, "proves nothing"),
    ("patched-on-moving", {"loaders": [WRONG]}, "guest status"),
    ("patched-on-moving", {"loaders": []}, "guest status"),
    ("stock-loader-between-away", {"loaders": [RIGHT]}, "guest status"),
    ("stock-loader-between-away", {"moves": PLACED}, "not moved in the"),
    ("patched-loader-between-away", {"loaders": [WRONG]}, "guest status"),
    ("stock-kernel", {"uncharged": 0}, "guest status"),
    ("patched-kernel", {"uncharged": 1}, "guest status"),
    ("patched-kernel", {"moves": PLACED}, "not moved in the"),
    ("patched-reboots", {"loaders": [RIGHT] * 3}, "ran 3 times"),
    ("patched-reboots", {"loaders": [RIGHT, WRONG, RIGHT, RIGHT]}, "guest status"),
    ("patched-reboots", {"moves": [*PLACED, make_move(0, 1)]}, "each of 4 boots"),
    ("patched-loader-between-away", {"backends": [LITTLE] * table.VCPUS}, "backend"),
    ("stock-moving", {"output": [PASSED]}, "guest status"),
    ("stock-moving", {"output": []}, "guest status"),
    ("stock-moving", {"hang": True}, "hangs"),
    ("stock-moving", {"moves": PLACED}, "before any vCPU was moved"),
    ("stock-moving", {"deltas": [ZERO]}, "never ran"),
    ("stock-moving", {"deltas": [{"vcpu": 1, "cycles": 7}]}, "no delta is 0"),
    ("stock-moving", {"backends": [LITTLE] * table.VCPUS}, "backend"),
    ("patched-off-moving", {"backends": [table.FIXED_COUNTERS] * table.VCPUS}, "backend"),
    ("patched-on-moving", {"backends": [LITTLE] * table.VCPUS}, "backend"),
    ("patched-on-moving", {"backends": [table.FIXED_COUNTERS, LITTLE]}, "backend"),
    ("patched-on-moving", {"backends": [None] * table.VCPUS}, "backend"),
    ("patched-on-moving", {"moves": PLACED}, "proves nothing"),
    ("patched-on-moving", {"deltas": []}, "there is none"),
    ("patched-on-moving", {"deltas": [ZERO]}, "a delta is 0"),
    ("patched-on-moving", {"exit": -9}, "exit status"),
    ("patched-on-moving", {"output": ["FAIL: synchronous exception"]}, "guest status"),
    ("patched-on-moving", NOT_RUN | {"exit": 1, "stderr": "KVM said no"}, "refused"),
    ("patched-on-one-cluster", {"backends": ["armv8_cortex_a72"] * table.VCPUS}, "backend"),
    ("patched-on-one-cluster", {"moves": [*PLACED, make_move(0, 1)]},
     "was moved though it is pinned"),
    ("stock-on-moving",
     {"started": True, "refusal": "", "output": [STOPPED], "guest": {"vcpus": 2}}, "guest status"),
    ("no-pmu", {"output": [PASSED]}, "guest status"),
)


def judge(run):
    scenario = next(scenario for scenario in table.SCENARIOS + table.CALIBRATIONS
                    if scenario.name == run["name"])
    return demo.Outcome(scenario, run, PMUS, GROUPS)


class DemoJudge(unittest.TestCase):
    """Recordings made by hand."""

    def test_each_scenario_has_a_good_recording(self):
        self.assertEqual(list(GOOD), [scenario.name for scenario in table.SCENARIOS])

    def test_good_recordings_are_as_expected(self):
        for name, run in (GOOD | GOOD_CALIBRATIONS).items():
            self.assertEqual(judge(run).problems(), [], name)

    def test_bad_recordings_are_found_out(self):
        for name, changes, what in BAD:
            run = copy.deepcopy((GOOD | GOOD_CALIBRATIONS)[name]) | changes
            self.assertIn(what, "; ".join(judge(run).problems()), (name, changes))

    def test_rows_have_the_agreed_keys(self):
        keys = {"scenario", "kernel", "pmu_hybrid", "pinning", "backend", "guest_status",
                "min_delta", "max_delta"}
        for run in GOOD.values():
            self.assertEqual(set(judge(run).row()), keys)

    def test_a_refusal_is_told_in_qemus_words(self):
        run = GOOD["stock-on-moving"] | {"refusal": "", "exit": 1, "stderr": "two PMUs\n"}
        self.assertEqual(judge(run).refusal, "two PMUs")


if __name__ == "__main__":
    sys.exit(tap.run(unittest.defaultTestLoader.loadTestsFromTestCase(DemoJudge)))

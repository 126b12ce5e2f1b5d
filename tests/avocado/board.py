# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges a real board: looks at it with pmu-hybrid-check, runs the Avocado tests on it, and prints
a report for a mail.

    build/venv/bin/python tests/avocado/board.py user@board [ARGUMENT of tests/avocado/run]...

The exit status is that of the tests. If the tool finds a problem, no test runs.
"""
import json
import subprocess
import sys
import tempfile

from hosts import ARTIFACTS, TOP, Board, testbed

TOOL, QEMU = ARTIFACTS / "pmu-hybrid-check", ARTIFACTS / "qemu-system-aarch64"
# The tool's exit status when it finds something with which VMs will not work
PROBLEM = 3
MODEL = ("tr -d '\\0' </sys/firmware/devicetree/base/model 2>/dev/null || cat "
         "/sys/class/dmi/id/product_name 2>/dev/null || echo unknown")
NOBODY = "YOUR NAME <YOUR ADDRESS>"


def look(address):
    """Lines of the report that describe the board. Exits if the tool finds a problem."""
    with tempfile.TemporaryDirectory() as logs, Board(logs, [TOOL, QEMU], address) as board:
        status, found, errors = board.status(f"./{TOOL.name}", "--qemu", f"./{QEMU.name}")
        print(found or errors, end="", flush=True)
        if status >= PROBLEM:
            sys.exit("board: error: pmu-hybrid-check found a problem, see above; fix that first")
        cores = ", ".join(f"{name} on CPUs {','.join(map(str, cpus))}"
                          for name, cpus in board.pmus.items())
        version = board.run(f"./{QEMU.name}", "--version").splitlines()[0]
        return [f"Board:   {board.run('sh', '-c', MODEL).strip()}", f"PMUs:    {cores}",
                f"Linux:   {board.release}, {'with' if board.fixed_counters else 'without'} the "
                "fixed-counters mode",
                f"QEMU:    {version}"]


def run_tests(address, arguments):
    """Runs the tests; returns their exit status and results."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        command = [TOP / "tests" / "avocado" / "run", "-p", f"host={address}", "--json", file.name,
                   *arguments]
        status = subprocess.run(command, check=False).returncode
        return status, json.loads(file.read() or '{"tests": []}')


def list_results(results):
    """Lines of the report: how many tests passed, and why the others did not."""
    outcomes = {}
    for test in results["tests"]:
        reason = "" if test["status"] == "PASS" else " ".join(test["fail_reason"].split())
        outcomes.setdefault((test["status"], reason), []).append(test["name"].rpartition(":")[2])
    passed = len(outcomes.pop(("PASS", ""), []))
    yield f"Tests:   {passed} of {len(results['tests'])} passed"
    for (status, reason), names in sorted(outcomes.items()):
        yield f"  {status.lower()}: {', '.join(names)}: {reason}"


def find_tester():
    """Name and address of the tester, from git's configuration."""
    found = [subprocess.run(["git", "config", f"user.{key}"], stdout=subprocess.PIPE, text=True,
                            check=False).stdout.strip()
             for key in ("name", "email")]
    return f"{found[0]} <{found[1]}>" if all(found) else NOBODY


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("board: error: which board? usage: board.py user@board [ARGUMENT of "
                 "tests/avocado/run]...")
    address, *arguments = sys.argv[1:]
    try:
        facts = look(address)
    except testbed.HostError as error:
        sys.exit(f"board: error: {error}")
    status, results = run_tests(address, arguments)
    print("\n".join(["", "Report:", "", *facts, *list_results(results), ""]))
    if not status and any(test["status"] == "PASS" for test in results["tests"]):
        print(f"Tested-by: {find_tester()}")
    return status


if __name__ == "__main__":
    sys.exit(main())

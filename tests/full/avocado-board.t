#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: the Avocado tests run on a host of which they know only how to reach it, as on a board,
and leave nothing there, even if killed.

The board is an emulated host. An ssh that comes first in PATH knows how to reach it, as a user's
configuration would. """
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import host
import tap

TOP = host.TOP
TESTS = "tests/avocado/test_start.py:Start"
LEFT = "ls -d /var/tmp/vpmu.* 2>/dev/null; ps -eo pid,comm | grep -E 'qemu|python'; true"
QEMU_RUNS = "pgrep qemu-system"
WARNING = "WARNING: CPU: 0 PID: 1 at nowhere"
COMMAND_TIMEOUT = 600


class Board:
    """The emulated host, as the tests and as this program see it."""

    def __init__(self, machine, folder):
        self.ssh = machine.connection.command("-T")
        *ssh, address, _ = map(str, self.ssh)
        user, _, name = address.partition("@")
        program = folder / "ssh"
        command = shlex.join([*ssh, "-o", f"User={user}", "-o", f"HostName={name}"])
        program.write_text(f'#!/bin/sh\nexec /usr/bin/{command} "$@"\n')
        program.chmod(0o755)
        self.environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}

    def run(self, command):
        """What a command prints that may fail; the host may not."""
        result = subprocess.run([*self.ssh, command], stdout=subprocess.PIPE, text=True,
                                check=False, timeout=host.scale_timeout(COMMAND_TIMEOUT))
        if result.returncode == 255:
            raise AssertionError("the connection to the board was lost")
        return result.stdout

    def start(self, test, *options):
        command = [TOP / "tests/avocado/run", "--tap", "-p", "host=board", *options,
                   f"{TESTS}.{test}"]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True,
                                start_new_session=True)

    def test(self, test):
        """Runs a test on the board; returns its TAP."""
        with self.start(test) as process:
            return process.communicate(timeout=host.scale_timeout(COMMAND_TIMEOUT))[0]

    def judge(self, test):
        """Runs make check-host's program with this test alone; returns what it prints."""
        command = [TOP / "build/venv/bin/python", TOP / "tests/avocado/board.py", "board",
                   f"{TESTS}.{test}"]
        return subprocess.run(command, env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False,
                              timeout=host.scale_timeout(COMMAND_TIMEOUT)).stdout

    def wait_for(self, command, wanted):
        deadline = time.monotonic() + host.scale_timeout(COMMAND_TIMEOUT)
        while bool(output := self.run(command)) != wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"'{command}' on the board: expected "
                                     f"{'' if wanted else 'no '}output, got {output!r}")
            time.sleep(0.5)


def expect(text, output):
    if text not in output:
        raise AssertionError(f"expected {text!r} in it, got {output!r}")


def check_pass(board):
    """a test passes"""
    expect("\nok 1 ", board.test("test_fixed_counters"))


def check_report(board):
    """pmu-hybrid-check looks at the board first, and a report comes at the end"""
    output = board.judge("test_fixed_counters")
    for text in ("ok       pmu      armv8_cortex_a53 on CPUs 0-1\n",
                 "\nPMUs:    armv8_cortex_a53 on CPUs 0,1, armv8_cortex_a72 on CPUs 2,3\n",
                 ", with the fixed-counters mode\n", "\nTests:   1 of 1 passed\n", "\nTested-by: "):
        expect(text, output)
    output = board.judge("test_refusal")
    expect("\nTests:   0 of 1 passed\n  cancel: ", output)
    if "Tested-by: " in output:
        raise AssertionError(f"expected no Tested-by where nothing passed, got {output!r}")


def check_nothing_left(board):
    """nothing is left on the board"""
    board.wait_for(LEFT, wanted=False)


def check_cancel(board):
    """a test that needs what the board lacks is cancelled with a reason"""
    expect("# SKIP needs a KVM without KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, and this is Linux ",
           board.test("test_refusal"))


def check_warning(board):
    """a warning of the board's kernel is a failure"""
    board.run(f"nohup sh -c \"while ! {QEMU_RUNS}; do sleep 0.1; done; "
              f"echo '{WARNING}' >/dev/kmsg\" </dev/null >/dev/null 2>&1 &")
    output = board.test("test_fixed_counters")
    expect("\nnot ok 1 ", output)
    expect("the host's kernel reported a bug: ", output)


def check_killed(board):
    """tests that were killed leave nothing on the board"""
    process = board.start("test_fixed_counters", "-p", "moves=1000000")
    board.wait_for(QEMU_RUNS, wanted=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    board.wait_for(LEFT, wanted=False)


def check_kernel(machine):
    """the board's kernel reported nothing but the warning that this test made"""
    trouble = [line for line in machine.find_trouble()[1] if WARNING not in line]
    if trouble:
        raise AssertionError("\n".join(trouble))


def main():
    checks = [check_pass, check_report, check_nothing_left, check_cancel, check_warning,
              check_killed]
    with tempfile.TemporaryDirectory() as folder, \
            host.EmulatedHost("patched", "biglittle") as machine:
        host.handle_signals()
        machine.start()
        board = Board(machine, Path(folder))
        return tap.run([*(tap.Test(check.__doc__, check, board) for check in checks),
                        tap.Test(check_kernel.__doc__, check_kernel, machine)])


if __name__ == "__main__":
    sys.exit(main())

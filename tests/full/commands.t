#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Claim: blocks of shell on the pages work as they stand.

    tests/full/commands.t machine    the blocks to run in a clone in which all is built
    tests/full/commands.t host       the blocks to run as root on a host with our kernel, QEMU and
                                     tool; the monitor of a VM there is vm.qmp
"""
import subprocess
import sys

import tap
from pages import TOP, find_scripts

ARTIFACTS = TOP / "build/artifacts"
FILES = [ARTIFACTS / "pmu-hybrid-check", ARTIFACTS / "qemu-system-aarch64",
         ARTIFACTS / "guests" / "winlike.bin"]
HOST = """
install pmu-hybrid-check qemu-system-aarch64 /usr/local/bin
qemu-system-aarch64 -M virt,gic-version=3 -accel kvm -cpu host,pmu-hybrid=on -smp 2 -m 64 \
    -nodefaults -display none -kernel winlike.bin \
    -append seconds=3600 -qmp unix:vm.qmp,server=on,wait=off -daemonize
"""


def run(*command):
    """Runs a command; if it fails, the error has its last output."""
    result = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False, errors="replace")
    if result.returncode:
        raise AssertionError("\n".join([f"status {result.returncode}",
                                        *result.stdout.splitlines()[-30:]]))


def run_on_machine(text):
    run("bash", "-eo", "pipefail", "-c", text)


def run_on_host(text):
    run("testbed/run", *(word for file in FILES for word in ("--file", file)), "--", "bash", "-eo",
        "pipefail", "-c", f"{HOST}{text}")


PLACES = {"machine": run_on_machine, "host": run_on_host}


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PLACES:
        sys.exit("commands.t: error: where? usage: commands.t machine|host")
    sys.exit(tap.run(tap.Test(str(block), PLACES[sys.argv[1]], block.text)
                     for block in find_scripts(f"commands/{sys.argv[1]}")))

# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of migrations to another host; runs in the first host of tests/qemu/migration-hosts.

    python3 migration_source.py QEMU GUEST TIMEOUT KERNEL TOPOLOGY SOCKET STREAM

Each connection to SOCKET is one migration: a line that names the guest, a key of SOURCES, answered
by a line of JSON. QEMU connects to STREAM, which ssh forwards to the other host.
"""

import json
import socket
import sys

from in_host import QmpError
from migration import send
from vm import ALL_CPUS, FIXED, SMALL, SMALL_CPUS, Vm, equal

# Name of the guest -> affinity of the vCPU threads, whether the VM runs when it is migrated, and
# the backend that it has then
SOURCES = {"fixed counters": (ALL_CPUS, True, FIXED), "one PMU": (SMALL_CPUS, True, SMALL),
           "never started": (ALL_CPUS, False, "")}


def goes_on(vm, started):
    """Fails unless the VM is as it was before a migration that failed, and its guest passes."""
    before = "running" if started else "prelaunch"
    vm.wait_until(f"the state '{before}'", lambda: vm.status == before)
    if not started:
        vm.cont()
    vm.passes()


def serve(wanted, uri):
    """Migrates one guest; returns the answer for the other host."""
    cpus, started, backend = SOURCES[wanted]
    with Vm() as vm:
        vm.connect().pin(cpus)
        if started:
            vm.cont().wait_for_deltas()
        equal(vm.backends, backend, "backend at the source")
        status, _ = send(vm, uri, return_path=True)
        if status == "failed":
            goes_on(vm, started)
        return {"status": status}


def main():
    """Serves migrations until it is killed."""
    path, stream = sys.argv[6:]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as lines:
                try:
                    answer = serve(lines.readline().strip(), f"unix:{stream}")
                except (AssertionError, KeyError, OSError, QmpError) as error:
                    answer = {"broken": repr(error)}
                print(json.dumps(answer), file=lines, flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""A debugger starts the VM, over gdb's remote protocol: if pmu-hybrid=on refuses the start, gdb
gets the reason.

Without an answer gdb would wait for a stop of the VM, which has not started.
"""

import contextlib
import re
import socket
import tempfile

from vm import ALL_CPUS, BIG, BIG_CPUS, TIMEOUT, Vm, each_of, equal, match

ONLY_ON = "stock"
REFUSAL = "pmu-hybrid: The vCPU threads may run on the host's CPUs .*, which no single PMU covers"


class Gdb:
    """A connection to QEMU's gdbstub."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(path)
        self._data = b""

    def close(self):
        """Closes the connection, as if gdb had died."""
        self._socket.close()

    def send(self, packet):
        """Sends a packet, without waiting for anything."""
        data = packet.encode()
        self._socket.sendall(b"$%b#%02x" % (data, sum(data) % 256))

    def interrupt(self):
        """Interrupts the VM, as the user's ^C does."""
        self._socket.sendall(b"\x03")

    def receive(self):
        """Acknowledges the next packet and returns it."""
        while not (found := re.search(rb"\$([^#]*)#[0-9a-f]{2}", self._data)):
            data = self._socket.recv(4096)
            equal(bool(data), True, "QEMU keeps the connection")
            self._data += data
        self._data = self._data[found.end():]
        self._socket.sendall(b"+")
        return re.sub(rb"}(.)", lambda escaped: bytes([escaped[1][0] ^ 0x20]), found[1]).decode()

    def ask(self, packet):
        """Sends a packet and returns the answer."""
        self.send(packet)
        return self.receive()


@contextlib.contextmanager
def debugged(*extra):
    """Context manager: a VM that waits for its start, and a function that connects to its
    gdbstub."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = f"{folder}/gdb"
        vm = stack.enter_context(Vm(extra=["-gdb", f"unix:{path},server=on,wait=off",
                                           *extra])).connect()

        def connect():
            gdb = Gdb(path)
            stack.callback(gdb.close)
            match("^T", gdb.ask("?"), "why the VM is stopped")
            return gdb

        yield vm, connect


def refused(vm, gdb, packet):
    """Sends a packet that has to be answered with the reason; the VM has to stay as it was."""
    answer = gdb.ask(packet)
    match(rf"^E\.{REFUSAL}", answer, f"answer to {packet}")
    equal((vm.status, vm.backends), ("prelaunch", ""), "state after the refusal")
    equal("RESUME" in vm.qmp.events, False, "RESUME was sent")


@each_of({packet: packet
          for packet in ("vCont;c", "vCont;c:p1.-1", "vCont;s:p1.1;c", "c", "s", "C05")})
def test_refused(packet):
    """the start is refused twice; once the threads are pinned, the same packet starts the VM, which
    can be interrupted and passes"""
    with debugged() as (vm, connect):
        vm.pin(ALL_CPUS)
        gdb = connect()
        refused(vm, gdb, packet)
        refused(vm, gdb, packet)
        vm.pin(BIG_CPUS)
        gdb.send(packet)
        if "s" not in packet:
            vm.wait_until("the start", lambda: vm.status == "running")
            gdb.interrupt()
        match("^T", gdb.receive(), "why the VM has stopped")
        equal(vm.backends, BIG, "backend")
        gdb.send("c")
        vm.passes()


def test_connected_later():
    """a debugger that connects after a refused cont gets the same reason"""
    with debugged() as (vm, connect):
        vm.pin(ALL_CPUS)
        match(REFUSAL, vm.refusal(), "error")
        refused(vm, connect(), "c")


def test_detach():
    """a debugger that detaches gets OK; the VM stays stopped, the log says why, and cont starts it
    once the threads are pinned"""
    with debugged() as (vm, connect):
        vm.pin(ALL_CPUS)
        equal(connect().ask("D"), "OK", "answer to D")
        equal((vm.status, vm.backends), ("prelaunch", ""), "state")
        match(REFUSAL, vm.stderr, "stderr")
        vm.pin(BIG_CPUS)
        vm.cont().passes()


def test_asked_once():
    """each attempt to start, by QMP, HMP or gdb, makes the choice once"""
    trace = "kvm_arm_pmu_hybrid_choose"
    with debugged("-trace", trace) as (vm, connect):
        vm.pin(ALL_CPUS)
        for number, start in enumerate((vm.refusal, lambda: connect().ask("c"),
                                        lambda: vm.human("cont")), 1):
            start()
            equal(vm.stderr.count(trace), number, "choices")
        vm.pin(BIG_CPUS)
        vm.cont().passes()
        equal(vm.stderr.count(trace), 4, "choices")

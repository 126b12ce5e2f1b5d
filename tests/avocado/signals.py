# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests the signals of test_windows.py, and looks.py, with sockets and data of this program in
place of a VM's. The row avocado/signals runs it."""
import contextlib
import itertools
import json
import socket
import sys
import tempfile
import threading
import types
from unittest import mock

import looks
import tap
from hosts import WAIT, scaled
from test_windows import RDP, Agent, Serial, Tcp


@contextlib.contextmanager
def vm_with_socket():
    """Context manager: a made-up VM, and the listening socket that all its sockets lead to."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/socket"
        listener.bind(path)
        listener.listen()
        listener.settimeout(scaled(WAIT))
        table = "TCP[HOST_FORWARD]  12  127.0.0.1 40001  10.0.2.15  3389     0     0\n"
        host = types.SimpleNamespace(folder=folder, forward=lambda _: path)
        qmp = types.SimpleNamespace(cmd=lambda *_, **__: table)
        yield types.SimpleNamespace(host=host, qmp=qmp), listener


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def test_agent():
    """agent: silence is no answer, nor is the answer to an earlier question"""
    # what was written to a socket of this machine can be read at once
    with vm_with_socket() as (vm, listener):
        signal = Agent(None, vm)
        guest = listener.accept()[0].makefile("rw")
        check(not signal.answers(), "answered by silence")
        number = json.loads(guest.readline())["arguments"]["id"]
        print(json.dumps({"return": number}), file=guest, flush=True)
        check(signal.answers(), "the answer was not seen")
        signal.ask_again()
        check(not signal.answers(), "an old answer counted")
        print(json.dumps({"return": number}), file=guest, flush=True)
        check(not signal.answers(), "an answer to the old question counted")
        print(json.dumps({"return": number + 1}), file=guest, flush=True)
        check(signal.answers(), "the new answer was not seen")


def serve(listener, replies):
    """Answers one connection after the other with a reply; returns what it received."""
    heard = []
    for reply in replies:
        connection = listener.accept()[0]
        with connection:
            heard.append(connection.recv(100))
            connection.send(reply)
    return heard


def test_tcp():
    """tcp: a connection that is closed without a byte is no answer; Remote Desktop is sent its
    first packet"""
    with vm_with_socket() as (vm, listener):
        signal = Tcp(types.SimpleNamespace(ready_detail="3389"), vm)
        heard = []
        guest = threading.Thread(target=lambda: heard.extend(serve(listener, [b"", b"\x03"])))
        guest.start()
        check(not signal.answers(), "a closed connection was an answer")
        check(signal.answers(), "a byte was no answer")
        guest.join()
        check(heard == [RDP, RDP], f"expected {RDP!r} twice, got {heard}")


def test_serial():
    """serial: the text is an answer; after a return key anything is"""
    vm = types.SimpleNamespace(console="BdsDxe: starting\n", sent=[])
    vm.send = lambda line, end: vm.sent.append(line + end)
    signal = Serial(types.SimpleNamespace(ready_detail="SAC>"), vm)
    check(not signal.answers(), "another text was an answer")
    vm.console += "SAC>"
    check(signal.answers(), "the text was not seen")
    signal.ask_again()
    check(vm.sent == ["\r"], f"expected a return key, got {vm.sent}")
    check(not signal.answers(), "what came before was an answer")
    vm.console += "\r\nSAC>"
    check(signal.answers(), "what came after was no answer")


def see(screen="s", console=0, counters=((0x1000, 0x2000),), ticks=((0, 0),)):
    """Looks, one for each entry of counters and ticks, which hold one value a vCPU."""
    return [looks.Look(screen, console, *seen) for seen in zip(counters, ticks, strict=True)]


def test_looks():
    """looks: a guest that hangs and a slow one differ by screen, console, and what the vCPUs do"""
    waits = see(counters=[(0x1000, 0x2000)] * 3, ticks=[(0, 0), (1, 0), (2, 1)])
    spins = see(counters=[(0x1000, 0x2000), (0x1004, 0x2000), (0x1ffc, 0x2000)],
                ticks=[(0, 0), (100, 0), (200, 0)])
    works = see(counters=[(0x1000, 0x2000), (0x5000, 0x2000), (0x1000, 0x2000)],
                ticks=[(0, 0), (100, 0), (200, 0)])
    same = "screen and console did not change in 3 looks"
    for told, what in ((waits, f"It hangs: {same}; vCPU 0 waits in WFI; vCPU 1 waits in WFI"),
                       (spins, f"It hangs: {same}; vCPU 0 spins at 0x1ffc; vCPU 1 waits in WFI"),
                       (works, f"It is slow: {same}; vCPU 0 works; vCPU 1 waits in WFI"),
                       (spins + see("other"), "It is slow: screen and console changed"),
                       (spins + see(console=7), "It is slow: screen and console changed")):
        got = looks.judge(told)[1]
        check(got.startswith(what), f"expected {what!r}, got {got!r}")


def watch(seen, seconds=1, factor=1):
    """What looks.watch() says to these looks, the last of which repeats, if one takes so long."""
    clock = types.SimpleNamespace(now=0)
    clock.monotonic = lambda: clock.now
    clock.sleep = lambda _: setattr(clock, "now", clock.now + seconds)
    seen = itertools.chain(seen, itertools.repeat(seen[-1]))
    with mock.patch.multiple(looks, time=clock, take_look=lambda _: next(seen),
                             scaled=lambda limit: limit * factor):
        return looks.watch(None)


def test_watch():
    """looks: a guest hangs only after a deadline, which is scaled, and after six looks"""
    late = see(counters=[(0x1000, 0x2000)] * 8, ticks=[(0, 0)] * 8) + see("other")
    for got, wanted in ((watch(late), "It hangs"),
                        (watch(late, factor=2), "It is slow"),
                        (watch(late, seconds=60), "in 6 looks"),
                        (watch(see() + see("other")), "in 2 looks")):
        check(wanted in got, f"expected {wanted!r}, got {got!r}")


def test_accesses():
    """looks: a trace gives the accesses of the VM's vCPUs, and none of other VMs"""
    trace = """# tracer: nop
 qemu-system-aar-108     [002] .....   647.656548: kvm_sys_access: \
PC: 40204318 SYS_PMCR_EL0 (3,3,9,12,0) read
       CPU 1/KVM-109     [000] d..1.   647.656808: kvm_sys_access: \
PC: 40204320 PMCNTENCLR_EL0 (3,3,9,12,2) write
       CPU 0/KVM-999     [000] d..1.   647.657082: kvm_sys_access: \
PC: 0 SYS_PMCR_EL0 (3,3,9,12,0) read
"""
    wanted = ["vcpu=0 cpu=2 time=647.656548 pc=0x40204318 read PMCR_EL0",
              "vcpu=1 cpu=0 time=647.656808 pc=0x40204320 write PMCNTENCLR_EL0"]
    got = list(looks.format_accesses(trace, [108, 109]))
    check(got == wanted, f"expected {wanted}, got {got}")


def test_ssh():
    """tcp:22: OpenSSH speaks first, and is sent nothing"""
    with vm_with_socket() as (vm, listener):
        signal = Tcp(types.SimpleNamespace(ready_detail="22"), vm)
        heard = []

        def greet():
            connection = listener.accept()[0]
            with connection:
                # one byte of the greeting: if the client left any unread, it would reset the
                # connection
                connection.send(b"S")
                heard.append(connection.recv(100))
        guest = threading.Thread(target=greet)
        guest.start()
        check(signal.answers(), "a greeting was no answer")
        guest.join()
        check(heard == [b""], f"expected nothing to be sent, got {heard}")


def main():
    return tap.run(tap.Test(test.__doc__, test)
                   for test in (test_agent, test_tcp, test_ssh, test_serial, test_looks,
                                test_watch, test_accesses))


if __name__ == "__main__":
    sys.exit(main())

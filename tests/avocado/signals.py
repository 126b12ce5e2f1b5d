# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of test_windows.py's signals, on sockets of this program in place of a VM's. The row avocado/signals runs it."""
import contextlib
import json
import socket
import sys
import tempfile
import threading
import types

import tap
from hosts import WAIT, scaled
from test_windows import RDP, Agent, Serial, Tcp


@contextlib.contextmanager
def vm_with_socket():
    """A VM whose every socket is one of ours, and that one, listening."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/socket"
        listener.bind(path)
        listener.listen()
        listener.settimeout(scaled(WAIT))
        table = "TCP[HOST_FORWARD]  12  127.0.0.1 40001  10.0.2.15  3389     0     0\n"
        host = types.SimpleNamespace(folder=folder, forward=lambda _: path)
        yield types.SimpleNamespace(host=host, qmp=types.SimpleNamespace(cmd=lambda *_, **__: table)), listener


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
    """One connection after the other; what was received."""
    heard = []
    for reply in replies:
        connection = listener.accept()[0]
        with connection:
            heard.append(connection.recv(100))
            connection.send(reply)
    return heard


def test_tcp():
    """tcp: a connection that is closed without a byte is no answer; Remote Desktop is greeted as it must be"""
    with vm_with_socket() as (vm, listener):
        signal = Tcp(types.SimpleNamespace(ready_detail="3389"), vm)
        heard = []
        guest = threading.Thread(target=lambda: heard.extend(serve(listener, [b"", b"\x03"])))
        guest.start()
        check(not signal.answers(), "an end was an answer")
        check(signal.answers(), "a byte was none")
        guest.join()
        check(heard == [RDP, RDP], f"expected {RDP!r} twice, got {heard}")


def test_serial():
    """serial: the text, then anything that comes after the question"""
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
    check(signal.answers(), "what came after was none")


def main():
    return tap.run(tap.Test(test.__doc__, test) for test in (test_agent, test_tcp, test_serial))


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs guests under QEMU and KVM and moves their vCPU threads. Runs in the emulated host, and
prints one JSON document.

    python3 in_host.py REQUEST.json

REQUEST.json: {"qemu": path, "guest": path, "timeout": seconds, "runs": [{"name", "cpu", "vcpus",
"append", "intervals", "moving", "move_every", "moves", "start", "reboots"}, ...]}. A run starts on
the group of CPUs with the number "start". When the guest prints "hold", its boot vCPU is moved to
the next group, and the guest goes on. A guest that lives is told to end when each vCPU has printed
its "intervals", and, if "moving", has made its "moves". The timeout is that of a run, and again
that of its QEMU's end. See run_guest() for the result of each run. Nothing is judged here; demo.py
does that.

Imports are few, and the QMP client is the dozen lines below instead of the qemu.qmp package: that
package uses asyncio throughout, and its import takes an emulated host 3 s more.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time

DEVICES = "/sys/bus/event_source/devices"
READ_PAUSE = 0.01
VERDICTS = ("PASS: ", "FAIL: ", "STOP: ")


class QmpError(Exception):
    """A command was answered with an error."""


class QmpClosed(Exception):
    """QEMU closed the connection, which it does by exiting."""


class Qmp:
    """A QMP connection: commands one after the other; of the events, only the names are kept."""

    def __init__(self, sock, timeout):
        sock.settimeout(timeout)
        self._sock = sock
        # for reading only: a text stream that is also written to drops what it has read ahead
        self._lines = sock.makefile("r", encoding="utf-8")
        self._events = []
        self._read()
        self.command("qmp_capabilities")

    def _read(self):
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            line = ""
        if not line:
            raise QmpClosed("QEMU closed its monitor")
        return json.loads(line)

    def command(self, name, **arguments):
        """Returns the command's return value."""
        try:
            request = json.dumps({"execute": name, "arguments": arguments})
            self._sock.sendall(f"{request}\n".encode())
        except BrokenPipeError as error:
            raise QmpClosed("QEMU closed its monitor") from error
        while True:
            message = self._read()
            if "error" in message:
                raise QmpError(message["error"]["desc"])
            if "return" in message:
                return message["return"]
            self._events.append(message["event"])

    def wait_for_event(self, name):
        """Waits until the event has come, now or before."""
        while name not in self._events:
            self._events.append(self._read()["event"])


def now_ns():
    """Nanoseconds of the clock that ticks exactly as the guest's CNTVCT_EL0, at another offset."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def parse_cpu_list(text):
    """The CPUs of a list as sysfs prints it: 0-1,4"""
    cpus = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


def read_pmus():
    """CPU PMUs and their CPUs; only these event sources have a file "cpus"."""
    pmus = {}
    for name in sorted(os.listdir(DEVICES)):
        try:
            with open(f"{DEVICES}/{name}/cpus", encoding="ascii") as file:
                pmus[name] = parse_cpu_list(file.read())
        except FileNotFoundError:
            pass
    return pmus


def make_groups(pmus):
    """The sets of CPUs to move between: each PMU's, or with a single PMU the halves of its CPUs."""
    if not pmus:
        sys.exit(f"in_host.py: error: no CPU PMU in {DEVICES}; the host's kernel or device tree "
                 "lacks one")
    groups = sorted(pmus.values())
    if len(groups) == 1:
        middle = len(groups[0]) // 2
        groups = [groups[0][:middle], groups[0][middle:]]
    return groups


class Guest:
    """QEMU with a guest that has not started yet (-S), and what is recorded of it."""

    def __init__(self, request, run, first_group):
        self.timeout = request["timeout"]
        self.deadline = time.monotonic() + self.timeout
        # a file without a name; to import tempfile takes as long as all other modules
        self.errors = os.fdopen(os.memfd_create("stderr"), "w+", encoding="utf-8", errors="replace")
        ours, theirs = socket.socketpair()
        self._typist, serial = socket.socketpair()
        # Without pmu-hybrid, KVM takes the PMU of the CPU that a vCPU is initialised on: the child
        # inherits our affinity.
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, first_group)
        try:
            self.process = subprocess.Popen(
                [request["qemu"], "-accel", "kvm", "-M", "virt,gic-version=3", "-cpu", run["cpu"],
                 "-smp", str(run["vcpus"]), "-m", "256", "-nodefaults", "-display", "none",
                 # a virtio console, as writing a line to the UART takes an emulated host 30 ms
                 "-chardev", "stdio,id=output,signal=off",
                 "-global", "virtio-mmio.force-legacy=false",
                 "-device", "virtio-serial-device", "-device", "virtconsole,chardev=output",
                 # for input to the guest
                 "-chardev", f"socket,id=serial,fd={serial.fileno()}", "-serial", "chardev:serial",
                 "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                 "-mon", "chardev=qmp,mode=control",
                 # QEMU stays when the guest powers off, so that it can be asked
                 "-action", f"shutdown=pause,reboot={'reset' if run['reboots'] else 'shutdown'}",
                 "-S", "-kernel", request["guest"], "-append", run["append"]],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
                pass_fds=[theirs.fileno(), serial.fileno()])
        finally:
            os.sched_setaffinity(0, everywhere)
            theirs.close()
            serial.close()
        self._sock = ours
        self.qmp = None
        self.threads = []

    def connect(self):
        """Connects to the monitor and finds the vCPU threads."""
        self.qmp = Qmp(self._sock, self.timeout)
        self.cpus = self.qmp.command("query-cpus-fast")
        self.threads = [cpu["thread-id"] for cpu in self.cpus]

    def backends(self):
        """pmu-backend of each vCPU; None from a QEMU without pmu-hybrid."""
        try:
            return [self.qmp.command("qom-get", path=cpu["qom-path"], property="pmu-backend")
                    for cpu in self.cpus]
        except QmpError:
            return [None for _ in self.cpus]

    def type_something(self):
        """Tells the guest to go on where it holds, or to end."""
        try:
            self._typist.send(b"\n")
        except BrokenPipeError:
            pass  # it has exited

    def state(self):
        """State of the VM, for the diagnosis of a hang."""
        try:
            return self.qmp.command("query-status")["status"] if self.qmp else "no monitor"
        except (QmpError, QmpClosed, OSError):
            return "monitor does not answer"

    def read_lines(self):
        """Yields lists of lines as the guest prints them, with the time they were read."""
        stream = self.process.stdout.fileno()
        rest = b""
        while True:
            wait = self.deadline - time.monotonic()
            if wait <= 0 or not select.select([stream], [], [], wait)[0]:
                raise TimeoutError
            # Python takes longer to wake up than to read a line, and this CPU time is taken from
            # the guest: let some lines come together
            time.sleep(READ_PAUSE)
            data = os.read(stream, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield now_ns(), [line.decode("ascii", "replace").strip() for line in lines]

    def end(self):
        """Ends QEMU, if need be by force; returns its exit status and error output."""
        if self.qmp:
            try:
                self.qmp.command("quit")
            except (QmpError, QmpClosed, OSError):
                pass  # it has exited, or its monitor hangs
        try:
            status = self.process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._sock.close()
        self._typist.close()
        self.errors.seek(0)
        with self.errors:
            return status, self.errors.read()


def parse_pairs(line):
    """The name=value words of a guest's line, as a dictionary."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


class Mover:
    """Moves each vCPU thread to the next group after so many of its deltas, and keeps a log."""

    def __init__(self, threads, groups, run):
        self._threads = threads
        self._groups = groups
        self._every = run["move_every"] if run["moving"] else 0
        # deltas and moves that each vCPU still has to make
        self._deltas = [run["intervals"]] * len(threads)
        self._moves = [run["moves"] if run["moving"] else 0] * len(threads)
        self._since = [0] * len(threads)
        self._group = [run["start"]] * len(threads)
        self.log = []

    def place(self, vcpu, group, after):
        """Moves a vCPU thread to a group. On return the thread runs on no other CPU any more."""
        os.sched_setaffinity(self._threads[vcpu], self._groups[group])
        self._group[vcpu] = group
        self._since[vcpu] = 0
        self.log.append({"vcpu": vcpu, "host_ns": now_ns(), "group": group, "after_delta": after})

    def place_next(self, vcpu, total):
        """Moves a vCPU thread to the next group."""
        self.place(vcpu, (self._group[vcpu] + 1) % len(self._groups), total)

    def seen(self, vcpu, count, total):
        """Counts COUNT deltas that were read of a vCPU, and moves it when it is due. TOTAL is the
        number of deltas of all vCPUs so far."""
        self._since[vcpu] += count
        self._deltas[vcpu] -= count
        if self._every and self._since[vcpu] >= self._every:
            self._moves[vcpu] -= 1
            self.place_next(vcpu, total)

    def has_enough(self):
        """Whether each vCPU has measured and moved as often as was asked for."""
        return max(*self._deltas, *self._moves) <= 0


def record_line(line, read_ns, result):
    """Records a line of the guest; returns the vCPU whose delta it is, or None."""
    word = line.partition(" ")[0]
    # also in the last line of a guest that stops in the loader
    if "loader stall=" in line:
        result["loaders"].append(parse_pairs(line))
    if word == "kernel":
        result["uncharged"] += int(parse_pairs(line)["zero"])
    if word not in ("delta", "winlike"):
        if line:
            result["output"].append(line)
        return None
    values = {name: int(value) for name, value in parse_pairs(line).items()}
    if word == "winlike":
        result["guest"] = values
        return None
    result["deltas"].append(values | {"read_ns": read_ns})
    return values["vcpu"]


def follow_guest(guest, mover, result):
    """Reads what the guest prints and moves its vCPUs, up to its verdict."""
    told = False
    for read_ns, lines in guest.read_lines():
        seen = [record_line(line, read_ns, result) for line in lines]
        # once for lines that came together, so that they do not move a vCPU twice
        for vcpu in set(seen) - {None}:
            mover.seen(vcpu, seen.count(vcpu), len(result["deltas"]))
        if any(line.startswith("hold ") for line in lines):
            mover.place_next(0, len(result["deltas"]))
            guest.type_something()
        if any(line.startswith(VERDICTS) for line in lines):
            # a guest also has to power off
            guest.qmp.wait_for_event("SHUTDOWN")
            return
        if mover.has_enough() and not told:
            guest.type_something()
            told = True


def record_run(guest, run, groups, result):
    """Starts the guest and follows it to its end."""
    guest.connect()
    # QEMU chooses by what the threads are allowed when the guest first starts.
    everywhere = sorted(os.sched_getaffinity(0))
    for thread in guest.threads:
        os.sched_setaffinity(thread, everywhere if run["moving"] else groups[run["start"]])
    mover = Mover(guest.threads, groups, run)
    result["moves"] = mover.log
    guest.qmp.command("cont")
    result["started"] = True
    # before anything else, so that the guest's first interval is not on another cluster by chance
    for vcpu in range(len(guest.threads)):
        mover.place(vcpu, run["start"], 0)
    result["backends"] = guest.backends()
    follow_guest(guest, mover, result)


def run_guest(request, run, groups):
    """Returns what happened, JSON-ready.

    started    whether QEMU accepted "cont"
    refusal    QEMU's error, if it did not
    hang       whether the deadline passed
    state      state of the VM then
    exit       QEMU's exit status; it is negative when QEMU had to be killed
    stderr     what QEMU printed there
    backends   pmu-backend of each vCPU once the guest ran
    loaders    what the guest's loader counted, in each boot
    uncharged  how many threads the guest's kernel charged with no cycles
    guest      the guest's own parameters
    deltas     the guest's deltas, with the host's time
    output     all other lines of the guest
    moves      of vCPU threads: to which group, when, and after how many deltas
    """
    result = {"name": run["name"], "started": False, "refusal": "", "hang": False, "state": "",
              "backends": [], "loaders": [], "uncharged": 0, "guest": {}, "deltas": [],
              "output": [], "moves": []}
    guest = Guest(request, run, groups[0])
    try:
        record_run(guest, run, groups, result)
    except QmpError as error:
        result["refusal"] = str(error)
    except (QmpClosed, ProcessLookupError):
        pass  # QEMU has ended by itself; its exit status and stderr tell why
    except TimeoutError:
        result["hang"] = True
        result["state"] = guest.state()
    finally:
        result["exit"], result["stderr"] = guest.end()
    return result


def main():
    """Runs what the request asks for, one guest after the other."""
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    pmus = read_pmus()
    groups = make_groups(pmus)
    runs = []
    for run in request["runs"]:
        print(f"==> {run['name']}", file=sys.stderr, flush=True)
        runs.append(run_guest(request, run, groups))
    json.dump({"pmus": pmus, "groups": groups, "runs": runs}, sys.stdout)
    print()


if __name__ == "__main__":
    main()

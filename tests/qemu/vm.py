# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM under test, driven by QMP, and checks for tests of pmu-hybrid, which run.py runs.

Beside it is in_host.py of the demo, for its QMP client. A test is a function test_*, whose
docstring is its claim; see only_on() and each_of().
"""

import contextlib
import functools
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import in_host
from in_host import Qmp, QmpClosed, QmpError

QEMU, GUEST, TIMEOUT, KERNEL, TOPOLOGY = sys.argv[1:6]
TIMEOUT = float(TIMEOUT)
HYBRID = "host,pmu-hybrid=on"
PMUS = sorted(in_host.read_pmus().items(), key=lambda item: item[1])
(SMALL, SMALL_CPUS), (BIG, BIG_CPUS) = PMUS[0], PMUS[-1]
A53, A72 = "armv8_cortex_a53", "armv8_cortex_a72"
A55, A78, X1 = "armv8_cortex_a55", "armv8_cortex_a78", "armv8_cortex_x1"
ALL_CPUS = sorted({cpu for _, cpus in PMUS for cpu in cpus})
FIXED = "fixed-counters"
ATTRIBUTE = "KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY"
VERSION = subprocess.run([QEMU, "-version"], stdout=subprocess.PIPE, check=True, text=True).stdout
# Before 10.2 QEMU prints the errors of a failed load one by one, and returns none of them
LOADS_PRINT = tuple(map(int, re.search(r"version (\d+)\.(\d+)", VERSION).groups())) < (10, 2)
# Command line of a guest that measures until passes() ends it, and how many intervals each vCPU has
# to measure by then
ENDLESS, MEASURED = "seconds=0", 20
RAM_START, MEBIBYTE = 0x40000000, 1 << 20
LIBVIRT_SANDBOX = ("-sandbox",
                   "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")


class Monitor(Qmp):
    """A QMP client that shows its events."""

    @property
    def events(self):
        """Names of the events that came before the last answer."""
        return tuple(self._events)

    def forget_events(self):
        """Forgets the events, so that wait_for_event() waits for new ones."""
        self._events.clear()


def read_whole(file):
    """The text of an unnamed file that QEMU may be writing to. The file is opened anew: QEMU shares
    the position of the one it inherited, and would overwrite its start while we read from there."""
    with open(f"/proc/self/fd/{file.fileno()}", encoding="utf-8") as opened:
        return opened.read()


class Vm:
    """A VM in QEMU, which ends with the block. It waits for cont() unless paused=False."""

    def __init__(self, cpu=HYBRID, *, guest=ENDLESS, accel="kvm", machine="virt,gic-version=3",
                 vcpus=2, paused=True, extra=(), affinity=None, wrapper=(), qemu=QEMU,
                 environment=None, kernel=GUEST, memory=64, stdin=subprocess.DEVNULL):
        self._endless = guest == ENDLESS
        if self._endless:
            stdin = subprocess.PIPE
        self._memory = memory * MEBIBYTE
        self.stderr_file = tempfile.TemporaryFile("w+")
        self.console_file = tempfile.TemporaryFile("w+")
        ours, theirs = socket.socketpair()
        # by taskset, not by changing our own affinity, which a cgroup could narrow for good
        pinned = ["taskset", "-c", cpu_list(affinity)] if affinity else []
        command = [*pinned, *wrapper, qemu, "-no-user-config", "-accel", accel, "-M", machine,
                   "-cpu", cpu, "-smp", str(vcpus), "-m", str(memory), "-nodefaults",
                   "-display", "none", "-serial", "stdio", "-kernel", kernel, "-append", guest,
                   "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                   "-mon", "chardev=qmp,mode=control",
                   "-action", "shutdown=pause", *(["-S"] if paused else []), *extra]
        self.process = subprocess.Popen(command, stdin=stdin, stdout=self.console_file,
                                        stderr=self.stderr_file, pass_fds=[theirs.fileno()],
                                        env={**os.environ, **(environment or {})})
        theirs.close()
        self._socket = ours
        self.qmp = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self._socket.close()

    def connect(self):
        """Connects to the monitor; returns self."""
        try:
            self.qmp = Monitor(self._socket, TIMEOUT)
        except QmpClosed as error:
            raise AssertionError(f"QEMU ended with status {self.process.wait(TIMEOUT)}: "
                                 f"{self.stderr!r}") from error
        return self

    @functools.cached_property
    def cpus(self):
        """The vCPUs, as query-cpus-fast lists them."""
        return self.qmp.command("query-cpus-fast")

    def quit(self):
        """Ends QEMU in an orderly way."""
        self.qmp.command("quit")
        equal(self.process.wait(TIMEOUT), 0, "exit status")

    @property
    def stderr(self):
        """All that QEMU has printed on stderr."""
        return read_whole(self.stderr_file)

    @property
    def console(self):
        """All that the guest has printed."""
        return read_whole(self.console_file)

    @property
    def verdict(self):
        """The guest's last line, which is complete once it has powered off."""
        return self.console.strip().rpartition("\n")[2]

    @property
    def status(self):
        """The run state of the VM."""
        return self.qmp.command("query-status")["status"]

    @property
    def backends(self):
        """pmu-backend of all vCPUs, which must agree."""
        found = {self.qmp.command("qom-get", path=cpu["qom-path"], property="pmu-backend")
                 for cpu in self.cpus}
        equal(len(found), 1, "number of different backends")
        return found.pop()

    def pin(self, *sets):
        """Pins the vCPU threads: a set of CPUs for each thread, or one for all."""
        for cpu, cpus in zip(self.cpus, sets * (len(self.cpus) if len(sets) == 1 else 1),
                             strict=True):
            os.sched_setaffinity(cpu["thread-id"], cpus)

    def cont(self):
        """Starts or resumes the VM; returns self."""
        self.qmp.command("cont")
        return self

    def refusal(self):
        """Sends "cont", which has to fail; returns the error."""
        try:
            self.qmp.command("cont")
        except QmpError as error:
            say(str(error))
            return str(error)
        raise AssertionError("cont succeeded")

    def exits(self, *patterns):
        """Fails unless QEMU ends by itself with status 1 and its errors on stderr match the
        patterns, in this order; the last error has to be the last line."""
        equal(self.process.wait(TIMEOUT), 1, f"exit status ({self.stderr!r})")
        *others, last = self.stderr.splitlines()
        errors = [line for line in others if not re.search(": (warning|info): ", line)] + [last]
        equal(len(errors), len(patterns), f"number of errors on stderr ({errors})")
        for pattern, error in zip(patterns, errors, strict=True):
            say(error)
            match(pattern, error, "error on stderr")
        equal(self.console, "", "console")

    def wait_until(self, what, condition):
        """Waits until the condition holds; fails after TIMEOUT seconds or if QEMU ends."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"waited in vain for {what}; stderr: {self.stderr!r}; console "
                                     f"ends: {self.console[-300:]!r}")
            time.sleep(0.05)

    def wait_for_deltas(self, count=1):
        """Waits until each vCPU of the guest has seen its cycle counter count COUNT times from now
        on."""
        before = len(self.console)

        def seen():
            new = self.console[before:]
            if found := re.search("^(STOP|FAIL): .*", new, re.M):
                raise AssertionError(f"expected a guest that measures, got {found[0]!r}")
            return all(len(re.findall(rf"^delta vcpu={vcpu} .* cycles=[1-9]", new, re.M)) >= count
                       for vcpu in range(len(self.cpus)))
        self.wait_until(f"{count} deltas of each vCPU", seen)

    def passes(self):
        """Lets the guest measure on and end; fails unless all counters counted."""
        if self._endless:
            self.wait_for_deltas(MEASURED)
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        self.wait_until("the guest's end", lambda: self.status == "shutdown")
        match(r"PASS: ", self.verdict, "verdict")

    def sleeps(self):
        """State of each vCPU thread, and how often it has gone to sleep. A thread that sleeps and
        has the same number as before did not run in between."""
        found = []
        for cpu in self.cpus:
            with open(f"/proc/{self.process.pid}/task/{cpu['thread-id']}/status",
                      encoding="ascii") as file:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in file)
            found.append((fields["State"][0], int(fields["voluntary_ctxt_switches"])))
        return found

    def read_memory(self):
        """All of the guest's RAM."""
        with tempfile.NamedTemporaryFile() as file:
            self.qmp.command("pmemsave", val=RAM_START, size=self._memory, filename=file.name)
            return file.read()

    def human(self, line):
        """Runs a command of the human monitor; returns what it prints."""
        return self.qmp.command("human-monitor-command", **{"command-line": line})

    def expand(self, **props):
        """The properties that query-cpu-model-expansion returns for these."""
        model = {"name": "host"}
        if props:
            model["props"] = {name.replace("_", "-"): value for name, value in props.items()}
        return self.qmp.command("query-cpu-model-expansion", type="full",
                                model=model)["model"]["props"]


@contextlib.contextmanager
def unprivileged():
    """Context manager: a wrapper that runs QEMU as an ordinary user in the group of /dev/kvm, as
    udev sets it up."""
    user, group = 1000, 2000
    modes = {path: os.stat(path).st_mode for path in ("/dev/kvm", ".")}
    os.chown("/dev/kvm", 0, group)
    os.chmod("/dev/kvm", 0o660)
    os.chmod(".", 0o711)
    try:
        yield ("setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={group}", "--")
    finally:
        os.chown("/dev/kvm", 0, 0)
        for path, mode in modes.items():
            os.chmod(path, mode)


def cpu_list(cpus):
    """A list of CPUs as sysfs prints it."""
    ranges = []
    for cpu in sorted(cpus):
        if ranges and ranges[-1][-1] == cpu - 1:
            ranges[-1][1:] = [cpu]
        else:
            ranges.append([cpu])
    return ",".join("-".join(map(str, part)) for part in ranges)


def pmu_list():
    """The host's PMUs as messages list them."""
    return ", ".join(f"{name} on CPUs {cpu_list(cpus)}" for name, cpus in PMUS)


def say(message):
    """Prints a diagnostic line of TAP."""
    print(f"# {message}", flush=True)


def equal(got, wanted, what):
    """Fails with both values unless they are equal."""
    if got != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, got {got!r}")


def match(pattern, text, what):
    """Fails with both unless the pattern is found in the text."""
    if not re.search(pattern, text):
        raise AssertionError(f"{what}: expected /{pattern}/, got {text!r}")


def raises(pattern, function, *args, **kwargs):
    """Fails unless the function raises a QmpError that matches the pattern."""
    try:
        function(*args, **kwargs)
    except QmpError as error:
        match(pattern, str(error), "error")
    else:
        raise AssertionError(f"expected an error like /{pattern}/, got none")


def only_on(kernel, topology=TOPOLOGY):
    """Decorator: runs the test on this kernel and topology only. A test that does not depend on the
    kernel runs once, on the stock one. ONLY_ON of a module does the same for all its tests."""
    def mark(function):
        function.kernel = kernel if topology == TOPOLOGY else None
        return function
    return mark


def each_of(rows):
    """Decorator: runs the test for each row, which it takes as argument; rows maps names to
    rows."""
    def mark(function):
        function.rows = rows
        return function
    return mark

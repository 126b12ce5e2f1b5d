# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM under test, seen over QMP, and how to say what is expected of it. Shared by the tests of
pmu-hybrid; run.py runs them.

Beside it lies in_host.py of the demo, for its QMP client. A test is a function test_*, whose
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
# Before 10.2 the errors of a failed load are printed one by one, and none of them is handed on
LOADS_PRINT = tuple(map(int, re.search(r"version (\d+)\.(\d+)", VERSION).groups())) < (10, 2)
# A guest that measures until passes() ends it, and how many intervals each vCPU has by then
ENDLESS, MEASURED = "seconds=0", 20
RAM_START, MEBIBYTE = 0x40000000, 1 << 20
LIBVIRT_SANDBOX = ("-sandbox",
                   "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")


class Monitor(Qmp):
    """Events can be looked at."""

    @property
    def events(self):
        """Names of those that came before the last answer."""
        return tuple(self._events)

    def forget_events(self):
        """So that wait_for_event() waits for new ones."""
        self._events.clear()


class Vm:
    """QEMU, ended with the block, and stopped before its start unless paused=False."""

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
        # not our own affinity: what the kernel leaves of that in a cgroup, it would keep
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
        """Returns self with the monitor ready."""
        try:
            self.qmp = Monitor(self._socket, TIMEOUT)
        except QmpClosed as error:
            raise AssertionError(f"QEMU ended with status {self.process.wait(TIMEOUT)}: "
                                 f"{self.stderr!r}") from error
        return self

    @functools.cached_property
    def cpus(self):
        """The vCPUs, which exist once the machine does."""
        return self.qmp.command("query-cpus-fast")

    def quit(self):
        """Ends QEMU in an orderly way."""
        self.qmp.command("quit")
        equal(self.process.wait(TIMEOUT), 0, "exit status")

    @property
    def stderr(self):
        """All that QEMU has said."""
        self.stderr_file.seek(0)
        return self.stderr_file.read()

    @property
    def console(self):
        """All that the guest has said."""
        self.console_file.seek(0)
        return self.console_file.read()

    @property
    def verdict(self):
        """The guest's last line, which is complete once it has powered off."""
        return self.console.strip().rpartition("\n")[2]

    @property
    def status(self):
        """The run state."""
        return self.qmp.command("query-status")["status"]

    @property
    def backends(self):
        """pmu-backend of all vCPUs, which must agree."""
        found = {self.qmp.command("qom-get", path=cpu["qom-path"], property="pmu-backend")
                 for cpu in self.cpus}
        equal(len(found), 1, "number of different backends")
        return found.pop()

    def pin(self, *sets):
        """One set of CPUs for each vCPU thread, or one for all."""
        for cpu, cpus in zip(self.cpus, sets * (len(self.cpus) if len(sets) == 1 else 1),
                             strict=True):
            os.sched_setaffinity(cpu["thread-id"], cpus)

    def cont(self):
        """Returns self, started."""
        self.qmp.command("cont")
        return self

    def refusal(self):
        """The error that "cont" has to be answered with."""
        try:
            self.qmp.command("cont")
        except QmpError as error:
            say(str(error))
            return str(error)
        raise AssertionError("cont succeeded")

    def exits(self, *patterns):
        """QEMU ends by itself with status 1, and its only errors are such lines, the last of them
        last of all."""
        equal(self.process.wait(TIMEOUT), 1, f"exit status ({self.stderr!r})")
        *others, last = self.stderr.splitlines()
        errors = [line for line in others if not re.search(": (warning|info): ", line)] + [last]
        equal(len(errors), len(patterns), f"number of errors on stderr ({errors})")
        for pattern, error in zip(patterns, errors, strict=True):
            say(error)
            match(pattern, error, "error on stderr")
        equal(self.console, "", "console")

    def wait_until(self, what, condition):
        """Until the condition holds, for at most TIMEOUT."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"waited in vain for {what}; stderr: {self.stderr!r}; console "
                                     f"ends: {self.console[-300:]!r}")
            time.sleep(0.05)

    def wait_for_deltas(self, count=1):
        """Until the guest has seen the cycle counter of each vCPU count, so often from now on."""
        before = len(self.console)

        def seen():
            new = self.console[before:]
            if found := re.search("^(STOP|FAIL): .*", new, re.M):
                raise AssertionError(f"expected a guest that measures, got {found[0]!r}")
            return all(len(re.findall(rf"^delta vcpu={vcpu} .* cycles=[1-9]", new, re.M)) >= count
                       for vcpu in range(len(self.cpus)))
        self.wait_until(f"{count} deltas of each vCPU", seen)

    def passes(self):
        """The guest measures on and ends, with all counters counting."""
        if self._endless:
            self.wait_for_deltas(MEASURED)
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        self.wait_until("the guest's end", lambda: self.status == "shutdown")
        match(r"PASS: ", self.verdict, "verdict")

    def sleeps(self):
        """Of each vCPU's thread: its state, and how often it has gone to sleep. One that sleeps, no
        more often than before, did not run."""
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
        """A command of the human monitor; returns what it prints."""
        return self.qmp.command("human-monitor-command", **{"command-line": line})

    def expand(self, **props):
        """The properties of query-cpu-model-expansion."""
        model = {"name": "host"}
        if props:
            model["props"] = {name.replace("_", "-"): value for name, value in props.items()}
        return self.qmp.command("query-cpu-model-expansion", type="full",
                                model=model)["model"]["props"]


@contextlib.contextmanager
def unprivileged():
    """Wrapper that runs QEMU as a user who is nobody but a member of the group that /dev/kvm
    belongs to, as udev has it."""
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
    """As sysfs prints it."""
    ranges = []
    for cpu in sorted(cpus):
        if ranges and ranges[-1][-1] == cpu - 1:
            ranges[-1][1:] = [cpu]
        else:
            ranges.append([cpu])
    return ",".join("-".join(map(str, part)) for part in ranges)


def pmu_list():
    """The host's PMUs, as messages have them."""
    return ", ".join(f"{name} on CPUs {cpu_list(cpus)}" for name, cpus in PMUS)


def say(message):
    """What was seen, for who reads the TAP."""
    print(f"# {message}", flush=True)


def equal(got, wanted, what):
    """Fails with both."""
    if got != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, got {got!r}")


def match(pattern, text, what):
    """Fails with both."""
    if not re.search(pattern, text):
        raise AssertionError(f"{what}: expected /{pattern}/, got {text!r}")


def raises(pattern, function, *args, **kwargs):
    """Fails unless QMP refuses with such an error."""
    try:
        function(*args, **kwargs)
    except QmpError as error:
        match(pattern, str(error), "error")
    else:
        raise AssertionError(f"expected an error like /{pattern}/, got none")


def only_on(kernel, topology=TOPOLOGY):
    """The test makes sense on this kernel and topology only, or has nothing to do with the kernel
    and is run once, on the stock one. ONLY_ON of a module says so of all its tests."""
    def mark(function):
        function.kernel = kernel if topology == TOPOLOGY else None
        return function
    return mark


def each_of(rows):
    """The test takes a row and is run for each; rows maps names to rows."""
    def mark(function):
        function.rows = rows
        return function
    return mark

# SPDX-License-Identifier: GPL-2.0-or-later
"""What -cpu host,pmu-hybrid=on does, seen over QMP. Runs inside a test host with two PMUs, prints TAP.

    python3 pmu_hybrid.py QEMU GUEST TIMEOUT stock|patched [TEST]...

Beside it lies in_host.py of the demo, for its QMP client. The fourth argument is the host's kernel: the patched one has the
fixed-counters mode, and tests that have nothing to do with it run on the stock one. TESTs are those to run, all if none is named.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import in_host
from in_host import Qmp, QmpError

QEMU, GUEST, TIMEOUT, KERNEL = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
HYBRID = "host,pmu-hybrid=on"
PMUS = sorted(in_host.read_pmus().items(), key=lambda item: item[1])
(SMALL, SMALL_CPUS), (BIG, BIG_CPUS) = PMUS[:2]
ALL_CPUS = sorted(SMALL_CPUS + BIG_CPUS)
FIXED = "fixed-counters"
CAPABILITY = "KVM_CAP_ARM_PMU_V3_FIXED_COUNTERS_ONLY"
# A vCPU that spins in KVM_RUN takes all of this; one that sleeps, next to nothing.
IDLE_WATCH = 2
LIBVIRT_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
# Numbers of ioctls, as QEMU's trace has them
KVM_RUN = "type 0xae80"
KVM_SET_DEVICE_ATTR = "type 0x4018aee1"
KVM_SET_ONE_REG = "type 0x4010aeac"
# A vCPU has a few hundred.
MANY_REGISTERS = 100


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
    """QEMU with two vCPUs, stopped before its start unless paused=False, and ended with the block."""

    def __init__(self, cpu=HYBRID, *, guest="seconds=2", paused=True, extra=(), affinity=None, wrapper=()):
        self.deadline = time.monotonic() + TIMEOUT
        self.stderr_file = tempfile.TemporaryFile("w+")
        self.console_file = tempfile.TemporaryFile("w+")
        ours, theirs = socket.socketpair()
        command = [*wrapper, QEMU, "-accel", "kvm", "-M", "virt,gic-version=3", "-cpu", cpu, "-smp", "2", "-m", "64",
                   "-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", GUEST, "-append", guest,
                   "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control",
                   "-action", "shutdown=pause", *(["-S"] if paused else []), *extra]
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, affinity or everywhere)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.console_file, stderr=self.stderr_file,
                                        pass_fds=[theirs.fileno()])
        os.sched_setaffinity(0, everywhere)
        theirs.close()
        self._socket = ours
        self.qmp = None
        self.cpus = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._socket.close()

    def connect(self, find_cpus=True):
        """Returns self with the monitor ready."""
        self.qmp = Monitor(self._socket, TIMEOUT)
        if find_cpus:
            self.find_cpus()
        return self

    def find_cpus(self):
        """They exist once the machine does."""
        self.cpus = self.qmp.command("query-cpus-fast")

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
        found = {self.qmp.command("qom-get", path=cpu["qom-path"], property="pmu-backend") for cpu in self.cpus}
        equal(len(found), 1, "number of different backends")
        return found.pop()

    def pin(self, *sets):
        """One set of CPUs for each vCPU thread, or one for all."""
        for cpu, cpus in zip(self.cpus, sets * (len(self.cpus) if len(sets) == 1 else 1), strict=True):
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
            return str(error)
        raise AssertionError("cont succeeded")

    def wait_until(self, what, condition):
        """Until the condition holds, or the deadline."""
        while not condition():
            if time.monotonic() > self.deadline or self.process.poll() is not None:
                raise AssertionError(f"waited in vain for {what}; stderr: {self.stderr!r}; console ends: {self.console[-300:]!r}")
            time.sleep(0.05)

    def passes(self):
        """The guest ends, with all counters counting."""
        self.wait_until("the guest's end", lambda: self.status == "shutdown")
        match(r"PASS: ", self.verdict, "verdict")

    def cpu_seconds(self):
        """CPU time of the vCPU threads."""
        total = 0
        for cpu in self.cpus:
            with open(f"/proc/{self.process.pid}/task/{cpu['thread-id']}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def human(self, line):
        """A command of the human monitor; returns what it prints."""
        return self.qmp.command("human-monitor-command", **{"command-line": line})

    def expand(self, **props):
        """The properties of query-cpu-model-expansion."""
        model = {"name": "host", **({"props": {name.replace("_", "-"): value for name, value in props.items()}} if props else {})}
        return self.qmp.command("query-cpu-model-expansion", type="full", model=model)["model"]["props"]


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


def only_on(kernel):
    """The test makes sense on this kernel only, or has nothing to do with the kernel and is run once, on the stock one."""
    def mark(function):
        function.kernel = kernel
        return function
    return mark


@only_on("stock")
def test_expansion():
    """the property is off by default, can be switched, and needs pmu"""
    with Vm("host") as vm:
        vm.connect()
        equal(vm.expand()["pmu-hybrid"], False, "default")
        equal(vm.expand(pmu_hybrid=True)["pmu-hybrid"], True, "switched on")
        equal("pmu-backend" in vm.expand(), False, "pmu-backend is advertised")
        raises("requires 'pmu'", vm.expand, pmu=False, pmu_hybrid=True)


@only_on("stock")
def test_needs_pmu():
    """pmu=off,pmu-hybrid=on is an error, whatever the order"""
    for cpu in ("host,pmu=off,pmu-hybrid=on", "host,pmu-hybrid=on,pmu=off"):
        with Vm(cpu) as vm:
            equal(vm.process.wait(TIMEOUT), 1, "exit status")
            match("'pmu-hybrid' requires 'pmu'", vm.stderr, "stderr")


@only_on("stock")
def test_backend_read_only():
    """pmu-backend cannot be set"""
    with Vm() as vm:
        vm.connect()
        raises("pmu-backend", vm.qmp.command, "qom-set", path=vm.cpus[0]["qom-path"], property="pmu-backend", value=BIG)


def test_one_pmu():
    """pinned between -S and cont and in a sandbox, as libvirt does: that PMU, and the guest counts"""
    for name, cpus in PMUS[:2]:
        with Vm(extra=["-sandbox", LIBVIRT_SANDBOX]) as vm:
            vm.connect()
            equal(vm.backends, "", "backend before the start")
            vm.pin(cpus)
            equal(vm.cont().backends, name, "backend")
            match(f"backed by {name} on CPUs", vm.stderr, "log")
            vm.passes()


@only_on("stock")
def test_one_cpu():
    """a single CPU, and a PMU that is not that of the CPU QEMU started on"""
    with Vm(affinity=SMALL_CPUS) as vm:
        vm.connect().pin(BIG_CPUS[-1:])
        equal(vm.cont().backends, BIG, "backend")
        vm.passes()


def test_stale_registers():
    """registers that a monitor command fetched before the choice are written before it and not after it"""
    with Vm(affinity=SMALL_CPUS, extra=["-trace", "kvm_vcpu_ioctl"]) as vm:
        vm.connect().human("info registers -a")
        vm.pin(BIG_CPUS)
        before = len(vm.stderr)
        equal(vm.cont().backends, BIG, "backend")
        during = vm.stderr[before:]
        flush, choice, start = during.partition(KVM_SET_DEVICE_ATTR)
        equal(flush.count(KVM_SET_ONE_REG) > MANY_REGISTERS, True, "registers written before the choice")
        start = start.partition(KVM_RUN)[0]
        equal((choice, start.count(KVM_SET_ONE_REG)), (KVM_SET_DEVICE_ATTR, 0), "registers written after the choice")
        vm.passes()


@only_on("stock")
def test_reset():
    """the choice outlives a reset"""
    with Vm(guest="seconds=1") as vm:
        vm.connect().pin(BIG_CPUS)
        vm.cont()
        vm.qmp.command("system_reset")
        vm.qmp.wait_for_event("RESET")
        equal(vm.backends, BIG, "backend")
        vm.passes()


@only_on("patched")
def test_fixed():
    """vCPUs that span PMUs have fixed counters, and count while they move"""
    for sets in ([ALL_CPUS], [SMALL_CPUS, BIG_CPUS]):
        with Vm() as vm:
            vm.connect().pin(*sets)
            equal(vm.cont().backends, FIXED, "backend")
            match("0 event counters", vm.stderr, "log")
            for cpus in (SMALL_CPUS, BIG_CPUS) * 3:
                vm.pin(cpus)
                time.sleep(0.2)
            vm.passes()


def test_trace():
    """the trace event has the inputs"""
    with Vm(extra=["-trace", "kvm_arm_pmu_hybrid_choose"]) as vm:
        vm.connect().pin(SMALL_CPUS)
        vm.cont()
        cpus = f"{SMALL_CPUS[0]}-{SMALL_CPUS[-1]}"
        match(rf"kvm_arm_pmu_hybrid_choose .*CPUs {cpus}, PMUs: {SMALL} on CPUs {cpus}, {BIG} on", vm.stderr, "trace")
        match(f"KVM has fixed counters: {int(KERNEL == 'patched')}", vm.stderr, "trace")


@only_on("stock")
def test_refusal_exits():
    """without -S a refusal ends QEMU with status 1 and one sentence"""
    with Vm(paused=False) as vm:
        equal(vm.process.wait(TIMEOUT), 1, "exit status")
        equal(vm.stderr.count("\n"), 1, "lines on stderr")
        for part in ("pmu-hybrid", SMALL, BIG, CAPABILITY, f"CPUs {ALL_CPUS[0]}-{ALL_CPUS[-1]}", "pin", "kernel"):
            match(part, vm.stderr, "stderr")
        equal(vm.console, "", "console")


@only_on("stock")
def test_refusal_and_cont():
    """with -S cont fails, again and again, until the threads are pinned"""
    with Vm() as vm:
        vm.connect()
        for _ in range(2):
            match(CAPABILITY, vm.refusal(), "error")
            equal(vm.status, "prelaunch", "run state")
            equal(vm.backends, "", "backend")
        equal("RESUME" in vm.qmp.events, False, "RESUME was sent")
        vm.pin(BIG_CPUS)
        equal(vm.cont().backends, BIG, "backend")
        vm.passes()


@only_on("stock")
def test_refusal_preconfig():
    """after -preconfig, x-exit-preconfig fails instead, and the VM can still be started"""
    with Vm(paused=False, extra=["-preconfig"]) as vm:
        vm.connect(find_cpus=False)
        raises(CAPABILITY, vm.qmp.command, "x-exit-preconfig")
        vm.find_cpus()
        equal(vm.status, "prelaunch", "run state")
        vm.pin(BIG_CPUS)
        equal(vm.cont().backends, BIG, "backend")
        vm.passes()


def wrong_cpu(vm):
    """Moves both vCPUs of a running guest off their PMU and sees the VM pause."""
    vm.pin(SMALL_CPUS)
    vm.cont()
    vm.wait_until("the guest's start", lambda: "delta" in vm.console)
    vm.pin(BIG_CPUS)
    vm.qmp.wait_for_event("STOP")
    equal(vm.status, "paused", "run state")


def test_fail_entry():
    """a vCPU on a CPU without its PMU pauses the VM, says so once, and does not spin"""
    with Vm() as vm:
        wrong_cpu(vm.connect())
        cpus = "|".join(map(str, BIG_CPUS))
        match(rf"vCPU [01] cannot run on CPU ({cpus}) of the host.*its PMU is {SMALL} on CPUs {SMALL_CPUS[0]}", vm.stderr, "log")
        before, said = vm.cpu_seconds(), vm.stderr
        time.sleep(IDLE_WATCH)
        used = vm.cpu_seconds() - before
        equal(used < IDLE_WATCH / 4, True, f"idle while paused ({used} s used of {IDLE_WATCH})")
        equal(vm.stderr, said, "nothing more is said")
        equal(said.count("cannot run on CPU") <= len(vm.cpus), True, f"at most one message a vCPU ({said!r})")


def test_fail_entry_cont():
    """after re-pinning, the guest goes on and has lost nothing"""
    with Vm(guest="seconds=3") as vm:
        wrong_cpu(vm.connect())
        vm.pin(SMALL_CPUS)
        vm.cont().passes()


@only_on("stock")
def test_fail_entry_again():
    """cont without re-pinning pauses again"""
    with Vm(guest="seconds=3") as vm:
        wrong_cpu(vm.connect())
        vm.qmp.forget_events()
        vm.cont()
        vm.qmp.wait_for_event("STOP")
        equal(vm.status, "paused", "run state")
        vm.pin(SMALL_CPUS)
        vm.cont().passes()


def vcpu_attributes(cpu):
    """How many attributes of vCPUs QEMU sets up to its -S, and how many from then on."""
    with Vm(cpu, extra=["-trace", "kvm_vcpu_ioctl"]) as vm:
        vm.connect().pin(SMALL_CPUS)
        before = vm.stderr.count(KVM_SET_DEVICE_ATTR)
        vm.cont()
        return before, vm.stderr.count(KVM_SET_DEVICE_ATTR) - before


@only_on("stock")
def test_deferral():
    """IRQ and INIT move from the creation of the VM to its first start, SET_PMU comes once; without pmu-hybrid nothing moves"""
    vcpus = 2
    plain, after = vcpu_attributes("host")
    equal(after, 0, "attributes set after the start, without pmu-hybrid")
    equal(vcpu_attributes(HYBRID), (plain - 2 * vcpus, 1 + 2 * vcpus), "attributes set before and after the start")


def save(vm, path):
    """Migrates the VM to a file."""
    vm.qmp.command("migrate", uri=f"file:{path}")
    vm.wait_until("the migration", lambda: vm.qmp.command("query-migrate")["status"] in ("completed", "failed"))
    equal(vm.qmp.command("query-migrate")["status"], "completed", "migration")


@contextlib.contextmanager
def saved(cpu=HYBRID, *, pin, start=True):
    """A file with the state of a VM that has run for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/state"
        with Vm(cpu, guest="seconds=4") as vm:
            vm.connect().pin(pin)
            if start:
                vm.cont()
                vm.wait_until("the guest's start", lambda: "delta" in vm.console)
            save(vm, path)
        yield path


def incoming(path, cpu=HYBRID, *, pin):
    """A VM that waits for the state, pinned as libvirt does before the migration starts."""
    vm = Vm(cpu, guest="seconds=4", extra=["-incoming", "defer"])
    vm.connect().pin(pin)
    vm.qmp.command("migrate-incoming", uri=f"file:{path}", **{"exit-on-error": False})
    vm.wait_until("the load", lambda: vm.qmp.command("query-migrate").get("status") in ("completed", "failed"))
    return vm


def load_fails(pattern, path, cpu=HYBRID, *, pin):
    """The state cannot be loaded, and QEMU says why."""
    with incoming(path, cpu, pin=pin) as vm:
        answer = vm.qmp.command("query-migrate")
        equal(answer["status"], "failed", "migration")
        match(pattern, answer.get("error-desc", "") + vm.stderr, "error")


def load_passes(path, backend, cpu=HYBRID, *, pin):
    """The guest goes on with such counters."""
    with incoming(path, cpu, pin=pin) as vm:
        equal(vm.qmp.command("query-migrate")["status"], "completed", f"migration ({vm.stderr})")
        equal(vm.cont().backends, backend, "backend")
        vm.passes()


def test_migrate_pmu():
    """one PMU migrates to one PMU, even of another kind, and not to vCPUs that span two"""
    with saved(pin=SMALL_CPUS) as path:
        load_passes(path, SMALL, pin=SMALL_CPUS)
        load_passes(path, BIG, pin=BIG_CPUS)
        load_fails("no single PMU covers", path, pin=ALL_CPUS)


@only_on("patched")
def test_migrate_fixed():
    """fixed counters stay fixed counters, pinned or not"""
    with saved(pin=ALL_CPUS) as path:
        load_passes(path, FIXED, pin=ALL_CPUS)
        load_passes(path, FIXED, pin=BIG_CPUS)


@only_on("stock")
def test_migrate_unstarted():
    """a VM that never ran makes its choice at the destination"""
    with saved(pin=SMALL_CPUS, start=False) as path:
        load_passes(path, BIG, pin=BIG_CPUS)


@only_on("stock")
def test_migrate_mismatch():
    """pmu-hybrid at one end only fails the load, either way"""
    with saved(pin=SMALL_CPUS) as path:
        load_fails("pmu-hybrid", path, "host", pin=SMALL_CPUS)
    with saved("host", pin=SMALL_CPUS) as path:
        load_fails("pmu-hybrid", path, pin=SMALL_CPUS)


def run_job(vm, command, **arguments):
    """Raises QmpError when the job fails."""
    vm.qmp.command(command, **{"job-id": "job"}, **arguments)
    vm.wait_until(command, lambda: vm.qmp.command("query-jobs")[0]["status"] == "concluded")
    error = vm.qmp.command("query-jobs")[0].get("error")
    vm.qmp.command("job-dismiss", id="job")
    if error:
        raise QmpError(error)


def add_disk(vm, path):
    """A disk for snapshots, made on first use."""
    new = not os.path.exists(path)
    with open(path, "ab"):
        pass
    vm.qmp.command("blockdev-add", driver="file", filename=path, **{"node-name": "file"})
    if new:
        run_job(vm, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": 64 << 20})
    vm.qmp.command("blockdev-add", driver="qcow2", file="file", **{"node-name": "disk"})


def snapshot(vm, what):
    """Saves or loads the one there is."""
    run_job(vm, f"snapshot-{what}", tag="one", vmstate="disk", devices=["disk"])


@contextlib.contextmanager
def snapshot_of_one_pmu():
    """The path of a disk with a snapshot of a VM that counts on the small CPUs."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/disk"
        with Vm(guest="seconds=4") as vm:
            vm.connect().pin(SMALL_CPUS)
            add_disk(vm, path)
            vm.cont()
            vm.wait_until("the guest's start", lambda: "delta" in vm.console)
            snapshot(vm, "save")
            snapshot(vm, "load")
            equal(vm.backends, SMALL, "backend")
        yield path


@only_on("stock")
def test_snapshot():
    """a snapshot of a guest with one PMU loads before the first start and after it, and needs one PMU"""
    with snapshot_of_one_pmu() as path:
        for started in (False, True):
            with Vm(guest="seconds=4") as vm:
                vm.connect().pin(BIG_CPUS)
                add_disk(vm, path)
                if started:
                    vm.cont()
                snapshot(vm, "load")
                if not started:
                    vm.cont()
                equal(vm.backends, BIG, "backend")
                vm.passes()
        with Vm() as vm:
            vm.connect().pin(ALL_CPUS)
            add_disk(vm, path)
            raises("no single PMU covers", snapshot, vm, "load")


@only_on("patched")
def test_snapshot_of_other_backend():
    """a guest with one PMU cannot be loaded into a VM that has started with fixed counters"""
    with snapshot_of_one_pmu() as path, Vm() as vm:
        vm.connect().pin(ALL_CPUS)
        add_disk(vm, path)
        vm.cont()
        raises(f"has started with {FIXED} already", snapshot, vm, "load")


def run_tests():
    """Runs those of this kernel; returns whether all is well."""
    tests = [(name.removeprefix("test_"), function) for name, function in globals().items()
             if name.startswith("test_") and getattr(function, "kernel", KERNEL) == KERNEL]
    wanted = sys.argv[5:]
    unknown = set(wanted) - {name for name, _ in tests}
    if unknown:
        sys.exit(f"pmu_hybrid.py: error: no test {', '.join(unknown)} for the {KERNEL} kernel; there are: "
                 + ", ".join(name for name, _ in tests))
    tests = [(name, function) for name, function in tests if not wanted or name in wanted]
    print(f"1..{len(tests)}", flush=True)
    good = True
    for number, (name, function) in enumerate(tests, 1):
        line = f"ok {number} - {name}: {function.__doc__}"
        try:
            function()
        except Exception as error:  # one broken test must not hide the others
            good = False
            line = f"not {line}\n# {type(error).__name__}: " + str(error).replace("\n", "\n# ")
        print(line, flush=True)
    return good


if __name__ == "__main__":
    sys.exit(0 if run_tests() else 1)

#!/usr/bin/env python3
#
# Functional test of the pmu-hybrid CPU property: what backs the PMU of a VM,
# and that the guest's cycle counter counts then
#
# It needs no download. With KVM it runs on any Arm host and expects what the
# PMUs of that host lead to; tests that need two PMUs skip where there is one.
# They all skip where PMUs share CPUs, or CPUs are offline or have none: these
# cases of the choice are the unit test's.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import ctypes
import fcntl
import os
from pathlib import Path
import re
import struct
import time

from qemu.machine.machine import VMLaunchFailure
from qemu_test import QemuSystemTest

# It notes PMCR_EL0, starts the cycle counter, and reads it for ever.
# Registers are how a guest without MMU can be looked at on any host.
GUEST = (
    0xd51befff,     # msr pmccfiltr_el0, xzr
    0xd2b00000,     # mov x0, #(1 << 31)
    0xd51b9c20,     # msr pmcntenset_el0, x0
    0xd53b9c13,     # mrs x19, pmcr_el0
    0xb2400260,     # orr x0, x19, #1
    0xd51b9c00,     # msr pmcr_el0, x0
    0xd5033fdf,     # isb
    0xd53b9d14,     # mrs x20, pmccntr_el0
    0x17ffffff,     # b . - 4
)

# See linux-headers/linux/kvm.h and linux-headers/asm-arm64/kvm.h
KVM_CREATE_VM = 0xae01
KVM_CHECK_EXTENSION = 0xae03
KVM_CREATE_VCPU = 0xae41
KVM_ARM_VCPU_INIT = 0x4020aeae
KVM_ARM_PREFERRED_TARGET = 0x8020aeaf
KVM_GET_ONE_REG = 0x4010aeab
KVM_SET_DEVICE_ATTR = 0x4018aee1
KVM_HAS_DEVICE_ATTR = 0x4018aee3
KVM_CAP_ARM_VM_IPA_SIZE = 165
KVM_ARM_VCPU_PMU_V3 = 3
KVM_ARM_VCPU_PMU_V3_CTRL = 0
KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY = 5
PMCR_EL0 = 0x603000000013dce0


def parse_cpu_list(text):
    cpus = set()
    for part in text.strip().split(','):
        first, _, last = part.partition('-')
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


# name -> CPUs, of those that this process may use
def host_pmus():
    usable = os.sched_getaffinity(0)
    pmus = {}
    for path in Path('/sys/bus/event_source/devices').glob('*/cpus'):
        text = path.read_text(encoding='ascii')
        cpus = parse_cpu_list(text) & usable if text.strip() else set()
        if cpus:
            pmus[path.parent.name] = cpus
    return pmus


def all_cpus_online():
    online, present = (Path(f'/sys/devices/system/cpu/{which}').read_text(
        encoding='ascii') for which in ('online', 'present'))
    return online == present


# Another attribute may have the number, so that only PMCR_EL0.N is proof.
def loses_event_counters(vcpu):
    attr = struct.pack('=IIQQ', 0, KVM_ARM_VCPU_PMU_V3_CTRL,
                       KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY, 0)
    pmcr = ctypes.c_uint64()
    try:
        fcntl.ioctl(vcpu, KVM_HAS_DEVICE_ATTR, attr)
        fcntl.ioctl(vcpu, KVM_SET_DEVICE_ATTR, attr)
        fcntl.ioctl(vcpu, KVM_GET_ONE_REG,
                    struct.pack('=QQ', PMCR_EL0, ctypes.addressof(pmcr)))
    except OSError:
        return False
    return pmcr.value >> 11 & 0x1f == 0


# Only a vCPU with a PMU has its attributes.
def kvm_has_fixed_counters():
    with open('/dev/kvm', 'rb+', buffering=0) as kvm:
        bits = fcntl.ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE)
        vm = fcntl.ioctl(kvm, KVM_CREATE_VM, bits)
        vcpu = fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
        init = bytearray(32)
        fcntl.ioctl(vm, KVM_ARM_PREFERRED_TARGET, init)
        init[4] |= 1 << KVM_ARM_VCPU_PMU_V3
        fcntl.ioctl(vcpu, KVM_ARM_VCPU_INIT, init)
        found = loses_event_counters(vcpu)
        os.close(vcpu)
        os.close(vm)
        return found


class Aarch64PMUHybrid(QemuSystemTest):

    # A float: event_wait() takes an integer for "for ever".
    timeout = 60.0
    hybrid = 'host,pmu-hybrid=on'

    def require_pmu(self):
        self.set_machine('virt')
        self.require_accelerator('kvm')
        self.pmus = host_pmus()
        if not self.pmus:
            self.skipTest('the host lists no PMU of its CPUs in sysfs')
        if sum(map(len, self.pmus.values())) > len(set().union(
                *self.pmus.values())):
            self.skipTest("the host's PMUs share CPUs")
        if not all_cpus_online():
            self.skipTest('some CPUs of the host are offline')
        if set().union(*self.pmus.values()) != os.sched_getaffinity(0):
            self.skipTest('some CPUs of the host have no PMU')
        vm = self.launch_vm('host')
        props = vm.cmd('query-cpu-model-expansion', type='full',
                       model={'name': 'host'})['model']['props']
        vm.shutdown()
        if 'pmu' not in props:
            self.skipTest('KVM has no PMU on this host')
        # It exists where the PMU does, and is off by default.
        self.assertIs(props.get('pmu-hybrid'), False)
        self.name, self.cpus = min(self.pmus.items(),
                                   key=lambda item: min(item[1]))

    def require_pmus(self):
        self.require_pmu()
        if len(self.pmus) < 2:
            self.skipTest('the host has one PMU only')
        self.other_name, self.other_cpus = max(
            self.pmus.items(), key=lambda item: min(item[1]))

    # The second vCPU stays off, but its thread's affinity matters, too.
    def launch_vm(self, cpu, *args):
        guest = self.scratch_file('guest.bin')
        Path(guest).write_bytes(struct.pack(f'<{len(GUEST)}I', *GUEST))
        vm = self.get_vm('-accel', 'kvm', '-cpu', cpu, '-smp', '2', '-m', '64',
                         '-nodefaults', '-S', '-kernel', guest, *args)
        vm.set_machine('virt,gic-version=max')
        vm.launch()
        return vm

    def pin(self, vm, *sets):
        vcpus = vm.cmd('query-cpus-fast')
        for vcpu, cpus in zip(vcpus, sets * len(vcpus)):
            os.sched_setaffinity(vcpu['thread-id'], cpus)

    def backend(self, vm):
        found = {vm.cmd('qom-get', path=vcpu['qom-path'],
                        property='pmu-backend')
                 for vcpu in vm.cmd('query-cpus-fast')}
        self.assertEqual(len(found), 1)
        return found.pop()

    def status(self, vm):
        return vm.cmd('query-status')['status']

    def read_registers(self, vm):
        text = vm.cmd('human-monitor-command', command_line='info registers')
        return {int(number): int(value, 16) for number, value
                in re.findall(r'X(\d\d)=([0-9a-f]+)', text)}

    def cycles(self, vm):
        return self.read_registers(vm)[20]

    def nr_counters(self, vm):
        return self.read_registers(vm)[19] >> 11 & 0x1f

    def wait_until(self, what, condition):
        end = time.monotonic() + self.timeout
        while not condition():
            self.assertLess(time.monotonic(), end, f'waited in vain: {what}')
            time.sleep(0.1)

    def assert_counts(self, vm, cpus):
        before = self.cycles(vm)
        self.wait_until(f'the cycle counter counts on CPUs {cpus}',
                        lambda: self.cycles(vm) > before)
        self.assertEqual(self.status(vm), 'running')

    def assert_starts(self, vm, backend):
        self.assertEqual(self.backend(vm), '')
        answer = vm.qmp('cont')
        if 'lacks KVM_ARM_VCPU_PMU_V3_SET_PMU' in str(answer):
            self.skipTest('KVM cannot be told which PMU to use (Linux < 5.18)')
        self.assertEqual(answer, {'return': {}})
        self.assertEqual(self.backend(vm), backend)
        self.assert_counts(vm, 'that it starts on')
        if backend == 'fixed-counters':
            self.assertEqual(self.nr_counters(vm), 0)
        else:
            self.assertGreater(self.nr_counters(vm), 0)

    # With the fixed counters it goes on to count wherever the thread is.
    def assert_starts_fixed(self, vm):
        self.assert_starts(vm, 'fixed-counters')
        for cpus in self.pmus.values():
            self.pin(vm, cpus)
            self.assert_counts(vm, cpus)

    # The error names what there is and what is missing; pinning helps.
    def assert_refused(self, vm):
        error = vm.qmp('cont')['error']['desc']
        for part in ('pmu-hybrid', 'KVM_ARM_VCPU_PMU_V3_FIXED_COUNTERS_ONLY',
                     *self.pmus):
            self.assertIn(part, error)
        self.assertEqual(self.status(vm), 'prelaunch')
        self.pin(vm, self.cpus)
        self.assert_starts(vm, self.name)

    def assert_launch_fails(self, reason, launch, *args):
        with self.assertRaises(VMLaunchFailure) as caught:
            launch(*args)
        self.assertEqual(caught.exception.exitcode, 1)
        self.assertIn(reason, caught.exception.output)

    def migration_ended(self, vm):
        self.wait_until('the migration ends',
                        lambda: vm.cmd('query-migrate').get('status') in
                        ('completed', 'failed'))
        return vm.cmd('query-migrate')

    # Ends the VM; returns where its state is and what its counter was.
    def save(self, vm):
        uri = 'file:' + self.scratch_file('state')
        vm.cmd('stop')
        cycles = self.cycles(vm)
        vm.cmd('migrate', uri=uri)
        self.assertEqual(self.migration_ended(vm)['status'], 'completed')
        vm.shutdown()
        return uri, cycles

    # Threads are pinned before the state arrives.
    def load(self, uri, cpus, cpu=hybrid):
        vm = self.launch_vm(cpu, '-incoming', 'defer')
        self.pin(vm, cpus)
        vm.cmd('migrate-incoming', {'uri': uri, 'exit-on-error': False})
        return vm, self.migration_ended(vm)

    def assert_loads(self, uri, cpus, backend, cycles):
        vm, migration = self.load(uri, cpus)
        self.assertEqual(migration['status'], 'completed')
        self.assertGreaterEqual(self.cycles(vm), cycles)
        vm.cmd('cont')
        self.assertEqual(self.backend(vm), backend)
        self.assert_counts(vm, cpus)

    # Threads may be pinned after the load, so the start judges it.
    def assert_refused_until_pinned(self, uri):
        vm, migration = self.load(uri, os.sched_getaffinity(0))
        self.assertEqual(migration['status'], 'completed')
        self.assertIn('no single PMU covers',
                      vm.qmp('cont')['error']['desc'])
        self.pin(vm, self.cpus)
        vm.cmd('cont')
        self.assertEqual(self.backend(vm), self.name)
        self.assert_counts(vm, self.cpus)

    def assert_load_fails(self, reason, *args):
        _, migration = self.load(*args)
        self.assertEqual(migration['status'], 'failed')
        self.assertIn(reason, migration['error-desc'])

    # Any host: without KVM there is no such property.
    def test_tcg(self):
        self.set_machine('virt')
        self.require_accelerator('tcg')
        vm = self.get_vm('-accel', 'tcg', '-cpu', 'max,pmu-hybrid=on',
                         '-nodefaults', '-S')
        self.assert_launch_fails(".pmu-hybrid' not found", vm.launch)

    def test_needs_pmu(self):
        self.require_pmu()
        self.assert_launch_fails("'pmu-hybrid' requires 'pmu', which is off",
                                 self.launch_vm, self.hybrid + ',pmu=off')

    def test_each_pmu(self):
        self.require_pmu()
        for name, cpus in self.pmus.items():
            vm = self.launch_vm(self.hybrid)
            self.pin(vm, cpus)
            self.assert_starts(vm, name)
            vm.shutdown()

    def test_everywhere(self):
        self.require_pmu()
        vm = self.launch_vm(self.hybrid)
        if len(self.pmus) == 1:
            self.assert_starts(vm, self.name)
        elif kvm_has_fixed_counters():
            self.assert_starts_fixed(vm)
        else:
            self.assert_refused(vm)

    # One thread on each of two PMUs: what counts is the union.
    def test_apart(self):
        self.require_pmus()
        vm = self.launch_vm(self.hybrid)
        self.pin(vm, self.cpus, self.other_cpus)
        if kvm_has_fixed_counters():
            self.assert_starts_fixed(vm)
        else:
            self.assert_refused(vm)

    # KVM does not enter a vCPU there; the VM pauses and can go on.
    def test_wrong_cpu(self):
        self.require_pmus()
        vm = self.launch_vm(self.hybrid)
        self.pin(vm, self.cpus)
        self.assert_starts(vm, self.name)
        self.pin(vm, self.other_cpus)
        self.assertIsNotNone(vm.event_wait('STOP', self.timeout))
        self.assertEqual(self.status(vm), 'paused')
        self.pin(vm, self.cpus)
        vm.cmd('cont')
        self.assert_counts(vm, self.cpus)
        vm.shutdown()
        self.assertRegex(vm.get_log(), r'vCPU \d cannot run on CPU \d+ of the '
                         f'host.* its PMU is {self.name} on CPUs ')

    def test_migration(self):
        self.require_pmu()
        vm = self.launch_vm(self.hybrid)
        self.pin(vm, self.cpus)
        self.assert_starts(vm, self.name)
        uri, cycles = self.save(vm)
        self.assert_loads(uri, self.cpus, self.name, cycles)
        self.assert_load_fails('The incoming VM has pmu-hybrid=on',
                               uri, self.cpus, 'host')
        if len(self.pmus) > 1:
            self.assert_refused_until_pinned(uri)

    # They stay fixed even where one PMU covers all threads.
    def test_migration_fixed(self):
        self.require_pmus()
        if not kvm_has_fixed_counters():
            self.skipTest('KVM has no fixed counters')
        vm = self.launch_vm(self.hybrid)
        self.assert_starts(vm, 'fixed-counters')
        uri, cycles = self.save(vm)
        self.assert_loads(uri, self.cpus, 'fixed-counters', cycles)


if __name__ == '__main__':
    QemuSystemTest.main()

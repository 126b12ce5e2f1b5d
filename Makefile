# SPDX-License-Identifier: GPL-2.0-or-later
# The one front door. Each step is a program that finds out by itself what is left to do.

.DEFAULT_GOAL := help
# Two at a time: one compiles, and the other downloads, unpacks, configures or links meanwhile.
MAKEFLAGS += -j2
# The programs' own makes have nothing to do with that.
unexport MAKEFLAGS MFLAGS

ifneq ($(VPMU_BASE)$(VPMU_BUILD),)
$(error unset VPMU_BASE and VPMU_BUILD: only scripts/ and testbed/ take them; see docs/series.md)
endif

STAMPS := build/stamps
# Numbers the steps of this run, and keeps their times.
STEP := @scripts/step
export VPMU_GOALS := $(MAKECMDGOALS)
export VPMU_RUN := $(shell echo "$$(date +%s)-$$PPID")

.PHONY: help
help: ## this list
	@sed -E ':join; /\\$$/ { N; s/ *\\\n\t*/ /; b join }' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }'

.PHONY: demo
demo: all ## before and after on the emulated host, as a table, build/results/demo.json and demo.svg
	$(STEP) 'demo' build/venv/bin/python tests/demo/demo.py $(if $(DOCS),--docs)
	@scripts/step --table

.PHONY: bench
bench: all one-event ## what the series costs: a table, build/results/bench.json and bench.svg; \
		fails when a figure is above its bar
	build/venv/bin/python bench/bench.py $(if $(DOCS),--docs)

.PHONY: check
check: deps-check all ## the tests that each change must pass; ONLY=PATTERN picks some
	@scripts/step --table
	tests/run --build

.PHONY: check-full
check-full: deps-full all ## all tests, but for those that passed with the same contents; \
		BUDGET=25m some of them, FORCE=1 those too
	@scripts/step --table
	tests/run --full --build

.PHONY: ledger
ledger: venv ## what check-full found: each test, its verdict for the contents of today, its time
	@tests/run --ledger

.PHONY: check-host
check-host: deps-check all linux-guest linux-guest-newer uefi ## the Avocado tests on a real \
		board: HOST=user@board make check-host
	@test -n '$(HOST)' || { \
		echo "check-host: error: which host? HOST=user@board make check-host" >&2; exit 1; }
	build/venv/bin/python tests/avocado/board.py '$(HOST)'

.PHONY: shell
shell: all ## a shell in the emulated host; KERNEL=stock|patched \
		TOPOLOGY=biglittle|tricluster|homogeneous
	testbed/run --kernel $(or $(KERNEL),patched) --topology $(or $(TOPOLOGY),biglittle) \
		--file build/artifacts/qemu-system-aarch64 --file build/artifacts/guests

.PHONY: series
series: trees ## mailable series for pristine trees, in build/series/linux and build/series/qemu; \
		SIGNOFF=1 signs them off as you
	scripts/series mail $(if $(SIGNOFF),--signoff) linux
	scripts/series mail $(if $(SIGNOFF),--signoff) qemu

.PHONY: deb
deb: deps-check trees venv ## Debian packages for a board, in build/packages; \
		LINUX_CONFIG=boards or =FILE for a kernel that takes no hours, BASE=debian-stable
	packages/all $(BASE)

.PHONY: deb-src
deb-src: deps-check trees ## Debian source packages of QEMU, pmu-hybrid-check and \
		libvirt-pmu-hybrid, in build/packages
	packages/libvirt
	packages/source
	packages/qemu-source

.PHONY: all
all: trees kernels qemu tool host guests ## build everything that the demo runs, and most of what \
		the tests do

.PHONY: deps
deps: ## install the Debian packages of the build machine, for all that is here (as root; \
		otherwise name them)
	@scripts/deps full

# What a goal needs of them; scripts/deps says what that is.
DEPS := deps-demo deps-check deps-full
.PHONY: $(DEPS)
$(DEPS): deps-%:
	$(STEP) 'packages of this machine, for $*' scripts/deps $*

.PHONY: trees
trees: $(STAMPS)/series-linux $(STAMPS)/series-qemu ## build/linux and build/qemu with our series \
		on top

# Opened again only when the stored series changes: in between, the trees are for editing.
.SECONDEXPANSION:
$(STAMPS)/series-%: $$(shell find $$* -type f) upstream.conf | deps-demo
	$(STEP) 'source tree of $*' scripts/series open $*
	@mkdir -p $(@D) && touch $@

.PHONY: kernels kernel-stock kernel-patched
kernels: kernel-stock kernel-patched ## the emulated host's kernels, stock and patched

kernel-stock: $(STAMPS)/series-linux
	$(STEP) 'kernel: stock' testbed/build-kernel stock

# takes most objects of the stock one from the compiler cache
kernel-patched: kernel-stock
	$(STEP) 'kernel: patched' testbed/build-kernel patched

.PHONY: one-event
one-event: kernels ## the kernel without the series' last patch, for the bench and its test
	$(STEP) 'kernel: one-event' testbed/build-kernel one-event

.PHONY: unlike
unlike: kernels ## the patched kernel with kinds of PMU that differ, for the tests
	$(STEP) 'kernel: unlike' testbed/build-kernel unlike

.PHONY: debug
debug: kernels deps-check ## the patched kernel with debugging options, for the tests
	$(STEP) 'kernel: debug' testbed/build-kernel debug

.PHONY: apparmor
apparmor: kernels ## the patched kernel as distributions have it, with AppArmor, for the tests of \
		libvirt
	$(STEP) 'kernel: apparmor' testbed/build-kernel apparmor

.PHONY: linux-bases
linux-bases: kernels deps-check ## kernels of the other bases in linux/bases, for their tests
	$(STEP) 'kernels of other bases' testbed/build-bases

.PHONY: qemu
qemu: $(STAMPS)/series-qemu venv ## our QEMU, for use inside the emulated host
	$(STEP) 'QEMU' scripts/build-qemu

.PHONY: tool
tool: venv ## pmu-hybrid-check, for use inside the emulated host
	$(STEP) 'pmu-hybrid-check' scripts/build-tool

.PHONY: unit
unit: deps-check $(STAMPS)/series-qemu venv ## QEMU's unit tests of our code, for this machine
	$(STEP) 'unit tests of QEMU' scripts/build-qemu --unit-tests

.PHONY: suites
suites: deps-check $(STAMPS)/series-qemu venv ## QEMU for this machine with all its own tests, \
		without and with the series, for their comparison
	$(STEP) 'tests of QEMU, base' scripts/build-qemu --base --suites
	$(STEP) 'tests of QEMU' scripts/build-qemu --suites

.PHONY: venv
venv: deps-demo
	$(STEP) 'Python packages' scripts/venv

.PHONY: host
host: deps-demo ## emulator, root file system and device trees of the emulated host
	$(STEP) 'emulator' testbed/emulator
	$(STEP) 'root file system' testbed/rootfs
	@testbed/dtbs
	@testbed/build-exact-init

.PHONY: guests
guests: $(STAMPS)/series-linux ## bare-metal guests
	$(STEP) 'guests' make -s -C guests

.PHONY: linux-guest
linux-guest: deps-check ## Debian's kernel and perf as a guest, for its test
	$(STEP) 'Debian guest' guests/linux/build

.PHONY: linux-guest-newer
linux-guest-newer: linux-guest ## kernels of newer Debian releases for that guest
	$(STEP) 'newer Debian guests' guests/linux/build --newer

.PHONY: uefi
uefi: deps-check guests ## UEFI firmware, and the disk of the UEFI guest
	$(STEP) 'UEFI guest' guests/uefi/build

.PHONY: clean
clean: ## delete build/, saving the trees' commits first; downloads and compiler cache stay below \
		~/.cache/vpmu
	@for tree in build/linux build/qemu build/bases/*/linux build/bases/*/qemu; do \
		test -e $$tree/.git || continue; \
		base=$$(expr $$tree : 'build/bases/\(.*\)/'); \
		VPMU_BASE=$$base scripts/series save $${tree##*/} || exit; \
	done
	rm -rf build

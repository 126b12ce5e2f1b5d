# SPDX-License-Identifier: GPL-2.0-or-later
# The commands for users. Each step is a program that finds out by itself what is left to do.

.DEFAULT_GOAL := help
# Two steps at a time: while one compiles, the other downloads, unpacks, configures or links.
MAKEFLAGS += -j2
# The makes that the programs run do not get these flags.
unexport MAKEFLAGS MFLAGS

ifneq ($(VPMU_BASE)$(VPMU_BUILD),)
$(error unset VPMU_BASE and VPMU_BUILD: only programs take them, not make; see docs/series.md)
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
demo: all ## show before and after on the emulated host: a table, build/results/demo.json \
		and demo.svg
	$(STEP) 'demo' build/venv/bin/python tests/demo/demo.py $(if $(DOCS),--docs)
	@scripts/step --table

.PHONY: bench
bench: all one-event ## measure what the series costs: a table, build/results/bench.json and \
		bench.svg; fail if a figure is above its bar
	build/venv/bin/python bench/bench.py $(if $(DOCS),--docs)

.PHONY: check
check: deps-check all ## run the tests that each change must pass; ONLY=PATTERN selects rows
	@scripts/step --table
	tests/run --build

.PHONY: check-full
check-full: deps-full all ## run all tests except those that passed with the same contents; \
		BUDGET=25m limits the time, FORCE=1 repeats those that passed
	@scripts/step --table
	tests/run --full --build

.PHONY: ledger
ledger: venv ## list each test with its verdict for today's contents and its time
	@tests/run --ledger

.PHONY: check-host
check-host: deps-check all linux-guest linux-guest-newer uefi ## run the Avocado tests on a \
		real board: HOST=user@board make check-host
	@test -n '$(HOST)' || { \
		echo "check-host: error: HOST is empty; run HOST=user@board make check-host" >&2; \
		exit 1; }
	build/venv/bin/python tests/avocado/board.py '$(HOST)'

.PHONY: shell
shell: all ## open a shell in the emulated host; KERNEL=stock|patched \
		TOPOLOGY=biglittle|tricluster|homogeneous
	testbed/run --kernel $(or $(KERNEL),patched) --topology $(or $(TOPOLOGY),biglittle) \
		--file build/artifacts/qemu-system-aarch64 --file build/artifacts/guests

.PHONY: series
series: trees ## write the series as mails for pristine trees, in build/series/linux and \
		build/series/qemu; SIGNOFF=1 signs them off as you
	scripts/series mail $(if $(SIGNOFF),--signoff) linux
	scripts/series mail $(if $(SIGNOFF),--signoff) qemu

.PHONY: deb
deb: deps-check trees venv ## make the Debian packages for a board, in build/packages; \
		LINUX_CONFIG=boards or LINUX_CONFIG=FILE for a kernel that builds faster, \
		BASE=debian-stable for the versions of Debian stable
	packages/all $(BASE)

.PHONY: deb-src
deb-src: deps-check trees ## make the Debian source packages of QEMU, pmu-hybrid-check \
		and libvirt-pmu-hybrid, in build/packages; BASE= as for deb
	packages/all --source $(BASE)

.PHONY: all
all: trees kernels qemu tool host guests ## build everything that the demo runs, and most of what \
		the tests run

.PHONY: deps
deps: ## as root, install all Debian packages that the build machine needs; without root, name \
		them
	@scripts/deps full

# deps-PURPOSE: the packages for one purpose; scripts/deps lists them.
DEPS := deps-demo deps-check deps-full
.PHONY: $(DEPS)
$(DEPS): deps-%:
	$(STEP) 'packages of this machine, for $*' scripts/deps $*

.PHONY: trees
trees: $(STAMPS)/series-linux $(STAMPS)/series-qemu ## make build/linux and build/qemu, with our \
		series on top

# Opens a tree again only when the stored series changes: in between, people edit the trees.
.SECONDEXPANSION:
$(STAMPS)/series-%: $$(shell find $$* -type f) upstream.conf | deps-demo
	$(STEP) 'source tree of $*' scripts/series open $*
	@mkdir -p $(@D) && touch $@

.PHONY: kernels kernel-stock kernel-patched
kernels: kernel-stock kernel-patched ## build the emulated host's kernels, stock and patched

kernel-stock: $(STAMPS)/series-linux
	$(STEP) 'kernel: stock' testbed/build-kernel stock

# After the stock one: the compiler cache then has most objects.
kernel-patched: kernel-stock
	$(STEP) 'kernel: patched' testbed/build-kernel patched

.PHONY: one-event
one-event: kernels ## build the kernel without the series' last patch, for the bench and its test
	$(STEP) 'kernel: one-event' testbed/build-kernel one-event

.PHONY: unlike
unlike: kernels ## build the patched kernel with other kinds of PMU, for the tests
	$(STEP) 'kernel: unlike' testbed/build-kernel unlike

.PHONY: debug
debug: kernels deps-check ## build the patched kernel with debugging options, for the tests
	$(STEP) 'kernel: debug' testbed/build-kernel debug

.PHONY: apparmor
apparmor: kernels ## build the patched kernel with a distribution's options and AppArmor, for the \
		tests of libvirt
	$(STEP) 'kernel: apparmor' testbed/build-kernel apparmor

.PHONY: linux-bases
linux-bases: kernels deps-check ## build kernels of the other bases in linux/bases, for their tests
	$(STEP) 'kernels of other bases' testbed/build-bases

.PHONY: qemu
qemu: $(STAMPS)/series-qemu venv ## build our QEMU, for use inside the emulated host
	$(STEP) 'QEMU' scripts/build-qemu

.PHONY: tool
tool: venv ## build pmu-hybrid-check, for use inside the emulated host
	$(STEP) 'pmu-hybrid-check' scripts/build-tool

.PHONY: unit
unit: deps-check $(STAMPS)/series-qemu venv ## build QEMU's unit tests of our code, for this machine
	$(STEP) 'unit tests of QEMU' scripts/build-qemu --unit-tests

.PHONY: suites
suites: deps-check $(STAMPS)/series-qemu venv ## build QEMU for this machine with all its own \
		tests, without and with the series, to compare them
	$(STEP) 'tests of QEMU, base' scripts/build-qemu --base --suites
	$(STEP) 'tests of QEMU' scripts/build-qemu --suites

.PHONY: venv
venv: deps-demo
	$(STEP) 'Python packages' scripts/venv

.PHONY: host
host: deps-demo ## make emulator, root file system and device trees of the emulated host
	$(STEP) 'emulator' testbed/emulator
	$(STEP) 'root file system' testbed/rootfs
	@testbed/dtbs
	@testbed/build-exact

.PHONY: guests
guests: $(STAMPS)/series-linux ## build the bare-metal guests
	$(STEP) 'guests' make -s -C guests

.PHONY: linux-guest
linux-guest: deps-check ## make a guest of Debian's kernel and perf, for its test
	$(STEP) 'Debian guest' guests/linux/build

.PHONY: linux-guest-newer
linux-guest-newer: linux-guest ## get kernels of newer Debian releases for that guest
	$(STEP) 'newer Debian guests' guests/linux/build --newer

.PHONY: uefi
uefi: deps-check guests ## get UEFI firmware, and make the disk of the UEFI guest
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

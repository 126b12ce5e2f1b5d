# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# bash completion of pmu-hybrid-check

_pmu_hybrid_check() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	# --option=word comes as three words
	[ "$word" != = ] || word=
	[ "$previous" != = ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
	case $previous in
	-q|--qemu|-m|--qmp|--root) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	-p|--pid) mapfile -t COMPREPLY < <(compgen -W "$(pgrep qemu-system)" -- "$word") ;;
	-d|--domain) mapfile -t \
		COMPREPLY < <(compgen -W "$(virsh list --name 2>/dev/null)" -- "$word") ;;
	-c|--cpus) mapfile -t COMPREPLY < <(compgen -W \
		"$(cat /sys/bus/event_source/devices/*/cpus 2>/dev/null)" -- "$word") ;;
	--kvm) mapfile -t COMPREPLY < <(compgen -W \
		"none pmu pmu,set-pmu pmu,set-pmu,fixed-counters" -- "$word") ;;
	--connect) mapfile -t COMPREPLY < <(compgen -W "qemu:///system qemu:///session" -- \
		"$word") ;;
	*) mapfile -t COMPREPLY < <(compgen -W "$(pmu-hybrid-check --help |
		sed -nE 's/^  (-., )?(--[a-z]+).*/\2/p')" -- "$word") ;;
	esac
}
complete -o filenames -F _pmu_hybrid_check pmu-hybrid-check

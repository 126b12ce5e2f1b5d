#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: scripts/series check finds each kind of fault. From the mails of scripts/series mail, plain
# git am makes the tree of branch series, and each commit has the new files that it needs. On toy
# trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

OUT=$P/build/series/linux

# tap_of CMD...: puts CMD's TAP into $TMP/tap; its plan must fit, whether CMD fails or not
tap_of() {
	STATUS=0
	"$@" >"$TMP/tap" 2>"$TMP/err" || STATUS=$?
	cat "$TMP/tap" "$TMP/err"
	[ "$(tail -n 1 "$TMP/tap")" = "1..$(grep -c '^\(not \)\?ok ' "$TMP/tap")" ]
	nothing_left
}

checks_good_series() {
	tap_of series check linux
	[ "$STATUS" = 0 ]
	grep -q '^1\.\.9$' "$TMP/tap"
	[ "$(grep -c '^ok .*checkpatch of' "$TMP/tap")" = 2 ]
}

# finds TEST DIAGNOSTIC CMD...: after CMD, check fails in TEST, with DIAGNOSTIC
finds() {
	"${@:3}"
	tap_of series check linux
	[ "$STATUS" != 0 ]
	grep -q "^not ok [0-9]* - linux: $1" "$TMP/tap"
	grep '^#' "$TMP/tap" | grep -qF -- "$2"
}

# give_long_message LINE: more than a pipe holds, after LINE
give_long_message() {
	local text
	printf -v text 'a long reason\\n%.0s' {1..8000}
	sed -i "s/^Needed for the test.*/&\n$1\n${text%\\n}/" "$FIRST"
}

checks_long_message() {
	give_long_message 'It is read to its end.'
	checks_good_series
}

change_upstream_file() {
	cp "$T/.gitignore" "$P/linux"
	echo '*.a' >>"$P/linux/.gitignore"
}

# add_patch FILE SUBJECT: a third one, as a contributor's own git would store it
add_patch() {
	change "$1" "$2" why
	GIT_CONFIG_GLOBAL=/dev/null tree_git format-patch -q -N --zero-commit --no-signature \
		--full-index --no-stat --start-number 3 -o "$P/linux/patches" HEAD^
}

finds_checkpatch_error() {
	echo UGLY >>"$P/linux/new/plain.c"
	finds 'checkpatch of 0001-core-add-the-hook.patch' 'ERROR: ugly'
	[ "$(grep -c '^not ok' "$TMP/tap")" = 1 ]
}

# am_onto_base: a pristine clone, the mails on top of it
am_onto_base() {
	tree_git clone -q -b base "$T" "$P/pristine" 2>/dev/null
	git -C "$P/pristine" -c core.hooksPath=/dev/null am -q "$OUT"/*.patch
}

mails() {
	local c=$P/pristine
	series mail linux
	am_onto_base
	[ "$(tree_git rev-parse 'series^{tree}')" = "$(git -C "$c" rev-parse 'HEAD^{tree}')" ]
	git -C "$c" log --format='%s, %an, %ai' -1 |
		diff - <(echo 'odd: chänge ä, Jörg Åström, 2020-02-03 04:05:06 +0530')
	# Each file with the patch that claims it.
	git -C "$c" -c core.quotePath=false show --format= --name-only HEAD^ |
		diff - <(printf '%s\n' hook.c new/plain.c)
	git -C "$c" -c core.quotePath=false show --format= --name-only HEAD | sort |
		grep -q '^new/odd tööl$'
	[ "$(git -C "$c" rev-list --count base..HEAD)" = 2 ]
	grep -l '^Subject: \[PATCH 1/2\] core: add the hook$' "$OUT/0001-core-add-the-hook.patch"
	[ "$(grep -rlE 'New-file|Signed-off-by|sent from my editor' "$OUT" | wc -l)" = 0 ]
	(cd "$OUT" && ls) | diff \
		- <(printf '%s\n' 0001-core-add-the-hook.patch 0002-odd-ch-nge.patch)
	nothing_left
}

mails_sign_off() {
	series mail --signoff linux
	[ "$(grep -lx 'Signed-off-by: Ann Sender <ann@example.org>' "$OUT"/*.patch | wc -l)" = 2 ]
	am_onto_base
	git -C "$P/pristine" log -1 --format=%an | diff - <(echo 'Jörg Åström')
}

refuses_anonymous_sign_off() {
	HOME=$TMP/nobody fails_with 'no name to sign off with' series mail --signoff linux
	# Without --signoff no name is needed.
	HOME=$TMP/nobody series mail linux
}

refuses_unclaimed() {
	series mail linux
	snapshot "$OUT" >"$TMP/before"
	echo >"$T/new/more.c"
	tree_git add new/more.c
	tree_git commit -q --fixup ':/^overlay: new files'
	squash
	fails_with 'scripts/series save linux' series mail linux
	series save linux
	fails_with 'new/more.c is claimed by 0 patches' series mail linux
	snapshot "$OUT" | diff "$TMP/before" -
}

drops_old_mails() {
	series mail linux
	tree_git reset -q --hard HEAD^
	fails_with 'scripts/series save linux' series mail linux
	series save linux
	fails_with 'claimed by 0 patches' series mail linux
	tree_git reset -q --hard base
	echo >>"$T/hook.c"
	commit 'core: alone' why
	series save linux
	series mail linux
	(cd "$OUT" && ls) | diff - <(echo 0001-core-alone.patch)
}

usage() {
	local args
	for args in '' open 'open minix' 'open linux qemu' 'save --signoff linux' \
		'mail --sign linux' 'revert linux' 'rebase minix'; do
		# one argument for each word
		# shellcheck disable=SC2086
		fails_with 'usage: series' series $args
	done
}

check 'check passes a good series' checks_good_series
check 'check passes a long message' checks_long_message
check 'check finds that there is no patch' finds 'can be mailed' 'no patch' rm -r "$P/linux"
check 'check finds a patch that does not apply' finds 'patches apply' \
	'hook.c: patch does not apply' sed -i 's/ one/ other/' "$FIRST"
check 'check finds a patch that save would write differently' finds 'round trip' renamed.patch \
	mv "$SECOND" "$P/linux/patches/0002-renamed.patch"
check 'check finds a stray file' finds 'round trip' notes touch "$P/linux/patches/notes"
check 'check finds a message without a reason' finds 'each patch says why' \
	'core: add the hook' sed -i '/^Needed for the test/d' "$FIRST"
check 'check finds a stored Signed-off-by' finds 'each patch says why' 'only the sender adds it' \
	sed -i 's/^Needed for the test.*/&\n\nSigned-off-by: A B <a@b>/' "$FIRST"
check 'check finds a Signed-off-by in a long message' finds 'each patch says why' \
	'only the sender adds it' give_long_message 'Signed-off-by: A B <a@b>'
check 'check finds a new file that no patch claims' finds 'each new file is claimed' \
	'new/more.c is claimed by 0 patches' touch "$P/linux/new/more.c"
check 'check finds a new file claimed twice' finds 'each new file is claimed' \
	'new/plain.c is claimed by 2 patches' \
	sed -i 's/^New-file: .*/New-file: new\/plain.c/' "$SECOND"
check 'check finds a claim of a file that is not there' finds 'each new file is claimed' \
	"claims 'new/none.c', which is no new file" \
	sed -i 's/^Needed.*/&\nNew-file: new\/none.c/' "$FIRST"
check "check finds upstream's files among the new ones" finds \
	'new files and patches share no path' ".gitignore is upstream's" change_upstream_file
check 'check finds a patch to a new file' finds 'new files and patches share no path' \
	'new/plain.c is a new file, but' add_patch new/plain.c 'new: change'
check 'check finds a patch that creates a file' finds 'new files and patches share no path' \
	'creates d/created.c' add_patch d/created.c 'd: create'
check 'check finds a fixup that was not folded in' finds 'one commit a patch' \
	'is not folded in' add_patch hook.c 'fixup! core: add the hook'
check 'check finds what checkpatch dislikes, new files included' finds_checkpatch_error
check 'mail applies to a pristine base and gives the same tree' mails
check 'mail --signoff signs for the sender and keeps the author' mails_sign_off
check 'mail --signoff refuses a sender without a name' refuses_anonymous_sign_off
check 'mail refuses unsaved commits and unclaimed files, and keeps what was there' refuses_unclaimed
check 'mail leaves no mail of a dropped patch' drops_old_mails
check 'wrong usage is one error' usage
finish

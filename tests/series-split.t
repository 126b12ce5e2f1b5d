#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: one branch has the patches of several series, which are mailed one on top of the other,
# each with numbers and a cover letter of its own. On toy trees.
set -euo pipefail
# shellcheck source=series-toy.sh
. "$(dirname "$0")/series-toy.sh"

OUT=$P/build/series/linux
LETTERS=$P/linux/mail

# letter NAME FIRST-PATCH [LINE...]
letter() {
	mkdir -p "$LETTERS"
	printf '%s\n' "First-patch: $2" '' "${@:3}" >"$LETTERS/$1.md"
}

# Three patches: one on its own, and a series of two
before_each() {
	rm -rf "$P"
	cp -a "$TMP/template" "$P"
	sed -i 's/nine/NINE/' "$T/hook.c"
	commit 'core: more' 'Needed for the test, too.'
	series save linux
	letter 1-fix 'core: add the hook'
	letter 2-mode 'odd: chänge ä' '# Keep cöunting' '' 'First paragraph.' '' \
		'Second paragraph.'
}

names() {
	(cd "$OUT" && find . -type f | sort)
}

each_on_its_own() {
	series mail linux
	names | diff - <(printf './%s\n' 1-fix-0001-core-add-the-hook.patch \
		2-mode-0000-cover-letter.txt \
		2-mode-0001-odd-ch-nge.patch 2-mode-0002-core-more.patch)
	grep -qx 'Subject: \[PATCH\] core: add the hook' "$OUT"/1-fix-0001-*
	grep -q '^Subject: \[PATCH 1/2\]' "$OUT"/2-mode-0001-*
	grep -qx 'Subject: \[PATCH 2/2\] core: more' "$OUT"/2-mode-0002-*
	nothing_left
}

own_cover() {
	local cover=$OUT/2-mode-0000-cover-letter.txt
	series mail linux
	git mailinfo "$TMP/body" /dev/null <"$cover" >"$TMP/info"
	cat "$TMP/info" "$TMP/body"
	grep -q '^Subject: \[PATCH 0/2\]' "$cover"
	grep -qx 'Subject: Keep cöunting' "$TMP/info"
	grep -qx 'Second paragraph.' "$TMP/body"
	# its figures do not count the other series
	grep -q '^ 3 files changed' "$TMP/body"
	! grep -q 'First-patch\|add the hook\|plain.c' "$TMP/body"
}

applies() {
	series mail linux
	tree_git clone -q -b base "$T" "$P/pristine" 2>/dev/null
	git -C "$P/pristine" -c core.hooksPath=/dev/null am -q "$OUT"/1-fix-*.patch
	git -C "$P/pristine" -c core.quotePath=false show --format= --name-only |
		diff - <(printf '%s\n' hook.c new/plain.c)
	git -C "$P/pristine" -c core.hooksPath=/dev/null am -q "$OUT"/2-mode-*.patch
	[ "$(tree_git rev-parse 'series^{tree}')" = \
		"$(git -C "$P/pristine" rev-parse 'HEAD^{tree}')" ]
}

request_for_comments() {
	letter 2-mode 'odd: chänge ä' '# [RFC] Keep counting' '' Text.
	series mail linux
	grep -qx 'Subject: \[RFC PATCH 0/2\] Keep counting' "$OUT/2-mode-0000-cover-letter.txt"
	grep -qx 'Subject: \[RFC PATCH 2/2\] core: more' "$OUT"/2-mode-0002-*
	grep -qx 'Subject: \[PATCH\] core: add the hook' "$OUT"/1-fix-0001-*
}

follows_edits() {
	local old
	old=$(tree_git rev-parse series)
	tree_git reset -q --hard HEAD^^
	echo '*.a' >>"$T/.gitignore"
	commit 'core: another fix' 'In front of the rest.'
	tree_git cherry-pick "$old^" "$old"
	snapshot "$LETTERS" >"$TMP/before"
	series save linux
	# The letters are no part of the tree, and stay.
	snapshot "$LETTERS" | diff "$TMP/before" -
	letter 1-fix 'core: add the hook' '# Two fixes' '' Text.
	series mail linux
	(cd "$OUT" && ls 1-*) | diff - <(printf '1-fix-%s\n' 0000-cover-letter.txt \
		0001-core-add-the-hook.patch 0002-core-another-fix.patch)
	[ ! -e "$T/mail" ]
}

signs_off() {
	series mail --signoff linux
	[ "$(grep -lx 'Signed-off-by: Ann Sender <ann@example.org>' "$OUT"/*.patch | wc -l)" = 3 ]
}

without_letters() {
	series mail linux
	rm -r "$LETTERS"
	series mail linux
	names | diff - <(printf './%s\n' 0001-core-add-the-hook.patch 0002-odd-ch-nge.patch \
		0003-core-more.patch)
	grep -q '^Subject: \[PATCH 3/3\]' "$OUT"/0003-*
}

passes_check() {
	series check linux >"$TMP/tap"
	cat "$TMP/tap"
	[ "$(grep -c '^ok .*checkpatch of [12]-[a-z]*-0' "$TMP/tap")" = 3 ]
}

# refused TEXT: mail fails with that error, and the old mails stay
refused() {
	snapshot "$OUT" >"$TMP/before"
	fails_with "$1" series mail linux
	snapshot "$OUT" | diff "$TMP/before" -
}

wrong_letters() {
	series mail linux
	letter 2-mode 'odd: change a' '# Title' '' Text.
	refused "linux/mail/2-mode.md begins with 'odd: change a', which is the subject of no patch"
	letter 2-mode 'core: add the hook' '# Title' '' Text.
	refused "linux/mail/2-mode.md begins with 'core: add the hook', which does not come\
 after the first patch of 1-fix"
	letter 1-fix 'odd: chänge ä'
	letter 2-mode 'core: more' '# Title' '' Text.
	refused "'core: add the hook' is in front of all series that linux/mail has"
	letter 1-fix 'core: add the hook'
	letter 2-mode 'odd: chänge ä'
	refused 'the series of linux/mail/2-mode.md has 2 patches and no cover letter'
	printf '# Title\n\nText.\n' >"$LETTERS/2-mode.md"
	refused "the first line of linux/mail/2-mode.md is '# Title'"
	printf 'First-patch: odd: chänge ä\n\nno title\n' >"$LETTERS/2-mode.md"
	refused "the title of linux/mail/2-mode.md is 'no title'"
	letter 2-mode 'odd: chänge ä' '# Title' '' Text.
	echo >"$LETTERS/notes.txt"
	refused 'linux/mail/notes.txt'
	if series check linux >"$TMP/tap"; then
		return 1
	fi
	grep -q '^not ok .* can be mailed' "$TMP/tap"
	grep '^#' "$TMP/tap" | grep -qF 'linux/mail/notes.txt'
}

other_base() {
	mkdir -p "$P/linux/bases/older"
	cp -r "$P/linux/patches" "$P/linux/bases/older"
	echo 'LINUX_VERSION=0.9' >"$P/linux/bases/older/pins"
	sed -i 's/^LINUX_BASE=.*/LINUX_BASE=older/' "$P/upstream.conf"
	rm -rf "$T"
	series open linux
	series mail linux
	names | diff - <(printf './%s\n' 0001-core-add-the-hook.patch 0002-odd-ch-nge.patch \
		0003-core-more.patch)
}

check 'each series is numbered on its own' each_on_its_own
check 'each series has its cover letter, with the figures of its patches' own_cover
check 'one on top of the other they give the tree of branch series' applies
check 'a cover letter that says RFC makes all mails of its series RFC' request_for_comments
check 'an added patch belongs to the series it is in, and save keeps the letters' \
	follows_edits
check '--signoff signs the patches of all series' signs_off
check 'without letters all patches are one series' without_letters
check 'check passes good letters, and tells the patches of the series apart' passes_check
check 'mail and check refuse letters that do not fit the patches' wrong_letters
check 'the patches of another base, which nobody posts, are one series' other_base
finish

# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# NAME, WORK and OTHER_BASE are those of scripts/series, PATCHES and OVERLAY those of split_series.
# shellcheck disable=SC2153
# Part of scripts/series: the letters in NAME/mail. The patches are posted as several series, and
# each series has a letter. A letter names the first patch of its series, which ends before the
# first patch of the next letter. Without letters all patches are one series.

# Sets LETTERS, in order. The patches of another base are not posted.
read_letters() {
	LETTERS=()
	[ -z "$OTHER_BASE" ] && [ -d "$WORK/stored/mail" ] || return 0
	mapfile -t LETTERS < <(find "$WORK/stored/mail" -name '*.md' -printf '%f\n' | sort |
		sed 's/\.md$//')
}

first_patch() {
	sed -n '1s/^First-patch: //p' "$WORK/stored/mail/$1.md"
}

# cover_text LETTER: the title without Markdown's '# ', a blank line, and the text; nothing if the
# letter has no text
cover_text() {
	sed 1d "$WORK/stored/mail/$1.md" | sed '/./,$!d' | sed '1{s/^# //;G;}' | cat -s
}

# find_starts COMMIT: sets STARTS, the number of the first patch of each letter; empty where no
# patch has the subject
find_starts() {
	local letter
	read_letters
	split_series "$1"
	rgit log --reverse --format=%s "$OVERLAY..$1" >"$WORK/subjects"
	STARTS=()
	for letter in "${LETTERS[@]}"; do
		STARTS+=("$(grep -nxF -m 1 -e "$(first_patch "$letter")" "$WORK/subjects" |
			cut -d: -f1 || true)")
	done
}

# end_of INDEX: the number of the last patch of that letter; after find_starts
end_of() {
	local next=${STARTS[$1 + 1]:-$((${#PATCHES[@]} + 1))}
	echo $((next - 1))
}

# list_letter_problems COMMIT
list_letter_problems() {
	local i
	find_starts "$1"
	[ ${#LETTERS[@]} -gt 0 ] || return 0
	find "$WORK/stored/mail" -mindepth 1 ! -name '*.md' \
		-printf "$NAME/mail/%P is no letter (NUMBER-NAME.md); remove it\n"
	for i in "${!LETTERS[@]}"; do
		list_start_problems "$i"
		list_cover_problems "$i"
	done
}

# list_start_problems INDEX
list_start_problems() {
	local path=$NAME/mail/${LETTERS[$1]}.md first start=${STARTS[$1]}
	first=$(first_patch "${LETTERS[$1]}")
	if [ -z "$first" ]; then
		echo "the first line of $path is" \
			"'$(head -n 1 "$WORK/stored/mail/${LETTERS[$1]}.md")';" \
			"it has to be 'First-patch: ' and a patch's subject"
	elif [ -z "$start" ]; then
		echo "$path begins with '$first', which is the subject of no patch;" \
			"name the first patch of its series"
	elif [ "$1" -eq 0 ]; then
		[ "$start" -eq 1 ] ||
			echo "'$(head -n 1 "$WORK/subjects")' is in front of all series that" \
				"$NAME/mail has; name it in $path"
	elif [ "$start" -le "${STARTS[$1 - 1]:-0}" ]; then
		echo "$path begins with '$first', which does not come after the first patch of" \
			"${LETTERS[$1 - 1]}; number the letters in the order of the patches"
	fi
}

# list_cover_problems INDEX
list_cover_problems() {
	local path=$NAME/mail/${LETTERS[$1]}.md title size
	title=$(sed 1d "$WORK/stored/mail/${LETTERS[$1]}.md" | grep -m 1 . || true)
	size=$(($(end_of "$1") - ${STARTS[$1]:-0} + 1))
	if [ -z "$title" ]; then
		[ "$size" -le 1 ] ||
			echo "the series of $path has $size patches and no cover letter;" \
				"write one below its first line"
	elif [[ $title != '# '?* ]]; then
		echo "the title of $path is '$title';" \
			"it has to be '# ' and the subject of the cover letter"
	fi
}

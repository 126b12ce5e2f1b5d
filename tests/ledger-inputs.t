#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: tests/run --full finds out by itself what a row depends on: a row loses its verdict if
# something of that changes, and only then. On toy tests.
set -euo pipefail
# shellcheck source=toy-ledger.sh
. "$(dirname "$0")/toy-ledger.sh"

# The rows do not declare these files.
opened_files() {
	echo 1 >"$P/data"
	echo 1 >"$P/page.md"
	printf 'cd %s\ngrep -q . data\n' "$P" >"$P/part.sh"
	passes one ". $P/part.sh"
	passes two
	runs 0 '2 of 2 done: complete' one two
	echo 2 >"$P/page.md"
	runs 0 '2 of 2 done: complete'
	echo 2 >"$P/data"
	runs 0 '2 of 2 done: complete' one
	echo '# more' >>"$P/part.sh"
	runs 0 '2 of 2 done: complete' one
	echo '# more' >>"$P/tests/two.t"
	runs 0 '2 of 2 done: complete' two
	# The old contents are back, and have passed already.
	echo 1 >"$P/data"
	sed -i '/# more/d' "$P/part.sh"
	runs 0 '2 of 2 done: complete'
}

modules() {
	echo 'build/venv = upstream.conf' >"$P/tests/table"
	mkdir "$P/tests/lib"
	echo 'ANSWER = 1' >"$P/tests/lib/answer.py"
	row one tests/one.py
	printf '%s\n' "import sys; sys.path.append('$P/tests/lib')" 'import answer' \
		"open('$RAN', 'a').write('one\\n')" \
		'print(f"1..1\nok {answer.ANSWER}")' >"$P/tests/one.py"
	# The second time it reads the bytecode alone.
	runs 0 '1 of 1 done: complete' one
	echo '# more' >>"$P/tests/one.py"
	runs 0 '1 of 1 done: complete' one
	echo 'ANSWER = 2 - 1' >"$P/tests/lib/answer.py"
	runs 0 '1 of 1 done: complete' one
}

missing_and_added_files() {
	mkdir "$P/parts"
	echo 0 >"$P/parts/a"
	passes one "cat $P/parts/*" "cat $P/wanted || true"
	# tar opens the folder that it changes to, but does not list it.
	passes two "tar -c -C $P/parts a | cat >/dev/null"
	runs 0 '2 of 2 done: complete' one two
	touch "$P/parts/b"
	runs 0 '2 of 2 done: complete' one
	touch "$P/wanted"
	runs 0 '2 of 2 done: complete' one
	echo 1 >"$P/parts/a"
	runs 0 '2 of 2 done: complete' one two
}

untraced() {
	echo 1 >"$P/data"
	echo 1 >"$P/page.md"
	SET='core untraced' passes one
	runs 0 '1 of 1 done: complete' one
	echo 2 >"$P/data"
	runs 0 '1 of 1 done: complete' one
	echo 2 >"$P/page.md"
	runs 0 '1 of 1 done: complete'
}

# Each stop switches to the tracer and back.
threads_without_stops() {
	row one tests/one.py
	cat >"$P/tests/one.py" <<-END
		import os, resource, threading
		def call():
		    for _ in range(10000):
		        os.getppid()
		    usage = resource.getrusage(resource.RUSAGE_THREAD)
		    switches = usage.ru_nvcsw + usage.ru_nivcsw
		    print(f"# {switches} switches", "1..1", sep="\\n")
		    print("ok" if switches < 5000 else "not ok")
		thread = threading.Thread(target=call)
		thread.start()
		thread.join()
	END
	run_ends 0 '1 of 1 done: complete' --full
}

# A row that cannot be traced depends on all files.
without_strace() {
	echo 1 >"$P/data"
	passes one
	mkdir "$TMP/bin"
	printf '#!/bin/sh\necho not permitted >&2\nexit 1\n' >"$TMP/bin/strace"
	chmod +x "$TMP/bin/strace"
	PATH=$TMP/bin:$PATH runs 0 '1 of 1 done: complete' one
	says "strace does not work here: not permitted; without it each row depends on all files\
 but the pages"
	echo 2 >"$P/data"
	PATH=$TMP/bin:$PATH runs 0 '1 of 1 done: complete' one
}

below_build() {
	echo 'build/sun build/sun-* = sources/*' >"$P/tests/table"
	mkdir -p "$P/build/sun-shine" "$P/build/moon" "$P/build/artifacts" "$P/sources"
	touch "$P/build/sun-shine/object" "$P/build/moon/object" "$P/sources/a"
	echo 1 >"$P/build/artifacts/image"
	passes known "cat $P/build/sun-shine/object"
	passes unknown "cat $P/build/moon/object"
	passes artifact "cat $P/build/artifacts/image"
	runs 0 '3 of 3 done: complete' known unknown artifact
	echo 1 >"$P/sources/a"
	runs 0 '3 of 3 done: complete' known unknown
	echo 1 >"$P/data"
	runs 0 '3 of 3 done: complete' unknown
	echo 2 >"$P/build/artifacts/image"
	runs 0 '3 of 3 done: complete' artifact
}

# Nothing is built from pages. * in a pattern of tests/table matches slashes, too.
pages_below_build() {
	echo 'build/sun = sources/*' >"$P/tests/table"
	mkdir -p "$P/build/sun" "$P/sources/deep"
	touch "$P/build/sun/object" "$P/sources/a" "$P/sources/deep/README.md"
	passes one "cat $P/build/sun/object"
	runs 0 '1 of 1 done: complete' one
	echo 2 >"$P/sources/deep/README.md"
	touch "$P/sources/deep/more.md"
	runs 0 '1 of 1 done: complete'
	touch "$P/sources/deep/b"
	runs 0 '1 of 1 done: complete' one
}

# cp does not open them.
links() {
	mkdir "$P/parts"
	echo 1 >"$P/first"
	cp "$P/first" "$P/second"
	ln -s ../first "$P/parts/a"
	passes one "rm -rf $TMP/copy" "cp -a $P/parts $TMP/copy"
	runs 0 '1 of 1 done: complete' one
	ln -sf ../second "$P/parts/a"
	runs 0 '1 of 1 done: complete' one
	cp --remove-destination "$P/first" "$P/parts/a"
	runs 0 '1 of 1 done: complete' one
}

# Compilers look for settings in each folder above.
missing_below_build() {
	mkdir -p "$P/build"
	passes one "cat $P/build/toolchain || true"
	runs 0 '1 of 1 done: complete' one
	echo 1 >"$P/data"
	runs 0 '1 of 1 done: complete'
	echo 1 >"$P/build/toolchain"
	runs 0 '1 of 1 done: complete' one
}

commits() {
	passes lists "git -C $P ls-files >/dev/null"
	passes reads "git -C $P log -1 >/dev/null"
	runs 0 '2 of 2 done: complete' lists reads
	echo 1 >"$P/data"
	runs 0 '2 of 2 done: complete' lists
	git -C "$P" add data
	commit "$P"
	runs 0 '2 of 2 done: complete' reads
	echo 2 >"$P/data"
	commit "$P"
	runs 0 '2 of 2 done: complete' reads
	# A page alone is no other content to most rows, but there is a new message.
	echo 1 >"$P/page.md"
	git -C "$P" add page.md
	commit "$P"
	SET='core history' passes messages
	runs 0 '3 of 3 done: complete' lists messages
	echo 2 >"$P/page.md"
	commit "$P"
	runs 0 '3 of 3 done: complete' messages
	rm "$P/tests/messages.t"
	sed -i '/^messages /d' "$P/tests/table"
	# Without a branch the file HEAD has the commit, and a row may have read this file alone.
	git -C "$P" checkout -q --detach
	echo '# more' >>"$P/tests/lists.t"
	runs 0 '2 of 2 done: complete' lists
	echo 3 >"$P/data"
	commit "$P"
	runs 0 '2 of 2 done: complete' lists reads
}

trees() {
	echo 'build/linux build/linux-* = build/linux' >"$P/tests/table"
	git init -q "$P/build/linux"
	echo 1 >"$P/build/linux/file"
	git -C "$P/build/linux" add file
	commit "$P/build/linux"
	passes one "cat $P/build/linux/.git/HEAD"
	runs 0 '1 of 1 done: complete' one
	echo 2 >"$P/build/linux/file"
	runs 0 '1 of 1 done: complete' one
	touch "$P/build/linux/new"
	runs 0 '1 of 1 done: complete' one
	commit "$P/build/linux"
	runs 0 '1 of 1 done: complete'
}

# A write that changes neither the file's size nor its time in git's index.
trees_in_a_moment() {
	local tree=$P/build/linux
	echo 'build/linux build/linux-* = build/linux' >"$P/tests/table"
	git init -q "$tree"
	git -C "$tree" config core.trustctime false
	write_at_once 1 "$tree"
	git -C "$tree" add file
	commit "$tree"
	touch -d @1000000000 "$tree/.git/index"
	passes one "cat $tree/file"
	runs 0 '1 of 1 done: complete' one
	write_at_once 2 "$tree"
	runs 0 '1 of 1 done: complete' one
}

# write_at_once TEXT TREE
write_at_once() {
	echo "$1" >"$2/file"
	touch -d @1000000000 "$2/file"
}

# The .git of a work tree is a file that names the repository.
worktree() {
	mv "$P" "$TMP/repository"
	git -C "$TMP/repository" worktree add -q --detach "$P"
	cp -r "$TMP/repository"/{.gitignore,build,scripts,testbed,tests,upstream.conf} "$P"
	passes lists "git -C $P ls-files >/dev/null"
	runs 0 '1 of 1 done: complete' lists
	runs 0 '1 of 1 done: complete'
	git -C "$P" add .gitignore
	commit "$P"
	runs 0 '1 of 1 done: complete' lists
	rm -rf "$TMP/repository"
}

check 'a row runs again if a file that it opened changed, and no other row does' opened_files
check 'a row runs again if a module changed, even if Python read only the bytecode' modules
check 'a row runs again if a file appears that it looked for, or in a folder that it listed' \
	missing_and_added_files
check 'a row that copied a folder runs again if a link in it leads elsewhere' links
check 'a row that cannot be traced depends on all files except the pages' untraced
check 'without a working strace each row depends on all files except the pages' without_strace
check 'a thread that opens nothing is not stopped at each call' threads_without_stops
check 'a file below build/ stands for its sources' below_build
check 'pages are no sources of files below build/' pages_below_build
check 'a file that is missing below build/ stands for itself' missing_below_build
check 'a row that lists files depends on their names; one that reads the history, on the commit' \
	commits
check 'in a work tree of git a row that lists files depends on the commit' worktree
check 'a tree stands for its contents, committed or not' trees
check 'a tree stands for its contents even if a change keeps sizes and times' trees_in_a_moment
finish

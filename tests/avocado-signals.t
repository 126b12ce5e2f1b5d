#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Claim: the Windows test knows an answer of Windows from none, whatever the signal: made-up sockets in place of a guest.
set -euo pipefail
# shellcheck source=../scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
PYTHONPATH=$TOP/tests/avocado exec "$("$TOP/scripts/venv")/bin/python" "$TOP/tests/avocado/signals.py"

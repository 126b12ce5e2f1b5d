#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each scenario of the demo, as a test: that a Windows-like guest stops, lives or is refused where it must.
set -euo pipefail
exec /usr/bin/python3 "$(dirname "$0")/demo/demo.py" --tap

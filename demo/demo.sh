#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh [VMKEEP]: what vmkeep does, shown on a guest of our own making.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 -B "$here/demo.py" "${1:-$here/../build/vmkeep}"

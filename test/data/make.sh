#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Write the repository of the draft format again: make.sh BUILD
# A format that is frozen is never written again: its folder stays as it is.
set -eu
build=$(cd "${1:?usage: make.sh BUILD}" && pwd)
cd "$(dirname "$0")"
rm -rf format-draft
"$build/test/unit/test_repo_data" --make .
rm -rf format-draft/store/tmp

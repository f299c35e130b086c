# SPDX-License-Identifier: Apache-2.0
#
# A front for meson, so that nobody has to remember it.  The work is in
# meson.build, .ci/deps, test/check.py, demo/ and bench/.

BUILD = build
PREFIX = /usr/local

.PHONY: all deps demo check lab check-lab fuzz format bench-deps bench install
.PHONY: clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix=$(PREFIX)

# What Debian 12 must have to build, test and demonstrate; root only.
deps:
	.ci/deps build test demo

# On a fresh machine each of these two does everything, as root.
demo:
	.ci/deps build demo
	$(MAKE) all
	demo/demo.sh

check:
	.ci/deps build test demo
	test/check.py

# FUZZ_SECONDS of CPU for each parser; new inputs go into test/fuzz/corpus.
FUZZ_SECONDS = 60
fuzz:
	.ci/deps build test
	test/fuzz/run.py --seconds $(FUZZ_SECONDS)

# The storage lab: a system image, built once, and the tests that run there.
lab:
	.ci/deps build test demo
	test/lab/storage.py build

check-lab:
	.ci/deps build test demo
	test/check.py lab

# Bring all C sources into the form that check asks for.
format:
	git ls-files 'src/*.[ch]' 'test/*.[ch]' 'bench/*.[ch]' | \
		xargs clang-format -i

bench-deps:
	.ci/deps build demo bench

bench: bench-deps
	$(MAKE) all
	bench/engine.py --vmkeep $(BUILD)/vmkeep \
		--bareloop $(BUILD)/bench/bareloop
	bench/standstill.py --vmkeep $(BUILD)/vmkeep
	bench/group.py $(BUILD)
	bench/ram.py --vmkeep $(BUILD)/vmkeep
	bench/index.py --tool $(BUILD)/bench/indexbench

install: all
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) build-check

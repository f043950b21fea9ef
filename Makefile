# A thin front: CMake builds, ctest tests. The targets are those of README.md.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

BUILD := build
JOBS := $(shell nproc 2>/dev/null || echo 2)
# Most tests wait for their servers longer than they compute.
TEST_JOBS := $(shell echo $$((2 * $(JOBS))))
PREFIX := /usr
DESTDIR :=
PYTHON := /usr/bin/python3

BUILD_PACKAGES := g++ cmake ninja-build make pkg-config libuv1-dev node-llhttp \
  libmsgpack-cxx-dev libtoml11-dev
TEST_PACKAGES := $(BUILD_PACKAGES) doctest-dev python3-pytest python3-msgpack curl strace mount e2fsprogs
CHECK_PACKAGES := $(TEST_PACKAGES) clang-14 libclang-rt-14-dev clang-tidy clang-format mandoc systemd etcd-server
BENCH_PACKAGES := $(BUILD_PACKAGES) wrk python3 libbenchmark-dev valgrind
INTEROP_PACKAGES := $(TEST_PACKAGES) etcd-server patroni postgresql-15 python3-etcd3gw python3-psycopg2

# $(call need,PACKAGES): installs what is missing as root, else says what to type and stops. Where
# there is no dpkg the packages are taken to be there: CMake names what is not.
need = @command -v dpkg-query >/dev/null || exit 0; \
  missing=; for p in $(1); do \
    dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
  done; \
  [ -z "$$missing" ] && exit 0; \
  if [ "$$(id -u)" != 0 ]; then \
    echo "packages are missing; type: sudo apt-get install -y --no-install-recommends$$missing" >&2; \
    exit 1; \
  fi; \
  export DEBIAN_FRONTEND=noninteractive; \
  apt-get update -q && apt-get install -q -y --no-install-recommends$$missing

CONFIGURE := cmake -S . -G Ninja
NINJA := ninja -j$(JOBS)

.PHONY: all deps run test check interop clean bench bench-short bench-micro bench-instructions install soak
.PHONY: check-format check-tidy check-sanitized check-fuzz check-texts check-sim sim-build check-mutants

all: deps
	@[ -f $(BUILD)/build.ninja ] || $(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DRAFTD_TESTS=OFF
	@$(NINJA) -C $(BUILD) raftd

deps:
	$(call need,$(BUILD_PACKAGES))

run: all
	@exec conf/local/run.sh $(BUILD)

test:
	$(call need,$(TEST_PACKAGES))
	@$(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DRAFTD_TESTS=ON -DPython3_EXECUTABLE=$(PYTHON)
	@$(NINJA) -C $(BUILD)
	@ctest --test-dir $(BUILD) --no-tests=error --output-on-failure -j$(TEST_JOBS)

check:
	$(call need,$(CHECK_PACKAGES))
	@$(MAKE) check-format check-texts check-sanitized check-sim check-mutants check-tidy check-fuzz

SOURCES = $(shell find src tests -name '*.cc' -o -name '*.h' | sort)

check-format:
	@echo clang-format
	@clang-format --dry-run -Werror $(SOURCES)

# The rooms that a wrong line hurts most, without libraries whose headers cost minutes.
check-tidy: check-sanitized
	find src/base src/raft src/storage -name '*.cc' | sort | \
	  xargs -P$(JOBS) -n4 clang-tidy -p $(BUILD)/check --quiet

# Everything once more with clang, every test under ASan and UBSan; optimised, or the simulator is ten
# times slower. The fuzzers are of this build, too.
check-sanitized:
	$(CONFIGURE) -B $(BUILD)/check -DCMAKE_BUILD_TYPE=Release -DRAFTD_TESTS=ON -DRAFTD_FUZZ=ON \
	  -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 \
	  -DRAFTD_SANITIZE=address,undefined -DPython3_EXECUTABLE=$(PYTHON)
	$(NINJA) -C $(BUILD)/check
	ctest --test-dir $(BUILD)/check --no-tests=error --output-on-failure -j$(TEST_JOBS)

# Seeds of each profile in turn, drawn from the sources: a change gets seeds that nobody has run
# before, and the same sources the same ones on every machine. What another compiler made of these
# sources, with sanitizers, does exactly the same.
PROFILES := swarm disk reads beyond lite membership store
SIM := $(BUILD)/raftd-sim
SIM_SECONDS := 15
SIM_SEEDS := 500
SIM_ASAN_SEEDS := 100
SIM_FIRST = $(shell find src tests -name '*.cc' -o -name '*.h' | LC_ALL=C sort | xargs cat | cksum | cut -d' ' -f1)000
# As fast as it gets; whoever finds something replays that seed with everything on.
SIM_ASAN := malloc_context_size=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=16
sim-build:
	@$(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DRAFTD_TESTS=ON \
	  -DPython3_EXECUTABLE=$(PYTHON)
	@$(NINJA) -C $(BUILD) raftd-sim

check-sim: sim-build check-sanitized
	$(SIM) corpus
	@first=$(SIM_FIRST); \
	for profile in $(PROFILES); do \
	  $(SIM) run --jobs $(JOBS) --profile $$profile --time $(SIM_SECONDS)s \
	    --seeds $$first..$$((first + $(SIM_SEEDS) - 1)) || exit 1; done; \
	for profile in swarm membership store; do \
	  ASAN_OPTIONS=$(SIM_ASAN) $(BUILD)/check/raftd-sim run --jobs $(JOBS) --profile $$profile \
	    --time $(SIM_SECONDS)s \
	    --seeds $$((first + $(SIM_SEEDS)))..$$((first + $(SIM_SEEDS) + $(SIM_ASAN_SEEDS) - 1)) || exit 1; done
	for profile in swarm disk store; do \
	  cmp <($(SIM) hashes --seeds 1..8 --profile $$profile) \
	    <($(BUILD)/check/raftd-sim hashes --seeds 1..8 --profile $$profile) || exit 1; done

# As long as asked: make soak HOURS=3
HOURS := 1
soak: sim-build
	@end=$$(($$(date +%s) + $(HOURS) * 3600)); \
	while true; do for profile in $(PROFILES); do \
	  left=$$((end - $$(date +%s))); [ $$left -gt 0 ] || exit 0; \
	  $(SIM) run --jobs $(JOBS) --time $$((left < 600 ? left : 600))s --profile $$profile || exit 1; \
	done; done

# Each fuzzer for so many seconds, two side by side, each time with other inputs. The corpora were
# tests already.
FUZZ_SECONDS := 12
FUZZERS := $(filter-out replay_main,$(patsubst tests/fuzz/%.cc,%,$(wildcard tests/fuzz/*.cc)))
FUZZ := $(BUILD)/fuzz
check-fuzz: check-sanitized
	@printf '%s\n' $(FUZZERS) | xargs -P2 -I{} sh -c 'mkdir -p $(FUZZ)/corpus/{}; \
	  $(BUILD)/check/tests/fuzz_{} -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=20 \
	    -artifact_prefix=$(FUZZ)/{}- $(FUZZ)/corpus/{} tests/fuzz/corpus/{} \
	    >$(FUZZ)/{}.log 2>&1 || { tail -n 40 $(FUZZ)/{}.log; exit 1; }; \
	  echo "fuzz_{}: $$(tail -n 1 $(FUZZ)/{}.log)"'

# Bugs planted by hand: the simulator finds every one, within the seeds that the table gives it.
check-mutants:
	$(CONFIGURE) -B $(BUILD)/mutants -DCMAKE_BUILD_TYPE=Release -DRAFTD_TESTS=ON \
	  -DRAFTD_MUTANTS=ON -DPython3_EXECUTABLE=$(PYTHON)
	$(NINJA) -C $(BUILD)/mutants raftd-sim-mutants
	$(PYTHON) -B tests/mutants/run.py $(BUILD)/mutants/tests/mutants/raftd-sim-mutants

check-texts:
	mandoc -T lint -W style man/raftd.8 man/raftd.toml.5
	bash -n conf/local/run.sh
	bash -n conf/raftd.bash-completion
	bash -n .ci/run
	conf/check-units.sh

# Beside etcd, and under what was written for it.
interop: all
	$(call need,$(INTEROP_PACKAGES))
	RAFTD=$(BUILD)/raftd HISTORIES=10 $(PYTHON) -B -m pytest -q -p no:cacheprovider tests/interop
	RAFTD=$(BUILD)/raftd $(PYTHON) -B tests/interop/patroni.py etcd raftd

clean:
	rm -rf $(BUILD)

bench: all
	$(call need,$(BENCH_PACKAGES))
	RAFTD=$(BUILD)/raftd $(PYTHON) -B tests/bench/table.py

bench-short: all
	$(call need,$(BENCH_PACKAGES))
	RAFTD=$(BUILD)/raftd $(PYTHON) -B tests/bench/table.py --short

# Of parts, in nanoseconds: MICRO=parse for those alone.
MICRO := .
bench-micro: all
	$(call need,$(BENCH_PACKAGES))
	@cmake $(BUILD) >/dev/null
	@$(NINJA) -C $(BUILD) micro
	$(BUILD)/tests/bench/micro --benchmark_filter='$(MICRO)'

# Of a request, in instructions. INSTRUCTIONS=--write records them, --sites says more.
INSTRUCTIONS := --check
bench-instructions: all
	$(call need,$(BENCH_PACKAGES))
	@cmake $(BUILD) >/dev/null
	@$(NINJA) -C $(BUILD) hot_path
	$(PYTHON) -B tests/bench/instructions.py $(BUILD)/tests/bench/hot_path $(INSTRUCTIONS)

BIN := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share
LIB := $(DESTDIR)$(PREFIX)/lib
ETC := $(DESTDIR)/etc/raftd

install: all
	install -D -m 755 $(BUILD)/raftd $(BIN)/raftd
	install -D -m 644 man/raftd.8 $(SHARE)/man/man8/raftd.8
	install -D -m 644 man/raftd.toml.5 $(SHARE)/man/man5/raftd.toml.5
	install -D -m 644 conf/raftd.toml $(SHARE)/doc/raftd/examples/raftd.toml
	install -D -m 644 LICENSE $(SHARE)/doc/raftd/copyright
	install -D -m 644 conf/raftd.bash-completion $(SHARE)/bash-completion/completions/raftd
	install -D -m 644 conf/raftd.sysusers $(LIB)/sysusers.d/raftd.conf
	install -d $(LIB)/systemd/system
	sed 's,/usr/bin/raftd,$(PREFIX)/bin/raftd,' conf/raftd.service >$(LIB)/systemd/system/raftd.service
	sed 's,/usr/bin/raftd,$(PREFIX)/bin/raftd,' conf/raftd@.service >$(LIB)/systemd/system/raftd@.service
	chmod 644 $(LIB)/systemd/system/raftd.service $(LIB)/systemd/system/raftd@.service
	@# The configuration of a machine that has one is its owner's.
	[ -e $(ETC)/raftd.toml ] || install -D -m 644 conf/raftd.toml $(ETC)/raftd.toml

# The commands that a person needs: all, demo, test, check, install, examples, wheel, licences, man, abi, clean.

CARGO ?= cargo
PYTHON ?= python3
CC ?= cc
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DESTDIR ?=
CFLAGS ?= -O2 -g

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
LIB := build/lib
SONAME := libsmtptls.so.0
VENV := .venv
RUST_FLAGS := --locked
C_FLAGS := -std=c99 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -D_POSIX_C_SOURCE=200809L -Iinclude
C_LINK := -L$(LIB) -lsmtptls -Wl,-rpath,'$$ORIGIN/../lib'
PC = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	-e 's|@VERSION@|$(VERSION)|' ffi/smtptls.pc.in
# Programs of one file each, and programs that share the other files.
C_SINGLE := poll fork alarm submit
C_SHARING := send serve upgrade
C_HELPERS := $(filter-out $(patsubst %,examples/c/%.c,$(C_SINGLE) $(C_SHARING)),$(wildcard examples/c/*.c))

.PHONY: all wheel licences library examples c-examples rust-examples python demo test check man abi install install-man bench fuzz sanitize clean

all: library

# cargo knows what has changed; the files here follow what it built.
library:
	$(CARGO) build $(RUST_FLAGS) --release -p smtptls-ffi
	@$(MAKE) --no-print-directory $(LIB)/libsmtptls.so $(LIB)/libsmtptls.a

$(LIB)/libsmtptls.so: target/release/libsmtptls.so
	@mkdir -p $(LIB)
	strip --strip-unneeded $< -o $(LIB)/libsmtptls.so.$(VERSION)
	ln -sf libsmtptls.so.$(VERSION) $(LIB)/$(SONAME)
	ln -sf $(SONAME) $@

# One object whose only global names are ours: Rust's and aws-lc's would clash with a program's own.
$(LIB)/libsmtptls.a: target/release/libsmtptls.a ffi/symbols.list
	@mkdir -p $(LIB)
	@# By way of names of its own, so that two at once do not meet.
	work=$$(mktemp -d $(LIB)/XXXXXX) && \
	ld -r --whole-archive $< -o $$work/smtptls.o && \
	objcopy --remove-section=.llvmbc --remove-section=.llvmcmd --strip-debug \
		--keep-global-symbols=ffi/symbols.list $$work/smtptls.o && \
	ar rcs $$work/libsmtptls.a $$work/smtptls.o && \
	mv $$work/libsmtptls.a $@ && rm -r $$work

# The programs send, serve and upgrade, in each language; in C also one for each way of doing I/O.
examples: c-examples rust-examples python

c-examples: library
	@mkdir -p build/c
	for name in $(C_SHARING); do \
		$(CC) $(C_FLAGS) $(CFLAGS) examples/c/$$name.c $(C_HELPERS) -o build/c/$$name $(C_LINK) || exit 1; \
	done
	for name in $(C_SINGLE); do \
		$(CC) $(C_FLAGS) $(CFLAGS) examples/c/$$name.c -o build/c/$$name $(C_LINK) || exit 1; \
	done

rust-examples:
	$(CARGO) build $(RUST_FLAGS) -p smtptls-examples
	@mkdir -p build/rust
	install -m 755 target/debug/send target/debug/serve target/debug/upgrade build/rust/

# A venv with the module in it, from a wheel that the tests look into. It shares the library's target folder, so aws-lc
# is built once.
python: $(VENV)/bin/python
	rm -rf build/wheel
	CARGO_TARGET_DIR='$(CURDIR)/target' $(VENV)/bin/pip wheel --quiet --no-deps --wheel-dir build/wheel ./python
	$(VENV)/bin/pip install --quiet --no-index --no-deps --force-reinstall build/wheel/*.whl

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'make: no venv: apt-get install python3-venv' >&2; exit 1; }

$(VENV)/installed: tests/requirements.txt $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet -r tests/requirements.txt
	@touch $@

demo: examples $(VENV)/installed
	$(VENV)/bin/python tests/demo/demo.py

# Everything: Rust, C, Python, conformance, interop. A peer that is absent is skipped with a line that says
# so; SMTPTLS_REQUIRE_PEERS=1 makes that a failure.
test: examples $(VENV)/installed
	$(CARGO) test $(RUST_FLAGS)
	@# What fuzzing has found, and the inputs that it begins with.
	$(CARGO) test $(RUST_FLAGS) --manifest-path tests/fuzz/Cargo.toml --no-default-features --test replay --target-dir target
	$(VENV)/bin/python -m pytest -q -n 4 -rs tests python/tests

# Formats, lints, and generated files that must be as committed.
check: $(VENV)/installed python
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(RUST_FLAGS) --workspace --all-targets -- -D warnings
	$(CARGO) check $(RUST_FLAGS) -p smtptls -p smtptls-ffi --no-default-features --features smtptls/ring,smtptls-ffi/ring
	$(CARGO) test $(RUST_FLAGS) --quiet -p smtptls-ffi --test header
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(RUST_FLAGS) --no-deps -p smtptls
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --strict python/smtptls examples/python
	$(VENV)/bin/python -m mypy.stubtest smtptls
	$(PYTHON) ffi/abi/check.py

# The man pages are committed, so that who installs them needs no Python. A test compares them with the header.
# Those of the command, and its completion, come from its parser.
man: python $(VENV)/installed
	$(PYTHON) ffi/man/generate.py
	$(VENV)/bin/python python/man/generate.py
	$(VENV)/bin/python python/completion/generate.py

# Takes what is new in the header into the binary interface that `make check` holds it to; see ffi/abi/README.md.
abi:
	$(PYTHON) ffi/abi/check.py --renew

install: library install-man
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	install -m 755 $(LIB)/libsmtptls.so.$(VERSION) $(DESTDIR)$(LIBDIR)/
	ln -sf libsmtptls.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libsmtptls.so
	install -m 644 $(LIB)/libsmtptls.a $(DESTDIR)$(LIBDIR)/
	install -m 644 include/smtptls.h $(DESTDIR)$(INCLUDEDIR)/
	$(PC) > $(DESTDIR)$(LIBDIR)/pkgconfig/smtptls.pc

# A link for each function that a page names, so that `man smtptls_session_start` finds it.
install-man:
	install -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man3
	install -m 644 python/smtptls.data/data/share/man/man1/smtptls.1 $(DESTDIR)$(MANDIR)/man1/
	for page in ffi/man/*.3; do \
		page=$${page##*/}; \
		install -m 644 ffi/man/$$page $(DESTDIR)$(MANDIR)/man3/ || exit 1; \
		for name in $$(sed -n '/^\.Nd/q; s/^\.Nm \([a-z0-9_]*\).*/\1/p' ffi/man/$$page); do \
			test $$name.3 = $$page || ln -sf $$page $(DESTDIR)$(MANDIR)/man3/$$name.3 || exit 1; \
		done; \
	done

# What is published: a wheel for every Linux with glibc 2.17 and every Python from 3.11 on, and the source distribution,
# in build/dist. zig, from PyPI, links to the old glibc; that takes a second aws-lc, minutes the first time. The paths of
# this machine are taken out, which pip cannot do: rustc wants to be told them.
CARGO_HOME ?= $(HOME)/.cargo
wheel: $(VENV)/installed
	$(VENV)/bin/pip install --quiet -r tests/packaging/requirements.txt
	rm -rf build/dist
	cd python && PATH='$(CURDIR)/$(VENV)/bin':"$$PATH" CARGO_TARGET_DIR='$(CURDIR)/target' \
		RUSTFLAGS='--remap-path-prefix=$(CARGO_HOME)/registry/src= --remap-path-prefix=$(CURDIR)=' \
		maturin build --release --locked --zig --compatibility manylinux2014 --out ../build/dist
	cd python && ../$(VENV)/bin/maturin sdist --out ../build/dist
	$(VENV)/bin/twine check --strict build/dist/*
	$(VENV)/bin/auditwheel show build/dist/*.whl
	SMTPTLS_WHEEL=$$(echo '$(CURDIR)'/build/dist/*.whl) $(VENV)/bin/python -m pytest -q \
		tests/packaging/test_wheel.py tests/packaging/test_wheel_install.py

# The licences and the list of the crates that the wheel holds; a test compares them with Cargo.lock.
licences:
	$(PYTHON) python/licences/collect.py

# What everything costs beside OpenSSL, GnuTLS, rustls from Rust and Python's ssl, into docs/performance.md and
# build/bench/bench.json. With QUICK=1 in five minutes. libgnutls28-dev is needed besides.
bench: library python $(VENV)/installed
	$(VENV)/bin/pip install --quiet -r tests/bench/requirements.txt
	$(VENV)/bin/python tests/bench/bench.py $(if $(QUICK),--quick)

# Random input for the engine and the C library, a minute a target; tests/fuzz/README.md says how to go on from there.
# It needs cargo-fuzz, and builds everything once more with instruments.
fuzz:
	$(PYTHON) tests/fuzz/run.py --seconds 60 $(if $(SEED),--seed $(SEED))

# The Rust and the C tests once more, with AddressSanitizer, which also looks for leaks, in the library and in the
# programs; aws-lc's own code is as ever. It takes a nightly feature of rustc, and minutes to build, and so is no part of
# `make test`.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
sanitize: $(VENV)/installed
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) test $(RUST_FLAGS) --no-fail-fast \
		-p smtptls -p smtptls-ffi --lib --tests --target $(HOST) --target-dir target/asan
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
		$(CARGO) build $(RUST_FLAGS) -p smtptls-ffi --target $(HOST) --target-dir target/asan
	SMTPTLS_SANITIZED='$(CURDIR)/target/asan/$(HOST)/debug/libsmtptls.a' $(VENV)/bin/python -m pytest -q -n 2 -rs \
		$(addprefix tests/c/test_,every_function.py faults.py descriptors.py sessions.py life.py \
		clocks.py peer_gone.py openssl_peer.py)

clean:
	rm -rf build $(VENV)
	$(CARGO) clean

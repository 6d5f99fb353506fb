# The commands that a person needs: all, demo, test, check, install, examples, clean.

CARGO ?= cargo
PYTHON ?= python3
CC ?= cc
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
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
C_HELPERS := $(filter-out examples/c/send.c examples/c/serve.c examples/c/upgrade.c,$(wildcard examples/c/*.c))

.PHONY: all library examples c-examples rust-examples python demo test check install bench clean

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
	ld -r --whole-archive $< -o $(LIB)/smtptls.o
	objcopy --remove-section=.llvmbc --remove-section=.llvmcmd --strip-debug \
		--keep-global-symbols=ffi/symbols.list $(LIB)/smtptls.o
	rm -f $@
	ar rcs $@ $(LIB)/smtptls.o
	rm -f $(LIB)/smtptls.o

# The programs send, serve and upgrade, in each language.
examples: c-examples rust-examples python

c-examples: library
	@mkdir -p build/c
	for name in send serve upgrade; do \
		$(CC) $(C_FLAGS) $(CFLAGS) examples/c/$$name.c $(C_HELPERS) -o build/c/$$name $(C_LINK) || exit 1; \
	done

rust-examples:
	$(CARGO) build $(RUST_FLAGS) -p smtptls-examples
	@mkdir -p build/rust
	install -m 755 target/debug/send target/debug/serve target/debug/upgrade build/rust/

# A venv with the module in it. It shares the library's target folder, so aws-lc is built once.
python: $(VENV)/bin/python
	CARGO_TARGET_DIR='$(CURDIR)/target' $(VENV)/bin/pip install --quiet ./python

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

install: library
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	install -m 755 $(LIB)/libsmtptls.so.$(VERSION) $(DESTDIR)$(LIBDIR)/
	ln -sf libsmtptls.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libsmtptls.so
	install -m 644 $(LIB)/libsmtptls.a $(DESTDIR)$(LIBDIR)/
	install -m 644 include/smtptls.h $(DESTDIR)$(INCLUDEDIR)/
	$(PC) > $(DESTDIR)$(LIBDIR)/pkgconfig/smtptls.pc

# System calls, CPU and sizes, beside OpenSSL.
bench: examples $(VENV)/installed
	$(VENV)/bin/python tests/bench/bench.py

clean:
	rm -rf build $(VENV)
	$(CARGO) clean

# SPDX-License-Identifier: GPL-2.0
#
# How rsdfs is built and tested; what it is made of is in Kbuild. Where the
# kernel's build folder has Rust metadata, `make` builds in place as for any
# module; elsewhere it builds for Debian's stock kernel in a Debian 13 root,
# which scripts/root makes in the cache folder (RSDFS_CACHE, /var/cache/rsdfs).

KDIR ?= $(if $(RSDFS_KDIR_OK),/lib/modules/$(shell uname -r)/build)
RSDFS_KDIR_OK := $(wildcard /lib/modules/$(shell uname -r)/build/rust/libkernel.rmeta)
export RSDFS_START := $(shell date +%s)

# The compiler must be the kernel's own; Debian names it gcc-14.
KMAKE = $(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(shell command -v gcc-14),CC=gcc-14)
TOOK = @echo "[$$(($$(date +%s) - RSDFS_START))s] make $@: done"

modules: ## build rsdfs.ko against KDIR, or in the Debian root
ifneq ($(KDIR),)
	@echo "make modules: building rsdfs.ko in place against $(KDIR)"
	+$(KMAKE) modules
else
	@echo "make modules: this kernel has no Rust metadata; building for Debian's stock kernel"
	@cp "$$(scripts/build)" rsdfs.ko && echo "rsdfs.ko is for kernel $$(scripts/kdir)"
endif
	$(TOOK)

install: ## install rsdfs.ko for the running kernel
	@test -n "$(KDIR)" || { echo "make install: no KDIR for the running kernel; see README.md"; exit 1; }
	+$(KMAKE) modules_install
	depmod "$$(cat $(KDIR)/include/config/kernel.release)"
	$(TOOK)

check: ## format, lints, unsafe fence, layers, panics, licences, warnings
	@scripts/check

test: ## check, host tests, all VM cases against the lab
	@scripts/test

host-test: ## the protocol core's tests, on this machine
	@scripts/test host

demo: ## a DFS mount that lives through the death of its file server
	@scripts/demo
	$(TOOK)

bench: ## rsdfs and cifs.ko side by side
	@scripts/bench
	$(TOOK)

soak: ## real programs, servers killed and connections cut for MINUTES (5)
	@scripts/soak
	$(TOOK)

fmt: ## format the Rust sources
	@scripts/check --fix fmt
	$(TOOK)

clippy: ## lint the kernel crates, the host tests and the tools
	@scripts/check clippy
	$(TOOK)

rust-analyzer: ## write rust-project.json for editors
	@scripts/analyzer
	$(TOOK)

clean: ## remove objects, labs, VMs and what they left
	@scripts/clean
	$(TOOK)

distclean: ## the same, and the cache folder
	@scripts/clean --cache
	$(TOOK)

help: ## this list
	@sed -nE 's/^([a-z-]+): ## (.*)/  \1\t\2/p' Makefile | expand -t 20

.PHONY: modules install check test host-test demo bench soak fmt clippy rust-analyzer clean distclean help
.DEFAULT_GOAL := modules

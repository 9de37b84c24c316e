# AArch64, cross-built and run under qemu's user mode.
#
#   make check-aarch64 [JOBS=n]    every test program; some minutes
#   make check                     the few of AARCH64_TESTS too; about a minute
#
# Both skip, with the reason, where the compiler or the emulator is missing. tests/aarch64.skip lists
# what cannot hold under qemu.

AARCH64_CC ?= aarch64-linux-gnu-gcc
AARCH64_AR ?= aarch64-linux-gnu-ar
AARCH64_QEMU ?= qemu-aarch64
AARCH64_BUILD := build/aarch64

# What depends on the processor: the switch and its unwinding, faults, thread-locals, atomics and memory
# order in the queues and locks; and one look at each of the rest.
AARCH64_TESTS := unit/arch_switch unit/os_fault unit/os_futex unit/runq abi/tls_cache api/go \
    api/chan_basic api/mutex api/net_wait death/overflow

# The probe's output is the reason to skip.
.PHONY: aarch64-tests check-aarch64
aarch64-tests:
	@mkdir -p $(AARCH64_BUILD)
	@{ command -v $(AARCH64_QEMU) >/dev/null || echo '$(AARCH64_QEMU) is not installed'; \
	    echo 'int main(void) { return 0; }' | \
	    $(AARCH64_CC) -static -x c - -o $(AARCH64_BUILD)/probe 2>/dev/null || \
	    echo '$(AARCH64_CC) is not installed, or has no libc'; } >$(AARCH64_BUILD)/missing
	@[ -s $(AARCH64_BUILD)/missing ] || $(MAKE) --no-print-directory CC=$(AARCH64_CC) \
	    AR=$(AARCH64_AR) SAN= CARES=no VARIANT= CFLAGS= LDFLAGS=-static BUILD=$(AARCH64_BUILD) \
	    $(AARCH64_TESTS:%=$(AARCH64_BUILD)/tests/%)

check check-aarch64: export AARCH64_BUILD := $(AARCH64_BUILD)
check check-aarch64: export AARCH64_QEMU := $(AARCH64_QEMU)
check: export AARCH64_TESTS := $(AARCH64_TESTS)
# The servers are programs of their own, which the kernel cannot execute.
check-aarch64: export AARCH64_TESTS := $(filter-out servers/%,$(TEST_SRCS:tests/%.c=%))
check-aarch64: export AARCH64_JOBS := $(JOBS)
check-aarch64: aarch64-tests
	@tests/harness/run-all -d $(AARCH64_BUILD)/log tests/aarch64.sh

# Once is enough: not for every sanitizer and variant.
ifeq ($(BUILD),build/default)
check: aarch64-tests
CHECK_COMMANDS += tests/aarch64.sh
endif

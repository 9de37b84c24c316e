# Benchmarks: bench/*.c on weft, and the same scenarios by others in bench/peers/. See docs/performance.md.

GO ?= go
BENCH_DIR := $(BUILD)/bench
BENCH_WEFT := $(patsubst bench/%.c,$(BENCH_DIR)/weft_%,$(wildcard bench/*.c))
BENCH_UV := $(patsubst bench/peers/%.c,$(BENCH_DIR)/%,$(wildcard bench/peers/uv_*.c))
BENCH_PEERS := $(patsubst bench/peers/%.c,$(BENCH_DIR)/%,$(wildcard bench/peers/*.c))
BENCH_SERVERS := $(BUILD)/examples/httpd $(BUILD)/examples/kvd
BENCH_GO := $(if $(shell command -v $(GO)),$(BENCH_DIR)/gobench)

.PHONY: bench-build
bench-build: $(BENCH_WEFT) $(BENCH_PEERS) $(BENCH_SERVERS) $(BENCH_GO)

# make bench [FILTER=word] [ROUNDS=n]
.PHONY: bench
bench: bench-build
	@CC="$(CC)" bench/run --dir $(BENCH_DIR) --filter "$(FILTER)" --rounds "$(ROUNDS)"

# Instructions per operation.
.PHONY: bench-counts
bench-counts: $(BENCH_DIR)/weft_counts
	@bench/counts.sh $(BENCH_DIR)

$(BENCH_DIR)/weft_%: bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -MMD -MP -MF $@.d $< $(LIB) $(LDFLAGS_ALL) $(CARES_LIBS) -o $@

$(BENCH_DIR)/%: bench/peers/%.c
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -MMD -MP -MF $@.d $< $(LDFLAGS_ALL) -o $@

# Without libuv they are a missing peer, not an error.
$(BENCH_UV): $(BENCH_DIR)/%: bench/peers/%.c
	@mkdir -p $(@D)
	@rm -f $@
	@if echo '#include <uv.h>' | $(CC) -E - >/dev/null 2>&1; then \
	    set -x; $(CC) $(USER_CFLAGS) -MMD -MP -MF $@.d $< $(LDFLAGS_ALL) -luv -o $@; fi

# A Go too old for these programs is a missing peer, not an error.
$(BENCH_DIR)/gobench: $(wildcard bench/peers/go/*.go bench/peers/go/go.mod)
	@mkdir -p $(@D)
	@rm -f $@
	-cd bench/peers/go && GOFLAGS=-mod=mod GOTOOLCHAIN=local $(GO) build -buildvcs=false -o $(abspath $@) .

-include $(wildcard $(BENCH_DIR)/*.d)

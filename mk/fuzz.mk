# make fuzz [SECONDS=n] [FILTER=text]: feeds the parsers of the servers in examples/ with what libFuzzer makes
# of the seeds in tests/fuzz/corpus/. Needs clang. What it finds, and inputs that reached something new, are
# kept under build/fuzz/. `make check` runs the same programs over the seeds, without clang.

FUZZ_CC ?= clang
SECONDS ?= 30
FUZZ_SRCS := $(wildcard tests/fuzz/*.c)
FUZZ_PROGRAMS := $(FUZZ_SRCS:tests/fuzz/%.c=build/fuzz/%)

build/fuzz/resp: FUZZ_PARTS := $(KVD_PARTS)

FUZZ_HEADERS := $(wildcard tests/fuzz/*.h tests/servers/*.h)
build/fuzz/%: tests/fuzz/%.c $(FUZZ_HEADERS) $(wildcard examples/*.h examples/*/*.[ch]) $(LIB)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CFLAGS_ALL) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DFUZZ -Iinclude \
	    -Itests -Iexamples $(httpd_CFLAGS) $< $(FUZZ_PARTS) $(LIB) $(LDFLAGS) $(httpd_LIBS) $(CARES_LIBS) -lm -o $@

.PHONY: fuzz
fuzz:
	@if command -v $(FUZZ_CC) >/dev/null; then \
	    $(MAKE) -s $(FUZZ_PROGRAMS) && tests/fuzz/run $(SECONDS) '$(FILTER)'; \
	else \
	    echo '$(FUZZ_CC) is not installed'; \
	fi

# make check: builds and runs every test.
#
#   make check [FILTER=text] [JOBS=n]   tests whose name, or whose program's name, contains text
#   make build/default/tests/api/go     one program; run it with --list, NAME or --no-fork
#
# A file under tests/<kind>/ is one program, linked with the harness and libweft.a (tests/harness/test.h
# shows how to write one), and with the optional libraries unless its name ends in _libc. Other parts of
# the build add to CHECK_COMMANDS what else is to be run, a program or script that exits with 0 passed, 77
# skipped (the last line says why), or else failed; and to CHECK_DEPS what must be built for it.

TEST_KINDS := unit api stress fault death abi servers fuzz
TEST_SRCS := $(wildcard $(TEST_KINDS:%=tests/%/*.c))
TEST_PROGRAMS := $(TEST_SRCS:%.c=$(BUILD)/%)
HARNESS_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/harness/*.c))
HARNESS := $(BUILD)/tests/libharness.a
TEST_LIBS = -lm $(if $(filter %_libc,$*),,$(CARES_LIBS)) $(TEST_KIND_LIBS)

# These take in parts of the servers in examples/.
$(BUILD)/tests/servers/% $(BUILD)/tests/fuzz/%: TEST_KIND_CFLAGS := -Iexamples $(httpd_CFLAGS)
$(BUILD)/tests/servers/% $(BUILD)/tests/fuzz/%: TEST_KIND_LIBS := $(httpd_LIBS)

# They are compiled again once the parser of httpd comes or goes.
HTTPD_TESTS := $(wildcard tests/servers/httpd_*.c tests/fuzz/http_*.c)
$(HTTPD_TESTS:%.c=$(BUILD)/%.o): $(BUILD)/http-parser-$(or $(HTTP_PARSER_FOUND),none)

# These take in list.c and resp.c of kvd, and are linked with the rest of it.
KVD_PARTS := $(filter-out %/kvd.c %/list.c %/resp.c,$(wildcard examples/kvd/*.c))
KVD_PARTS_TESTS := $(BUILD)/tests/servers/kvd_store $(BUILD)/tests/fuzz/resp
$(KVD_PARTS_TESTS): TEST_KIND_LIBS += $(USER_CFLAGS) -Iexamples $(KVD_PARTS)
$(KVD_PARTS_TESTS): $(KVD_PARTS) $(wildcard examples/kvd/*.h)

# Only these may look inside.
TEST_CFLAGS = -Itests $(TEST_KIND_CFLAGS) $(if $(filter $(BUILD)/tests/unit/% $(BUILD)/tests/abi/%,$@),$(INNER_CFLAGS),$(USER_CFLAGS)) \
    $(if $(CORE),-DTEST_TSAN_CORE)

$(BUILD)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -MMD -MP -c $< -o $@

$(HARNESS): $(HARNESS_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

# A definition of __wrap_NAME in the test's source asks for --wrap=NAME.
test_wraps = $$(sed -n 's/.*\b__wrap_\([A-Za-z0-9_]*\)(.*/-Wl,--wrap=\1/p' $(1) | sort -u)

# A test with a part in C++ beside it, NAME.cc, which is left out where there is no compiler for it.
CXX_PROGRAMS := $(patsubst %.cc,$(BUILD)/%,$(wildcard $(TEST_KINDS:%=tests/%/*.cc)))
TEST_CXX ?= $(if $(findstring clang,$(CC)),clang++,$(CXX))

$(CXX_PROGRAMS): $(BUILD)/%: $(BUILD)/%.o %.cc $(HARNESS) $(LIB)
	@if echo 'int main() {}' | $(TEST_CXX) -x c++ - -o $@ 2>/dev/null; then \
	    set -x; $(TEST_CXX) -std=c++11 -Wno-deprecated-declarations $(OPT) $(SANFLAGS) -Iinclude \
	        $^ $(LDFLAGS_ALL) $(TEST_LIBS) -o $@; \
	else \
	    set -x; $(CC) $(filter-out %.cc,$^) $(LDFLAGS_ALL) $(TEST_LIBS) -o $@; \
	fi

$(filter-out $(CXX_PROGRAMS),$(TEST_PROGRAMS)): $(BUILD)/%: $(BUILD)/%.o $(HARNESS) $(LIB)
	$(CC) $< $(call test_wraps,$*.c) $(HARNESS) $(LIB) $(LDFLAGS_ALL) $(TEST_LIBS) -o $@

# Whole-program variants of single tests: weft's sources, the harness and the test compiled in one
# go, with -O3 and with link-time optimisation, where a compiler sees through what it can. Not where
# parts are to be instrumented and others not.
WHOLE_TESTS := $(if $(filter thread,$(SAN)$(CORE)),,$(wildcard tests/abi/tls_cache.c))
WHOLE_PROGRAMS := $(foreach test,$(WHOLE_TESTS:%.c=$(BUILD)/%),$(test)-O3 $(test)-lto)
WHOLE_CFLAGS = $(INNER_CFLAGS) -Itests
WHOLE_LINK = $(filter %.c,$^) $(LDFLAGS_ALL) $(TEST_LIBS) -o $@

WHOLE_DEPS = $(wildcard tests/harness/*.[ch]) $(LIB_SRCS) $(LIB)

$(BUILD)/tests/%-O3: tests/%.c $(WHOLE_DEPS)
	@mkdir -p $(@D)
	$(CC) $(WHOLE_CFLAGS) -O3 $(WHOLE_LINK)

# Without a linker for it, a script that says so takes the program's place.
$(BUILD)/tests/%-lto: tests/%.c $(WHOLE_DEPS)
	@mkdir -p $(@D)
	@if echo 'int main(void) { return 0; }' | \
	    $(CC) $(CFLAGS_ALL) -Wno-error -O3 -flto -x c - -o $@ >/dev/null 2>&1; then \
	    echo "$(CC) $(WHOLE_CFLAGS) -O3 -flto $(WHOLE_LINK)"; \
	    $(CC) $(WHOLE_CFLAGS) -O3 -flto $(WHOLE_LINK); \
	else \
	    printf '#!/bin/sh\necho "%s cannot do -flto here"\nexit 77\n' '$(CC)' >$@ && chmod +x $@; \
	fi

# The checks of the sources and of what was built.
CHECK_SCRIPTS := $(wildcard tools/check-*)

# The servers in examples/, visited by the clients that are installed.
CHECK_COMMANDS += $(wildcard tests/servers/*.sh)

# What must not compile, which is the same for every build.
ifeq ($(BUILD),build/default)
CHECK_COMMANDS += tests/typed_errors.sh
endif

JOBS ?= $(shell nproc 2>/dev/null || echo 1)
FILTER ?=

.PHONY: tests check
tests: $(TEST_PROGRAMS) $(WHOLE_PROGRAMS)

check: tests $(LIB) $(SHLIB) $(CHECK_DEPS)
	@CC='$(CC)' BUILD='$(BUILD)' LIB='$(LIB)' SHLIB='$(SHLIB)' SAN='$(SAN)' FILTER='$(FILTER)' \
	    tests/harness/run-all -j $(JOBS) -d $(BUILD)/tests/log $(if $(FILTER),-f '$(FILTER)') \
	    $(CHECK_SCRIPTS) $(CHECK_COMMANDS) $(TEST_PROGRAMS) $(WHOLE_PROGRAMS)

-include $(TEST_SRCS:%.c=$(BUILD)/%.d) $(HARNESS_OBJS:.o=.d)

# weft: GNU make, out of tree under build/. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

VERSION := 0.1.0
SOVERSION := 0

CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PREFIX ?= /usr/local
DESTDIR ?=

# SAN=address|undefined|thread builds everything, weft and tests, under that sanitizer, in a tree of
# its own. With SAN=thread weft and what looks inside it are not instrumented, but tell ThreadSanitizer
# what orders goroutines; CORE=1 instruments all instead (src/arch/sanitize.h).
SAN ?=
CORE ?=
BUILD := build/$(if $(SAN),$(SAN),default)$(if $(CORE),-core)$(if $(filter no,$(CARES)),-nocares)$(if $(VARIANT),-$(VARIANT))

ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
    -Wno-sign-conversion -Wpointer-arith -Wwrite-strings -Wundef -Werror
# A frame larger than the guard cannot jump over it: on AArch64, where gcc takes a guard to have 64 KiB,
# only if told better. No SHSTK mark before there is a shadow stack per goroutine (x86 only).
HARDENING_x86_64 := -fcf-protection=none
HARDENING_aarch64 := --param=stack-clash-protection-guard-size=12
HARDENING := -fstack-clash-protection $(HARDENING_$(ARCH))
OPT ?= -O2 -g
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
INNER_SANFLAGS := $(if $(filter thread,$(SAN)$(CORE)),-DWI_TSAN_EDGES,$(SANFLAGS))
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE $(OPT) -pthread $(WARNINGS) $(HARDENING) $(CFLAGS)
INNER_CFLAGS := $(CFLAGS_ALL) $(INNER_SANFLAGS) -Isrc -Iinclude
LIB_CFLAGS := $(INNER_CFLAGS) -fPIC -fvisibility=hidden
USER_CFLAGS := $(CFLAGS_ALL) $(SANFLAGS) -Iinclude
LDFLAGS_ALL := -pthread $(SANFLAGS) $(LDFLAGS)

LIB_SRCS := $(wildcard src/base/*.c src/os/linux/*.c src/core/*.c src/sync/*.c src/api/*.c) \
    $(wildcard src/arch/$(ARCH)/*.c)
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/libweft.a
SHLIB := $(BUILD)/libweft.so.$(VERSION)

.PHONY: all
all: $(LIB) $(SHLIB)

$(BUILD)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(LIB_CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(LIB_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(SHLIB): $(LIB_OBJS) src/weft.map
	$(CC) -shared -Wl,-soname,libweft.so.$(SOVERSION) -Wl,--version-script=src/weft.map \
	    -Wl,-z,defs,-z,now $(LIB_OBJS) $(LDFLAGS_ALL) $(CARES_LIBS) -o $@
	@ln -sf libweft.so.$(VERSION) $(BUILD)/libweft.so.$(SOVERSION)
	@ln -sf libweft.so.$(SOVERSION) $(BUILD)/libweft.so

include mk/optional.mk
include mk/examples.mk
include mk/tests.mk
include mk/fuzz.mk
include mk/aarch64.mk
include mk/bench.mk
include mk/install.mk

.PHONY: clean
clean:
	rm -rf build

-include $(LIB_OBJS:.o=.d)

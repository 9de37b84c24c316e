# Libraries that weft uses where they are found, with CC and its flags, when it is built.
#
#   CARES=no    leaves c-ares out; names are then looked up by getaddrinfo in a few threads.
#
# libweft.so needs what was found. libweft.a refers to it weakly, and does without in a program that is not
# linked with it; CARES_LIBS is what such programs add. (References that are weak make no linker take a
# library in, if it was told --as-needed.)

CARES ?=
comma := ,
CARES_PROBE = \#include <ares.h>\nint main(void) { ares_channel c; return ares_init_options(&c, 0, 0); }\n
CARES_FOUND := $(if $(filter no,$(CARES)),,$(shell probe=$$(mktemp) && printf '$(CARES_PROBE)' | \
    $(CC) $(CFLAGS) -x c - -o "$$probe" $(LDFLAGS) -lcares 2>/dev/null && echo yes; rm -f "$$probe"))
CARES_LIBS := $(if $(CARES_FOUND),-Wl$(comma)--push-state$(comma)--no-as-needed -lcares -Wl$(comma)--pop-state)

$(BUILD)/src/api/resolve_ares.o: LIB_CFLAGS += $(if $(CARES_FOUND),-DWI_CARES)

# It is compiled again once c-ares comes or goes.
$(BUILD)/src/api/resolve_ares.o: $(BUILD)/cares-$(if $(CARES_FOUND),yes,no)

$(BUILD)/cares-yes $(BUILD)/cares-no:
	@mkdir -p $(@D)
	@rm -f $(BUILD)/cares-*
	@touch $@
	$(if $(CARES_FOUND)$(filter no,$(CARES)),,@echo 'c-ares not found: names are looked up by getaddrinfo in threads')

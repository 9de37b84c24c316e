# Libraries that are used where they are found, with CC and its flags, when weft is built: c-ares by weft
# itself, the others by examples.
#
#   CARES=no    leaves c-ares out; names are then looked up by getaddrinfo in a few threads.
#   HTTP_PARSER=llhttp|http_parser|no    the parser of examples/httpd; otherwise the first one that is there.
#
# libweft.so needs what was found of c-ares. libweft.a refers to it weakly, and does without in a program
# that is not linked with it; CARES_LIBS is what such programs add. (References that are weak make no linker
# take a library in, if it was told --as-needed.)

# $(call links,PROGRAM,FLAGS): yes if such a program can be compiled and linked. In PROGRAM newlines are \n.
links = $(shell probe=$$(mktemp) && printf '$(1)' | \
    $(CC) $(CFLAGS) -x c - -o "$$probe" $(LDFLAGS) $(2) 2>/dev/null && echo yes; rm -f "$$probe")
comma := ,

CARES ?=
CARES_PROBE := \#include <ares.h>\nint main(void) { ares_channel c; return ares_init_options(&c, 0, 0); }\n
CARES_FOUND := $(if $(filter no,$(CARES)),,$(call links,$(CARES_PROBE),-lcares))
CARES_LIBS := $(if $(CARES_FOUND),-Wl$(comma)--push-state$(comma)--no-as-needed -lcares -Wl$(comma)--pop-state)

$(BUILD)/src/api/resolve_ares.o: LIB_CFLAGS += $(if $(CARES_FOUND),-DWI_CARES)

# It is compiled again once c-ares comes or goes.
$(BUILD)/src/api/resolve_ares.o: $(BUILD)/cares-$(if $(CARES_FOUND),yes,no)

$(BUILD)/cares-yes $(BUILD)/cares-no:
	@mkdir -p $(@D)
	@rm -f $(BUILD)/cares-*
	@touch $@
	$(if $(CARES_FOUND)$(filter no,$(CARES)),,@echo 'c-ares not found: names are looked up by getaddrinfo in threads')

HTTP_PARSER ?=
LLHTTP_PROBE := \#include <llhttp.h>\nint main(void) { return llhttp_message_needs_eof(0); }\n
HTTP_PARSER_PROBE := \#include <http_parser.h>\nint main(void) { return (int)http_parser_version(); }\n
LLHTTP_FOUND := $(if $(filter-out llhttp,$(HTTP_PARSER)),,$(call links,$(LLHTTP_PROBE),-lllhttp))
OLD_PARSER_FOUND := $(if $(LLHTTP_FOUND)$(filter-out http_parser,$(HTTP_PARSER)),,$(call \
    links,$(HTTP_PARSER_PROBE),-lhttp_parser))
HTTP_PARSER_FOUND := $(if $(LLHTTP_FOUND),llhttp,$(if $(OLD_PARSER_FOUND),http_parser))

# HTTPD_LLHTTP is 1 for llhttp, 0 for http_parser, and not defined if there is neither.
httpd_CFLAGS := $(if $(HTTP_PARSER_FOUND),-DHTTPD_LLHTTP=$(if $(LLHTTP_FOUND),1,0))
httpd_LIBS := $(if $(HTTP_PARSER_FOUND),-l$(HTTP_PARSER_FOUND))
httpd_MISSING := $(if $(HTTP_PARSER_FOUND),,llhttp or http_parser)

$(BUILD)/examples/httpd: $(BUILD)/http-parser-$(or $(HTTP_PARSER_FOUND),none)

$(BUILD)/http-parser-llhttp $(BUILD)/http-parser-http_parser $(BUILD)/http-parser-none:
	@mkdir -p $(@D)
	@rm -f $(BUILD)/http-parser-*
	@touch $@

# Every examples/*.c is a program of its own, and every folder there is one: `make examples` builds them,
# `make demo` runs the tour.

EXAMPLE_FILES := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))
EXAMPLE_FOLDERS := $(patsubst %/,$(BUILD)/%,$(wildcard examples/*/))
EXAMPLES := $(EXAMPLE_FILES) $(EXAMPLE_FOLDERS)

.PHONY: examples demo
examples: $(EXAMPLES)

$(EXAMPLE_FILES): $(BUILD)/%: %.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -MMD -MP -MF $@.d $< $(LIB) $(LDFLAGS_ALL) $(CARES_LIBS) -o $@

# A folder is compiled in one go. What it needs besides weft is in NAME_CFLAGS and NAME_LIBS; NAME_MISSING
# names what was not found of that, and a script that says so then takes the program's place.
.SECONDEXPANSION:
$(EXAMPLE_FOLDERS): $(BUILD)/examples/%: $$(wildcard examples/$$*/*.[ch] examples/*.h) $(LIB)
	@mkdir -p $(@D)
	@rm -f $@
	$(if $($*_MISSING),$(EXAMPLE_MISSING),$(CC) $(USER_CFLAGS) $($*_CFLAGS) $(filter %.c,$^) \
	    $(LIB) $(LDFLAGS_ALL) $($*_LIBS) $(CARES_LIBS) -o $@)

EXAMPLE_MISSING = @printf '\#!/bin/sh\necho "%s"\nexit 77\n' 'needs $($*_MISSING)' >$@ && chmod +x $@ && \
    echo '$@: needs $($*_MISSING), left out'

demo: examples
	@sh examples/tour.sh $(BUILD)/examples

CHECK_DEPS += examples
CHECK_COMMANDS += ./tests/api/examples.sh

-include $(EXAMPLE_FILES:=.d)

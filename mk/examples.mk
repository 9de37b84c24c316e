# Every examples/*.c is a program of its own: `make examples` builds them, `make demo` runs the tour.

EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))

.PHONY: examples demo
examples: $(EXAMPLES)

$(EXAMPLES): $(BUILD)/%: %.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -MMD -MP -MF $@.d $< $(LIB) $(LDFLAGS_ALL) $(CARES_LIBS) -o $@

demo: examples
	@sh examples/tour.sh $(BUILD)/examples

CHECK_DEPS += examples
CHECK_COMMANDS += ./tests/api/examples.sh

-include $(EXAMPLES:=.d)

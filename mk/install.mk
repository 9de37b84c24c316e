# make install [PREFIX=/usr/local] [DESTDIR=]: headers, both libraries, the manual, and what pkg-config
# and CMake need. make uninstall removes the same files. tests/install.sh checks it. And make help.

INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man
INSTALL ?= install

HEADERS := $(wildcard include/*.h include/*/*.h)
MANUAL := $(wildcard man/*.[1-9])
PKGCONFIG_DIR := $(LIBDIR)/pkgconfig
CMAKE_DIR := $(LIBDIR)/cmake/weft

# man/weft_go.3 goes to man3/weft_go.3.
man_section = $(subst .,,$(suffix $(1)))
INSTALLED := $(HEADERS:include/%=$(INCLUDEDIR)/%) \
    $(foreach page,$(MANUAL),$(MANDIR)/man$(call man_section,$(page))/$(notdir $(page))) \
    $(addprefix $(LIBDIR)/libweft,.a .so .so.$(SOVERSION) .so.$(VERSION)) \
    $(PKGCONFIG_DIR)/weft.pc $(addprefix $(CMAKE_DIR)/weftConfig,.cmake Version.cmake)

FILL_IN := sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
    -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@SOVERSION@|$(SOVERSION)|' -e 's|@VERSION@|$(VERSION)|' \
    -e 's|@CARES@|$(if $(CARES_FOUND),cares)|' -e 's|@CARES_LIBS@|$(if $(CARES_FOUND), -lcares)|'

.PHONY: install uninstall
install: all
	$(INSTALL) -d $(foreach dir,$(sort $(dir $(INSTALLED))),'$(DESTDIR)$(dir)')
	$(INSTALL) -m 644 $(wildcard include/*.h) '$(DESTDIR)$(INCLUDEDIR)'
	$(INSTALL) -m 644 $(wildcard include/weft/*.h) '$(DESTDIR)$(INCLUDEDIR)/weft'
	set -e; for page in $(MANUAL); do \
	    $(INSTALL) -m 644 $$page '$(DESTDIR)$(MANDIR)'/man$${page##*.}; done
	$(INSTALL) -m 644 $(LIB) '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 755 $(SHLIB) '$(DESTDIR)$(LIBDIR)'
	ln -sf libweft.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/libweft.so.$(SOVERSION)'
	ln -sf libweft.so.$(SOVERSION) '$(DESTDIR)$(LIBDIR)/libweft.so'
	$(FILL_IN) weft.pc.in >'$(DESTDIR)$(PKGCONFIG_DIR)/weft.pc'
	$(FILL_IN) mk/weftConfig.cmake.in >'$(DESTDIR)$(CMAKE_DIR)/weftConfig.cmake'
	$(FILL_IN) mk/weftConfigVersion.cmake.in >'$(DESTDIR)$(CMAKE_DIR)/weftConfigVersion.cmake'

# Of the directories only those that are weft's own.
uninstall:
	rm -f $(foreach file,$(INSTALLED),'$(DESTDIR)$(file)')
	-rmdir '$(DESTDIR)$(INCLUDEDIR)/weft' '$(DESTDIR)$(CMAKE_DIR)'

# Installing needs the library as it was built for `make check`, which runs this on the default build.
ifeq ($(BUILD),build/default)
CHECK_COMMANDS += tests/install.sh
endif

define HELP
make                  libweft.a and libweft.so, in $(BUILD)
make check            builds and runs the tests
make check-aarch64    the tests on AArch64, cross-built, under qemu
make fuzz             feeds the parsers of the servers with damaged input; needs clang
make examples         builds what is in examples/
make demo             a tour of them
make bench            measures weft and its peers
make install          to PREFIX; make uninstall removes it
make clean

CC=gcc OPT='-O2 -g' CFLAGS= LDFLAGS=   compiler and flags; CFLAGS and LDFLAGS are added to weft's own
SAN=address|undefined|thread           a build, of the tests too, under that sanitizer
SAN=thread CORE=1                      looks for races inside weft, and not between goroutines
CARES=no                               without c-ares; names are looked up by getaddrinfo
HTTP_PARSER=llhttp|http_parser|no      what examples/httpd parses with; otherwise what is there
VARIANT=name                           keeps another build apart: build/default-name
FILTER=text JOBS=n                     check: tests whose name contains text; so many at a time
FILTER=word ROUNDS=n                   bench
FILTER=text SECONDS=n                  fuzz: targets whose name contains text; for so long each
PREFIX=/usr/local DESTDIR= INCLUDEDIR= LIBDIR= MANDIR=   install
endef

.PHONY: help
help:
	$(info $(HELP))
	@:

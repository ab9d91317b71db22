# llmutils - see README.md.  make [check|gpu-check|gpu-bench|demo|deps|lint|format|install|uninstall|clean] [V=1] [SAN=address,undefined] [CUDA=0] [DEPS=0]
VERSION := 0.1.0
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
# A command finds its own files from where it stands itself (file_beside), so that all may be moved.
ifneq (,$(filter install uninstall,$(MAKECMDGOALS)))
$(foreach v,LIBDIR DATADIR,$(if $(filter command environment,$(origin $v)),\
  $(error $v cannot be set: commands find their files beside their own place, so it follows from BINDIR)))
endif
override LIBDIR  := $(BINDIR)/../lib/llmutils
override DATADIR := $(BINDIR)/../share/llmutils
CC      ?= cc
# The kernels under sanitizers take minutes to compile at -O2, seconds at -O1.
CFLAGS  ?= $(if $(SAN),-O1,-O2) -g
# CUDA=0 is a build without the CUDA backend, which needs nvcc; without one it is left out as well.
B       := build$(if $(filter 0,$(CUDA)),-cpu)$(if $(SAN),-san)

WARN     = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wformat=2 \
           -Wstrict-prototypes -Wmissing-prototypes -Wundef
override CPPFLAGS += -D_GNU_SOURCE -DVERSION='"$(VERSION)"'
override CFLAGS   += -std=c11 -iquote libcommon $(WARN) -ffp-contract=off -fno-math-errno \
                     $(SAN:%=-fsanitize=% -fno-sanitize-recover=all -fno-omit-frame-pointer)
override LDFLAGS  += $(SAN:%=-fsanitize=%)
LDLIBS   = -lyaml -lpcre2-8 -lutf8proc -ldl -lm -lpthread

# Packages of Debian and Ubuntu: to build, to test.
DEB_BUILD = gcc make libc6-dev libyaml-dev libpcre2-dev libutf8proc-dev libxxhash-dev libcurl4-openssl-dev
DEB_TEST  = g++ bats shellcheck mandoc jq clang-format gnuplot-nox parallel slurmd slurmctld slurm-client munge
DEPS     ?= 1

include kernels/cuda/cuda.mk

CMDS  := $(basename $(notdir $(wildcard cmd/llm-*.c)))
LIB   := $(patsubst %.c,$B/%.o,$(wildcard libcommon/*.c kernels/cpu/*.c))
MANS  := $(patsubst %.in,$B/%,$(wildcard man/*.1.in)) $(wildcard man/*.[57])
UNITS := $(patsubst %.c,$B/%,$(wildcard tests/unit/*_test.c tests/ops/*_test.c))
TOOLS := $(patsubst %.c,$B/%,$(wildcard tests/*.c))
FUZZ  := $(patsubst %.c,$B/%,$(wildcard tests/fuzz/*_fuzz.c))
BENCH := $(patsubst %.c,$B/%,$(wildcard tests/ops/*_bench.c tests/unit/*_bench.c))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $1 $(patsubst $B/%,%,$@);)

# As many jobs as processors, unless the caller said how many.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
SANB = $(if $(SAN),$B,$B-san)

.PHONY: all cuda emu check demo deps deps-build lint format install uninstall clean tests fuzz bench
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
all: $(CMDS:%=$B/%) $(MANS) cuda

# One instruction set a file: the rest of the program runs on any x86-64.
$B/libcommon/hash_wide.o: ISA = -mavx2
$B/kernels/cpu/%_avx2.o: ISA = -mavx2 -mfma -mf16c
$B/kernels/cpu/%_avxvnni.o: ISA = -mavx2 -mfma -mf16c -mavxvnni
$B/kernels/cpu/%_avx512.o: ISA = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c
$B/kernels/cpu/%_vnni.o: ISA = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c

$B/%.o: %.c Makefile
	$Qmkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(ISA) -MMD -MP -c -o $@ $<
# Measurements name the commit they were made with.
$B/cmd/llm-bench.o: override CPPFLAGS += -DCOMMIT='"$(shell git describe --always --dirty 2>/dev/null)"'
$B/cmd/llm-bench.o: $(wildcard .git/logs/HEAD)
$B/lib.a: $(LIB)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^
$B/%: $B/cmd/%.o $B/lib.a
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/tests/%: $B/tests/%.o $B/lib.a
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/man/%.1: man/%.1.in $B/%
	$Qmkdir -p $(@D)
	$(call say,MAN)$B/$* --help-mdoc >$@.opt && sed -e '/^@OPTIONS@$$/{r $@.opt' -e 'd;}' $< >$@ && rm $@.opt

tests: $(UNITS) $(TOOLS) emu
fuzz: $(FUZZ)
bench: $(BENCH)
# The fuzz drivers always run under sanitizers: without them a stray read is a right answer.
check: deps
	$Q$(MAKE) $(JOBS) --no-print-directory all tests
	$Q$(MAKE) $(JOBS) --no-print-directory SAN=address,undefined B=$(SANB) fuzz
	$Qsh tests/run.sh $B $(SANB) $(if $(SAN),,lint)
demo: deps-build
	$Q$(MAKE) $(JOBS) --no-print-directory all
	$Qsh examples/synthetic/demo.sh $B
lint: all
	sh tests/lint.sh $B

# What is missing is installed (as root or through sudo) or, with DEPS=0, only listed.
deps:
	@sh tests/deps.sh $(DEPS) $(DEB_BUILD) $(DEB_TEST)
deps-build:
	@sh tests/deps.sh $(DEPS) $(DEB_BUILD)

format:
	clang-format -i $(shell find cmd libcommon kernels tests -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cpp')
compile_commands.json: Makefile
	$Q$(MAKE) -nB V=1 all tests | awk -v d="$(CURDIR)" '/ -c -o /{f=$$NF; sub(/^.*mkdir -p [^ ]*; */,""); gsub(/["\\]/,"\\\\&"); \
	  printf "%s{\"directory\":\"%s\",\"file\":\"%s\",\"command\":\"%s\"}", n++ ? ",\n" : "[\n", d, f, $$0} END{print "\n]"}' >$@
# DESTDIR may have spaces. What is removed is what was installed: a directory may be other programs' too.
INTO = install -m$1 $2 "$(DESTDIR)$3"
OWN  = $(CMDS:%=$(BINDIR)/%) $(foreach m,$(notdir $(MANS)),$(MANDIR)/man$(subst .,,$(suffix $m))/$m) $(LIBDIR)/llm-cuda.so \
       $(patsubst examples/%,$(DATADIR)/%,$(wildcard examples/models/*.gguf examples/prompts/*/*))
DIRS = $(LIBDIR) $(patsubst examples/%/,$(DATADIR)/%,$(wildcard examples/prompts/*/)) $(DATADIR)/prompts $(DATADIR)/models $(DATADIR)
install: all
	install -d $(foreach d,$(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man7 $(DATADIR)/models $(DATADIR)/prompts,"$(DESTDIR)$d")
	$(call INTO,755,$(CMDS:%=$B/%),$(BINDIR))
	$(if $(CUDA_SO),install -d "$(DESTDIR)$(LIBDIR)" && $(call INTO,755,$(CUDA_SO),$(LIBDIR)))
	$(foreach n,1 5 7,$(call INTO,644,$(filter %.$n,$(MANS)),$(MANDIR)/man$n) &&) :
	$(call INTO,644,$(wildcard examples/models/*.gguf),$(DATADIR)/models)
	cp -R examples/prompts/. "$(DESTDIR)$(DATADIR)/prompts"
uninstall:
	rm -f $(foreach f,$(OWN),"$(DESTDIR)$f")
	@for d in $(foreach d,$(DIRS),"$(DESTDIR)$d"); do [ ! -d "$$d" ] || rmdir --ignore-fail-on-non-empty "$$d"; done
clean:
	rm -rf build build-* compile_commands.json

-include $(shell find $B -name '*.d' 2>/dev/null)

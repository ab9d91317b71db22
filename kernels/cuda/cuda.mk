# cuda.mk - llm-cuda.so, and the same sources compiled for the host, for tests (tests/emu/emu.h).
# Included by the Makefile, whose $B, CC, SAN and so on it reads.

# Real code for these, and code of the last one that a driver translates for later GPUs.
CUDA_ARCH ?= 80 90
NVCC      ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
ifeq ($(origin CXX),default)
CXX := $(if $(filter cc,$(CC)),c++,$(subst clang,clang++,$(subst gcc,g++,$(CC))))
endif

CUDA_HOME := $(if $(filter 0,$(CUDA)),,$(patsubst %/bin/,%,$(dir $(realpath $(lastword $(NVCC))))))
CUDA_INC  := $(patsubst %/cuda_runtime.h,-isystem %,$(wildcard $(CUDA_HOME)/include/cuda_runtime.h))
CUDA_LIBS  = $(firstword $(wildcard $(CUDA_HOME)/lib64/libcudart_static.a $(CUDA_HOME)/lib/*/libcudart_static.a)) -ldl -lpthread -lrt
CUDA_CU   := $(wildcard kernels/cuda/*.cu)
CUDA_C    := $(wildcard kernels/cuda/*.c)
# What of libcommon it needs; functions that it does not use are left out.
CUDA_NEEDS = $(patsubst %,libcommon/%.c,err mem tensor quant cpus thread backend rng tree)
CUDA_PTX   = -gencode arch=compute_$(lastword $(CUDA_ARCH)),code=compute_$(lastword $(CUDA_ARCH))
CUDA_CODE  = $(foreach a,$(CUDA_ARCH),-gencode arch=compute_$a,code=sm_$a) $(if $(word 2,$(CUDA_ARCH)),$(CUDA_PTX))
# The arithmetic is that of the CPU: no fma but those that are written.
NVFLAGS    = -O3 -std=c++17 -fmad=false -prec-div=true -prec-sqrt=true -ftz=false -Xptxas -v \
             -Xcompiler -fPIC,-fvisibility=hidden,-fno-exceptions,-fno-threadsafe-statics,-ffp-contract=off \
             -Xcompiler -Wall,-Wextra,-iquote,libcommon,-iquote,kernels/cuda

comma := ,
# wgmma is for the very GPU: sm_90a in place of sm_90.
$B/kernels/cuda/half_wide.o: CUDA_CODE := $(subst compute_90$(comma)code=sm_90,compute_90a$(comma)code=sm_90a,$(CUDA_CODE))
$B/kernels/cuda/half_wide.o: NVFLAGS += $(if $(filter 90,$(CUDA_ARCH)),-DHALF_WIDE=1)

ifneq ($(CUDA_INC),)
CUDA_SO := $(if $(SAN),,$B/llm-cuda.so)
# plain: as fast as it goes; san, race: see tests/emu/emu.h. A build with sanitizers is checked already.
EMU_VARIANTS := plain $(if $(SAN),,san race)
EMU_TESTS := $(basename $(notdir $(wildcard tests/emu/*_test.c)))
EMU_PROGRAMS := $(foreach v,$(EMU_VARIANTS),$(EMU_TESTS:%=$B/emu/$v/%) $B/emu/$v/bugs)
EMU_SO := $B/llm-cuda-emu.so $B/emu/libcublasLt-emu.so $B/emu/libnvtx-emu.so $(patsubst %,$B/emu/%/llm-cuda-emu.so,$(filter-out plain,$(EMU_VARIANTS)))
else
$(if $(filter 0,$(CUDA)),,$(info no nvcc: the CUDA backend and its tests are left out))
endif

.PHONY: gpu-bench
cuda: $(CUDA_SO)
emu: $(EMU_SO) $(EMU_PROGRAMS)

# ---- the backend. What ptxas says of registers and spills is kept beside the object.
$B/kernels/cuda/%.o: override CFLAGS += -fPIC -fvisibility=hidden $(CUDA_INC)
$B/tests/emu/%.o: override CFLAGS += $(CUDA_INC) -iquote kernels/cuda
$B/%.o: %.cu Makefile kernels/cuda/cuda.mk
	$Qmkdir -p $(@D)
	$(call say,NVCC)$(NVCC) $(CUDA_CODE) $(NVFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $< >$(@:.o=.log) 2>&1 || \
	  { cat $(@:.o=.log); exit 1; }
$B/pic/%.o: %.c Makefile
	$Qmkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -ffunction-sections -MMD -MP -c -o $@ $<
CUDA_PIC = $(CUDA_NEEDS:%.c=$B/pic/%.o)
CUDA_OBJ = $(CUDA_CU:%.cu=$B/%.o) $(CUDA_C:%.c=$B/%.o)
$B/llm-cuda.so: $(CUDA_OBJ) $(CUDA_PIC) kernels/cuda/llm-cuda.map
	$(call say,LD)$(CC) -shared -o $@ $(CUDA_OBJ) $(CUDA_PIC) $(CUDA_LIBS) -Wl,--version-script=kernels/cuda/llm-cuda.map \
	  -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,defs -s

# ---- tests on a device: without the libraries that the commands need
$B/gpu/words_test: $B/tests/emu/words_test.o $B/tests/emu/words.o $B/ops.a
	$Qmkdir -p $(@D)
	$(call say,LD)$(CC) -o $@ $^ $(CUDA_LIBS) -lm
$B/gpu/cache_test $B/gpu/half_test $B/gpu/many_test: $B/gpu/%: $B/tests/emu/%.o $B/gpu/kernels.a $B/ops.a
	$(call say,LD)$(CC) -o $@ $^ $(CUDA_LIBS) -lm
GPU_TESTS = $B/gpu/words_test $B/gpu/cache_test $B/gpu/half_test $B/gpu/many_test $(patsubst tests/ops/%.c,$B/gpu/%,$(wildcard tests/ops/*_test.c))
$B/gpu/%_test: $B/tests/ops/%_test.o $B/ops.a
	$Qmkdir -p $(@D)
	$(call say,LD)$(CC) -o $@ $^ -ldl -lm -lpthread

# Needs a GPU, nvcc and a C compiler, nothing else. RESULTS: where a record of it is kept.
GPU_ARCH = $(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
RESULTS ?= examples/bench/results
.PHONY: gpu-tests gpu-check
gpu-tests: $B/llm-cuda.so $(GPU_TESTS)
gpu-check:
	$Q$(MAKE) $(JOBS) --no-print-directory B=build-gpu CUDA_ARCH=$(or $(GPU_ARCH),90) gpu-tests
	$Qsh tests/gpu-check.sh build-gpu $(RESULTS)

# ---- the same for the host
EMU_FMA   := $(if $(shell grep -m1 -wo fma /proc/cpuinfo 2>/dev/null),-mfma)
EMU_CPP    = -D_GNU_SOURCE -DGPU_EMU -DHALF_WIDE=1 $(CUDA_INC) -iquote libcommon -iquote tests/emu -iquote kernels/cuda
EMU_WARN   = -Wall -Wextra -Wno-unknown-pragmas
EMU_CXX    = $(CXX) -std=c++17 -g $(EMU_WARN) -ffp-contract=off -fno-math-errno $(EMU_FMA) -fPIC -fvisibility=hidden $(EMU_CPP)
EMU_CC     = $(CC) $(filter-out -D_GNU_SOURCE,$(CPPFLAGS)) -std=c11 -g $(WARN) -ffp-contract=off -fno-math-errno -fPIC -fvisibility=hidden $(EMU_CPP)
EMU_CHECKS = -O1 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
# of all files; of kernels; of the emulation; of the program; of arithmetic in registers, whatever the variant
EMU_plain       = $(if $(SAN),$(EMU_CHECKS),-O2)
EMU_plain_link  = $(if $(SAN),$(EMU_CHECKS))
EMU_san         = $(EMU_CHECKS)
EMU_san_link    = $(EMU_CHECKS)
EMU_race        = -O1
EMU_race_kernel = -fsanitize=thread
EMU_race_emu    = -O2 -DEMU_RACE_CHECK
EMU_race_link   =
EMU_MMA         = -O3

EMU_FILES = $(wildcard tests/emu/emu*.cpp)
define emu_variant
$B/emu/$1/%.o: %.cu Makefile kernels/cuda/cuda.mk
	$$Qmkdir -p $$(@D)
	$$(call say,CXX)$$(EMU_CXX) $$(EMU_$1) $$(EMU_$1_kernel) -MMD -MP -x c++ -c -o $$@ $$<
$B/emu/$1/%.o: %.cpp Makefile kernels/cuda/cuda.mk
	$$Qmkdir -p $$(@D)
	$$(call say,CXX)$$(EMU_CXX) $$(if $$(filter %_mma.cpp,$$<),$$(EMU_MMA),$$(EMU_$1) $$(EMU_$1_emu)) -MMD -MP -c -o $$@ $$<
$B/emu/$1/%.o: %.c Makefile kernels/cuda/cuda.mk
	$$Qmkdir -p $$(@D)
	$$(call say,CC)$$(EMU_CC) $$(EMU_$1) -MMD -MP -c -o $$@ $$<
$B/emu/$1/emu.a: $$(patsubst %.cpp,$B/emu/$1/%.o,$(if $(filter race,$1),$(EMU_FILES),$(filter-out %_race.cpp,$(EMU_FILES))))
	$$(call say,AR)rm -f $$@ && $$(AR) rcs $$@ $$^
$B/emu/$1/kernels.a: $(CUDA_CU:%.cu=$B/emu/$1/%.o) $B/emu/$1/tests/emu/words.o
	$$(call say,AR)rm -f $$@ && $$(AR) rcs $$@ $$^
$B/emu/$1/%_test: $B/emu/$1/tests/emu/%_test.o $B/emu/$1/kernels.a $B/emu/$1/emu.a $B/ops.a
	$$(call say,LD)$$(CXX) $$(EMU_$1_link) -o $$@ $$^ -ldl -lm -lpthread
$B/$(if $(filter plain,$1),,emu/$1/)llm-cuda-emu.so: $(CUDA_CU:%.cu=$B/emu/$1/%.o) $(CUDA_C:%.c=$B/emu/$1/%.o) $B/emu/$1/emu.a $(CUDA_PIC) \
		kernels/cuda/llm-cuda.map
	$$(call say,LD)$$(CXX) -shared $$(EMU_$1_link) -o $$@ $$(filter-out %.map,$$^) -Wl,--version-script=kernels/cuda/llm-cuda.map \
	  -Wl,--gc-sections $(if $(SAN)$(filter san,$1),,-Wl$(comma)-z$(comma)defs) -lpthread
$B/emu/$1/bugs: $B/emu/$1/tests/emu/bugs.o $B/emu/$1/emu.a
	$$(call say,LD)$$(CXX) $$(EMU_$1_link) -o $$@ $$^ -ldl -lm -lpthread
endef
$(foreach v,$(EMU_VARIANTS),$(eval $(call emu_variant,$v)))

# The CPU's ops, without what needs other libraries.
OPS_OBJ = $(patsubst %.c,$B/%.o,$(wildcard kernels/cpu/*.c) $(CUDA_NEEDS))
$B/ops.a: $(OPS_OBJ)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

# What stands for cuBLASLt under emulation.
$B/emu/libcublasLt-emu.so: tests/emu/cublaslt.c Makefile kernels/cuda/cuda.mk
	$Qmkdir -p $(@D)
	$(call say,CC)$(EMU_CC) $(EMU_plain) -shared -o $@ $<

# What a profiler would load for NVTX.
$B/emu/libnvtx-emu.so: tests/emu/nvtx.c Makefile
	$Qmkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(CUDA_INC) -fPIC -shared -o $@ $<

# ---- how fast a device is: kernels by themselves, and the transformer in real shapes
GPU_BENCH := $(patsubst tests/emu/%.cu,$B/gpu/%,$(wildcard tests/emu/*_bench.cu)) $B/gpu/gpu_bench
$B/gpu/kernels.a: $(CUDA_OBJ)
	$Qmkdir -p $(@D)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^
$B/gpu/gpu_bench: $B/tests/ops/gpu_bench.o $B/libcommon/forward.o $B/ops.a
	$Qmkdir -p $(@D)
	$(call say,LD)$(CC) -o $@ $^ -ldl -lm -lpthread
$B/gpu/%_bench: $B/tests/emu/%_bench.o $B/gpu/kernels.a
	$(call say,LD)$(CC) -o $@ $^ $(CUDA_LIBS) -lm
.PHONY: gpu-bench-programs
gpu-bench-programs: $B/llm-cuda.so $(GPU_BENCH)
# Needs what gpu-check needs; MODELS and TYPES narrow it. With the commands' libraries it measures
# more.
gpu-bench:
	$Q$(MAKE) $(JOBS) --no-print-directory B=build-gpu CUDA_ARCH=$(or $(GPU_ARCH),90) gpu-bench-programs
	$Q$(MAKE) $(JOBS) --no-print-directory B=build-gpu build-gpu/llm-bench >build-gpu/llm-bench.log 2>&1 || :
	$Qsh tests/gpu-bench.sh build-gpu $(RESULTS) "$(MODELS)" "$(TYPES)"

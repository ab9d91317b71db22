// emu_in.h - what the files of the emulation share among themselves.
#pragma once

#include "emu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif
#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)0)
#endif

namespace emu
{

constexpr unsigned BLOCK_MAX = 1024;   // threads
constexpr unsigned CLUSTER_MAX = 8;    // blocks
constexpr unsigned MAX_THREADS = 3072; // of a cluster
constexpr size_t STACK = 64 * 1024;
constexpr size_t STATIC_MAX = 64 * 1024;   // of static shared memory, guards included
constexpr size_t DYNAMIC_MAX = 227 * 1024; // of any capability

enum {
    EXIT_ADDRESS = 97,
    EXIT_RACE = 98,
    EXIT_MISTAKE = 99,
};

// emu.cpp
extern Fiber main_fiber;
extern unsigned block_epoch, warp_epoch[MAX_THREADS / 32]; // barriers so far
bool is_stack_or_arg(const void *p);
size_t smem_index(const void *p); // of an address of shared memory; -1: another address

// emu_fiber.cpp: stacks and the switch between them
void stacks_open(Loc at);
bool in_stacks(const void *p);
void stack_give(Fiber *f, void (*entry)()); // f will begin there
void stack_take(Fiber *f);
void stack_reset(); // none is given
void jump(Fiber *from, Fiber *to);
void jumped_first(); // first thing of an entry

// emu_mma.cpp: of a warp, p[lane] is a struct Mma
struct Mma {
    void *d;
    const uint32_t *a, *b;
};
void mma_f16_warp(void **p, unsigned mask);
void mma_bf16_warp(void **p, unsigned mask);

// emu_cudart.cpp: the device's memory is there for kernels and copies alone
void device_memory(bool open);
// What lies in device memory must lie in one allocation.
void check_range(const void *p, size_t n, const char *what);
size_t shared_limit(); // bytes of shared memory of a block

// emu_race.cpp, in builds with EMU_RACE_CHECK
#ifdef EMU_RACE_CHECK
void race_launch();
void race_block(unsigned block);
void race_read(const void *p, size_t n, const void *pc);
void race_write(const void *p, size_t n, const void *pc);
void race_alloc(void *p, size_t n);
void race_free(void *p);
#else
static inline void race_launch()
{
}
static inline void race_block(unsigned)
{
}
static inline void race_read(const void *, size_t, const void *)
{
}
static inline void race_write(const void *, size_t, const void *)
{
}
static inline void race_alloc(void *, size_t)
{
}
static inline void race_free(void *)
{
}
#endif

} // namespace emu

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

constexpr unsigned MAX_THREADS = 1024, MAX_STACKS = 8192; // of a block; of all that live at once
constexpr unsigned SMS = 4;                               // multiprocessors
constexpr size_t STACK = 64 * 1024;
constexpr size_t STATIC_MAX = 64 * 1024;   // of static shared memory, guards included
constexpr size_t DYNAMIC_MAX = 227 * 1024; // what sm_90 allows
constexpr int VARS = 64;

enum {
    EXIT_ADDRESS = 97,
    EXIT_RACE = 98,
    EXIT_MISTAKE = 99,
};

struct Slot { // a lane's place in a rendezvous
    unsigned mask;
    void *arg;
    WarpOp f;
};

struct Warp {
    unsigned exist, waiting, exited; // lanes
    Slot slot[32];
};

struct Var { // of static shared memory
    const void *key;
    size_t at, size;
};

struct Bulk { // a bulk copy under way
    uint64_t *bar;
    void *dst;
    const void *src;
    int n;
};

struct Sleeper {
    const void *at;
    unsigned fiber;
};

// What is a block's own. Static shared memory grows from 0 with guards between variables, dynamic
// memory is as long as the launch said, and not a byte longer.
struct Block {
    uint3 id;
    size_t no; // of those that are there at once
    Fiber fibers[MAX_THREADS];
    unsigned n_done;
    unsigned n_arrived, n_pred, last_pred; // at the block's barrier
    Loc barrier_at;
    unsigned ready[MAX_THREADS], first, n_ready; // a ring of fibers that may run
    Warp warps[MAX_THREADS / 32];
    unsigned char *smem, *dsmem;
    size_t smem_used;
    Var vars[VARS];
    int n_vars;
    Sleeper sleeping[MAX_THREADS];
    unsigned n_sleeping;
    std::vector<Bulk> copies;
    unsigned epoch, warp_epoch[MAX_THREADS / 32]; // barriers so far
    unsigned known, passed; // barriers of the grid: that all threads know of; that some thread does
};

// emu.cpp
extern Fiber main_fiber;
extern Block *my; // the current thread's
bool is_stack_or_arg(const void *p);
size_t smem_index(const void *p);             // of an address of shared memory; -1: another address
void sleep(const void *at, const char *name); // until somebody wakes who sleeps there
void wake(const void *at, bool all);          // all: in other blocks too
bool live_together();
size_t n_blocks_live();

// emu_fiber.cpp: stacks and the switch between them
void stacks_open(Loc at);
bool in_stacks(const void *p);
void stack_give(Fiber *f, void (*entry)()); // f will begin there
void stack_take(Fiber *f);
void jump(Fiber *from, Fiber *to);
void jumped_first(); // first thing of an entry

// emu_cudart.cpp: the device's memory is there for kernels and copies alone
void device_memory(bool open);

// emu_race.cpp, in builds with EMU_RACE_CHECK
#ifdef EMU_RACE_CHECK
void race_launch();
void race_block(unsigned first);      // of those that are there at once
void race_grid_arrive();              // the block of the current thread
void race_arrived(void *p, size_t n); // by a copy that who reads it has waited for
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
static inline void race_grid_arrive()
{
}
static inline void race_arrived(void *, size_t)
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

// emu_race.cpp - data races of kernels.
//
// Kernels are compiled with -fsanitize=thread but linked with these callbacks instead of libtsan.
// Two accesses to one byte of shared memory conflict when different threads made them, one wrote,
// and no barrier lies between; in global memory likewise, and between the blocks of a launch
// whatever the barriers. So one run in any order finds them. A kernel that touches memory of the
// host is found as well. Known gaps: __syncwarp of some lanes counts for the whole warp.
#include "emu_in.h"

#include <map>

namespace emu
{

// thread WARP + w: several readers, of warp w; MANY: of several warps
enum { WARP = 0x8000, MANY = 0xffff, REPORTS = 4 };

// Of the program or shared object that this is in; addresses of code are said from its beginning
// on, as addr2line -i -e FILE wants them.
extern const char image_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char image_end[] __asm__("_end") __attribute__((visibility("hidden")));

static size_t code(const void *pc)
{
    return (size_t)((const char *)pc - image_begin);
}

struct Access {
    uint32_t launch, block, epoch;
    uint16_t thread, warp_epoch;
    const void *pc;
};

struct Cell { // the last that wrote, the last that read
    Access w, r;
};

// Most memory is used by whole words, so that is how it is kept until somebody uses less.
struct Word {
    Cell all;
    Cell *bytes; // of each, where they differ; null otherwise
};

struct Shadow { // of n bytes
    const char *p;
    size_t n;
    Word *words;
};

static int on = -1;
static Word *shared_words;
static uint32_t launch_no, block_no;
static std::map<const char *, Shadow> allocations; // by their end
static Shadow near[64];                            // what was found last for addresses like it
static int reports;

static bool is_on()
{
    if (on < 0)
        on = getenv("EMU_RACE") != nullptr;
    return on;
}

void race_launch()
{
    launch_no++;
    if (is_on() && !shared_words)
        shared_words =
            (Word *)calloc((STATIC_MAX + CLUSTER_MAX * (DYNAMIC_MAX + 2048)) / 4, sizeof(Word));
}

void race_block(unsigned block)
{
    block_no = block + 1;
}

void race_alloc(void *p, size_t n)
{
    if (is_on())
        allocations[(char *)p + n] = {(char *)p, n, (Word *)calloc((n + 3) / 4, sizeof(Word))};
}

void race_free(void *p)
{
    memset(near, 0, sizeof(near));
    for (auto i = allocations.begin(); i != allocations.end(); ++i) {
        const Shadow &s = i->second;

        if (s.p != p)
            continue;
        for (size_t w = 0; w < (s.n + 3) / 4; w++)
            free(s.words[w].bytes);
        free(s.words);
        allocations.erase(i);
        return;
    }
}

// The word that an address lies in, and how many bytes from the address on have one.
static Word *word_of(const void *p, bool *shared, size_t *n)
{
    size_t at = smem_index(p);
    Shadow *s = &near[(uintptr_t)p >> 12 & 63];

    *shared = at != ~(size_t)0;
    *n = ~(size_t)0;
    if (*shared)
        return &shared_words[at / 4];
    at = (size_t)((const char *)p - s->p);
    if (at >= s->n) {
        auto i = allocations.upper_bound((const char *)p);

        if (i == allocations.end() || (const char *)p < i->second.p)
            return nullptr;
        *s = i->second;
        at = (size_t)((const char *)p - s->p);
    }
    *n = s->n - at;
    return &s->words[at / 4];
}

// The current thread among those of the cluster.
static unsigned mine()
{
    return cur->warp * 32 + cur->lane;
}

static unsigned warp_of(const Access &a)
{
    return a.thread & WARP ? a.thread - (unsigned)WARP : a.thread / 32u;
}

// Does a, made earlier, come before what the current thread does now?
static bool ordered(const Access &a, bool shared)
{
    if (a.launch != launch_no)
        return true;
    if (a.block != block_no)
        return shared; // shared memory is the block's own
    if (a.thread == mine() || a.epoch != block_epoch)
        return true;
    return a.thread != MANY && warp_of(a) == cur->warp &&
           a.warp_epoch != (uint16_t)warp_epoch[cur->warp];
}

static void finish()
{
    _Exit(EXIT_RACE);
}

static void report(const char *what, Cell *c, bool write, const void *p, bool shared,
                   const void *pc)
{
    const Access &a = write ? c->w : c->r;

    if (!reports)
        atexit(finish); // whatever the program's own status
    fflush(stdout);
    fprintf(stderr,
            "emu: RACE on %s memory %p: block (%u,%u,%u) thread %u %s at 0x%zx; before it, block "
            "%u thread %d at 0x%zx\n",
            shared ? "shared" : "global", p, bid.x, bid.y, bid.z, mine(), what, code(pc),
            a.block - 1, a.thread & WARP ? -1 : a.thread, code(a.pc));
    c->w.launch = c->r.launch = 0;
    if (++reports >= REPORTS)
        _Exit(EXIT_RACE);
}

// A thread's own, or constants.
static bool is_apart(const void *p)
{
    return ((const char *)p >= image_begin && (const char *)p < image_end) || is_stack_or_arg(p);
}

static void stray(const void *p, bool write, const void *pc)
{
    fflush(stdout);
    fprintf(stderr, "emu: a kernel %s memory of the host, or none, %p, at 0x%zx\n",
            write ? "writes" : "reads", p, code(pc));
    _Exit(EXIT_RACE);
}

// Is it a race? If not, the cell learns of it.
static bool races(Cell *c, const Access &me, bool write, bool shared, const void *p)
{
    if (!ordered(c->w, shared)) {
        report(write ? "writes what it wrote" : "reads what it wrote", c, true, p, shared, me.pc);
        return true;
    }
    if (write && !ordered(c->r, shared)) {
        report("writes what it read", c, false, p, shared, me.pc);
        return true;
    }
    if (write)
        c->w = me;
    else if (ordered(c->r, shared))
        c->r = me;
    else if (c->r.thread != mine())
        c->r.thread = c->r.thread != MANY && c->r.block == block_no && warp_of(c->r) == cur->warp
                          ? (uint16_t)(WARP + cur->warp)
                          : (uint16_t)MANY;
    return false;
}

static void access(const void *p, size_t n, bool write, const void *pc)
{
    bool shared;
    size_t room, from = (uintptr_t)p % 4;
    const char *at = (const char *)p - from;
    Word *w;

    if (!cur || !is_on() || is_apart(p))
        return;
    w = word_of(p, &shared, &room);
    if (!w || n > room)
        stray((const char *)p + (w ? room : 0), write, pc);
    Access me = {
        launch_no, block_no, block_epoch, (uint16_t)mine(), (uint16_t)warp_epoch[cur->warp], pc};

    for (n += from; n; w++, at += 4, from = 0) {
        size_t to = n < 4 ? n : 4;
        bool whole = !from && to == 4;

        n -= to;
        if (whole && !w->bytes) {
            if (races(&w->all, me, write, shared, at))
                return;
            continue;
        }
        if (!w->bytes) {
            w->bytes = (Cell *)malloc(4 * sizeof(Cell));
            for (int i = 0; i < 4; i++)
                w->bytes[i] = w->all;
        }
        for (size_t i = from; i < to; i++)
            if (races(w->bytes + i, me, write, shared, at + i))
                return;
        if (whole && write) { // all reads come before it, so what comes behind it comes behind them
            free(w->bytes);
            *w = {{me, {}}, nullptr};
        }
    }
}

void race_read(const void *p, size_t n, const void *pc)
{
    access(p, n, false, pc);
}

void race_write(const void *p, size_t n, const void *pc)
{
    access(p, n, true, pc);
}

} // namespace emu

#define PC __builtin_return_address(0)
#define RW(N)                               \
    void __tsan_read##N(void *p)            \
    {                                       \
        emu::access(p, N, false, PC);       \
    }                                       \
    void __tsan_write##N(void *p)           \
    {                                       \
        emu::access(p, N, true, PC);        \
    }                                       \
    void __tsan_unaligned_read##N(void *p)  \
    {                                       \
        emu::access(p, N, false, PC);       \
    }                                       \
    void __tsan_unaligned_write##N(void *p) \
    {                                       \
        emu::access(p, N, true, PC);        \
    }                                       \
    void __tsan_volatile_read##N(void *)    \
    {                                       \
    }                                       \
    void __tsan_volatile_write##N(void *)   \
    {                                       \
    }

extern "C" {
RW(1)
RW(2)
RW(4)
RW(8)
RW(16)
void __tsan_read_range(void *p, size_t n)
{
    emu::access(p, n, false, PC);
}
void __tsan_write_range(void *p, size_t n)
{
    emu::access(p, n, true, PC);
}
void *__tsan_memcpy(void *d, const void *s, size_t n)
{
    emu::access(s, n, false, PC);
    emu::access(d, n, true, PC);
    return memcpy(d, s, n);
}
void *__tsan_memmove(void *d, const void *s, size_t n)
{
    emu::access(s, n, false, PC);
    emu::access(d, n, true, PC);
    return memmove(d, s, n);
}
void *__tsan_memset(void *d, int v, size_t n)
{
    emu::access(d, n, true, PC);
    return memset(d, v, n);
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit()
{
}
void __tsan_init()
{
}
void __tsan_vptr_update(void **, void *)
{
}
}

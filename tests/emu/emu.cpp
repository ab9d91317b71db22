// emu.cpp - blocks of fibers: launch, scheduling, rendezvous, shared memory. See emu.h.
#include "emu_in.h"

#include <map>

namespace emu
{

constexpr size_t GUARD = 64;
constexpr int GUARD_BYTE = 0xfe, VARS = 64;

Fiber *cur, main_fiber;
uint3 bid;
dim3 bdim, gdim;
unsigned block_epoch, warp_epoch[MAX_THREADS / 32];

static Fiber fibers[MAX_THREADS];
static unsigned n_threads, n_done;            // of a block, or of a cluster's blocks
static unsigned cluster;                      // blocks
static unsigned first_x;                      // blockIdx.x of the first of them
static unsigned n_arrived, n_pred, last_pred; // at the block's barrier
static Loc barrier_at;
static unsigned ready[MAX_THREADS], first, n_ready; // a ring of fibers that may run
static bool shuffle;                                // EMU_SEED
static uint64_t random_state;
static FILE *launches; // EMU_LAUNCHES
static void (*call)(void *);
static void *call_arg;
static size_t call_size;

struct Slot { // a lane's place in a rendezvous
    unsigned mask;
    void *arg;
    WarpOp f;
};
static struct Warp {
    unsigned exist, waiting, exited; // lanes
    Slot slot[32];
} warps[MAX_THREADS / 32];

// The block's shared memory: static variables grow from 0 with guards between them, dynamic
// memory is as long as the launch said, and not a byte longer.
struct Var {
    const void *key;
    size_t at, size;
};
static unsigned char *smem, *dsmem;
static size_t smem_used, dsmem_size, dsmem_room; // dsmem_room: from one block's to the next one's
static Var vars[VARS];
static int n_vars;

void die(Loc at, const char *fmt, ...)
{
    va_list a;

    fflush(stdout);
    fprintf(stderr, "emu: %s:%d: block (%u,%u,%u) ", at.file, at.line, bid.x, bid.y, bid.z);
    if (cur)
        fprintf(stderr, "thread (%u,%u,%u): ", cur->tid.x, cur->tid.y, cur->tid.z);
    va_start(a, fmt);
    vfprintf(stderr, fmt, a);
    va_end(a);
    fputc('\n', stderr);
    _Exit(EXIT_MISTAKE);
}

// ---- scheduling

static unsigned pick(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 20) % n);
}

static void push(unsigned f)
{
    ready[(first + n_ready++) % MAX_THREADS] = f;
}

// In turn; or, with a seed, mostly the newest, so that one warp runs far ahead of the others.
static Fiber *peek()
{
    unsigned *last = &ready[(first + n_ready - 1) % MAX_THREADS];

    if (!shuffle)
        return &fibers[ready[first]];
    if (pick(256) == 0)
        std::swap(*last, ready[(first + pick(n_ready)) % MAX_THREADS]);
    return &fibers[*last];
}

static void drop()
{
    n_ready--;
    if (!shuffle)
        first = (first + 1) % MAX_THREADS;
}

[[noreturn]] static void deadlock()
{
    std::map<std::pair<int, const char *>, std::vector<unsigned>> by;

    fflush(stdout);
    fprintf(stderr, "emu: block (%u,%u,%u): no thread can run\n", bid.x, bid.y, bid.z);
    for (unsigned i = 0; i < n_threads; i++) {
        const Fiber &f = fibers[i];

        by[f.done ? std::make_pair(0, "nothing: returned") : std::make_pair(f.at.line, f.op)]
            .push_back(i);
    }
    for (auto &e : by)
        fprintf(stderr, "  %zu threads (first %u, last %u) wait for %s, line %d\n", e.second.size(),
                e.second.front(), e.second.back(), e.first.second, e.first.first);
    _Exit(EXIT_MISTAKE);
}

static void fiber_main();

static void turn(Fiber *f)
{
    cur = f;
    bid.x = first_x + f->rank;
}

// Leave me, run another.
static void next(Fiber *me)
{
    Fiber *n;

    if (!n_ready) {
        if (n_done != n_threads)
            deadlock();
        jump(me, &main_fiber);
        return;
    }
    n = peek();
    drop();
    if (!n->stack)
        stack_give(n, fiber_main);
    turn(n);
    jump(me, n);
}

// A thread that returns lends its stack to the next one that has not begun: no switch.
static void fiber_main()
{
    jumped_first();
    for (;;) {
        Fiber *me, *n;

        call(call_arg);
        me = cur;
        me->done = true;
        n_done++;
        warps[me->warp].exited |= 1u << me->lane;
        if (!me->pending.empty())
            die({"?", 0}, "returned with a cp.async that was not waited for");
        if (n_arrived)
            die(barrier_at, "returned while %u threads wait at this barrier", n_arrived);
        n = n_ready ? peek() : nullptr;
        if (!n || n->stack) {
            stack_take(me);
            next(me);
            continue;
        }
        drop();
        n->stack = me->stack;
        turn(n);
    }
}

// ---- rendezvous

void warp_op(unsigned mask, void *arg, WarpOp f, const char *name, Loc at)
{
    Fiber *me = cur, *lane0 = me - me->lane;
    Warp &w = warps[me->warp];
    unsigned bit = 1u << me->lane;
    void *args[32];

    mask &= w.exist;
    if (!(mask & bit))
        die(at, "%s: this lane is not in its own mask %08x", name, mask);
    if (mask & w.exited)
        die(at, "%s: mask %08x names lanes that have returned (%08x)", name, mask, w.exited);
    me->op = name;
    me->at = at;
    w.slot[me->lane] = {mask, arg, f};
    w.waiting |= bit;
    if ((w.waiting & mask) != mask) {
        next(me);
        return;
    }
    for (unsigned l = 0; l < 32; l++) {
        const Slot &s = w.slot[l];

        if (!(mask >> l & 1))
            continue;
        if (s.mask != mask || s.f != f || lane0[l].at.line != at.line)
            die(at, "%s: lane %u is at %s, line %d, with mask %08x instead of %08x", name, l,
                lane0[l].op, lane0[l].at.line, s.mask, mask);
        args[l] = s.arg;
    }
    if (f)
        f(args, mask);
    else
        warp_epoch[me->warp]++; // nothing but __syncwarp orders memory
    w.waiting &= ~mask;
    for (unsigned l = 0; l < 32; l++)
        if (mask >> l & 1 && l != me->lane)
            push((unsigned)(lane0 + l - fibers));
}

int block_op(int pred, const char *name, Loc at)
{
    Fiber *me = cur;

    me->op = name;
    me->at = at;
    n_pred += pred != 0;
    if (cluster > 1 && strcmp(name, "cluster_sync"))
        die(at, "%s in a cluster, which is not emulated", name);
    if (n_arrived && (barrier_at.line != at.line || strcmp(barrier_at.file, at.file)))
        die(at, "%s, while %u threads wait at another barrier, %s:%d", name, n_arrived,
            barrier_at.file, barrier_at.line);
    barrier_at = at;
    if (++n_arrived < n_threads) {
        if (n_done)
            die(at, "%s: %u threads of the block have returned", name, n_done);
        next(me);
        return (int)last_pred;
    }
    last_pred = n_pred;
    n_arrived = n_pred = 0;
    block_epoch++;
    for (unsigned i = 0; i < n_threads; i++)
        if (&fibers[i] != me)
            push(i);
    return (int)last_pred;
}

// An mbarrier of one arrival is the number of its phases that have ended.
struct Sleeper {
    const uint64_t *at;
    unsigned fiber;
};
static Sleeper sleeping[MAX_THREADS];
static unsigned n_sleeping;

static void wake(const uint64_t *b)
{
    unsigned keep = 0;

    for (unsigned i = 0; i < n_sleeping; i++)
        if (sleeping[i].at == b)
            push(sleeping[i].fiber);
        else
            sleeping[keep++] = sleeping[i];
    n_sleeping = keep;
}

static void sleep(const uint64_t *b, const char *op)
{
    Fiber *me = cur;

    me->op = op;
    me->at = {"gpu.h", 0};
    sleeping[n_sleeping++] = {b, (unsigned)(me - fibers)};
    next(me);
}

__attribute__((no_sanitize("thread"))) void mbar_init(uint64_t *b)
{
    *b = 0;
}

__attribute__((no_sanitize("thread"))) void mbar_arrive(uint64_t *b)
{
    ++*b;
    wake(b);
}

__attribute__((no_sanitize("thread"))) void mbar_wait(uint64_t *b, unsigned parity)
{
    while ((*b & 1) == parity)
        sleep(b, "mbar_wait");
}

// One of several arrivals and of bytes.
struct Bar {
    uint8_t phases, count, left, none;
    int32_t bytes;
};
static_assert(sizeof(Bar) == sizeof(uint64_t), "");

static void bar_step(Bar *b)
{
    if (b->left || b->bytes)
        return;
    b->phases++;
    b->left = b->count;
    wake((const uint64_t *)b);
}

// The same place of another block's memory.
template <class T> static T *there(T *p, unsigned rank)
{
    return (T *)((char *)p + ((ptrdiff_t)rank - (ptrdiff_t)cur->rank) * (ptrdiff_t)dsmem_room);
}

void bar_init(uint64_t *p, int count)
{
    *(Bar *)p = {0, (uint8_t)count, (uint8_t)count, 0, 0};
}

void bar_arrive(uint64_t *p, unsigned rank, int more_bytes)
{
    Bar *b = (Bar *)there(p, rank);

    if (rank >= cluster || !b->left)
        die({"gpu_90a.h", 0}, "an arrival too many, or at block %u of the cluster", rank);
    b->left--;
    b->bytes += more_bytes;
    bar_step(b);
}

void bar_wait(uint64_t *p, unsigned parity)
{
    while ((((Bar *)p)->phases & 1) == parity)
        sleep(p, "bar_wait");
}

// What comes to a block's memory by itself, and is counted there.
static void bring(void *to, const void *from, size_t bytes, uint64_t *bar, unsigned rank)
{
    Bar *b = (Bar *)there(bar, rank);

    if (rank >= cluster || (uintptr_t)to % 16 || shared_offset(to) + bytes > dsmem_size)
        die({"gpu_90a.h", 0}, "%zu bytes beyond the shared memory of block %u, or misaligned",
            bytes, rank);
    memcpy(there(to, rank), from, bytes);
    b->bytes -= (int32_t)bytes;
    bar_step(b);
}

void bulk_copy(void *to, const void *from, size_t bytes, uint64_t *bar)
{
    if ((uintptr_t)from % 16 || bytes % 16)
        die({"bulk_copy", 0}, "misaligned copy of %zu bytes, %p <- %p", bytes, to, from);
    race_read(from, bytes, __builtin_return_address(0));
    bring(to, from, bytes, bar, cur->rank);
}

void send(void *to, uint64_t *bar, unsigned rank, const float v[4])
{
    bring(to, v, 16, bar, rank);
}

// ---- shared memory

void *shared_var(const void *key, size_t size, size_t align, Loc at)
{
    size_t where = (smem_used + align - 1) / align * align;

    for (int i = 0; i < n_vars; i++)
        if (vars[i].key == key)
            return smem + vars[i].at;
    if (n_vars == VARS || where + size + GUARD > STATIC_MAX)
        die(at, "more than %d static shared variables or %zu bytes of them", VARS, STATIC_MAX);
    vars[n_vars++] = {key, where, size};
    ASAN_UNPOISON_MEMORY_REGION(smem + where, size);
    memset(smem + where, 0xff, size);
    smem_used = where + size + GUARD;
    return smem + where;
}

void *dyn_shared()
{
    return dsmem + cur->rank * dsmem_room;
}

size_t shared_offset(const void *p)
{
    return (size_t)((const unsigned char *)p - (const unsigned char *)dyn_shared());
}

size_t smem_index(const void *p)
{
    size_t i = (size_t)((const unsigned char *)p - smem),
           k = (size_t)((const unsigned char *)p - dsmem);

    return i < STATIC_MAX ? i : k < cluster * dsmem_room ? STATIC_MAX + k : ~(size_t)0;
}

#ifndef EMU_ASAN
static void check_guards(Loc at)
{
    for (int i = 0; i < n_vars; i++) {
        size_t end = vars[i].at + vars[i].size,
               next_at = i + 1 < n_vars ? vars[i + 1].at : smem_used;

        for (size_t k = end; k < end + GUARD && k < next_at; k++)
            if (smem[k] != GUARD_BYTE)
                die(at, "static shared variable %d was overrun by byte %zu", i, k - end);
    }
}
#endif

static size_t static_size()
{
    size_t n = 0;

    for (int i = 0; i < n_vars; i++)
        n += vars[i].size;
    return n;
}

// Lanes read each other's operands, on their stacks.
bool is_stack_or_arg(const void *p)
{
    return (size_t)((const char *)p - (const char *)call_arg) < call_size || in_stacks(p);
}

// ---- launch

static void setup(Loc at)
{
    const char *seed = getenv("EMU_SEED"), *list = getenv("EMU_LAUNCHES");

    stacks_open(at);
    smem = (unsigned char *)aligned_alloc(1024, STATIC_MAX);
    if (!smem)
        die(at, "no memory");
    if (seed) {
        shuffle = true;
        random_state = strtoull(seed, nullptr, 0) * 0x9e3779b97f4a7c15u + 1;
    }
    if (list && !(launches = fopen(list, "a")))
        die(at, "cannot write %s", list);
}

static void begin_block(dim3 block)
{
    n_done = n_arrived = n_pred = first = n_ready = n_sleeping = 0;
    block_epoch = 1;
    n_vars = 0;
#ifdef EMU_ASAN
    ASAN_POISON_MEMORY_REGION(smem, STATIC_MAX);
#else
    memset(smem, GUARD_BYTE, smem_used + GUARD < STATIC_MAX ? smem_used + GUARD : STATIC_MAX);
#endif
    smem_used = 0;
    for (unsigned i = 0; i < cluster; i++)
        memset(dsmem + i * dsmem_room, 0xff, dsmem_size);
    stack_reset();
    for (unsigned i = 0; i < n_threads; i++) {
        Fiber &t = fibers[i];

        t.rank = i / (n_threads / cluster);
        t.lin = i % (n_threads / cluster);
        t.tid = {t.lin % block.x, t.lin / block.x % block.y, t.lin / block.x / block.y};
        t.lane = i % 32;
        t.warp = i / 32;
        t.done = false;
        t.stack = nullptr;
        t.op = nullptr;
        t.at = {nullptr, 0};
        t.groups.clear();
        push(i);
    }
    for (unsigned w = 0; w * 32 < n_threads; w++) {
        unsigned n = std::min(32u, n_threads - w * 32);

        warps[w].exist = n == 32 ? ~0u : (1u << n) - 1;
        warps[w].waiting = warps[w].exited = 0;
        warp_epoch[w] = 1;
    }
    for (unsigned i = n_threads; shuffle && i > 1; i--)
        std::swap(ready[i - 1], ready[pick(i)]);
}

static void check_shape(dim3 grid, dim3 block, size_t dynamic, Loc at)
{
    n_threads = block.x * block.y * block.z * cluster;
    if (!n_threads || n_threads > BLOCK_MAX * cluster || n_threads > MAX_THREADS || block.z > 64 ||
        cluster > CLUSTER_MAX || (cluster > 1 && (n_threads / cluster % 32 || grid.x % cluster)))
        die(at, "a block of %u x %u x %u threads", block.x, block.y, block.z);
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
        die(at, "a grid of %u x %u x %u blocks", grid.x, grid.y, grid.z);
    if (dynamic > shared_limit())
        die(at, "%zu bytes of dynamic shared memory", dynamic);
}

void launch(dim3 grid, unsigned group, dim3 block, size_t dynamic, void (*f)(void *), void *arg,
            size_t arg_size, Loc at)
{
    size_t room = (dynamic + 2047) / 1024 * 1024, n_blocks;

    cur = nullptr;
    bid = {0, 0, 0};
    cluster = group;
    if (!smem)
        setup(at);
    check_shape(grid, block, dynamic, at);
    if (launches)
        fprintf(launches, "%s\n", at.file);
    dsmem_size = dynamic;
    dsmem_room = room;
    dsmem = (unsigned char *)aligned_alloc(1024, cluster * room);
    if (!dsmem)
        die(at, "no memory");
    for (unsigned i = 0; i < cluster; i++)
        ASAN_POISON_MEMORY_REGION(dsmem + i * room + dynamic, room - dynamic);
    bdim = block;
    gdim = grid;
    call = f;
    call_arg = arg;
    call_size = arg_size;
    smem_used = STATIC_MAX - GUARD; // all of it is filled for the first block
    race_launch();
    device_memory(true);
    n_blocks = (size_t)grid.x * grid.y * grid.z;
    for (size_t b = 0; b < n_blocks; b += cluster) {
        first_x = (unsigned)(b % grid.x);
        bid = {(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
               (unsigned)(b / grid.x / grid.y)};
        begin_block(block);
        race_block((unsigned)b);
        main_fiber.done = false;
        next(&main_fiber);
        cur = nullptr;
#ifndef EMU_ASAN
        check_guards(at);
#endif
        if (static_size() > 48 * 1024)
            die(at, "%zu bytes of static shared memory", static_size());
        if (dynamic <= 32 * 1024 && dynamic + static_size() > 48 * 1024) // gpu.h: not asked for
            die(at, "%zu bytes of shared memory, %zu of them static", dynamic + static_size(),
                static_size());
        if (dynamic + static_size() > shared_limit())
            die(at, "%zu bytes of shared memory", dynamic + static_size());
    }
    free(dsmem);
    device_memory(false);
}

} // namespace emu

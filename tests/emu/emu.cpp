// emu.cpp - blocks of fibers: launch, scheduling, rendezvous, shared memory. See emu.h.
#include "emu_in.h"

#include <map>

namespace emu
{

constexpr size_t GUARD = 64;
constexpr int GUARD_BYTE = 0xfe;

Fiber *cur, main_fiber;
Block *my;
uint3 bid;
dim3 bdim, gdim;

// Those that are there at once: one, or all of a launch of all together.
static std::vector<Block *> &blocks = *new std::vector<Block *>;
static unsigned n_threads, n_live; // of a block; of all that have not returned
static bool together;
static bool shuffle; // EMU_SEED
static uint64_t random_state;
static void (*call)(void *);
static void *call_arg;
static size_t call_size;
static size_t dsmem_size;

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
    my->ready[(my->first + my->n_ready++) % MAX_THREADS] = f;
}

// In turn; or, with a seed, mostly the newest, so that one warp runs far ahead of the others.
static Fiber *peek()
{
    unsigned *last = &my->ready[(my->first + my->n_ready - 1) % MAX_THREADS];

    if (!shuffle)
        return &my->fibers[my->ready[my->first]];
    if (pick(256) == 0)
        std::swap(*last, my->ready[(my->first + pick(my->n_ready)) % MAX_THREADS]);
    return &my->fibers[*last];
}

static void drop()
{
    my->n_ready--;
    if (!shuffle)
        my->first = (my->first + 1) % MAX_THREADS;
}

[[noreturn]] static void deadlock()
{
    std::map<std::pair<int, const char *>, std::vector<unsigned>> by;

    fflush(stdout);
    fprintf(stderr, "emu: no thread can run\n");
    for (Block *b : blocks) {
        by.clear();
        for (unsigned i = 0; i < n_threads; i++) {
            const Fiber &f = b->fibers[i];

            by[f.done ? std::make_pair(0, "nothing: returned") : std::make_pair(f.at.line, f.op)]
                .push_back(i);
        }
        for (auto &e : by)
            fprintf(stderr,
                    "  block (%u,%u,%u): %zu threads (first %u, last %u) wait for %s, line %d\n",
                    b->id.x, b->id.y, b->id.z, e.second.size(), e.second.front(), e.second.back(),
                    e.first.second, e.first.first);
    }
    _Exit(EXIT_MISTAKE);
}

// Blocks take turns where one has nothing to do; that which is next is any of them, with a seed.
static void enter(Block *b)
{
    my = b;
    bid = b->id;
}

static bool other_block()
{
    size_t n = blocks.size(), from = shuffle && n > 1 ? pick((unsigned)n) : my->no + 1;

    for (size_t i = 0; i < n; i++)
        if (blocks[(from + i) % n]->n_ready) {
            enter(blocks[(from + i) % n]);
            return true;
        }
    return false;
}

static void fiber_main();

// Leave me, run another.
static void next(Fiber *me)
{
    Fiber *n;

    if (!my->n_ready && !other_block()) {
        if (n_live)
            deadlock();
        jump(me, &main_fiber);
        return;
    }
    n = peek();
    drop();
    if (!n->stack)
        stack_give(n, fiber_main);
    cur = n;
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
        my->n_done++;
        n_live--;
        my->warps[me->warp].exited |= 1u << me->lane;
        if (!me->pending.empty())
            die({"?", 0}, "returned with a cp.async that was not waited for");
        if (my->n_arrived)
            die(my->barrier_at, "returned while %u threads wait at this barrier", my->n_arrived);
        n = my->n_ready ? peek() : nullptr;
        if (!n || n->stack) {
            stack_take(me);
            next(me);
            continue;
        }
        drop();
        n->stack = me->stack;
        cur = n;
    }
}

// ---- rendezvous

void warp_op(unsigned mask, void *arg, WarpOp f, const char *name, Loc at)
{
    Fiber *me = cur, *lane0 = me - me->lane;
    Warp &w = my->warps[me->warp];
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
        my->warp_epoch[me->warp]++; // nothing but __syncwarp orders memory
    w.waiting &= ~mask;
    for (unsigned l = 0; l < 32; l++)
        if (mask >> l & 1 && l != me->lane)
            push((unsigned)(lane0 + l - my->fibers));
}

int block_op(int pred, const char *name, Loc at)
{
    Fiber *me = cur;

    me->op = name;
    me->at = at;
    my->n_pred += pred != 0;
    if (my->n_arrived && (my->barrier_at.line != at.line || strcmp(my->barrier_at.file, at.file)))
        die(at, "%s, while %u threads wait at another barrier, %s:%d", name, my->n_arrived,
            my->barrier_at.file, my->barrier_at.line);
    my->barrier_at = at;
    if (++my->n_arrived < n_threads) {
        if (my->n_done)
            die(at, "%s: %u threads of the block have returned", name, my->n_done);
        next(me);
        return (int)my->last_pred;
    }
    my->last_pred = my->n_pred;
    my->n_arrived = my->n_pred = 0;
    my->epoch++;
    my->known = my->passed;
    for (unsigned i = 0; i < n_threads; i++)
        if (&my->fibers[i] != me)
            push(i);
    return (int)my->last_pred;
}

void sleep(const void *at, const char *name)
{
    Fiber *me = cur;

    me->op = name;
    me->at = {"gpu.h", 0};
    my->sleeping[my->n_sleeping++] = {at, me->lin};
    next(me);
}

void wake(const void *at, bool all)
{
    Block *me = my;

    for (Block *b : blocks) {
        unsigned keep = 0;

        if (!all && b != me)
            continue;
        my = b;
        for (unsigned i = 0; i < b->n_sleeping; i++)
            if (b->sleeping[i].at == at)
                push(b->sleeping[i].fiber);
            else
                b->sleeping[keep++] = b->sleeping[i];
        b->n_sleeping = keep;
    }
    my = me;
}

bool live_together()
{
    return together;
}

size_t n_blocks_live()
{
    return blocks.size();
}

// ---- shared memory

void *shared_var(const void *key, size_t size, size_t align, Loc at)
{
    size_t where = (my->smem_used + align - 1) / align * align;

    for (int i = 0; i < my->n_vars; i++)
        if (my->vars[i].key == key)
            return my->smem + my->vars[i].at;
    if (my->n_vars == VARS || where + size + GUARD > STATIC_MAX)
        die(at, "more than %d static shared variables or %zu bytes of them", VARS, STATIC_MAX);
    my->vars[my->n_vars++] = {key, where, size};
    ASAN_UNPOISON_MEMORY_REGION(my->smem + where, size);
    memset(my->smem + where, 0xff, size);
    my->smem_used = where + size + GUARD;
    return my->smem + where;
}

void *dyn_shared()
{
    return my->dsmem;
}

size_t smem_index(const void *p)
{
    size_t i = (size_t)((const unsigned char *)p - my->smem),
           k = (size_t)((const unsigned char *)p - my->dsmem);

    return i < STATIC_MAX ? i : k < dsmem_size ? STATIC_MAX + k : ~(size_t)0;
}

#ifndef EMU_ASAN
static void check_guards(Loc at)
{
    for (int i = 0; i < my->n_vars; i++) {
        size_t end = my->vars[i].at + my->vars[i].size,
               next_at = i + 1 < my->n_vars ? my->vars[i + 1].at : my->smem_used;

        for (size_t k = end; k < end + GUARD && k < next_at; k++)
            if (my->smem[k] != GUARD_BYTE)
                die(at, "static shared variable %d was overrun by byte %zu", i, k - end);
    }
}
#endif

// Lanes read each other's operands, on their stacks; and who they are.
bool is_stack_or_arg(const void *p)
{
    return (size_t)((const char *)p - (const char *)my) < sizeof(*my) ||
           (size_t)((const char *)p - (const char *)call_arg) < call_size || in_stacks(p);
}

// ---- launch

// As on sm_90, but for registers.
size_t blocks_at_once(int threads, size_t dynamic)
{
    return SMS * std::min((size_t)(2048 / threads), 228 * 1024 / (dynamic + 1024));
}

static Block *new_block(Loc at)
{
    Block *b = new Block();

    b->smem = (unsigned char *)aligned_alloc(1024, STATIC_MAX);
    if (!b->smem)
        die(at, "no memory");
    b->smem_used = STATIC_MAX - GUARD; // all of it is filled at first
    return b;
}

static void setup(Loc at)
{
    const char *seed = getenv("EMU_SEED");

    stacks_open(at);
    if (seed) {
        shuffle = true;
        random_state = strtoull(seed, nullptr, 0) * 0x9e3779b97f4a7c15u + 1;
    }
}

static void begin_block(dim3 block)
{
    my->n_done = my->n_arrived = my->n_pred = my->first = my->n_ready = my->n_sleeping = 0;
    my->epoch = 1;
    my->known = my->passed = 0;
    my->n_vars = 0;
#ifdef EMU_ASAN
    ASAN_POISON_MEMORY_REGION(my->smem, STATIC_MAX);
#else
    memset(my->smem, GUARD_BYTE, std::min(my->smem_used + GUARD, STATIC_MAX));
#endif
    my->smem_used = 0;
    memset(my->dsmem, 0xff, dsmem_size);
    n_live += n_threads;
    for (unsigned i = 0; i < n_threads; i++) {
        Fiber &t = my->fibers[i];

        t.tid = {i % block.x, i / block.x % block.y, i / block.x / block.y};
        t.lin = i;
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

        my->warps[w].exist = n == 32 ? ~0u : (1u << n) - 1;
        my->warps[w].waiting = my->warps[w].exited = 0;
        my->warp_epoch[w] = 1;
    }
    for (unsigned i = n_threads; shuffle && i > 1; i--)
        std::swap(my->ready[i - 1], my->ready[pick(i)]);
}

static void end_block(Loc at)
{
#ifndef EMU_ASAN
    check_guards(at);
#endif
    if (my->smem_used > 48 * 1024)
        die(at, "%zu bytes of static shared memory", my->smem_used);
    if (!my->copies.empty())
        die(at, "a block returned with copies under way that nobody waits for");
}

static void check_shape(dim3 grid, dim3 block, size_t dynamic, Loc at)
{
    n_threads = block.x * block.y * block.z;
    if (!n_threads || n_threads > MAX_THREADS || block.z > 64)
        die(at, "a block of %u x %u x %u threads", block.x, block.y, block.z);
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
        die(at, "a grid of %u x %u x %u blocks", grid.x, grid.y, grid.z);
    if (dynamic > DYNAMIC_MAX)
        die(at, "%zu bytes of dynamic shared memory", dynamic);
}

// Room for the blocks that are there at once.
static void open_blocks(size_t n, size_t dynamic, Loc at)
{
    static std::vector<Block *> &pool = *new std::vector<Block *>; // for good
    size_t room = (dynamic + 2047) / 1024 * 1024;

    if (n * n_threads > MAX_STACKS)
        die(at, "%zu blocks of %u threads at once", n, n_threads);
    while (pool.size() < n)
        pool.push_back(new_block(at));
    blocks.assign(pool.begin(), pool.begin() + (long)n);
    dsmem_size = dynamic;
    for (size_t i = 0; i < n; i++) {
        Block *b = blocks[i];

        b->no = i;
        b->dsmem = (unsigned char *)aligned_alloc(1024, room);
        if (!b->dsmem)
            die(at, "no memory");
        ASAN_POISON_MEMORY_REGION(b->dsmem + dynamic, room - dynamic);
    }
}

void launch(dim3 grid, dim3 block, size_t dynamic, void (*f)(void *), void *arg, size_t arg_size,
            bool all, Loc at)
{
    size_t n_blocks, live;

    cur = nullptr;
    bid = {0, 0, 0};
    if (blocks.empty())
        setup(at);
    check_shape(grid, block, dynamic, at);
    n_blocks = (size_t)grid.x * grid.y * grid.z;
    if (all && n_blocks > blocks_at_once((int)n_threads, dynamic))
        die(at, "%zu blocks cannot all be there at once", n_blocks);
    live = all ? n_blocks : 1;
    open_blocks(live, dynamic, at);
    together = all;
    bdim = block;
    gdim = grid;
    call = f;
    call_arg = arg;
    call_size = arg_size;
    race_launch();
    device_memory(true);
    for (size_t b = 0; b < n_blocks; b += live) {
        for (size_t i = 0; i < live; i++) {
            size_t k = b + i;

            blocks[i]->id = {(unsigned)(k % grid.x), (unsigned)(k / grid.x % grid.y),
                             (unsigned)(k / grid.x / grid.y)};
            enter(blocks[i]);
            begin_block(block);
        }
        race_block((unsigned)b);
        main_fiber.done = false;
        enter(blocks[shuffle && live > 1 ? pick((unsigned)live) : 0]);
        next(&main_fiber);
        cur = nullptr;
        for (size_t i = 0; i < live; i++) {
            enter(blocks[i]);
            end_block(at);
        }
    }
    for (Block *b : blocks)
        free(b->dsmem);
    device_memory(false);
}

} // namespace emu

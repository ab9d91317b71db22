// emu_wait.cpp - words of memory that threads wait at: mbarriers, with the bulk copies that they
// count, and the counter of a grid whose blocks live at once.
#include "emu_in.h"

#define PC __builtin_return_address(0)

namespace emu
{

// ---- mbarriers: the phases that have ended, the arrivals that end one and those that were, and
// the bytes that are expected, in units of 16

struct Bar {
    uint16_t phase, count, arrived, units;
};

static Bar get(const uint64_t *b)
{
    Bar v;

    memcpy(&v, b, sizeof(v));
    return v;
}

// The phase ends when all are there.
static void put(uint64_t *b, Bar v)
{
    bool ends = v.arrived == v.count && !v.units;

    if (ends) {
        v.phase++;
        v.arrived = 0;
    }
    memcpy(b, &v, sizeof(v));
    if (ends)
        wake(b, false);
}

void mbar_init(uint64_t *b, int count)
{
    Bar v = {0, (uint16_t)count, 0, 0};

    memcpy(b, &v, sizeof(v));
}

void mbar_arrive(uint64_t *b, int bytes)
{
    Bar v = get(b);

    if (v.arrived == v.count)
        die({"mbar_arrive", 0}, "more than the %d arrivals of a phase", v.count);
    v.arrived++;
    v.units = (uint16_t)(v.units + bytes / 16);
    put(b, v);
}

// Nothing arrives before somebody waits for it; until then its place holds NaNs.
void bulk_copy(void *dst, const void *src, int n, uint64_t *b)
{
    if ((uintptr_t)dst % 16 || (uintptr_t)src % 16 || n < 16 || n % 16)
        die({"bulk_copy", 0}, "misaligned bulk copy of %d bytes, %p <- %p", n, dst, src);
    if (smem_index(dst) == ~(size_t)0 || smem_index((char *)dst + n - 1) == ~(size_t)0)
        die({"bulk_copy", 0}, "a bulk copy to %p, which is not in shared memory", dst);
    memset(dst, 0xff, (size_t)n);
    race_write(dst, (size_t)n, PC);
    my->copies.push_back({b, dst, src, n});
}

static bool deliver(uint64_t *b)
{
    std::vector<Bulk> later, mine;
    Bar v = get(b);

    for (const Bulk &c : my->copies)
        (c.bar == b ? mine : later).push_back(c);
    my->copies.swap(later);
    for (const Bulk &c : mine) {
        race_read(c.src, (size_t)c.n, PC);
        memcpy(c.dst, c.src, (size_t)c.n);
        race_arrived(c.dst, (size_t)c.n);
        if (v.units < c.n / 16)
            die({"bulk_copy", 0}, "an mbarrier does not expect %d bytes", c.n);
        v.units = (uint16_t)(v.units - c.n / 16);
    }
    if (!mine.empty())
        put(b, v);
    return !mine.empty();
}

void mbar_wait(uint64_t *b, unsigned parity)
{
    while ((get(b).phase & 1u) == parity)
        if (!deliver(b))
            sleep(b, "mbar_wait");
}

// ---- the grid's counter

void grid_arrive(unsigned *count)
{
    if (!live_together())
        die({"grid_arrive", 0}, "the blocks of this launch need not be there at once");
    race_grid_arrive();
    ++*count;
    wake(count, true);
}

void grid_wait(const unsigned *count, unsigned until)
{
    while ((int)(*count - until) < 0)
        sleep(count, "grid_wait");
    my->passed++;
}

} // namespace emu

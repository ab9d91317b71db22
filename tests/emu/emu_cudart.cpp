// emu_cudart.cpp - the CUDA runtime, as far as a host program uses it.
//
// Device memory is an address range of its own. With EMU_CLOSED only kernels and copies may touch
// it: elsewhere it is mapped without access, which takes its time. Fresh memory holds NaNs. Streams
// do their work at once or, with EMU_DEFER, as late as CUDA could: when some call waits for it. A
// graph is a list of calls. Any thread may call; one at a time does.
#include "emu_in.h"

#include <deque>
#include <map>
#include <mutex>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

namespace emu
{

constexpr size_t ARENA = (size_t)64 << 30, DEFAULT_MEMORY = (size_t)8 << 30;
constexpr size_t ROUND = 256, RED = 256; // of allocations: multiple, and bytes between them
constexpr int SHARED_OWN = 1024;         // bytes of shared memory of a block that the driver has

static std::recursive_mutex lock;
static char *arena;
static size_t arena_top, in_use;
static bool closed; // EMU_CLOSED
static int depth;   // of open ranges
struct Block {
    size_t room, size;
};
static std::map<size_t, Block> blocks; // by offset
static std::map<size_t, size_t> holes; // offset -> room
static std::map<void *, size_t> pinned;

// ---- device memory

static void on_segv(int, siginfo_t *i, void *)
{
    const char *p = (const char *)i->si_addr;

    if (p >= arena && p < arena + ARENA && !depth)
        fprintf(stderr, "emu: the host touched device memory at %p\n", (const void *)p);
    else if (p >= arena && p < arena + ARENA)
        fprintf(stderr, "emu: a kernel touched device memory at %p, which nobody has\n",
                (const void *)p);
    else if (in_stacks(p))
        fprintf(stderr, "emu: thread %u ran out of its %zu KiB of stack\n", cur ? cur->lin : 0,
                STACK / 1024);
    else
        fprintf(stderr, "emu: segmentation fault at %p%s\n", (const void *)p,
                cur ? " in a kernel" : "");
    _exit(EXIT_ADDRESS);
}

static void setup()
{
    static char alternate[65536];
    struct sigaction sa = {};
    stack_t ss = {};

    closed = getenv("EMU_CLOSED") != nullptr;
    arena = (char *)mmap(nullptr, ARENA, closed ? PROT_NONE : PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED)
        die({"cudaMalloc", 0}, "no address space for device memory");
    ss.ss_sp = alternate;
    ss.ss_size = sizeof(alternate);
    sigaltstack(&ss, nullptr);
    sa.sa_sigaction = on_segv;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &sa, nullptr);
}

static void protect(int how)
{
    if (closed && arena_top && mprotect(arena, (arena_top + 4095) / 4096 * 4096, how))
        die({"mprotect", 0}, "no memory");
}

void device_memory(bool open)
{
    if (!arena)
        setup();
    if (open ? depth++ == 0 : --depth == 0)
        protect(open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static size_t memory_size()
{
    const char *s = getenv("EMU_MEMORY");

    return s ? (size_t)strtoull(s, nullptr, 0) : DEFAULT_MEMORY;
}

static int capability()
{
    const char *s = getenv("EMU_CAPABILITY");

    return s ? atoi(s) : 90;
}

size_t shared_limit()
{
    switch (capability()) {
    case 80:
    case 87:
        return 163 * 1024;
    case 86:
    case 89:
        return 99 * 1024;
    default:
        return DYNAMIC_MAX;
    }
}

static void *device_alloc(size_t n)
{
    size_t room = (n + ROUND - 1) / ROUND * ROUND + RED, at = ~(size_t)0;

    if (n > memory_size() || in_use > memory_size() - n)
        return nullptr;
    for (auto &h : holes)
        if (h.second >= room) {
            at = h.first;
            room = h.second;
            break;
        }
    holes.erase(at);
    if (at == ~(size_t)0) {
        at = arena_top;
        if (room > ARENA - at)
            return nullptr;
        arena_top += room;
    }
    blocks[at] = {room, n};
    in_use += n;
    device_memory(true);
    protect(PROT_READ | PROT_WRITE); // where it grew
    ASAN_POISON_MEMORY_REGION(arena + at, room);
    ASAN_UNPOISON_MEMORY_REGION(arena + at, n);
    if (n <= (size_t)64 << 20) // more would only be made resident
        memset(arena + at, 0xff, n);
    device_memory(false);
    race_alloc(arena + at, n);
    return arena + at;
}

static void device_free(void *p)
{
    auto b = blocks.find((size_t)((char *)p - arena));

    if (b == blocks.end())
        die({"cudaFree", 0}, "%p was not allocated", p);
    ASAN_POISON_MEMORY_REGION(p, b->second.room);
    race_free(p);
    in_use -= b->second.size;
    holes[b->first] = b->second.room;
    blocks.erase(b);
}

void check_range(const void *p, size_t n, const char *what)
{
    size_t at = (size_t)((const char *)p - arena);
    auto b = blocks.upper_bound(at);

    if (!arena || at >= ARENA || !n)
        return;
    if (b == blocks.begin() || (--b)->first + b->second.size < at + n)
        die({what, 0}, "%zu bytes at %p are not within one allocation", n, p);
}

static void copy(void *d, const void *s, size_t n)
{
    if (!n)
        return;
    check_range(d, n, "cudaMemcpy");
    check_range(s, n, "cudaMemcpy");
    device_memory(true);
    memmove(d, s, n);
    device_memory(false);
}

static void fill(void *d, int v, size_t n)
{
    check_range(d, n, "cudaMemset");
    device_memory(true);
    memset(d, v, n);
    device_memory(false);
}

// ---- streams, events, graphs

typedef std::function<void()> Op;
typedef std::vector<Op> Graph;

struct Stream {
    std::deque<Op> q;
    size_t done = 0, total = 0;
    Graph *capture = nullptr;
};

struct Event {
    Stream *s;
    size_t at;
};

static Stream null_stream;
static std::vector<Stream *> streams{&null_stream};

static Stream *stream(cudaStream_t s)
{
    return s ? (Stream *)s : &null_stream;
}

static void run_to(Stream *s, size_t n)
{
    while (s->done < n) {
        Op f = std::move(s->q.front());

        s->q.pop_front();
        s->done++;
        f();
    }
}

static void drain()
{
    for (size_t i = 0; i < streams.size(); i++)
        run_to(streams[i], streams[i]->total);
}

static const bool deferred = getenv("EMU_DEFER");

void submit(cudaStream_t s, Op f)
{
    std::lock_guard<std::recursive_mutex> g(lock);
    Stream *t = stream(s);

    if (t->capture) {
        t->capture->push_back(f);
    } else if (!deferred) {
        f();
    } else {
        t->q.push_back(f);
        t->total++;
    }
}

static bool capturing()
{
    for (Stream *s : streams)
        if (s->capture)
            return true;
    return false;
}

// Calls that would end a capture on a device.
static cudaError_t may_wait()
{
    return capturing() ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

} // namespace emu

using namespace emu;

#define LOCKED std::lock_guard<std::recursive_mutex> locked(lock)

extern "C" {

cudaError_t cudaMalloc(void **p, size_t n)
{
    LOCKED;
    *p = n ? device_alloc(n) : nullptr;
    return *p || !n ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *p)
{
    LOCKED;
    drain();
    if (p)
        device_free(p);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    LOCKED;
    *total = memory_size();
    *available = *total - in_use;
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **p, size_t n, unsigned)
{
    LOCKED;
    *p = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
    if (!*p)
        return cudaErrorMemoryAllocation;
    memset(*p, 0xff, n);
    pinned[*p] = n;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t n)
{
    return cudaHostAlloc(p, n, 0);
}

cudaError_t cudaFreeHost(void *p)
{
    LOCKED;
    drain();
    if (p && !pinned.erase(p))
        die({"cudaFreeHost", 0}, "%p was not allocated", p);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *d, const void *s, size_t n, cudaMemcpyKind)
{
    LOCKED;
    if (capturing())
        return may_wait();
    drain();
    copy(d, s, n);
    return cudaSuccess;
}

// From memory that is not pinned, the source has been read when it returns.
cudaError_t cudaMemcpyAsync(void *d, const void *s, size_t n, cudaMemcpyKind kind, cudaStream_t t)
{
    LOCKED;
    auto p = pinned.upper_bound(const_cast<void *>(s));
    bool stays = kind != cudaMemcpyHostToDevice || !deferred;

    if (p != pinned.begin() && (char *)(--p)->first + p->second >= (const char *)s + n)
        stays = true;
    if (stays || stream(t)->capture) {
        submit(t, [=] { copy(d, s, n); });
    } else {
        std::vector<char> now((const char *)s, (const char *)s + n);

        submit(t, [=] { copy(d, now.data(), n); });
    }
    return cudaSuccess;
}

cudaError_t cudaMemset(void *d, int v, size_t n)
{
    LOCKED;
    if (capturing())
        return may_wait();
    drain();
    fill(d, v, n);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *d, int v, size_t n, cudaStream_t t)
{
    submit(t, [=] { fill(d, v, n); });
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize()
{
    LOCKED;
    if (capturing())
        return may_wait();
    drain();
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    LOCKED;
    streams.push_back(new Stream);
    *s = (cudaStream_t)streams.back();
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    return cudaStreamCreate(s);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    LOCKED;
    Stream *t = stream(s);

    run_to(t, t->total);
    streams.erase(std::find(streams.begin(), streams.end(), t));
    delete t;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    LOCKED;
    if (stream(s)->capture)
        return may_wait();
    run_to(stream(s), stream(s)->total);
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    return cudaStreamSynchronize(s);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = (cudaEvent_t) new Event{&null_stream, 0};
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete (Event *)e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    LOCKED;
    *(Event *)e = {stream(s), stream(s)->total};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    LOCKED;
    run_to(((Event *)e)->s, ((Event *)e)->at);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t, cudaEvent_t)
{
    *ms = 1.0f; // there is no time here
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    Event v = *(Event *)e;

    submit(s, [=] { run_to(v.s, v.at); });
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    LOCKED;
    stream(s)->capture = new Graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    LOCKED;
    *g = (cudaGraph_t)stream(s)->capture;
    stream(s)->capture = nullptr;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long)
{
    *x = (cudaGraphExec_t) new Graph(*(Graph *)g);
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s)
{
    LOCKED;
    for (Op &f : *(Graph *)x)
        submit(s, f);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete (Graph *)g;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x)
{
    LOCKED;
    drain();
    delete (Graph *)x;
    return cudaSuccess;
}

// ---- what device it is

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int i)
{
    return i ? cudaErrorInvalidDevice : cudaSuccess;
}

cudaError_t cudaGetDevice(int *i)
{
    *i = 0;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *v)
{
    *v = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *v)
{
    *v = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    *p = {};
    snprintf(p->name, sizeof(p->name), "emulated device");
    p->totalGlobalMem = memory_size();
    p->major = capability() / 10;
    p->minor = capability() % 10;
    p->multiProcessorCount = 4;
    p->sharedMemPerBlock = 48 * 1024;
    p->sharedMemPerBlockOptin = shared_limit();
    p->sharedMemPerMultiprocessor = shared_limit() + SHARED_OWN;
    p->maxThreadsPerBlock = (int)MAX_THREADS;
    p->maxThreadsPerMultiProcessor = 2048;
    p->warpSize = 32;
    p->l2CacheSize = 50 << 20;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int)
{
    *v = a == cudaDevAttrMultiProcessorCount                ? 4
         : a == cudaDevAttrComputeCapabilityMajor           ? capability() / 10
         : a == cudaDevAttrComputeCapabilityMinor           ? capability() % 10
         : a == cudaDevAttrMaxSharedMemoryPerBlockOptin     ? (int)shared_limit()
         : a == cudaDevAttrMaxSharedMemoryPerMultiprocessor ? (int)shared_limit() + SHARED_OWN
         : a == cudaDevAttrReservedSharedMemoryPerBlock     ? SHARED_OWN
                                                            : -1;
    return *v < 0 ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaGetLastError()
{
    return cudaSuccess;
}

cudaError_t cudaPeekAtLastError()
{
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaSuccess                 ? "no error"
           : e == cudaErrorMemoryAllocation ? "out of memory"
                                            : "error";
}

const char *cudaGetErrorName(cudaError_t e)
{
    return e == cudaSuccess ? "cudaSuccess" : "cudaError";
}
}

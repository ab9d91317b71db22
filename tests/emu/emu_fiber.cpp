// emu_fiber.cpp - stacks of the emulated threads and the switch between them.
#include "emu_in.h"

#include <sys/mman.h>

namespace emu
{

constexpr size_t PAGE = 4096, SLOT = STACK + PAGE; // an unmapped page below each stack

static char *stacks;
static unsigned free_stack[MAX_THREADS], n_free;

void stacks_open(Loc at)
{
    size_t n = (size_t)MAX_THREADS * SLOT;
    void *p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        die(at, "no memory for stacks");
    stacks = (char *)p;
    for (size_t i = 0; i < MAX_THREADS; i++)
        mprotect(stacks + i * SLOT, PAGE, PROT_NONE);
}

bool in_stacks(const void *p)
{
    return stacks && (size_t)((const char *)p - stacks) < (size_t)MAX_THREADS * SLOT;
}

void stack_reset()
{
    n_free = 0;
    for (unsigned i = 0; i < MAX_THREADS; i++)
        free_stack[n_free++] = MAX_THREADS - 1 - i;
}

void stack_take(Fiber *f)
{
    free_stack[n_free++] = (unsigned)((size_t)(f->stack - PAGE - stacks) / SLOT);
}

// The callee-saved registers go onto the stack; `from` gets where they are, `to` is such a place.
extern "C" void emu_switch(void **from, void *to);
#if defined(__x86_64__)
asm(".text\n.globl emu_switch\n.hidden emu_switch\n.type emu_switch,@function\nemu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
    ".size emu_switch,.-emu_switch\n");
enum { FRAME = 8, RETURN = 6 }; // words of a first frame; which of them is returned to
#elif defined(__aarch64__)
asm(".text\n.globl emu_switch\n.hidden emu_switch\n.type emu_switch,%function\nemu_switch:\n"
    "sub sp,sp,#160\n"
    "stp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
    "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\nstp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\n"
    "stp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
    "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\nldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\n"
    "ldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\nadd sp,sp,#160\nret\n"
    ".size emu_switch,.-emu_switch\n");
enum { FRAME = 20, RETURN = 11 };
#else
#error "emu_fiber.cpp: no switch for this processor"
#endif

void stack_give(Fiber *f, void (*entry)())
{
    void **p;

    f->stack = stacks + (size_t)free_stack[--n_free] * SLOT + PAGE;
    ASAN_UNPOISON_MEMORY_REGION(f->stack, STACK); // its last user never returned
    p = (void **)(f->stack + STACK) - FRAME;
    memset(p, 0, FRAME * sizeof(*p));
    p[RETURN] = (void *)entry;
    f->sp = p;
}

#ifdef EMU_ASAN
static const void *main_bottom;
static size_t main_size;

void jump(Fiber *from, Fiber *to)
{
    bool host = to == &main_fiber;
    void *save = nullptr;

    __sanitizer_start_switch_fiber(from->done ? nullptr : &save, host ? main_bottom : to->stack,
                                   host ? main_size : (size_t)STACK);
    emu_switch(&from->sp, to->sp);
    __sanitizer_finish_switch_fiber(save, nullptr, nullptr);
}

void jumped_first()
{
    const void *bottom;
    size_t size;

    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    if (!in_stacks(bottom)) {
        main_bottom = bottom;
        main_size = size;
    }
}
#else
void jump(Fiber *from, Fiber *to)
{
    emu_switch(&from->sp, to->sp);
}

void jumped_first()
{
}
#endif

} // namespace emu

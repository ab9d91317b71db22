/* nvtx.c - what NVTX loads where NVTX_INJECTION64_PATH says: the names of ranges, a line each,
 * indented by their depth, to the file that EMU_NVTX names. */
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *out;
static int depth;

static int push(const char *name)
{
    fprintf(out, "%*s%s\n", 2 * depth, "", name);
    return depth++;
}

static int pop(void)
{
    fflush(out);
    return --depth;
}

__attribute__((visibility("default"))) int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get);

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get)
{
    const NvtxExportTableCallbacks *t = get(NVTX_ETID_CALLBACKS);
    NvtxFunctionTable core;
    unsigned n;

    out = fopen(getenv("EMU_NVTX") ? getenv("EMU_NVTX") : "/dev/null", "a");
    if (!out || !t || !t->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &core, &n))
        return 0;
    *core[NVTX_CBID_CORE_RangePushA] = (NvtxFunctionPointer)push;
    *core[NVTX_CBID_CORE_RangePop] = (NvtxFunctionPointer)pop;
    return 1;
}

// The management library beside the emulated driver: as much of its interface as metrics of a card need. The card it
// tells of computes for a quarter of the time and has 3 of its 4 GiB free.

#include <cstdint>
#include <cstdio>

#define ENTRY extern "C" int

namespace {

enum Status { SUCCESS = 0, INVALID_ARGUMENT = 2 };

struct MemoryV2 {
    uint32_t version;
    uint64_t total, reserved, free, used;
};

struct Utilization {
    uint32_t gpu, memory;
};

const uint32_t VERSION_2 = sizeof(MemoryV2) | 2u << 24;
const uint64_t GIB = 1ull << 30;
int card;

} // namespace

ENTRY nvmlInit_v2() { return SUCCESS; }
ENTRY nvmlShutdown() { return SUCCESS; }
ENTRY nvmlDeviceGetCount_v2(unsigned *count) { return *count = 1, SUCCESS; }

ENTRY nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
    return index == 0 ? (*handle = &card, SUCCESS) : INVALID_ARGUMENT;
}

ENTRY nvmlDeviceGetName(void *, char *name, unsigned length)
{
    return snprintf(name, length, "emulated card"), SUCCESS;
}

ENTRY nvmlDeviceGetMemoryInfo_v2(void *, MemoryV2 *memory)
{
    if (memory->version != VERSION_2) return INVALID_ARGUMENT;
    memory->total = 4 * GIB;
    memory->reserved = 0;
    memory->free = 3 * GIB;
    memory->used = GIB;
    return SUCCESS;
}

ENTRY nvmlDeviceGetUtilizationRates(void *, Utilization *rates) { return *rates = {25, 10}, SUCCESS; }

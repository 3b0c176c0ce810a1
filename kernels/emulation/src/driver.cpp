// A CUDA driver whose card is the emulation: the part of the driver's interface that the backend uses, so that
// a whole run can be tried without a card. What a stream is asked for is done as late as the interface allows:
// when the stream, or an event behind it, is waited for. Who forgets to wait reads old memory.
//
// EMULATED_CARDS: how many there are (1). EMULATED_CARD_SM: their architecture (86). EMULATED_CARD_BYTES: their
// memory (1 GiB). EMULATED_CARD_REFUSES: a kernel that it does not launch. EMULATED_CARD_FAILS: a kernel that
// fails, and the card with it.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

extern "C" int emulate(const char *name, unsigned blocks, unsigned threads, unsigned shared_bytes, unsigned how,
                       void **args, char *message, size_t length);
extern "C" int emulation_arguments(const char *name, void **args, uint64_t *values, size_t room);

namespace {

enum Status {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    NO_BINARY = 209,
    NOT_FOUND = 500,
    OUT_OF_RESOURCES = 701,
    LAUNCH_FAILED = 719,
};

struct Stream {
    std::deque<std::function<void()>> asked;
    uint64_t n_asked = 0, n_done = 0;
};

struct Event {
    Stream *stream = nullptr;
    uint64_t after = 0;
};

std::recursive_mutex lock;
std::map<uintptr_t, size_t> allocated;
size_t used_bytes = 0;
int failure = SUCCESS;
Stream default_stream;

int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

size_t card_bytes()
{
    const char *text = getenv("EMULATED_CARD_BYTES");
    return text ? strtoull(text, nullptr, 10) : size_t(1) << 30;
}

Stream &stream_of(void *stream) { return stream ? *static_cast<Stream *>(stream) : default_stream; }

// Does what a stream was asked for, up to a point.
void catch_up(Stream &stream, uint64_t until)
{
    while (stream.n_done < until) {
        std::function<void()> work = std::move(stream.asked.front());
        stream.asked.pop_front();
        stream.n_done += 1;
        if (failure == SUCCESS)
            work();
    }
}

void ask(void *stream, std::function<void()> work)
{
    stream_of(stream).asked.push_back(std::move(work));
    stream_of(stream).n_asked += 1;
}

int release(uint64_t place)
{
    auto found = allocated.find(place);
    if (found == allocated.end())
        return INVALID_VALUE;
    used_bytes -= found->second;
    free(reinterpret_cast<void *>(place));
    allocated.erase(found);
    return SUCCESS;
}

} // namespace

#define ENTRY extern "C" __attribute__((visibility("default"))) int
#define LOCKED std::lock_guard<std::recursive_mutex> guard(lock)

ENTRY cuInit(unsigned) { return number("EMULATED_CARDS", 1) > 0 ? SUCCESS : NO_DEVICE; }

ENTRY cuDriverGetVersion(int *version) { return *version = 12080, SUCCESS; }

ENTRY cuDeviceGetCount(int *count) { return *count = number("EMULATED_CARDS", 1), SUCCESS; }

ENTRY cuDeviceGet(int *device, int ordinal)
{
    return *device = ordinal, ordinal < number("EMULATED_CARDS", 1) ? SUCCESS : INVALID_DEVICE;
}

ENTRY cuDeviceGetName(char *name, int length, int) { return snprintf(name, length, "emulated card"), SUCCESS; }

ENTRY cuDeviceGetAttribute(int *value, int attribute, int)
{
    int sm = number("EMULATED_CARD_SM", 86);
    switch (attribute) {
    case 16: // multiprocessors
        return *value = 2, SUCCESS;
    case 75: // major
        return *value = sm / 10, SUCCESS;
    case 76: // minor
        return *value = sm % 10, SUCCESS;
    default: // memory pools, and whatever else is asked for
        return *value = 1, SUCCESS;
    }
}

ENTRY cuDeviceGetDefaultMemPool(void **pool, int) { return *pool = &default_stream, SUCCESS; }
ENTRY cuMemPoolSetAttribute(void *, int, void *) { return SUCCESS; }
ENTRY cuMemPoolTrimTo(void *, size_t) { return SUCCESS; }
ENTRY cuDevicePrimaryCtxSetFlags_v2(int, unsigned) { return SUCCESS; }
ENTRY cuDevicePrimaryCtxRetain(void **context, int) { return *context = &lock, SUCCESS; }
ENTRY cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

static thread_local void *current = nullptr;
ENTRY cuCtxSetCurrent(void *context) { return current = context, SUCCESS; }
ENTRY cuCtxGetCurrent(void **context) { return *context = current, SUCCESS; }

ENTRY cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    LOCKED;
    *total = card_bytes();
    *free_bytes = *total - used_bytes;
    return failure;
}

static std::vector<Stream *> streams{&default_stream};

ENTRY cuStreamCreate(void **stream, unsigned)
{
    LOCKED;
    streams.push_back(new Stream);
    return *stream = streams.back(), SUCCESS;
}

ENTRY cuStreamSynchronize(void *stream)
{
    LOCKED;
    catch_up(stream_of(stream), stream_of(stream).n_asked);
    return failure;
}

// A stream that is destroyed still does what it was asked for.
ENTRY cuStreamDestroy_v2(void *stream) { return cuStreamSynchronize(stream); }

ENTRY cuCtxSynchronize()
{
    LOCKED;
    for (Stream *stream : streams)
        catch_up(*stream, stream->n_asked);
    return failure;
}

ENTRY cuEventCreate(void **event, unsigned) { return *event = new Event, SUCCESS; }
ENTRY cuEventDestroy_v2(void *event) { return delete static_cast<Event *>(event), SUCCESS; }

ENTRY cuEventRecord(void *event, void *stream)
{
    LOCKED;
    *static_cast<Event *>(event) = {&stream_of(stream), stream_of(stream).n_asked};
    return failure;
}

ENTRY cuEventSynchronize(void *event)
{
    LOCKED;
    Event own = *static_cast<Event *>(event);
    if (own.stream)
        catch_up(*own.stream, own.after);
    return failure;
}

ENTRY cuStreamWaitEvent(void *stream, void *event, unsigned)
{
    LOCKED;
    Event own = *static_cast<Event *>(event);
    if (own.stream)
        ask(stream, [own] { catch_up(*own.stream, own.after); });
    return failure;
}

ENTRY cuMemAlloc_v2(uint64_t *place, size_t bytes)
{
    LOCKED;
    if (used_bytes + bytes > card_bytes())
        return OUT_OF_MEMORY;
    void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(memory, 0xff, bytes);
    *place = reinterpret_cast<uintptr_t>(memory);
    allocated[*place] = bytes;
    used_bytes += bytes;
    return failure;
}

// What the streams still have to free is not there, as on a card: who runs out waits and asks again.
ENTRY cuMemAllocAsync(uint64_t *place, size_t bytes, void *stream)
{
    LOCKED;
    (void)stream;
    return cuMemAlloc_v2(place, bytes);
}

ENTRY cuMemFree_v2(uint64_t place)
{
    LOCKED;
    return release(place);
}

ENTRY cuMemFreeAsync(uint64_t place, void *stream)
{
    LOCKED;
    ask(stream, [place] { release(place); });
    return SUCCESS;
}

// Page-locked memory: known by its address, as the driver knows it.
static std::map<uintptr_t, size_t> locked;

static bool is_locked(const void *place)
{
    auto after = locked.upper_bound(reinterpret_cast<uintptr_t>(place));
    if (after == locked.begin())
        return false;
    --after;
    return reinterpret_cast<uintptr_t>(place) < after->first + after->second;
}

ENTRY cuMemHostAlloc(void **place, size_t bytes, unsigned)
{
    LOCKED;
    *place = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    locked[reinterpret_cast<uintptr_t>(*place)] = bytes;
    return SUCCESS;
}

ENTRY cuMemFreeHost(void *place)
{
    LOCKED;
    locked.erase(reinterpret_cast<uintptr_t>(place));
    free(place);
    return SUCCESS;
}

ENTRY cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream)
{
    LOCKED;
    if (is_locked(from)) {
        // Read when the copy runs: who changes the buffer before sends something else.
        ask(stream, [=] { memcpy(reinterpret_cast<void *>(to), from, bytes); });
    } else {
        auto *start = static_cast<const char *>(from);
        std::vector<char> taken(start, start + bytes);
        ask(stream, [to, taken] { memcpy(reinterpret_cast<void *>(to), taken.data(), taken.size()); });
    }
    return failure;
}

ENTRY cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream)
{
    LOCKED;
    ask(stream, [=] { memcpy(to, reinterpret_cast<const void *>(from), bytes); });
    // To pageable memory the call returns when the bytes are there.
    return is_locked(to) ? failure : cuStreamSynchronize(stream);
}

ENTRY cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream)
{
    LOCKED;
    ask(stream, [=] { memcpy(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes); });
    return failure;
}

ENTRY cuMemsetD8Async(uint64_t to, unsigned char byte, size_t bytes, void *stream)
{
    LOCKED;
    ask(stream, [=] { memset(reinterpret_cast<void *>(to), byte, bytes); });
    return failure;
}

// A cubin names its architecture in the flags of its header; PTX in its `.target`.
ENTRY cuModuleLoadData(void **module, const void *image)
{
    int sm = number("EMULATED_CARD_SM", 86), own = 0;
    auto *bytes = static_cast<const unsigned char *>(image);
    *module = &default_stream;
    if (memcmp(bytes, "\177ELF", 4) == 0) {
        own = bytes[48];
        return own / 10 == sm / 10 && own <= sm ? SUCCESS : NO_BINARY;
    }
    const char *target = strstr(reinterpret_cast<const char *>(bytes), ".target sm_");
    if (!target)
        return INVALID_IMAGE;
    return atoi(target + strlen(".target sm_")) <= sm ? SUCCESS : NO_BINARY;
}

ENTRY cuModuleUnload(void *) { return SUCCESS; }

ENTRY cuModuleGetFunction(void **function, void *, const char *name)
{
    LOCKED;
    static std::map<std::string, std::string> names;
    if (emulation_arguments(name, nullptr, nullptr, 0) < 0)
        return NOT_FOUND;
    *function = &names.emplace(name, name).first->second;
    return SUCCESS;
}

ENTRY cuLaunchKernel(void *function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                     unsigned shared_bytes, void *stream, void **args, void **)
{
    LOCKED;
    std::string name = *static_cast<std::string *>(function);
    const char *fails = getenv("EMULATED_CARD_FAILS");
    std::vector<uint64_t> values(64);
    int count = emulation_arguments(name.c_str(), args, values.data(), values.size());
    if (count < 0)
        return INVALID_VALUE;
    bool is_failing = fails && name == fails;
    const char *refuses = getenv("EMULATED_CARD_REFUSES");
    if (refuses && name == refuses)
        return OUT_OF_RESOURCES;
    ask(stream, [=]() mutable {
        std::vector<void *> places(count);
        for (int i = 0; i < count; ++i)
            places[i] = &values[i];
        char message[256] = {};
        if (is_failing || emulate(name.c_str(), blocks, threads, shared_bytes, 0, places.data(), message, sizeof message)) {
            if (message[0])
                fprintf(stderr, "emulated card: %s: %s\n", name.c_str(), message);
            failure = LAUNCH_FAILED;
        }
    });
    return failure;
}

ENTRY cuGetErrorName(int status, const char **name)
{
    switch (status) {
    case OUT_OF_MEMORY:
        return *name = "CUDA_ERROR_OUT_OF_MEMORY", SUCCESS;
    case NO_DEVICE:
        return *name = "CUDA_ERROR_NO_DEVICE", SUCCESS;
    case NO_BINARY:
        return *name = "CUDA_ERROR_NO_BINARY_FOR_GPU", SUCCESS;
    case OUT_OF_RESOURCES:
        return *name = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", SUCCESS;
    case LAUNCH_FAILED:
        return *name = "CUDA_ERROR_LAUNCH_FAILED", SUCCESS;
    default:
        return *name = "CUDA_ERROR", SUCCESS;
    }
}

ENTRY cuGetErrorString(int status, const char **text)
{
    return *text = status == LAUNCH_FAILED ? "unspecified launch failure" : "as the name says", SUCCESS;
}

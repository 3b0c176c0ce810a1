// A run-time compiler whose cubins the emulated card accepts: a header that names the architecture asked for. The
// kernels themselves are in the emulation already. It stands beside the emulated driver, as NVRTC would on a
// machine whose build had no compiler, or whose card no embedded image serves.

#include <cstdlib>
#include <cstring>
#include <string>

struct Program {
    std::string cubin;
};

#define ENTRY extern "C" __attribute__((visibility("default"))) int

ENTRY nvrtcCreateProgram(Program **program, const char *, const char *, int, const char *const *, const char *const *)
{
    return *program = new Program, 0;
}

ENTRY nvrtcCompileProgram(Program *program, int count, const char *const *options)
{
    const char *target = "--gpu-architecture=sm_";
    for (int i = 0; i < count; ++i)
        if (strncmp(options[i], target, strlen(target)) == 0) {
            program->cubin.assign(64, '\0');
            program->cubin.replace(0, 4, "\177ELF");
            program->cubin[48] = char(atoi(options[i] + strlen(target)));
        }
    return program->cubin.empty();
}

ENTRY nvrtcGetProgramLogSize(Program *, size_t *size) { return *size = 1, 0; }
ENTRY nvrtcGetProgramLog(Program *, char *log) { return *log = 0, 0; }
ENTRY nvrtcGetCUBINSize(Program *program, size_t *size) { return *size = program->cubin.size(), 0; }

ENTRY nvrtcGetCUBIN(Program *program, char *cubin)
{
    return memcpy(cubin, program->cubin.data(), program->cubin.size()), 0;
}

ENTRY nvrtcDestroyProgram(Program **program) { return delete *program, *program = nullptr, 0; }

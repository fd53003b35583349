// Run-time choice of the instruction set; see cpu.hpp.
#include "core/base/cpu.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#if defined(MPC_X86_KERNELS)
#include <cpuid.h>
#endif

#include "core/base/error.hpp"

namespace mpc::cpu {

namespace {

#if defined(MPC_X86_KERNELS)
// Leaf 7 says it in bit 9 of ECX; not every compiler's __builtin_cpu_supports knows the name.
bool has_vaes() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && ((ecx >> 9) & 1) != 0;
}
#endif

bool supports(Level level) {
#if defined(MPC_X86_KERNELS)
    // __builtin_cpu_supports also asks whether the operating system saves the wide registers.
    const bool aes = __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("sse4.1") != 0;
    const bool vaes = aes && has_vaes() && __builtin_cpu_supports("avx2") != 0;
    switch (level) {
        case Level::portable: return true;
        case Level::aesni: return aes;
        case Level::vaes256: return vaes;
        case Level::vaes512:
            return vaes && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                   __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
                   __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0;
    }
    return false;
#else
    return level == Level::portable;
#endif
}

Level level_from_environment() {
    const std::vector<Level> levels = available();
    const char* wanted = std::getenv("MPC_CPU_LEVEL");
    if (wanted == nullptr || *wanted == '\0') return levels.back();
    for (const Level candidate : levels) {
        if (std::string(wanted) == name(candidate)) return candidate;
    }
    throw ParameterError("MPC_CPU_LEVEL=" + std::string(wanted) + " is not a level that this machine can run");
}

std::atomic<Level>& current() {
    static std::atomic<Level> level{level_from_environment()};
    return level;
}

}  // namespace

const char* name(Level level) {
    switch (level) {
        case Level::portable: return "portable";
        case Level::aesni: return "aesni";
        case Level::vaes256: return "vaes256";
        case Level::vaes512: return "vaes512";
    }
    return "unknown";
}

std::vector<Level> available() {
    std::vector<Level> levels;
    for (const Level candidate : {Level::portable, Level::aesni, Level::vaes256, Level::vaes512}) {
        if (supports(candidate)) levels.push_back(candidate);
    }
    return levels;
}

Level level() { return current().load(std::memory_order_relaxed); }

void force_level(Level level) {
    if (!supports(level)) throw ParameterError(std::string("this machine cannot run level ") + name(level));
    current().store(level, std::memory_order_relaxed);
}

}  // namespace mpc::cpu

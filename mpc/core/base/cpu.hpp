// Tells which instruction set the kernels run on. It is chosen once at run time, and one binary holds every level.
#pragma once

#include <string>
#include <vector>

namespace mpc::cpu {

enum class Level {
    portable,  // bitsliced constant-time AES in plain 64-bit words
    aesni,     // AES-NI, one block an instruction
    vaes256,   // VAES on 256-bit vectors, two blocks an instruction
    vaes512,   // VAES on 512-bit vectors, four blocks an instruction
};

const char* name(Level level);

// The levels that this machine and build can run, lowest first; never empty.
std::vector<Level> available();

// The level in use: the highest available one, or the one named by the environment variable MPC_CPU_LEVEL
// (portable, aesni, vaes256, vaes512), or the one last forced. Every level gives the same bytes.
Level level();

// Forces a level, for tests and benchmarks. Not to be called while other threads run kernels.
// Throws ParameterError if this machine cannot run it.
void force_level(Level level);

}  // namespace mpc::cpu

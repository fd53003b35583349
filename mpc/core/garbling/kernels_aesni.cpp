// The garbling kernels compiled for AES-NI, one block an instruction; see gates_x86.hpp, and CMakeLists.txt for the
// options.
#include "core/garbling/half_gates_x86.hpp"
#include "core/garbling/projection_x86.hpp"
#include "core/garbling/three_halves_x86.hpp"

namespace mpc {

const GarblingKernels garbling_kernels_aesni = {
    shift<V128>, colours<V128>,
    garble<V128>, evaluate<V128>, three_halves_x86::garble<V128>, three_halves_x86::evaluate<V128>,
    projection_x86::project<V128>, projection_x86::open<V128>,
};

}  // namespace mpc

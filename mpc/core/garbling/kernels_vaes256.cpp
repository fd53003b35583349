// The garbling kernels compiled for VAES on 256-bit vectors; see gates_x86.hpp, and CMakeLists.txt for the options.
#include "core/garbling/half_gates_x86.hpp"
#include "core/garbling/projection_x86.hpp"
#include "core/garbling/three_halves_x86.hpp"

namespace mpc {

const GarblingKernels garbling_kernels_vaes256 = {
    shift<V256>, colours<V256>,
    garble<V256>, evaluate<V256>, three_halves_x86::garble<V256>, three_halves_x86::evaluate<V256>,
    projection_x86::project<V256>, projection_x86::open<V256>,
};

}  // namespace mpc

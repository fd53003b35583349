// The garbling kernels compiled for VAES on 512-bit vectors; see gates_x86.hpp, and CMakeLists.txt for the options.
#include "core/garbling/half_gates_x86.hpp"
#include "core/garbling/projection_x86.hpp"
#include "core/garbling/three_halves_x86.hpp"

namespace mpc {

const GarblingKernels garbling_kernels_vaes512 = {
    shift<V512>, colours<V512>,
    garble<V512>, evaluate<V512>, three_halves_x86::garble<V512>, three_halves_x86::evaluate<V512>,
    projection_x86::project<V512>, projection_x86::open<V512>,
};

}  // namespace mpc

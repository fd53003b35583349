// What views refuse; see byte_view.hpp.
#include "core/base/byte_view.hpp"

#include "core/base/error.hpp"

namespace mpc {

void refuse_slice(std::size_t end, std::size_t size) { throw LengthError("slice, end", size, end); }

}  // namespace mpc

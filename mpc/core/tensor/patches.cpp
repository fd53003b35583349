// Patches of images; see patches.hpp.
#include "core/tensor/patches.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/block.hpp"  // MPC_INLINE
#include "core/base/error.hpp"

namespace mpc::tensor {
namespace {

// Lines are short, so that a call or a loop for each would cost more than the copy.
MPC_INLINE void copy_line(std::uint64_t* to, const std::uint64_t* from, std::size_t count) {
    switch (count) {
        case 0: break;
        case 1: std::memcpy(to, from, 8); break;
        case 2: std::memcpy(to, from, 16); break;
        case 3: std::memcpy(to, from, 24); break;
        case 4: std::memcpy(to, from, 32); break;
        case 5: std::memcpy(to, from, 40); break;
        case 7: std::memcpy(to, from, 56); break;
        default: std::memcpy(to, from, 8 * count); break;
    }
}

// Calls line(image, patch, before, inside) for each line of each patch. Of the words from `patch` on, `before` are
// padding, the next `inside` belong to those from `image` on, and the rest of the line is padding again.
template <class Image, class Patch, class Line>
MPC_INLINE void each_line(const Patches& p, Image* images, Patch* words, Line line) {
    const std::size_t rows = p.rows(), columns = p.columns();
    for (std::size_t image = 0; image < p.count; ++image, images += p.channels * p.height * p.width) {
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t column = 0; column < columns; ++column) {
                const std::size_t left = column * p.stride, right = left + p.window_width;  // in a padded image
                const std::size_t first = std::min(std::max(left, p.padding), right);
                const std::size_t end = std::max(std::min(right, p.padding + p.width), first);
                for (std::size_t channel = 0; channel < p.channels; ++channel) {
                    for (std::size_t i = 0; i < p.window_height; ++i, words += p.window_width) {
                        const std::size_t y = row * p.stride + i;
                        const bool inside = y >= p.padding && y < p.padding + p.height && end > first;
                        Image* const from =
                            inside ? images + (channel * p.height + y - p.padding) * p.width + (first - p.padding)
                                   : images;
                        line(from, words, first - left, inside ? end - first : 0);
                    }
                }
            }
        }
    }
}

}  // namespace

void check_patches(const Patches& p) {
    const auto text = [](std::size_t height, std::size_t width) {
        return std::to_string(height) + " x " + std::to_string(width);
    };
    constexpr std::size_t most = std::size_t{1} << 31;
    for (const std::size_t size : {p.height, p.width, p.window_height, p.window_width, p.stride, p.padding}) {
        if (size > most) throw ParameterError("patches: expected sizes of at most 2^31, found " + std::to_string(size));
    }
    if (p.window_height == 0 || p.window_width == 0 || p.stride == 0)
        throw ParameterError("patches: expected a window and a stride of at least 1, found " +
                             text(p.window_height, p.window_width) + " and " + std::to_string(p.stride));
    if (p.window_height > p.height + 2 * p.padding || p.window_width > p.width + 2 * p.padding)
        throw ParameterError("patches: expected a window within " +
                             text(p.height + 2 * p.padding, p.width + 2 * p.padding) + " words, found " +
                             text(p.window_height, p.window_width));
}

void patches_of_images(const Patches& patches, const std::uint64_t* images, std::uint64_t* out) {
    const std::size_t length = patches.window_width;
    each_line(patches, images, out,
              [length](const std::uint64_t* image, std::uint64_t* patch, std::size_t before, std::size_t inside) {
                  if (inside < length) std::fill_n(patch, length, 0);
                  copy_line(patch + before, image, inside);
              });
}

void images_of_patches(const Patches& patches, const std::uint64_t* in, std::uint64_t* images) {
    std::fill_n(images, patches.count * patches.channels * patches.height * patches.width, 0);
    each_line(patches, images, in,
              [](std::uint64_t* image, const std::uint64_t* patch, std::size_t before, std::size_t inside) {
                  for (std::size_t j = 0; j < inside; ++j) image[j] += patch[before + j];
              });
}

}  // namespace mpc::tensor

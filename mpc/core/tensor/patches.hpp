// Patches of images, so that a convolution is a matrix product (im2col), and the transposed map for gradients (col2im).
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpc::tensor {

// Images (count, channels, height, width) and their patches (window_height, window_width), each `stride` apart from the
// next one, in images with `padding` zeros around.
struct Patches {
    std::size_t count, channels, height, width;
    std::size_t window_height, window_width, stride, padding;

    std::size_t rows() const { return steps(height, window_height); }      // of patches, an image
    std::size_t columns() const { return steps(width, window_width); }     // of patches, a row
    std::size_t patches() const { return count * rows() * columns(); }     // in all
    std::size_t words() const { return channels * window_height * window_width; }  // of a patch

private:
    std::size_t steps(std::size_t size, std::size_t window) const { return (size + 2 * padding - window) / stride + 1; }
};

// Throws ParameterError unless there are windows and steps, and a window fits into a padded image.
void check_patches(const Patches& patches);

// Writes patches() * words() words: patch after patch, in the order of image, row and column, each as (channel, row,
// column). `patches` was checked.
void patches_of_images(const Patches& patches, const std::uint64_t* images, std::uint64_t* out);
// The transposed map: each word of an image is the sum, mod 2^64, of all words of patches that come from it.
void images_of_patches(const Patches& patches, const std::uint64_t* in, std::uint64_t* images);

}  // namespace mpc::tensor

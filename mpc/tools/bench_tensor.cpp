// Benchmark of the arithmetic on arrays of shares, one JSON object on stdout: each kernel's rate on one core, and the
// limits that the hardware sets, measured in the same moments.
//   bench_tensor [seconds per measurement]        (MPC_CPU_LEVEL picks the instruction set)
//
// A limit of products is what the multiply instructions alone take by the definition of a matrix product: on AVX2 one
// vpmuludq and one vpmulld for four products of 64 bits, on AVX-512 one vpmullq for eight. The kernels do with half of
// these and more additions, and so may come out above it.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/aes/aes.hpp"
#include "core/aes/prg.hpp"
#include "core/base/blocks.hpp"
#include "core/base/cpu.hpp"
#include "core/tensor/key_stream.hpp"
#include "core/tensor/matmul.hpp"
#include "core/tensor/planes.hpp"
#include "core/tensor/words.hpp"

using namespace mpc;

namespace {

constexpr std::size_t kWords = 1000000;

double budget_s = 0.5;

double now_s(clockid_t clock) {
    timespec time{};
    (void)::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The fastest of many runs of `body`, in seconds. What takes longer than a turn on a busy processor is measured by this
// thread's time, which is too coarse for what is shorter.
template <class Body>
double fastest(Body body) {
    constexpr double turn_s = 3e-3;
    double best = 1e9, spent = 0;
    do {
        const double own_start = now_s(CLOCK_THREAD_CPUTIME_ID), start = now_s(CLOCK_MONOTONIC);
        body();
        const double took = now_s(CLOCK_MONOTONIC) - start, own = now_s(CLOCK_THREAD_CPUTIME_ID) - own_start;
        best = std::min(best, took < turn_s ? took : std::max(own, turn_s));
        spent += took;
    } while (spent < budget_s);
    return best;
}

// Seconds that an instruction takes, of eight that do not wait for each other, or of one chain.
#define EIGHT(text) text text text text text text text text
#define SECONDS_OF(text)                                                                                  \
    fastest([] {                                                                                          \
        for (int i = 0; i < 10000; ++i)                                                                   \
            __asm__ __volatile__(EIGHT(text) : : : "rax", "rcx", "xmm0", "xmm1", "xmm2", "xmm3", "cc");   \
    }) / 80000

struct Limits {
    double clock, products64, products32;  // a second
};

Limits limits() {
    Limits found{};
#if defined(__x86_64__)
    found.clock = 1 / (SECONDS_OF("add $1, %%rax\n"));
    const cpu::Level level = cpu::level();
    if (level == cpu::Level::vaes512) {
        found.products64 = 8 / (SECONDS_OF("vpmullq %%zmm0, %%zmm0, %%zmm1\n"));
        found.products32 = 16 / (SECONDS_OF("vpmulld %%zmm0, %%zmm0, %%zmm1\n"));
    } else if (level != cpu::Level::portable && __builtin_cpu_supports("avx2")) {
        const double low = SECONDS_OF("vpmuludq %%ymm0, %%ymm0, %%ymm1\n");
        const double cross = SECONDS_OF("vpmulld %%ymm0, %%ymm0, %%ymm1\n");
        found.products64 = 4 / (low + cross);
        found.products32 = 8 / cross;
    } else {
        found.products64 = found.products32 = 1 / (SECONDS_OF("imul $3, %%rax, %%rcx\n"));
    }
#endif
    return found;
}

template <class T>
std::vector<T> random_words(std::size_t count) {
    std::vector<T> words(count);
    Prg(system_random_block()).fill(words.data(), count * sizeof(T));
    return words;
}

template <class T>
double products_per_s(std::size_t m, std::size_t k, std::size_t n) {
    const std::vector<T> a = random_words<T>(m * k), b = random_words<T>(k * n);
    std::vector<T> c(m * n);
    const auto step = static_cast<std::ptrdiff_t>(k), other = static_cast<std::ptrdiff_t>(n);
    return static_cast<double>(m * k * n) / fastest([&] {
               tensor::matmul({a.data(), m, k, step, 1}, {b.data(), k, n, other, 1}, {c.data(), m, n, other, 1});
           });
}

template <class T>
void print_products(const char* name, double limit) {
    const std::size_t shapes[][3] = {{64, 64, 64},      {256, 256, 256},   {1000, 1000, 1000}, {128, 784, 128},
                                     {784, 128, 128}, {128, 128, 10}, {1000, 1000, 1}};
    for (const auto& shape : shapes) {
        const double rate = products_per_s<T>(shape[0], shape[1], shape[2]);
        std::printf("  \"%s %zux%zux%zu\": {\"G products/s\": %.2f, \"ms\": %.4f, \"of limit\": %.3f},\n", name,
                    shape[0], shape[1], shape[2], rate * 1e-9,
                    1e3 * static_cast<double>(shape[0] * shape[1] * shape[2]) / rate, limit > 0 ? rate / limit : 0);
    }
}

void print_bytes(const char* name, double seconds, double bytes, double limit) {
    std::printf("  \"%s\": {\"GB/s\": %.2f, \"ms\": %.4f, \"of limit\": %.3f},\n", name, bytes / seconds * 1e-9,
                1e3 * seconds, bytes / seconds / limit);
}

// A million words of 64 bits each time; bytes are those of such words.
void print_streams() {
    const double bytes = 8.0 * kWords;
    std::vector<std::uint64_t> words = random_words<std::uint64_t>(kWords), out(65 * kWords / 64 + 64), more = words;
    Blocks block(1024);
    const Aes128 aes(system_random_block());
    const double aes_limit = 16.0 * 1024 / fastest([&] { aes.counter_mode(0, 0, block.data(), block.size()); });
    const double copy_limit = bytes / fastest([&] { std::memcpy(out.data(), words.data(), 8 * kWords); });
    std::printf("  \"AES GB/s\": %.2f,\n  \"copy GB/s\": %.2f,\n", aes_limit * 1e-9, copy_limit * 1e-9);
    const std::vector<std::uint8_t> seed(tensor::kStreamSeedBytes, 1);
    tensor::KeyStream stream(seed);
    print_bytes("key stream, fill", fastest([&] { stream.fill(out.data(), kWords); }), bytes, aes_limit);
    print_bytes("key stream, fill 4096", fastest([&] { stream.fill(out.data(), 4096); }), 8.0 * 4096, aes_limit);
    print_bytes("key stream, subtract", fastest([&] { stream.subtract_from(out.data(), kWords); }), bytes, aes_limit);
    std::vector<std::uint8_t> packed(8 * kWords);
    for (const unsigned bits : {20u, 41u, 64u}) {
        const std::string width = ", " + std::to_string(bits) + " bits";
        const std::size_t size = tensor::packed_bytes(kWords, bits);
        print_bytes(("planes of words" + width).c_str(),
                    fastest([&] { tensor::planes_of_words(words.data(), kWords, bits, out.data()); }), bytes,
                    copy_limit);
        print_bytes(("words of planes" + width).c_str(),
                    fastest([&] { tensor::words_of_planes(out.data(), kWords, bits, more.data()); }), bytes,
                    copy_limit);
        print_bytes(("pack" + width).c_str(),
                    fastest([&] { tensor::pack_words(words.data(), kWords, bits, packed.data()); }), bytes, copy_limit);
        print_bytes(("unpack" + width).c_str(),
                    fastest([&] { tensor::unpack_words(ByteView(packed).slice(0, size), kWords, bits, more.data()); }),
                    bytes, copy_limit);
    }
    const std::vector<std::uint64_t> third = random_words<std::uint64_t>(kWords);
    const tensor::Triple triple{words.data(), more.data(), third.data(), words.data(), third.data()};
    print_bytes("and layer", fastest([&] { tensor::and_layer(triple, true, kWords, out.data()); }), 6 * bytes,
                2 * copy_limit);
    print_bytes("multiply layer", fastest([&] { tensor::multiply_layer(triple, true, kWords, out.data()); }), 6 * bytes,
                2 * copy_limit);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) budget_s = std::strtod(argv[1], nullptr);
    const Limits limit = limits();
    std::printf("{\n  \"level\": \"%s\",\n  \"clock GHz\": %.3f,\n", cpu::name(cpu::level()), limit.clock * 1e-9);
    std::printf("  \"limit 64, G products/s\": %.2f,\n  \"limit 32, G products/s\": %.2f,\n", limit.products64 * 1e-9,
                limit.products32 * 1e-9);
    print_products<std::uint64_t>("64 bits", limit.products64);
    print_products<std::uint32_t>("32 bits", limit.products32);
    print_streams();
    std::printf("  \"words\": %zu\n}\n", kWords);
    return 0;
}

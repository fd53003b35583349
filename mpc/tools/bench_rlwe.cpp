// Times the encrypted linear maps. First come the transforms, then whole layers, both sides, in milliseconds of one
// core and bytes.
//
//     bench_rlwe [repetitions]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "core/base/cpu.hpp"
#include "core/bfv/linear.hpp"
#include "core/lattice/primes.hpp"
#include "core/lattice/sampling.hpp"

using namespace mpc;
using namespace mpc::bfv;
using namespace mpc::lattice;

namespace {

double core_ms() {
    std::timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

template <class Body>
double median_ms(int repetitions, Body body) {
    std::vector<double> times;
    for (int i = 0; i < repetitions; ++i) {
        const double start = core_ms();
        body();
        times.push_back(core_ms() - start);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

struct Layer {
    std::size_t inputs, outputs;   // polynomials
    std::size_t results, weights;  // results in all, weights behind one output polynomial
};

void transforms(int repetitions) {
    for (const std::size_t degree : {4096u, 8192u, 16384u, 32768u}) {
        const Ntt ntt(ntt_primes(degree, 40, 1)[0], degree);
        Prg prg(Block{1, degree});
        Words x(degree), y(degree);
        uniform_residues(prg, ntt.modulus(), x.data(), degree);
        uniform_residues(prg, ntt.modulus(), y.data(), degree);
        const std::uint64_t *left = x.data(), *right = y.data();
        const double forward = median_ms(repetitions, [&] { for (int i = 0; i < 100; ++i) ntt.forward(x.data()); });
        const double inverse = median_ms(repetitions, [&] { for (int i = 0; i < 100; ++i) ntt.inverse(x.data()); });
        const double product = median_ms(repetitions, [&] {
            for (int i = 0; i < 100; ++i) ntt.inner_product(&left, &right, 1, x.data());
        });
        std::printf("N = %zu: forward %.1f us, inverse %.1f us, product %.1f us\n", degree, forward * 10, inverse * 10,
                    product * 10);
    }
}

void network(const char* name, std::size_t degree, int plain_bits, int weight_bits, int statistical_bits,
             const std::vector<Layer>& layers, int repetitions) {
    const std::uint64_t largest = (std::uint64_t{1} << weight_bits) - 1;
    std::vector<LayerBound> bounds;
    for (const Layer& layer : layers) bounds.push_back({layer.weights * largest * largest, layer.results});
    std::shared_ptr<const Parameters> parameters;
    try {
        parameters = std::make_shared<Parameters>(degree, plain_bits, bounds, statistical_bits);
    } catch (const std::exception& error) {
        std::printf("%s, N = %zu, l = %d, 2^-%d: %s\n", name, degree, plain_bits, statistical_bits, error.what());
        return;
    }
    const SecretKey key(parameters);
    double encrypt = 0, apply = 0, open = 0;
    std::size_t up = 0, down = 0;
    Prg prg(Block{2, 3});
    for (std::size_t number = 0; number < layers.size(); ++number) {
        const Layer& layer = layers[number];
        std::vector<std::uint64_t> messages(layer.inputs * degree), masks(layer.results);
        uniform_words(prg, plain_bits, messages.data(), messages.size());
        uniform_words(prg, plain_bits, masks.data(), masks.size());
        std::vector<std::int64_t> weights(layer.outputs * layer.inputs * degree), positions;
        for (std::size_t o = 0; o < layer.outputs; ++o) {
            for (std::size_t i = 0; i < layer.weights; ++i) {
                const std::size_t place = i % layer.inputs * degree + i / layer.inputs;
                weights[o * layer.inputs * degree + place] = static_cast<std::int64_t>(prg.word() & largest);
            }
        }
        for (std::size_t r = 0; r < layer.results; ++r) {
            const std::size_t o = r * layer.outputs / layer.results;
            const std::size_t first = (o * layer.results + layer.outputs - 1) / layer.outputs;
            positions.push_back(static_cast<std::int64_t>(o * degree + (r - first)));
        }
        const Selection selection(positions, layer.outputs, degree);
        Bytes upload, reply;
        encrypt += median_ms(repetitions, [&] { upload = key.encrypt(messages); });
        // An evaluator answers one query under these bounds, so each repetition has its own.
        std::vector<double> times;
        for (int i = 0; i < repetitions; ++i) {
            const Evaluator evaluator(parameters, key.public_key());
            const Weights loaded = evaluator.load(weights.data(), layer.outputs, layer.inputs, number);
            const double start = core_ms();
            reply = evaluator.apply(loaded, upload, masks, selection);
            times.push_back(core_ms() - start);
        }
        std::sort(times.begin(), times.end());
        apply += times[times.size() / 2];
        open += median_ms(repetitions, [&] { (void)key.decrypt(reply, selection); });
        up += upload.size();
        down += reply.size();
    }
    std::printf("%s, N = %zu, l = %d, log q = %d, 2^-%d: encrypt %.2f + evaluate %.2f + open %.2f = %.2f ms; "
                "%zu + %zu = %zu kB\n",
                name, degree, plain_bits, parameters->modulus_bits(), statistical_bits, encrypt, apply, open,
                encrypt + apply + open, up / 1000, down / 1000, (up + down) / 1000);
}

}  // namespace

int main(int count, char** arguments) {
    const int repetitions = count > 1 ? std::atoi(arguments[1]) : 21;
    if (repetitions < 1) {
        std::fprintf(stderr, "usage: bench_rlwe [repetitions]\n");
        return EXIT_FAILURE;
    }
    for (const cpu::Level level : {cpu::Level::portable, cpu::available().back()}) {
        cpu::force_level(level);
        std::printf("-- %s%s\n", cpu::name(level), uses_ifma() ? " with ifma" : uses_fma() ? " with fma" : "");
        transforms(repetitions);
        // 28 x 28 padded to 31 x 31, convolution 5 x 5 / 2 to 5 x 14 x 14; 980 to 100; 100 to 10. Weights of 12 bits
        // with their sign, all at the bound; 2^-51 a query is 2^-40 over 2048 queries.
        for (const int statistical_bits : {40, 51}) {
            network("CN-ReLU", 8192, 41, 11, statistical_bits,
                    {{1, 1, 980, 125}, {3, 4, 100, 980 * 25}, {1, 1, 10, 1000}}, repetitions);
        }
        network("CN-ReLU", 8192, 44, 11, 40,
                {{1, 1, 980, 125}, {3, 4, 100, 980 * 25}, {1, 1, 10, 1000}}, repetitions);
        network("CN-ReLU", 4096, 41, 11, 40,
                {{1, 2, 980, 75}, {5, 5, 100, 980 * 20}, {1, 1, 10, 1000}}, repetitions);
        network("MLP 64-32-10", 4096, 41, 11, 40, {{1, 1, 32, 2048}, {1, 1, 10, 320}}, repetitions);
        network("MLP 64-32-10", 8192, 41, 11, 51, {{1, 1, 32, 2048}, {1, 1, 10, 320}}, repetitions);
    }
    return EXIT_SUCCESS;
}

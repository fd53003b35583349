// Drives a fuzz target where there is no libFuzzer, with the same command line:
//   fuzz_x [-max_total_time=SECONDS] [-runs=N] [-seed=N] [-max_len=N] [-artifact_prefix=PATH] [file or folder]...
// Runs every given file, then mutations of them until the time or the runs are over; without either, the files only.
// Other options are ignored. The input at work lies in PATHcrash, however the program ends, and goes at a good end.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "tests/fuzz/input.hpp"

namespace {

using fuzz::Bytes;

// Written before each run: some sanitizers end the program without asking anyone.
class Artifact {
public:
    explicit Artifact(std::string path) : path_(std::move(path)), file_(::open(path_.c_str(), O_CREAT | O_RDWR, 0600)) {
        REQUIRE(file_ >= 0);
    }
    ~Artifact() {
        ::close(file_);
        ::unlink(path_.c_str());
    }
    Artifact(const Artifact&) = delete;
    Artifact& operator=(const Artifact&) = delete;

    void keep(const Bytes& input) {
        const auto size = static_cast<ssize_t>(input.size());
        REQUIRE(::ftruncate(file_, size) == 0 && ::pwrite(file_, input.data(), input.size(), 0) == size);
    }

private:
    std::string path_;
    int file_;
};

class Mutator {
public:
    Mutator(std::uint64_t seed, std::size_t longest) : random_(seed), longest_(longest) {}

    Bytes next(const std::vector<Bytes>& corpus) {
        Bytes input = corpus[below(corpus.size())];
        for (std::size_t steps = 1 + below(6); steps > 0; --steps) change(input, corpus);
        input.resize(std::min(input.size(), longest_));
        return input;
    }

private:
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
    std::uint8_t any_byte() {  // small values choose between branches, so they come often
        const std::uint64_t drawn = random_();
        return static_cast<std::uint8_t>(drawn % 2 == 0 ? (drawn >> 1) % 8 : drawn >> 1);
    }
    Bytes::iterator place(Bytes& input, std::size_t at) { return input.begin() + static_cast<std::ptrdiff_t>(at); }

    void change(Bytes& input, const std::vector<Bytes>& corpus) {
        const std::size_t at = below(input.size() + 1);
        switch (below(6)) {
            case 0: input.insert(place(input, at), any_byte()); break;
            case 1: input.resize(at); break;
            case 2: {  // splice
                const Bytes& other = corpus[below(corpus.size())];
                const std::size_t from = below(other.size() + 1);
                input.resize(at);
                input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
                break;
            }
            case 3:
                if (at < input.size()) input.erase(place(input, at));
                break;
            default:
                if (at < input.size()) input[at] = any_byte();
        }
    }

    std::mt19937_64 random_;
    std::size_t longest_;
};

void add_files(const std::filesystem::path& path, std::vector<Bytes>* corpus) {
    if (std::filesystem::is_directory(path)) {
        for (const auto& entry : std::filesystem::directory_iterator(path)) add_files(entry.path(), corpus);
        return;
    }
    std::ifstream file(path, std::ios::binary);
    corpus->emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seconds = 0, runs = 0, seed = 1, longest = 4096;
    std::string prefix;
    std::vector<Bytes> corpus;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto value_of = [&argument](const std::string& name, std::uint64_t* value) {
            if (argument.rfind(name, 0) == 0) *value = std::stoull(argument.substr(name.size()));
        };
        if (argument[0] != '-') add_files(argument, &corpus);
        value_of("-max_total_time=", &seconds);
        value_of("-runs=", &runs);
        value_of("-seed=", &seed);
        value_of("-max_len=", &longest);
        if (argument.rfind("-artifact_prefix=", 0) == 0) prefix = argument.substr(17);
    }
    Artifact artifact(prefix + "crash");
    const auto run = [&artifact](const Bytes& input) {
        artifact.keep(input);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    };
    corpus.emplace_back();
    std::sort(corpus.begin(), corpus.end());  // whatever order the folder had
    for (const Bytes& input : corpus) run(input);
    Mutator mutator(seed, longest);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    std::uint64_t done = 0;
    while ((runs == 0 || done < runs) && (runs != 0 || std::chrono::steady_clock::now() < end) &&
           (seconds == 0 || std::chrono::steady_clock::now() < end)) {
        run(mutator.next(corpus));
        ++done;
    }
    std::printf("%zu files and %llu mutations of them\n", corpus.size(), static_cast<unsigned long long>(done));
    return 0;
}

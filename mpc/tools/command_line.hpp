// Arguments, share files and exit codes of the stand-alone executables.
//
// A share file holds one vector in one line, as comma-separated integers, signed or unsigned. Bad arguments and bad
// files end the program with one sentence and exit code 2, a failed run with one sentence and exit code 1. --help prints
// the usage and is no error.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace mpc::tools {

class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

constexpr int kFailed = 1, kBadInput = 2;

struct Arguments {
    bool evaluator = false;  // party 1
    std::uint16_t port = 0;
    std::string input, output;
    std::string host = "127.0.0.1";
    unsigned bits = 64;
    unsigned share_bits = 64;
    unsigned deadline_s = 60;
};

inline std::uint64_t parse_number(const std::string& text, const std::string& what, std::uint64_t low,
                                  std::uint64_t high) {
    std::size_t used = 0;
    std::uint64_t value = 0;
    try {
        if (!text.empty() && text[0] >= '0' && text[0] <= '9') value = std::stoull(text, &used);
    } catch (const std::exception&) {
        used = 0;
    }
    if (used == 0 || used != text.size() || value < low || value > high)
        throw UsageError("expected " + what + " from " + std::to_string(low) + " to " + std::to_string(high) +
                         ", found '" + text + "'");
    return value;
}

// `share_bits`: whether the tool knows that option.
inline Arguments parse_arguments(int count, char** values, bool share_bits) {
    Arguments result;
    std::vector<std::string> positional;
    for (int i = 1; i < count; ++i) {
        const std::string argument = values[i];
        if (argument.rfind("--", 0) != 0) {
            positional.push_back(argument);
            continue;
        }
        if (i + 1 == count) throw UsageError("expected a value behind " + argument);
        const std::string value = values[++i];
        if (argument == "--host") result.host = value;
        else if (argument == "--bits") result.bits = static_cast<unsigned>(parse_number(value, "a width", 1, 64));
        else if (argument == "--share-bits" && share_bits)
            result.share_bits = static_cast<unsigned>(parse_number(value, "a width", 1, 64));
        else if (argument == "--deadline")
            result.deadline_s = static_cast<unsigned>(parse_number(value, "seconds", 1, 86400));
        else throw UsageError("unknown option " + argument);
    }
    if (positional.size() != 4)
        throw UsageError("expected PARTY PORT INPUT OUTPUT, found " + std::to_string(positional.size()) + " arguments");
    result.evaluator = parse_number(positional[0], "a party", 1, 2) == 1;
    result.port = static_cast<std::uint16_t>(parse_number(positional[1], "a port", 1, 65535));
    result.input = positional[2];
    result.output = positional[3];
    return result;
}

// One value of a share file, modulo 2^bits: unsigned below 2^bits, or signed from -2^(bits-1).
inline std::uint64_t parse_share(const std::string& text, unsigned bits, const std::string& place) {
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - bits);
    const bool negative = !text.empty() && text[0] == '-';
    const std::string digits = text.substr(negative ? 1 : 0);
    const bool numeric = !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
    std::uint64_t magnitude = 0;
    bool fits = numeric;
    for (const char c : digits) {
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (!fits || magnitude > (~std::uint64_t{0} - digit) / 10) {
            fits = false;
            break;
        }
        magnitude = 10 * magnitude + digit;
    }
    // The value itself is a share: it is not repeated in a message.
    if (!numeric) throw UsageError(place + ": expected an integer");
    if (!fits || magnitude > (negative ? mask / 2 + 1 : mask))
        throw UsageError(place + ": the value does not fit " + std::to_string(bits) + " bits");
    return (negative ? 0 - magnitude : magnitude) & mask;
}

inline std::vector<std::uint64_t> read_shares(const std::string& path, unsigned bits) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) throw UsageError("cannot read " + path + ": " + std::strerror(errno));
    std::vector<std::uint64_t> values;
    const std::string blank = " \t\r\n";
    std::size_t start = 0;
    while (start <= text.size()) {
        const std::size_t end = std::min(text.find(',', start), text.size());
        std::string field = text.substr(start, end - start);
        const std::size_t first = field.find_first_not_of(blank);
        field = first == std::string::npos ? "" : field.substr(first, field.find_last_not_of(blank) - first + 1);
        values.push_back(parse_share(field, bits, path + ", value " + std::to_string(values.size() + 1)));
        start = end + 1;
    }
    if (values.size() < 2 || values.size() > 65536)
        throw UsageError(path + ": expected 2 to 65536 values, found " + std::to_string(values.size()));
    return values;
}

// Readable by the owner alone; the old file, if any, stays until the new one is complete.
inline void write_private(const std::string& path, const std::string& text) {
    const std::string temporary = path + ".part" + std::to_string(::getpid());
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (fd < 0) throw UsageError("cannot write " + path + ": " + std::strerror(errno));
    std::size_t done = 0;
    bool good = true;
    while (good && done < text.size()) {
        const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) done += static_cast<std::size_t>(n);
    }
    good = ::close(fd) == 0 && good;
    if (!good || std::rename(temporary.c_str(), path.c_str()) != 0) {
        const int error = errno;
        ::unlink(temporary.c_str());
        throw UsageError("cannot write " + path + ": " + std::strerror(error));
    }
}

// Runs `body`, turning every error into one sentence and an exit code. If the user asks for help it prints `usage`
// instead.
template <typename Body>
int run_tool(const char* usage, int count, char** values, Body body) {
    for (int i = 1; i < count; ++i) {
        const std::string argument = values[i];
        if (argument != "--help" && argument != "-h") continue;
        return std::fputs(usage, stdout) >= 0 && std::fflush(stdout) == 0 ? 0 : kFailed;
    }
    try {
        body();
        return 0;
    } catch (const UsageError& error) {
        std::fprintf(stderr, "%s\n%s", error.what(), usage);
        return kBadInput;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return kFailed;
    }
}

}  // namespace mpc::tools

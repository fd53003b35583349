// The test harness, with named cases, CHECK, and a process exit status. It is no framework, and there is nothing to
// fetch.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "core/base/cpu.hpp"

namespace check {

inline int failures = 0;

inline void report(bool holds, const char* text, const char* file, int line) {
    if (holds) return;
    if (++failures <= 20) std::printf("  FAILED %s:%d: %s\n", file, line, text);
}

using Case = void (*)();

inline void run(const char* name, Case body) {
    const int before = failures;
    try {
        body();
    } catch (const std::exception& error) {
        report(false, error.what(), name, 0);
    }
    std::printf("%s %s\n", failures == before ? "ok    " : "FAILED", name);
    std::fflush(stdout);  // a crash in the next case must not swallow this line
}

// Runs a case once on every CPU level of this machine.
inline void run_on_all_levels(const char* name, Case body) {
    const auto usual = mpc::cpu::level();
    for (const auto level : mpc::cpu::available()) {
        mpc::cpu::force_level(level);
        run((std::string(name) + " [" + mpc::cpu::name(level) + "]").c_str(), body);
    }
    mpc::cpu::force_level(usual);
}

inline int result() {
    if (failures > 0) std::printf("%d checks failed\n", failures);
    return failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

inline std::string hex(const void* data, std::size_t bytes) {
    static const char digits[] = "0123456789abcdef";
    const auto* p = static_cast<const std::uint8_t*>(data);
    std::string text;
    for (std::size_t i = 0; i < bytes; ++i) {
        text.push_back(digits[p[i] >> 4]);
        text.push_back(digits[p[i] & 15]);
    }
    return text;
}

inline std::vector<std::uint8_t> unhex(const std::string& text) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
    }
    return bytes;
}

}  // namespace check

#define CHECK(condition) check::report((condition), #condition, __FILE__, __LINE__)
#define CHECK_THROWS(expression, type)                                                       \
    do {                                                                                     \
        bool thrown = false;                                                                 \
        try {                                                                                \
            (void)(expression);                                                              \
        } catch (const type&) {                                                              \
            thrown = true;                                                                   \
        }                                                                                    \
        check::report(thrown, #expression " throws " #type, __FILE__, __LINE__);             \
    } while (false)

// Typed errors of the core. Their texts say what was expected, what was found, and in which step.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace mpc {

// Root of everything that the core throws on purpose. Texts name steps and sizes, never secret values.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// A message (or array) whose length is not the one that the step implies.
class LengthError : public Error {
public:
    LengthError(const std::string& step, std::size_t expected_length, std::size_t found_length)
        : Error(step + ": expected " + std::to_string(expected_length) + ", found " + std::to_string(found_length)),
          expected(expected_length), found(found_length) {}

    std::size_t expected;
    std::size_t found;
};

// A call out of turn: twice, too early or too late. A bug of the program that calls, never the peer's fault.
class OrderError : public Error {
public:
    using Error::Error;
};

// A message of the right length with content that no honest peer sends (a bad point, a non-zero padding bit).
class MalformedError : public Error {
public:
    using Error::Error;
};

// A peer that asks for more than the public parameters allow it in all.
class LimitError : public Error {
public:
    using Error::Error;
};

// A parameter of the caller's own outside its range: widths, counts, values too large for their word.
class ParameterError : public Error {
public:
    using Error::Error;
};

// The operating system gave no randomness.
class RandomnessError : public Error {
public:
    using Error::Error;
};

}  // namespace mpc

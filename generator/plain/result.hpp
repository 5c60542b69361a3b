#pragma once
// Result<T>: a value, or an error with a message for a person.
//
// For expected failures only (files, models, devices, encoders); programming errors assert. Building an
// error has no side effects. The message says what failed, where, and what to do about it, in one line.

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace wander {

enum class ErrorCode {
    wrong_use,     // bad option, unknown name, missing argument: exit code 2
    bad_input,     // damaged, foreign or missing file: exit code 2
    unavailable,   // device, display, encoder or library that this machine lacks
    out_of_memory, // host or device
    io,            // reading or writing failed
    internal,      // a bug or an unexpected answer of a library: exit code 1
};

struct Error {
    ErrorCode code = ErrorCode::internal;
    std::string message;
};

template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::move(value)) {}
    Result(Error error) : state_(std::move(error)) {}

    explicit operator bool() const { return std::holds_alternative<T>(state_); }
    T& value() {
        assert(*this);
        return std::get<T>(state_);
    }
    const T& value() const {
        assert(*this);
        return std::get<T>(state_);
    }
    T& operator*() { return value(); }
    const T& operator*() const { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const Error& error() const {
        assert(!*this);
        return std::get<Error>(state_);
    }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return !error_.has_value(); }
    const Error& error() const {
        assert(error_.has_value());
        return *error_;
    }

private:
    std::optional<Error> error_;
};

} // namespace wander

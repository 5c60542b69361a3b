#include "generator/errors.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <exception>
#include <new>
#include <string>

namespace wander {

namespace {

// The first line: what torch adds below it are stack traces and hints for people who write Python.
std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

Error out_of_memory(std::string_view where, std::string_view doing) {
    return {ErrorCode::out_of_memory,
            fmt::format("{} memory ran out while {}: close other programs, use --cache int2, or a smaller model", where,
                        doing)};
}

} // namespace

Error current_exception_as_error(std::string_view doing) {
    try {
        throw;
    } catch (const c10::OutOfMemoryError&) {
        return out_of_memory("GPU", doing);
    } catch (const c10::Error& error) {
        const std::string text = first_line(error.what_without_backtrace());
        // torch's host allocator has no exception of its own.
        if (text.find("DefaultCPUAllocator") != std::string::npos) return out_of_memory("Main", doing);
        if (text.find("out of memory") != std::string::npos) return out_of_memory("GPU", doing);
        return {ErrorCode::internal, fmt::format("torch failed while {}: {}", doing, text)};
    } catch (const std::bad_alloc&) {
        return out_of_memory("Main", doing);
    } catch (const std::exception& error) {
        return {ErrorCode::internal, fmt::format("failed while {}: {}", doing, first_line(error.what()))};
    }
}

} // namespace wander

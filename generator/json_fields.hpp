#pragma once
// Reading numbers and lists out of a JSON file of ours with checks: every complaint names the file and the key.
//
// JsonFields collects the first complaint instead of throwing, so that a reader lists what it wants in one piece and
// asks once at the end. One thread.

#include "generator/plain/result.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace wander {

// Json: nlohmann::ordered_json where the order of keys matters.
template <typename Json = nlohmann::json>
Result<Json> read_json_file(const std::filesystem::path& path, std::size_t max_bytes = 16 << 20) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(path, failed);
    if (failed)
        return Error{ErrorCode::bad_input, fmt::format("{}: cannot be read ({})", path.string(), failed.message())};
    if (bytes > max_bytes)
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: {} bytes are too many for this file", path.string(), bytes)};
    std::ifstream file(path);
    auto json = Json::parse(file, nullptr, false);
    if (json.is_discarded()) return Error{ErrorCode::bad_input, fmt::format("{}: is not valid JSON", path.string())};
    return json;
}

class JsonFields {
public:
    JsonFields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {}

    // An absent key is a complaint; so is a wrong type or a value outside [low, high].
    int integer(const char* key, int low, int high) {
        const auto* value = find(key);
        if (!value) return low;
        if (!value->is_number_integer() || value->get<double>() < low || value->get<double>() > high) {
            complain(key, fmt::format("is {}, expected a whole number of {} to {}", value->dump(), low, high));
            return low;
        }
        return value->get<int>();
    }
    double number(const char* key, double low, double high) {
        const auto* value = find(key);
        if (!value) return low;
        if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
            complain(key, fmt::format("is {}, expected a number of {} to {}", value->dump(), low, high));
            return low;
        }
        return value->get<double>();
    }
    bool boolean(const char* key) {
        const auto* value = find(key);
        if (!value) return false;
        if (!value->is_boolean()) complain(key, "is neither true nor false");
        return value->is_boolean() && value->get<bool>();
    }
    std::string text(const char* key) {
        const auto* value = find(key);
        if (!value) return {};
        if (!value->is_string()) {
            complain(key, "is not a text");
            return {};
        }
        return value->get<std::string>();
    }
    template <typename T>
    std::vector<T> list(const char* key, std::size_t min_count, std::size_t max_count) {
        const auto* value = find(key);
        std::vector<T> items(min_count);
        if (!value) return items;
        try {
            if (value->is_array() && value->size() >= min_count && value->size() <= max_count)
                return value->get<std::vector<T>>();
        } catch (const nlohmann::json::exception&) {
        }
        complain(key, min_count == max_count ? fmt::format("is not a list of {} values", min_count)
                                             : fmt::format("is not a list of {} to {} values", min_count, max_count));
        return items;
    }
    // An object below this one; complaints are shared by adopt().
    JsonFields object(const char* key) {
        static const nlohmann::json kEmpty = nlohmann::json::object();
        const auto* value = find(key);
        if (value && !value->is_object()) complain(key, "is not an object");
        JsonFields inner(value && value->is_object() ? *value : kEmpty, where_ + ": " + key);
        if (!value || !value->is_object()) inner.error_ = error_;
        return inner;
    }
    void adopt(const JsonFields& inner) {
        if (!error_) error_ = inner.error_;
    }
    bool has(const char* key) const { return object_.is_object() && object_.contains(key); }

    void complain(const char* key, const std::string& what) {
        if (!error_) error_ = Error{ErrorCode::bad_input, fmt::format("{}: \"{}\" {}", where_, key, what)};
    }
    const std::optional<Error>& error() const { return error_; }

private:
    const nlohmann::json* find(const char* key) {
        if (!has(key)) {
            complain(key, "is missing");
            return nullptr;
        }
        return &object_.at(key);
    }

    const nlohmann::json& object_;
    std::string where_;
    std::optional<Error> error_;
};

} // namespace wander

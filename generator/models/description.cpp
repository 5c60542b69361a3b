#include "generator/models/description.hpp"

#include "generator/json_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace wander {

Result<std::optional<Description>> Description::read(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return std::optional<Description>();
    auto values = read_json_file(path);
    if (!values) return values.error();
    if (!values->is_object()) return Error{ErrorCode::bad_input, fmt::format("{}: is no JSON object", path.string())};
    return std::optional<Description>({path, std::move(*values)});
}

Result<std::optional<Description>> Description::find(const std::vector<std::filesystem::path>& paths,
                                                     std::initializer_list<const char*> keys) {
    for (const auto& path : paths) {
        auto description = read(path);
        if (!description) return description.error();
        if (*description && std::any_of(keys.begin(), keys.end(),
                                        [&](const char* key) { return (*description)->values.contains(key); }))
            return description;
    }
    return std::optional<Description>();
}

std::optional<int> Description::whole(const char* key) const {
    const auto found = values.find(key);
    if (found == values.end() || !found->is_number_integer()) return std::nullopt;
    const auto number = found->get<std::int64_t>();
    return number >= 0 && number < (1 << 30) ? std::optional<int>(static_cast<int>(number)) : std::nullopt;
}

Result<void> Description::compare(std::initializer_list<Expected> sizes, const std::filesystem::path& weights) const {
    for (const Expected& size : sizes) {
        const auto number = whole(size.key);
        if (number && *number != size.value)
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: \"{}\" is {}, but the tensors of {} say {}", path.string(), size.key, *number,
                                     weights.string(), size.value)};
    }
    return {};
}

bool Description::take_list(const char* key, std::vector<double>& target) const {
    const auto found = values.find(key);
    if (found == values.end() || !found->is_array() || found->size() != target.size()) return false;
    std::vector<double> numbers;
    for (const auto& value : *found) {
        if (!value.is_number()) return false;
        numbers.push_back(value.get<double>());
    }
    target = std::move(numbers);
    return true;
}

} // namespace wander

#include "generator/weights/safetensors.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace wander {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor data are little-endian and used in place");

// The header of the largest model we read (some 900 tensors) is 120 kB.
constexpr std::uint64_t kMaxHeaderBytes = 64ULL << 20;
constexpr std::size_t kMaxDimensions = 8;

struct DtypeName {
    const char* name;
    Dtype dtype;
    std::uint64_t bytes;
};
constexpr DtypeName kDtypes[] = {
    {"F64", Dtype::f64, 8}, {"F32", Dtype::f32, 4},      {"F16", Dtype::f16, 2},         {"BF16", Dtype::bf16, 2},
    {"I64", Dtype::i64, 8}, {"I32", Dtype::i32, 4},      {"I16", Dtype::i16, 2},         {"I8", Dtype::i8, 1},
    {"U8", Dtype::u8, 1},   {"BOOL", Dtype::boolean, 1}, {"F8_E4M3", Dtype::f8_e4m3, 1}, {"F8_E5M2", Dtype::f8_e5m2, 1},
};

Error bad(std::string message) {
    return {ErrorCode::bad_input, "not a usable safetensors file: " + std::move(message)};
}

// Keeps the first of two members of one name apart from the second: JSON allows both, a tensor table must not.
class DuplicateFinder : public nlohmann::json_sax<nlohmann::json> {
public:
    std::string duplicate;

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(std::size_t) override {
        names_.emplace_back();
        return names_.size() <= 3;
    }
    bool key(string_t& name) override {
        if (names_.empty() || !names_.back().insert(name).second) duplicate = name;
        return duplicate.empty();
    }
    bool end_object() override {
        names_.pop_back();
        return true;
    }
    bool start_array(std::size_t) override { return ++arrays_ <= 2; }
    bool end_array() override {
        --arrays_;
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

private:
    std::vector<std::set<std::string>> names_;
    int arrays_ = 0;
};

std::optional<std::uint64_t> unsigned_number(const nlohmann::json& value) {
    if (!value.is_number_unsigned()) return std::nullopt;
    return value.get<std::uint64_t>();
}

// Nothing if the product does not fit.
std::optional<std::uint64_t> tensor_bytes(const std::vector<std::int64_t>& shape, std::uint64_t item_bytes) {
    std::uint64_t bytes = item_bytes;
    for (const std::int64_t size : shape) {
        if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) return std::nullopt;
    }
    return bytes;
}

Result<TensorEntry> parse_entry(const std::string& name, const nlohmann::json& value, std::uint64_t data_bytes) {
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets")) {
        return bad(fmt::format("tensor '{}' lacks dtype, shape or data_offsets", name));
    }
    const auto& dtype = value["dtype"];
    const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                     [&](const DtypeName& d) { return dtype.is_string() && dtype == d.name; });
    if (found == std::end(kDtypes)) return bad(fmt::format("tensor '{}' has unknown dtype {}", name, dtype.dump()));

    TensorEntry entry;
    entry.dtype = found->dtype;
    const auto& shape = value["shape"];
    if (!shape.is_array() || shape.size() > kMaxDimensions) {
        return bad(fmt::format("shape of tensor '{}' is no list of at most {} sizes", name, kMaxDimensions));
    }
    for (const auto& size : shape) {
        const auto number = unsigned_number(size);
        if (!number || *number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return bad(fmt::format("shape of tensor '{}' holds {}", name, size.dump()));
        }
        entry.shape.push_back(static_cast<std::int64_t>(*number));
    }
    const auto& offsets = value["data_offsets"];
    const auto begin = offsets.is_array() && offsets.size() == 2 ? unsigned_number(offsets[0]) : std::nullopt;
    const auto end = offsets.is_array() && offsets.size() == 2 ? unsigned_number(offsets[1]) : std::nullopt;
    if (!begin || !end) return bad(fmt::format("data_offsets of tensor '{}' are no pair of numbers", name));
    if (*begin > *end || *end > data_bytes) {
        return bad(fmt::format("tensor '{}' lies at bytes {}..{} of {}: the file may be cut off", name, *begin, *end,
                               data_bytes));
    }
    const auto expected = tensor_bytes(entry.shape, found->bytes);
    if (!expected || *expected != *end - *begin) {
        return bad(
            fmt::format("tensor '{}' has {} bytes, which is not what its shape and dtype need", name, *end - *begin));
    }
    entry.begin = *begin;
    entry.end = *end;
    return entry;
}

Result<void> check_gaps(const SafetensorsHeader& header, std::uint64_t data_bytes) {
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    ranges.reserve(header.tensors.size());
    for (const auto& [name, entry] : header.tensors) ranges.emplace_back(entry.begin, entry.end);
    std::sort(ranges.begin(), ranges.end());
    std::size_t covered = 0;
    for (const auto& [begin, end] : ranges) {
        if (begin != covered) return bad(fmt::format("tensors overlap or leave a gap at data byte {}", covered));
        covered = end;
    }
    if (covered != data_bytes) return bad(fmt::format("{} data bytes belong to no tensor", data_bytes - covered));
    return {};
}

} // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::uint8_t> head, std::size_t file_bytes) {
    if (head.size() < 8 || file_bytes < 8) return bad("shorter than 8 bytes");
    std::uint64_t length = 0;
    std::memcpy(&length, head.data(), sizeof length);
    if (length > kMaxHeaderBytes || length > file_bytes - 8 || length > head.size() - 8) {
        return bad(fmt::format("a header of {} bytes does not fit into the file's {}", length, file_bytes));
    }
    const char* text = reinterpret_cast<const char*>(head.data() + 8);
    DuplicateFinder finder;
    if (!nlohmann::json::sax_parse(text, text + length, &finder)) {
        return bad(finder.duplicate.empty() ? "the header is no JSON of the expected form"
                                            : fmt::format("two entries are called '{}'", finder.duplicate));
    }
    const auto json = nlohmann::json::parse(text, text + length, nullptr, false);
    if (!json.is_object()) return bad("the header is no JSON object");

    SafetensorsHeader header;
    header.data_offset = 8 + static_cast<std::size_t>(length);
    const std::uint64_t data_bytes = file_bytes - header.data_offset;
    for (const auto& [name, value] : json.items()) {
        if (name == "__metadata__") {
            if (!value.is_object()) return bad("__metadata__ is no object");
            for (const auto& [key, text_value] : value.items()) {
                if (!text_value.is_string()) return bad(fmt::format("metadata '{}' is no string", key));
                header.metadata[key] = text_value.get<std::string>();
            }
            continue;
        }
        auto entry = parse_entry(name, value, data_bytes);
        if (!entry) return entry.error();
        header.tensors.emplace(name, std::move(*entry));
    }
    if (auto gaps = check_gaps(header, data_bytes); !gaps) return gaps.error();
    return header;
}

} // namespace wander

#include "tests/support/qvg_inputs.hpp"

#include "quant/qvg/number_formats.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace wander::testing {
namespace {

using quant::qvg::float_to_bf16;

std::uint64_t splitmix64(std::uint64_t z) {
    z += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

Bytes read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error("cannot read " + path);
    }
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

std::map<std::string, Bytes> read_safetensors(const std::string& path) {
    const Bytes file = read_file(path);
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
    const auto data = file.begin() + static_cast<std::ptrdiff_t>(8 + header_bytes);
    const auto header = nlohmann::json::parse(file.begin() + 8, data);
    std::map<std::string, Bytes> out;
    for (const auto& [name, entry] : header.items()) {
        if (name != "__metadata__") {
            const auto& range = entry.at("data_offsets");
            out[name] = Bytes(data + range[0].get<std::ptrdiff_t>(), data + range[1].get<std::ptrdiff_t>());
        }
    }
    return out;
}

std::size_t product(const nlohmann::json& shape) {
    std::size_t count = 1;
    for (const auto& extent : shape) {
        count *= extent.get<std::size_t>();
    }
    return count;
}

float spread(std::uint32_t draw, double scale, double offset) {
    return static_cast<float>(offset + scale * (2.0 * draw * 0x1p-24 - 1.0));
}

const nlohmann::json& description(const nlohmann::json& part, const std::string& tensor) {
    return part.at("inputs").at(tensor);
}

} // namespace

std::uint64_t fnv1a64(const void* data, std::size_t bytes) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (std::size_t i = 0; i < bytes; ++i) {
        hash = (hash ^ static_cast<const std::uint8_t*>(data)[i]) * 0x100000001b3ULL;
    }
    return hash;
}

QvgCase::QvgCase(const std::string& name) {
    const char* folder = std::getenv("WANDER_GOLDENS");
    const std::string path = std::string(folder && *folder ? folder : WANDER_TEST_DATA_DIR "/goldens") + "/" + name;
    const Bytes text = read_file(path + "/case.json");
    json_ = nlohmann::json::parse(text.begin(), text.end());
    if (json_.contains("subcases")) {
        outputs_ = read_safetensors(path + "/out.safetensors");
    }
}

const Bytes& QvgCase::bytes(const std::string& tensor) const {
    const auto found = outputs_.find(tensor);
    if (found == outputs_.end()) {
        throw std::runtime_error("no stored output " + tensor);
    }
    return found->second;
}

Bf16s QvgCase::bf16(const std::string& tensor) const {
    const Bytes& raw = bytes(tensor);
    Bf16s out(raw.size() / 2);
    std::memcpy(out.data(), raw.data(), out.size() * 2);
    return out;
}

std::vector<std::uint32_t> QvgCase::draws(const std::string& tensor, std::size_t count) const {
    const std::uint64_t hash = fnv1a64(tensor.data(), tensor.size()) ^ json_.at("seed").get<std::uint64_t>();
    std::vector<std::uint32_t> out(count);
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = static_cast<std::uint32_t>(splitmix64(hash + i) >> 40);
    }
    return out;
}

Bf16s QvgCase::bf16_input(const nlohmann::json& part, const std::string& tensor) const {
    const auto& about = description(part, tensor);
    const std::string kind = about.at("kind");
    if (kind == "data") {
        return bf16(tensor);
    }
    const auto& shape = about.at("shape");
    const auto dim = shape.back().get<std::size_t>();
    const auto rows = shape.at(shape.size() - 2).get<std::size_t>();
    Bf16s out(product(shape));
    if (kind == "exhaustive") {
        const auto channel = about.at("channel").get<std::size_t>();
        const bool negative = about.value("negative", false);
        for (std::size_t b = 0; b * 16 < out.size(); ++b) {
            out[b * 16 + channel] = static_cast<std::uint16_t>(b + (negative ? 0x8000U : 0U));
        }
    } else if (kind == "bf16") {
        const auto draw = draws(tensor, out.size());
        for (std::size_t i = 0; i < out.size(); ++i) {
            float value = spread(draw[i], about.at("scale"), about.value("offset", 0.0));
            if (about.contains("rowexp")) {
                const auto period = about["rowexp"][0].get<std::size_t>();
                value = std::ldexp(value, static_cast<int>(i / dim % rows % period) + about["rowexp"][1].get<int>());
            }
            out[i] = float_to_bf16(value);
        }
    } else if (kind == "cluster") {
        const auto centres = about.at("M").get<std::size_t>();
        const auto step = about.at("step").get<std::size_t>();
        const auto groups = out.size() / dim / rows;
        const auto centre = draws(tensor + ".centers", groups * centres * dim);
        const auto noise = draws(tensor + ".noise", out.size());
        std::vector<float> offset(dim, 0.0F);
        if (about.contains("offset_channels")) {
            for (const auto& channel : about["offset_channels"]) {
                offset.at(channel.get<std::size_t>()) = about.at("offset_value");
            }
        }
        for (std::size_t i = 0; i < out.size(); ++i) {
            const std::size_t n = i / dim % rows;
            const std::size_t at = (i / dim / rows * centres + step * n % centres) * dim + i % dim;
            const float sum =
                spread(centre[at], about.at("center_scale"), 0) + spread(noise[i], about.at("noise_scale"), 0);
            out[i] = float_to_bf16(offset[i % dim] != 0 ? sum + offset[i % dim] : sum);
        }
    } else {
        throw std::runtime_error(tensor + ": kind " + kind + " is not known");
    }
    return out;
}

std::vector<std::uint32_t> QvgCase::integer_input(const nlohmann::json& part, const std::string& tensor) const {
    const auto& about = description(part, tensor);
    const std::string kind = about.at("kind");
    const std::size_t count = product(about.at("shape"));
    std::vector<std::uint32_t> out(count);
    if (kind == "fp8") {
        for (std::size_t i = 0; i < count; ++i) {
            const auto v = static_cast<std::uint32_t>((about.at("start").get<std::size_t>() + 97 * i) % 254);
            out[i] = v < 127 ? v : v + 1;
        }
        return out;
    }
    const std::uint32_t modulus = kind == "u8" ? 256U : about.at("mod").get<std::uint32_t>();
    out = draws(tensor, count);
    for (std::uint32_t& value : out) {
        value %= modulus;
    }
    return out;
}

Bytes QvgCase::byte_input(const nlohmann::json& part, const std::string& tensor) const {
    const auto wide = integer_input(part, tensor);
    return Bytes(wide.begin(), wide.end());
}

} // namespace wander::testing

#include "tests/support/golden.hpp"

#include "generator/rollout/noise.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <numbers>

namespace wander::testing {
namespace {

at::Tensor take(Result<at::Tensor> tensor) {
    if (!tensor) throw std::runtime_error(tensor.error().message);
    return *tensor;
}

Safetensors open(const std::filesystem::path& folder) {
    auto file = Safetensors::open(folder / "out.safetensors");
    if (!file) throw std::runtime_error(file.error().message);
    return *file;
}

} // namespace

at::Tensor synthetic_tensor(const std::string& name, std::uint64_t seed, const nlohmann::json& manifest) {
    const auto shape = manifest.at("shape").get<std::vector<std::int64_t>>();
    const double scale = manifest.at("scale");
    const double offset = manifest.at("offset");
    const std::uint64_t h = fnv1a64(name) ^ seed;
    const bool gaussian = manifest.value("gaussian", false);
    const auto uniform = [h](std::uint64_t counter) { return static_cast<double>(splitmix64(h + counter) >> 40); };
    at::Tensor out = at::empty(shape, at::kFloat);
    float* values = out.data_ptr<float>();
    for (std::int64_t i = 0; i < out.numel(); ++i) {
        const auto counter = static_cast<std::uint64_t>(i);
        if (!gaussian) {
            values[i] = static_cast<float>(offset + scale * (2 * uniform(counter) * 0x1p-24 - 1));
            continue;
        }
        const double u1 = (uniform(2 * counter) + 0.5) * 0x1p-24, u2 = uniform(2 * counter + 1) * 0x1p-24;
        values[i] =
            static_cast<float>(offset + scale * std::sqrt(-2 * std::log(u1)) * std::cos(2 * std::numbers::pi * u2));
    }
    return out;
}

std::filesystem::path goldens_folder() {
    const char* folder = std::getenv("WANDER_GOLDENS");
    return folder && *folder ? folder : WANDER_TEST_DATA_DIR "/goldens";
}

std::vector<std::filesystem::path> golden_folders(const std::string& name) {
    std::vector<std::filesystem::path> folders;
    for (const auto& entry : std::filesystem::directory_iterator(goldens_folder())) {
        const std::string folder = entry.path().filename().string();
        const bool other_form = folder.ends_with("-diffusers") && !name.ends_with("-diffusers");
        if ((folder == name || folder.starts_with(name + "-")) && !other_form &&
            std::filesystem::exists(entry.path() / "out.safetensors")) {
            folders.push_back(entry.path());
        }
    }
    std::sort(folders.begin(), folders.end());
    EXPECT_FALSE(folders.empty()) << "no case " << name << " in " << goldens_folder();
    return folders;
}

GoldenCase::GoldenCase(const std::filesystem::path& folder)
    : folder_(folder.filename().string()), outputs_(open(folder)) {
    std::ifstream(folder / "case.json") >> json_;
}

const nlohmann::json& GoldenCase::config() const { return json_.at("config"); }
const nlohmann::json& GoldenCase::weights() const { return json_.at("tensors"); }
double GoldenCase::tolerance_of(const std::string& output) const { return json_.at("tolerance").at(output); }
at::Tensor GoldenCase::output(const std::string& name) const { return take(outputs_.tensor(name)); }

at::Tensor GoldenCase::tensor(const std::string& name) const {
    for (const char* kind : {"tensors", "inputs"}) {
        if (json_.contains(kind) && json_.at(kind).contains(name)) {
            return synthetic_tensor(name, json_.at("seed"), json_.at(kind).at(name));
        }
    }
    throw std::runtime_error(folder_ + " has no tensor " + name);
}

GoldenCase::Source GoldenCase::source(std::function<std::string(const std::string&)> rename) const {
    return [this, rename](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        const std::string theirs = rename ? rename(name) : name;
        if (!weights().contains(theirs)) return Error{ErrorCode::bad_input, "no tensor " + theirs};
        const at::Tensor tensor = synthetic_tensor(theirs, json_.at("seed"), weights().at(theirs));
        if (tensor.sizes() != at::IntArrayRef(shape)) return Error{ErrorCode::bad_input, theirs + " has another shape"};
        return tensor;
    };
}

double GoldenCase::tolerance() const {
    const auto& tolerance = json_.at("tolerance");
    for (const char* key : {"max_rel", "float32", "all"}) {
        if (tolerance.contains(key)) return tolerance.at(key);
    }
    throw std::runtime_error(folder_ + " states no tolerance");
}

void GoldenCase::expect(const std::string& name, const at::Tensor& got, double tolerance) const {
    const at::Tensor expected = output(name).to(at::kDouble);
    ASSERT_TRUE(got.defined()) << name;
    ASSERT_EQ(got.numel(), expected.numel()) << folder_ << " " << name;
    const at::Tensor difference = (got.to(at::kCPU, at::kDouble).reshape(expected.sizes()) - expected).abs().max();
    const double relative = difference.item<double>() / expected.abs().max().item<double>();
    EXPECT_LE(relative, tolerance) << folder_ << " " << name;
    worst_ = std::max(worst_, relative);
    ++compared_;
}

} // namespace wander::testing

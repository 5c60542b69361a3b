#include "generator/train/parameters.hpp"

#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace wander::train {
namespace {

// Rows of places come first in these.
bool belongs_to_places(const std::string& name) {
    return name.starts_with("map_embedding.") || name == "pose_embedding.world";
}

// Deviation of a weight's first values, or 0 for zeros.
double deviation_of(const std::string& name, const std::vector<std::int64_t>& shape) {
    if (belongs_to_places(name)) return 0.3;
    if (!name.ends_with(".weight") || name.starts_with("time_projection.") || name.starts_with("head.") ||
        name == "action_in.mlp.2.weight") {
        return 0; // biases, modulation, and what must not act before it has learned
    }
    if (name == "pose_embedding.0.weight") return 0.06;
    std::int64_t in = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) in *= shape[i];
    return std::min(0.04, 0.7 / std::sqrt(static_cast<double>(in)));
}

// CPU, float32, whatever the type in the end: the same values everywhere.
at::Tensor first_values(const std::string& name, const std::vector<std::int64_t>& shape, at::Generator& random) {
    if (shape.size() == 1 && name.ends_with(".weight")) return at::ones(shape, at::kFloat); // norms
    const double deviation = deviation_of(name, shape);
    at::Tensor values = at::zeros(shape, at::kFloat);
    if (deviation > 0) values.normal_(0, deviation, random);
    return values;
}

} // namespace

Result<Parameters> Parameters::load(const TensorShapes& shapes, const TensorSource& source, at::Device device,
                                    const char* what, at::ScalarType type) {
    auto found = load_strictly(shapes, source, what);
    if (!found) return found.error();
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, tensor] : *found) {
        // New memory in any case: the source may be a view of a file.
        tensors.emplace(name, at::empty(tensor.sizes(), at::TensorOptions(device).dtype(type)).copy_(tensor));
    }
    return Parameters(std::move(tensors));
}

const at::Tensor& Parameters::at(const std::string& name) const {
    const auto found = tensors_.find(name);
    TORCH_CHECK(found != tensors_.end(), "Parameters: no tensor '", name, "'");
    return found->second;
}

TensorShapes Parameters::shapes() const {
    TensorShapes shapes;
    for (const auto& [name, tensor] : tensors_) shapes.emplace(name, tensor.sizes().vec());
    return shapes;
}

std::int64_t Parameters::count() const {
    std::int64_t sum = 0;
    for (const auto& [name, tensor] : tensors_) sum += tensor.numel();
    return sum;
}

at::Device Parameters::device() const { return tensors_.empty() ? at::kCPU : tensors_.begin()->second.device(); }

void Parameters::require_gradients(bool on) {
    for (auto& [name, tensor] : tensors_) tensor.requires_grad_(on);
}

void Parameters::clear_gradients() {
    for (auto& [name, tensor] : tensors_) tensor.mutable_grad().reset();
}

Parameters Parameters::deep_copy() const {
    std::map<std::string, at::Tensor> copies;
    for (const auto& [name, tensor] : tensors_) copies.emplace(name, tensor.detach().clone());
    return Parameters(std::move(copies));
}

void Parameters::copy_from(const Parameters& other) {
    const c10::NoGradGuard no_gradients;
    TORCH_CHECK(tensors_.size() == other.tensors_.size(), "Parameters: copy of another set of tensors");
    for (auto& [name, tensor] : tensors_) tensor.copy_(other.at(name));
}

TensorSource Parameters::source() const {
    return [tensors = tensors_](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        const auto found = tensors.find(name);
        if (found == tensors.end()) return Error{ErrorCode::internal, "no trained tensor is called '" + name + "'"};
        if (found->second.sizes() != at::IntArrayRef(shape))
            return Error{ErrorCode::internal, "the trained tensor '" + name + "' has another shape"};
        return found->second.detach();
    };
}

Parameters random_dit(const TensorShapes& shapes, at::Device device, at::Generator random, at::ScalarType type) {
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, shape] : shapes) {
        tensors.emplace(
            name, at::empty(shape, at::TensorOptions(device).dtype(type)).copy_(first_values(name, shape, random)));
    }
    return Parameters(std::move(tensors));
}

at::Tensor resample_maps(const at::Tensor& maps, std::int64_t cells) {
    at::Tensor result = maps;
    for (const std::int64_t side : {2, 3}) {
        const std::int64_t stored = maps.size(side);
        if (stored == cells) continue;
        const at::Tensor at_stored =
            at::arange(cells, at::kDouble) * (static_cast<double>(stored) / static_cast<double>(cells));
        const at::Tensor before = at_stored.floor();
        std::vector<std::int64_t> along(4, 1);
        along[static_cast<std::size_t>(side)] = cells;
        const at::Tensor weight = (at_stored - before).to(maps.scalar_type()).view(along);
        const at::Tensor index = before.to(at::kLong);
        const at::Tensor low = result.index_select(side, index);
        result = low + weight * (result.index_select(side, (index + 1).remainder(stored)) - low);
    }
    return result;
}

Result<Parameters> load_dit_for_places(const TensorShapes& shapes, const TensorSource& source,
                                       const TensorShapes& stored, const std::vector<int>& from_place,
                                       at::Device device, at::Generator random) {
    auto loaded = Parameters::load(stored, source, at::kCPU, "transformer");
    if (!loaded) return loaded.error();
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, shape] : shapes) {
        at::Tensor values = loaded->at(name);
        if (belongs_to_places(name)) {
            TORCH_CHECK(shape[0] == static_cast<std::int64_t>(from_place.size()),
                        "load_dit_for_places: one entry for each place of the network");
            if (shape.size() == 4) values = resample_maps(values, shape[2]);
            // Drawn for all places, so that a new place's values do not depend on which others are known.
            at::Tensor rows = first_values(name, shape, random);
            for (std::size_t place = 0; place < from_place.size(); ++place) {
                TORCH_CHECK(from_place[place] < values.size(0), "load_dit_for_places: place ", from_place[place],
                            " of ", values.size(0));
                if (from_place[place] >= 0) rows[static_cast<std::int64_t>(place)].copy_(values[from_place[place]]);
            }
            values = rows;
        }
        tensors.emplace(name, at::empty(shape, at::TensorOptions(device).dtype(at::kFloat)).copy_(values));
    }
    return Parameters(std::move(tensors));
}

} // namespace wander::train

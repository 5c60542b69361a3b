#include "generator/models/convert.hpp"

#include "generator/models/converted_part.hpp"
#include "generator/weights/safetensors_stream.hpp"
#include "generator/weights/scalar_type.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

namespace wander {
namespace {

constexpr std::int64_t kSliceElements = 8 << 20; // 32 MB in, 16 MB out
constexpr std::uint64_t kSpareBytes = 256 << 20; // a disk is not filled to the brim

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// What is written, wide types first so that every tensor is aligned in the file.
std::vector<StreamedTensor> converted_tensors(const PartTensors& tensors) {
    std::vector<StreamedTensor> converted;
    for (const auto& [name, shape] : tensors.shapes())
        converted.push_back({name, converted_dtype(name, *tensors.info(name)), shape});
    std::stable_sort(converted.begin(), converted.end(), [](const StreamedTensor& a, const StreamedTensor& b) {
        return dtype_bytes(a.dtype) > dtype_bytes(b.dtype);
    });
    return converted;
}

std::uint64_t bytes_of(const std::vector<StreamedTensor>& tensors) {
    std::uint64_t sum = 0;
    for (const StreamedTensor& tensor : tensors) sum += TensorInfo{tensor.dtype, tensor.shape}.bytes();
    return sum;
}

class Conversion {
public:
    Conversion(const ModelFiles& model, const ConvertPlan& plan, const ConvertReport& report)
        : model_(model), plan_(plan), report_(report), begun_(steady_seconds()) {
        progress_.bytes_total = plan.bytes();
    }

    Result<void> write(const ConvertPlan::Part& part) {
        const ModelPart* from = model_.part(part.kind);
        const PartTensors& tensors = *from->tensors;
        const auto key = source_key(tensors.file());
        if (!key) return key.error();
        const auto list = converted_tensors(tensors);
        progress_.kind = part.kind;
        if (!report()) return stopped();
        auto stream = SafetensorsStream::create(part.target, list,
                                                {{kConvertedKey, *key},
                                                 {kConvertedFrom, shown_source(part.source)},
                                                 {kConvertedEntry, tensors.outer_entry()}});
        if (!stream) return stream.error();
        for (const StreamedTensor& target : list) {
            auto tensor = tensors.tensor(target.name, target.shape);
            if (!tensor) return tensor.error();
            if (auto written = write_slices(*stream, *tensor, scalar_type(target.dtype)); !written) return written;
            tensors.release(target.name);
        }
        // The source may have been replaced meanwhile; then this would carry the wrong key.
        const auto key_now = source_key(tensors.file());
        if (!key_now || *key_now != *key)
            return Error{ErrorCode::io,
                         fmt::format("{}: changed while it was being converted; start again", part.source.string())};
        return stream->finish();
    }

private:
    Result<void> write_slices(SafetensorsStream& stream, const at::Tensor& tensor, at::ScalarType type) {
        const at::Tensor flat = tensor.reshape({-1});
        for (std::int64_t begin = 0; begin < flat.numel(); begin += kSliceElements) {
            const at::Tensor slice =
                flat.narrow(0, begin, std::min(kSliceElements, flat.numel() - begin)).to(type).contiguous();
            if (auto written = stream.write(slice.const_data_ptr(), slice.nbytes()); !written) return written;
            progress_.bytes_done += slice.nbytes();
            if (!report()) return stopped();
        }
        return {};
    }

    // Below the model's folder where it lies there: model.pt alone would not say which.
    std::string shown_source(const std::filesystem::path& source) const {
        const auto inside = source.lexically_relative(model_.folder);
        return inside.empty() || inside.native().starts_with("..") ? source.filename().string() : inside.string();
    }

    bool report() {
        progress_.seconds = steady_seconds() - begun_;
        const auto done = static_cast<double>(progress_.bytes_done);
        const auto left = static_cast<double>(progress_.bytes_total - progress_.bytes_done);
        progress_.seconds_left = progress_.seconds > 0.5 && done > 0 ? progress_.seconds * left / done : 0;
        return !report_ || report_(progress_);
    }

    static Error stopped() {
        return {ErrorCode::unavailable, "the conversion was stopped; parts that are done stay done"};
    }

    const ModelFiles& model_;
    const ConvertPlan& plan_;
    const ConvertReport& report_;
    const double begun_;
    ConvertProgress progress_;
};

} // namespace

std::uint64_t ConvertPlan::bytes() const {
    std::uint64_t sum = 0;
    for (const Part& part : parts) sum += part.bytes;
    return sum;
}

Result<ConvertPlan> plan_conversion(const ModelFiles& model) {
    ConvertPlan plan;
    std::filesystem::path folder;
    for (const ModelPart& part : model.parts) {
        if (!part.usable() || !part.tensors || part.converted) continue;
        const std::string name = converted_name(part.kind, part.tensors->family());
        if (name.empty()) continue;
        if (!wants_conversion(*part.tensors)) continue;
        if (folder.empty()) {
            auto target = converted_target(model.folder);
            if (!target) return target.error();
            folder = *target;
        }
        plan.parts.push_back({part.kind, part.path, folder / name, bytes_of(converted_tensors(*part.tensors))});
    }
    return plan;
}

Result<ConvertPlan> convert_model(const ModelFiles& model, const ConvertReport& report) {
    for (const ModelPart& part : model.parts) {
        if (part.problem) return *part.problem;
    }
    auto plan = plan_conversion(model);
    if (!plan || plan->parts.empty()) return plan;
    const auto folder = plan->parts.front().target.parent_path();
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) return Error{ErrorCode::io, fmt::format("{}: cannot be made: {}", folder.string(), failed.message())};
    const auto space = std::filesystem::space(folder, failed);
    if (!failed && space.available < plan->bytes() + kSpareBytes)
        return Error{ErrorCode::io, fmt::format("{}: the conversion needs {:.2f} GB there, {:.2f} GB are free",
                                                folder.string(), static_cast<double>(plan->bytes() + kSpareBytes) / 1e9,
                                                static_cast<double>(space.available) / 1e9)};
    Conversion conversion(model, *plan, report);
    for (const ConvertPlan::Part& part : plan->parts) {
        if (auto done = conversion.write(part); !done) return done.error();
    }
    return plan;
}

} // namespace wander

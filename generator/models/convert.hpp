#pragma once
// The one-time conversion of a downloaded model: matrices in bf16, vectors and modulation in float32, as safetensors
// that start-up only has to map. docs/models.md, "Conversion".
//
// Streams tensor by tensor in slices, so memory stays below some 300 MB. A part is written as NAME.part and renamed
// when it is whole; a run that was stopped goes on with the next part that is missing. Runs on the caller's thread.

#include "generator/models/model_files.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace wander {

struct ConvertProgress {
    PartKind kind = PartKind::transformer; // which part is being written
    std::uint64_t bytes_done = 0;          // of all parts, as they are written
    std::uint64_t bytes_total = 0;
    double seconds = 0;      // since the start
    double seconds_left = 0; // at the rate so far; 0 until it is known
};

// false: stop; the part in work is removed, finished parts stay.
using ConvertReport = std::function<bool(const ConvertProgress&)>;

// What a conversion of this folder would write.
struct ConvertPlan {
    struct Part {
        PartKind kind = PartKind::transformer;
        std::filesystem::path source;
        std::filesystem::path target;
        std::uint64_t bytes = 0; // of the tensors as written
    };
    std::vector<Part> parts; // empty: nothing to do
    std::uint64_t bytes() const;
};

// Parts that hold more than bf16 and are not converted yet. io where no folder can be written to.
Result<ConvertPlan> plan_conversion(const ModelFiles& model);

// Writes them. Errors: bad_input (a part has a problem), io (no room, cannot be written; says how much is needed), or
// unavailable where `report` stopped it or another Wander is converting the same folder.
Result<ConvertPlan> convert_model(const ModelFiles& model, const ConvertReport& report = {});

} // namespace wander

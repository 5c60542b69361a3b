#include "generator/saved_chunks.hpp"

#include "generator/camera/walker.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace wander {

namespace {

constexpr std::int64_t kPoseNumbers = 4; // x, z, yaw, pitch
constexpr auto kStateNumbers = static_cast<std::int64_t>(Walker::kStateNumbers);
constexpr int kLabels = 81;
constexpr std::int64_t kMostLatent = std::int64_t{1} << 40;

Error apart(const char* what) { return {ErrorCode::bad_input, what}; }

// Chunks in their order, and no more than one gap: what was forgotten behind the chunks that stay.
bool in_order(const at::Tensor& chunks, std::int64_t latents) {
    const auto* row = chunks.const_data_ptr<std::int64_t>();
    std::int64_t end = 0;
    int gaps = 0;
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < chunks.size(0); ++i, row += 2) {
        if (row[0] < end || row[0] > kMostLatent || row[1] < 1 || row[1] > latents) return false;
        gaps += row[0] > end ? 1 : 0;
        end = row[0] + row[1];
        sum += row[1];
    }
    return sum == latents && gaps <= 1;
}

} // namespace

std::map<std::string, at::Tensor> pack_chunks(const CausalMemory& memory) {
    std::vector<at::Tensor> latents;
    const auto count = std::ssize(memory.chunks);
    at::Tensor chunks = at::empty({count, 2}, at::kLong);
    at::Tensor steering = at::empty({count, kStateNumbers}, at::kDouble);
    auto* chunk_row = chunks.mutable_data_ptr<std::int64_t>();
    auto* state = steering.mutable_data_ptr<double>();
    std::vector<float> poses;
    std::vector<std::int64_t> labels;
    for (const CleanChunk& chunk : memory.chunks) {
        latents.push_back(chunk.latents);
        *chunk_row++ = chunk.first_latent;
        *chunk_row++ = chunk.latents.size(0);
        state = std::ranges::copy(chunk.steering, state).out;
        for (const Pose& pose : chunk.poses) poses.insert(poses.end(), {pose.x, pose.z, pose.yaw, pose.pitch});
        labels.insert(labels.end(), chunk.labels.begin(), chunk.labels.end());
    }
    std::map<std::string, at::Tensor> tensors = {{"latents", at::cat(latents).to(at::kFloat)}, {"chunks", chunks}};
    if (poses.empty()) return tensors;
    tensors.emplace("poses", at::tensor(poses).view({-1, kPoseNumbers}));
    tensors.emplace("labels", at::tensor(labels));
    tensors.emplace("steering", steering);
    return tensors;
}

Result<CausalMemory> unpack_chunks(const ReadTensor& read, bool cameras) {
    auto latents = read("latents", at::kFloat, 4);
    if (!latents) return latents.error();
    auto chunks = read("chunks", at::kLong, 2);
    if (!chunks) return chunks.error();
    const std::int64_t count = latents->size(0);
    if (count < 1 || chunks->size(0) < 1 || chunks->size(1) != 2 || !in_order(*chunks, count))
        return apart("latents and chunks do not belong together");
    at::Tensor poses;
    at::Tensor labels;
    at::Tensor steering;
    if (cameras) {
        for (const auto& [name, type, dims, tensor] : {std::tuple{"poses", at::kFloat, 2, &poses},
                                                       {"labels", at::kLong, 1, &labels},
                                                       {"steering", at::kDouble, 2, &steering}}) {
            auto found = read(name, type, dims);
            if (!found) return found.error();
            *tensor = *found;
        }
        if (poses.sizes() != at::IntArrayRef({count, kPoseNumbers}) || labels.size(0) != count ||
            steering.sizes() != at::IntArrayRef({chunks->size(0), kStateNumbers}))
            return apart("latents, poses, labels and steering do not belong together");
        if (!labels.ge(0).logical_and(labels.lt(kLabels)).all().item<bool>())
            return apart("a camera's label is not among 0 to 80");
    }
    CausalMemory memory;
    const auto* row = chunks->const_data_ptr<std::int64_t>();
    std::int64_t latent = 0;
    for (std::int64_t i = 0; i < chunks->size(0); ++i, row += 2) {
        CleanChunk chunk;
        chunk.first_latent = row[0];
        chunk.latents = latents->narrow(0, latent, row[1]);
        for (std::int64_t k = latent; cameras && k < latent + row[1]; ++k) {
            const float* pose = poses.const_data_ptr<float>() + k * kPoseNumbers;
            chunk.poses.push_back({pose[0], pose[1], pose[2], pose[3]});
            chunk.labels.push_back(static_cast<int>(labels.const_data_ptr<std::int64_t>()[k]));
        }
        if (cameras) {
            const double* state = steering.const_data_ptr<double>() + i * kStateNumbers;
            chunk.steering.assign(state, state + kStateNumbers);
        }
        memory.chunks.push_back(std::move(chunk));
        latent += row[1];
    }
    return memory;
}

} // namespace wander

#pragma once
// A fragment shader run over every pixel of an image, with up to two sampled images and the two sizes as push
// constants.

#include "render/plain/pixels.hpp"
#include "render/vk/handle.hpp"

#include <vulkan/vulkan.h>

#include <cstdint>
#include <span>

namespace wander::render {

class Device;
class Image;

// What all passes share: the linear sampler, the set layout (binding 0 picture, binding 1 structure), the push
// constants.
class PassLayout {
public:
    explicit PassLayout(const Device& device); // throws VulkanError
    VkPipelineLayout pipeline_layout() const { return pipeline_layout_.get(); }
    // A pool with one descriptor set that samples both images in shader-read layout; the set is valid as long as the
    // pool.
    DescriptorPoolHandle make_set(const Device& device, VkImageView first, VkImageView second,
                                  VkDescriptorSet& set) const;

private:
    SamplerHandle sampler_;
    SetLayoutHandle set_layout_;
    PipelineLayoutHandle pipeline_layout_;
};

class FullscreenPass {
public:
    FullscreenPass(const Device& device, const PassLayout& layout, std::span<const std::uint32_t> fragment_spirv,
                   VkFormat format);
    // `target` must be in use as attachment; its old contents are discarded.
    void record(VkCommandBuffer commands, const PassLayout& layout, VkDescriptorSet set, const Image& target,
                PixelSize source_size) const;

private:
    PipelineHandle pipeline_;
};

} // namespace wander::render

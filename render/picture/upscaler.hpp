#pragma once
// The walk's picture on the GPU: the source image, and the scaled image that is made from it when source, size or mode
// changed.
//
// Records into command buffers that the caller submits in order. The scaled image has the format of the composed image,
// so the composition only copies it. The GPU must be idle when it is destroyed.
// Formula of the modes: shaders/upscale_*.frag and their twin render/plain/upscale_reference.cpp.

#include "render/picture/fullscreen_pass.hpp"
#include "render/plain/draw_request.hpp"
#include "render/vk/image.hpp"

#include <vulkan/vulkan.h>

#include <memory>

namespace wander::render {

class Device;
class Submitter;

class Upscaler {
public:
    // `target_format`: of the scaled image. `limit`: filtered modes draw at most limit times the source size and are
    // stretched bilinearly from there (0 = no limit). Throws VulkanError, as every call below.
    Upscaler(const Device& device, Submitter& submitter, VkFormat target_format, int limit);
    ~Upscaler();

    // A new picture of `size` from the start of `buffer`; the buffer must stay until the commands have run.
    void record_upload(VkCommandBuffer commands, VkBuffer buffer, PixelSize size);
    // Makes scaled() fit `size` (pixels on the screen) unless it already does.
    void record_scale(VkCommandBuffer commands, PixelSize size, UpscaleMode mode);

    bool has_picture() const { return has_picture_; }
    PixelSize source_size() const;
    Image& source();
    Image& scaled(); // of the size asked for, ready to be copied from

private:
    struct SourceImages;

    void make_source(PixelSize size);
    void fit(std::shared_ptr<Image>& image, PixelSize size);
    void record_stretch(VkCommandBuffer commands);

    const Device& device_;
    Submitter& submitter_;
    int limit_;
    VkFormat target_format_;
    PassLayout layout_;
    FullscreenPass nearest_, bicubic_, structure_pass_, sharp_;
    std::shared_ptr<SourceImages> images_;
    std::shared_ptr<Image> work_; // what the limited modes draw, before stretching
    std::shared_ptr<Image> scaled_;
    bool has_picture_ = false;
    bool stale_ = true; // the scaled image does not show the source
    bool structure_stale_ = true;
    UpscaleMode mode_ = UpscaleMode::sharp;
};

} // namespace wander::render

#include "render/picture/upscaler.hpp"

#include "render/vk/device.hpp"
#include "render/vk/submitter.hpp"
#include "shaders/upscale_bicubic.frag.spv.hpp"
#include "shaders/upscale_nearest.frag.spv.hpp"
#include "shaders/upscale_sharp.frag.spv.hpp"
#include "shaders/upscale_structure.frag.spv.hpp"

#include <algorithm>
#include <cassert>

namespace wander::render {
namespace {
constexpr VkFormat kPictureFormat = VK_FORMAT_R8G8B8A8_UNORM;
}

struct Upscaler::SourceImages {
    Image picture;
    Image structure;
    DescriptorPoolHandle pool;
    VkDescriptorSet picture_only = VK_NULL_HANDLE; // both bindings show the picture: for passes without a structure
    DescriptorPoolHandle both_pool;
    VkDescriptorSet both = VK_NULL_HANDLE;
};

Upscaler::Upscaler(const Device& device, Submitter& submitter, VkFormat target_format, int limit)
    : device_(device),
      submitter_(submitter),
      limit_(limit),
      target_format_(target_format),
      layout_(device),
      nearest_(device, layout_, shaders::upscale_nearest_frag_spv, target_format),
      bicubic_(device, layout_, shaders::upscale_bicubic_frag_spv, target_format),
      structure_pass_(device, layout_, shaders::upscale_structure_frag_spv, kPictureFormat),
      sharp_(device, layout_, shaders::upscale_sharp_frag_spv, target_format) {}

Upscaler::~Upscaler() = default;

PixelSize Upscaler::source_size() const { return images_ ? images_->picture.size() : PixelSize{}; }

Image& Upscaler::source() {
    assert(images_);
    return images_->picture;
}

Image& Upscaler::scaled() {
    assert(scaled_);
    return *scaled_;
}

void Upscaler::make_source(PixelSize size) {
    if (images_) {
        submitter_.retire(images_);
    }
    auto images = std::make_shared<SourceImages>();
    images->picture =
        Image(device_, size, kPictureFormat,
              VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_SAMPLED_BIT);
    images->structure =
        Image(device_, size, kPictureFormat, VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_SAMPLED_BIT);
    images->pool = layout_.make_set(device_, images->picture.view(), images->picture.view(), images->picture_only);
    images->both_pool = layout_.make_set(device_, images->picture.view(), images->structure.view(), images->both);
    images_ = std::move(images);
}

void Upscaler::record_upload(VkCommandBuffer commands, VkBuffer buffer, PixelSize size) {
    if (source_size() != size) {
        make_source(size);
    }
    images_->picture.change_use(commands, ImageUse::transfer_to, true);
    VkBufferImageCopy copy{};
    copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    copy.imageExtent = {static_cast<std::uint32_t>(size.width), static_cast<std::uint32_t>(size.height), 1};
    vkCmdCopyBufferToImage(commands, buffer, images_->picture.get(), VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
    images_->picture.change_use(commands, ImageUse::sampled);
    has_picture_ = true;
    stale_ = true;
    structure_stale_ = true;
}

void Upscaler::fit(std::shared_ptr<Image>& image, PixelSize size) {
    if (image && image->size() == size) return;
    if (image) submitter_.retire(image);
    image = std::make_shared<Image>(
        device_, size, target_format_,
        VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT);
    stale_ = true;
}

void Upscaler::record_stretch(VkCommandBuffer commands) {
    work_->change_use(commands, ImageUse::transfer_from);
    scaled_->change_use(commands, ImageUse::transfer_to, true);
    VkImageBlit blit{};
    blit.srcSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    blit.srcOffsets[1] = {work_->size().width, work_->size().height, 1};
    blit.dstSubresource = blit.srcSubresource;
    blit.dstOffsets[1] = {scaled_->size().width, scaled_->size().height, 1};
    vkCmdBlitImage(commands, work_->get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, scaled_->get(),
                   VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &blit, VK_FILTER_LINEAR);
}

void Upscaler::record_scale(VkCommandBuffer commands, PixelSize size, UpscaleMode mode) {
    assert(has_picture_);
    const PixelSize source = images_->picture.size();
    PixelSize work_size = size;
    if (limit_ > 0 && mode != UpscaleMode::nearest) {
        work_size.width = std::min(size.width, source.width * limit_);
        work_size.height = std::min(size.height, source.height * limit_);
    }
    const bool stretched = work_size != size;
    fit(scaled_, size);
    if (stretched) fit(work_, work_size);
    if (!stale_ && mode == mode_) return;
    if (mode == UpscaleMode::sharp && structure_stale_) {
        images_->structure.change_use(commands, ImageUse::attachment, true);
        structure_pass_.record(commands, layout_, images_->picture_only, images_->structure, source);
        images_->structure.change_use(commands, ImageUse::sampled);
        structure_stale_ = false;
    }
    Image& target = stretched ? *work_ : *scaled_;
    target.change_use(commands, ImageUse::attachment, true);
    switch (mode) {
        case UpscaleMode::nearest: nearest_.record(commands, layout_, images_->picture_only, target, source); break;
        case UpscaleMode::bicubic: bicubic_.record(commands, layout_, images_->picture_only, target, source); break;
        case UpscaleMode::sharp: sharp_.record(commands, layout_, images_->both, target, source); break;
    }
    if (stretched) record_stretch(commands);
    scaled_->change_use(commands, ImageUse::transfer_from);
    mode_ = mode;
    stale_ = false;
}

} // namespace wander::render

// From the GPU back to the host, and small pictures for panels.

#include "render/renderer_state.hpp"

#include <cassert>
#include <cstring>

namespace wander::render {

void Renderer::State::read_into(VkCommandBuffer commands, std::size_t bytes, const SubmitSync& sync) {
    VkBufferMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2};
    barrier.srcStageMask = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
    barrier.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
    barrier.dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT;
    barrier.dstAccessMask = VK_ACCESS_2_HOST_READ_BIT;
    barrier.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    barrier.buffer = read_back.get();
    barrier.size = bytes;
    VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
    dependency.bufferMemoryBarrierCount = 1;
    dependency.pBufferMemoryBarriers = &barrier;
    vkCmdPipelineBarrier2(commands, &dependency);
    const std::uint64_t value = submitter->submit(sync);
    note_submitted(value);
    submitter->wait(value);
}

Pixels Renderer::State::read_image(Image& image, ImageUse use_after) {
    const PixelSize size = image.size();
    const bool swapped = image.format() == VK_FORMAT_B8G8R8A8_UNORM;
    if (read_back.bytes() < size.bytes()) {
        read_back = Buffer(*device, size.bytes(), BufferKind::read_back);
    }
    const VkCommandBuffer commands = submitter->begin();
    image.change_use(commands, ImageUse::transfer_from);
    VkBufferImageCopy copy{};
    copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    copy.imageExtent = {static_cast<std::uint32_t>(size.width), static_cast<std::uint32_t>(size.height), 1};
    vkCmdCopyImageToBuffer(commands, image.get(), VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, read_back.get(), 1, &copy);
    image.change_use(commands, use_after);
    read_into(commands, size.bytes(), {});
    Pixels pixels{size, std::vector<std::uint8_t>(read_back.mapped(), read_back.mapped() + size.bytes())};
    if (swapped) {
        for (std::size_t i = 0; i < pixels.rgba.size(); i += 4) {
            std::swap(pixels.rgba[i], pixels.rgba[i + 2]);
        }
    }
    return pixels;
}

std::uint64_t Renderer::State::add_texture(PixelView picture) {
    auto image = std::make_shared<Image>(*device, picture.size, VK_FORMAT_R8G8B8A8_UNORM,
                                         VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT);
    auto staging = std::make_shared<Buffer>(*device, picture.size.bytes(), BufferKind::upload);
    std::memcpy(staging->mapped(), picture.rgba, picture.size.bytes());
    const VkCommandBuffer commands = submitter->begin();
    image->change_use(commands, ImageUse::transfer_to, true);
    VkBufferImageCopy copy{};
    copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    copy.imageExtent = {static_cast<std::uint32_t>(picture.size.width), static_cast<std::uint32_t>(picture.size.height),
                        1};
    vkCmdCopyBufferToImage(commands, staging->get(), image->get(), VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
    image->change_use(commands, ImageUse::sampled);
    submitter->retire(staging);
    submitter->submit({});
    return ui->add_texture(std::move(image));
}

Result<std::uint64_t> Renderer::add_ui_texture(PixelView picture) {
    if (!state_->ui || picture.size.empty() || !picture.rgba) {
        return Error{ErrorCode::wrong_use, "a panel picture needs an attached UI and a size"};
    }
    return guarded([&] { return state_->add_texture(picture); });
}

void Renderer::remove_ui_texture(std::uint64_t id) {
    if (state_->ui) {
        state_->ui->remove_texture(id);
    }
}

Result<Pixels> Renderer::read_composed() {
    if (!state_->composed_drawn) {
        return Error{ErrorCode::wrong_use, "nothing has been drawn yet"};
    }
    return guarded([&] { return state_->read_image(state_->composed, ImageUse::transfer_from); });
}

Result<Pixels> Renderer::read_picture() {
    return guarded([&]() -> Pixels {
        if (state_->upload) {
            const VkCommandBuffer commands = state_->submitter->begin();
            SubmitSync sync;
            state_->record_upload(commands, sync);
            state_->note_submitted(state_->submitter->submit(sync));
        }
        if (!state_->upscaler->has_picture()) {
            return {};
        }
        return state_->read_image(state_->upscaler->source(), ImageUse::sampled);
    });
}

} // namespace wander::render

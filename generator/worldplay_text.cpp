#include "generator/worldplay_text.hpp"

#include <ATen/ATen.h>

namespace wander {

void WanText::set(const PromptStates& prompt, const at::Tensor& /*view*/, WorldPlayRollout& /*rollout*/) {
    dit_->set_text(prompt.text);
}

Result<void> HunyuanTextPass::warm_up() {
    if (!resident_ || side_) return {};
    auto side = load_();
    if (!side) return side.error();
    side_ = std::move(*side);
    return {};
}

void HunyuanTextPass::set(const PromptStates& prompt, const at::Tensor& view, WorldPlayRollout& rollout) {
    rollout.set_text({}); // two texts need not be there at once
    if (!side_) {
        auto side = load_();
        TORCH_CHECK(side, side.error().message);
        side_ = std::move(*side);
    }
    rollout.set_text(side_->encode({prompt.text, prompt.glyph, view}).layers);
    if (!resident_) side_.reset();
}

} // namespace wander

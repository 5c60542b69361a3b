#pragma once
// How HY-WorldPlay's networks are told what to show. WAN-5B reads the prompt in its blocks; the 8B reads keys and
// values that its text side makes of the prompt, of quoted texts and of the start picture, so these change together.
//
// Worker thread, between chunks; InferenceMode is the caller's.

#include "generator/hunyuan/hunyuan_text_side.hpp"
#include "generator/rollout/worldplay_rollout.hpp"
#include "generator/walk_loop.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace wander {

class WorldPlayText {
public:
    virtual ~WorldPlayText() = default;
    // view: WalkStart::view, or undefined. May throw what torch throws, and c10::Error where weights cannot be read.
    virtual void set(const PromptStates& prompt, const at::Tensor& view, WorldPlayRollout& rollout) = 0;
    // Loads what stays, so that the first chunk does not wait for it.
    virtual Result<void> warm_up() { return {}; }
    // Do its weights stay on the device between two texts?
    virtual bool resident() const { return true; }
};

class WanText final : public WorldPlayText {
public:
    explicit WanText(std::shared_ptr<WanDit> dit) : dit_(std::move(dit)) {}
    void set(const PromptStates& prompt, const at::Tensor& view, WorldPlayRollout& rollout) override;

private:
    std::shared_ptr<WanDit> dit_;
};

class HunyuanTextPass final : public WorldPlayText {
public:
    using Load = std::function<Result<HunyuanTextSide>()>;
    // resident: the weights are loaded once and stay; else they are there only while a pass runs.
    HunyuanTextPass(Load load, bool resident) : load_(std::move(load)), resident_(resident) {}
    void set(const PromptStates& prompt, const at::Tensor& view, WorldPlayRollout& rollout) override;
    Result<void> warm_up() override;
    bool resident() const override { return resident_; }

private:
    Load load_;
    bool resident_;
    std::optional<HunyuanTextSide> side_;
};

} // namespace wander

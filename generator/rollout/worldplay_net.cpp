#include "generator/rollout/worldplay_net.hpp"

#include <utility>

namespace wander {

namespace {

class WanNet final : public WorldPlayNet {
public:
    explicit WanNet(std::shared_ptr<const WanDit> dit) : dit_(std::move(dit)) {}

    at::Device device() const override { return dit_->device(); }
    int channels() const override { return dit_->config().channels; }
    bool prope() const override { return dit_->config().prope; }
    // A token is a patch of 2 x 2.
    void fill_rope(quant::ReadView& view, int rows, int cols) const override {
        dit_->fill_rope(view, rows / 2, cols / 2);
    }
    // The start picture is one of the latents here.
    at::Tensor forward(const WorldPlayPass& pass, quant::KvCache& cache) const override {
        return dit_->forward(pass, cache);
    }

private:
    std::shared_ptr<const WanDit> dit_;
};

} // namespace

std::shared_ptr<const WorldPlayNet> worldplay_net(std::shared_ptr<const WanDit> dit) {
    return std::make_shared<WanNet>(std::move(dit));
}

} // namespace wander

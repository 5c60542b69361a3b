#include "generator/split/split_rollout.hpp"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <exception>
#include <future>
#include <string>
#include <utility>

namespace wander {

namespace {

// The work that the calling thread's current stream has.
void wait_for_device(at::Device device) {
    if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
}

std::vector<quant::TextRows> own_text(const std::vector<quant::TextRows>& layers, const HeadSplit& split,
                                      at::Device device) {
    std::vector<quant::TextRows> own;
    own.reserve(layers.size());
    for (const quant::TextRows& rows : layers) {
        own.push_back({split.own_heads(rows.keys, -2).contiguous().to(device),
                       split.own_heads(rows.values, -2).contiguous().to(device)});
    }
    return own;
}

// What a person should read of several failures: why one device failed, not that the others missed it.
void throw_cause(const std::vector<std::exception_ptr>& failures) {
    std::exception_ptr cause;
    for (const std::exception_ptr& failure : failures) {
        if (!failure) continue;
        if (!cause) cause = failure;
        try {
            std::rethrow_exception(failure);
        } catch (const SplitBroken&) {
            // Another one knows why, unless it was in an earlier call.
        } catch (...) {
            throw;
        }
    }
    if (cause) std::rethrow_exception(cause);
}

} // namespace

SplitRollout::SplitRollout(const std::vector<SplitRank>& ranks, const Config& config, const NoiseSource& noise,
                           const ViewOverlap& overlap)
    : WorldPlayRollout(ranks.front().net, ranks.front().cache(), config, noise, overlap), split_(ranks.front().split) {
    TORCH_CHECK(!config.published_store, "SplitRollout: a published store is for one device");
    Config following = config;
    following.on_step = {};
    following.between_blocks = {};
    for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
        const SplitRank& its = ranks[rank];
        followers_.push_back({its.split, std::make_unique<RankThread>(its.net->device()), nullptr});
        std::unique_ptr<WorldPlayRollout>& rollout = followers_.back().rollout;
        followers_.back()
            .thread
            ->give(
                [&] { rollout = std::make_unique<WorldPlayRollout>(its.net, its.cache(), following, noise, overlap); })
            .get();
    }
}

// What the devices still have to do reads each other's memory, so all are done before any memory goes.
SplitRollout::~SplitRollout() {
    const auto wait = [](at::Device device) {
        try {
            wait_for_device(device);
        } catch (...) {
            // The device has failed, and whoever works with it next is told so.
        }
    };
    for (Follower& follower : followers_) follower.thread->give([&] { wait(follower.rollout->device()); }).wait();
    wait(device());
    for (Follower& follower : followers_) follower.thread->give([&] { follower.rollout.reset(); }).wait();
}

void SplitRollout::together(const std::function<void(WorldPlayRollout&, HeadSplit&)>& theirs,
                            const std::function<void()>& own) {
    const std::string format = cache().format();
    const quant::CacheRules rules = cache().rules();
    std::vector<std::future<void>> done;
    done.reserve(followers_.size());
    for (Follower& follower : followers_) {
        done.push_back(follower.thread->give([&] {
            try {
                quant::KvCache& cache = follower.rollout->cache();
                const bool taken = (cache.format() == format || cache.set_format(format)) &&
                                   (cache.rules() == rules || cache.set_rules(rules));
                TORCH_CHECK(taken, "SplitRollout: a cache does not take what another one has");
                theirs(*follower.rollout, *follower.split);
            } catch (...) {
                follower.split->give_up();
                throw;
            }
        }));
    }
    std::vector<std::exception_ptr> failures(1);
    try {
        own();
    } catch (...) {
        failures.front() = std::current_exception();
        split_->give_up();
    }
    for (std::future<void>& future : done) {
        try {
            future.get();
        } catch (...) {
            failures.push_back(std::current_exception());
        }
    }
    throw_cause(failures);
}

// Tensors that cross devices are copied in streams that know nothing of each other's work: the source is done before,
// and the caller may free it afterwards.
void SplitRollout::set_text(std::vector<quant::TextRows> layers) {
    wait_for_device(device());
    together(
        [&](WorldPlayRollout& rollout, HeadSplit& split) {
            rollout.set_text(own_text(layers, split, rollout.device()));
            wait_for_device(rollout.device());
        },
        [&] { WorldPlayRollout::set_text(own_text(layers, *split_, device())); });
}

void SplitRollout::start(const LatentCamera& camera, const at::Tensor& picture) {
    wait_for_device(device());
    together(
        [&](WorldPlayRollout& rollout, HeadSplit&) {
            rollout.start(camera, picture);
            wait_for_device(rollout.device());
        },
        [&] { WorldPlayRollout::start(camera, picture); });
}

void SplitRollout::restore(const WorldPlayHistory& history) {
    wait_for_device(device());
    together(
        [&](WorldPlayRollout& rollout, HeadSplit&) {
            rollout.restore(history);
            wait_for_device(rollout.device());
        },
        [&] { WorldPlayRollout::restore(history); });
}

void SplitRollout::prepare(std::span<const LatentCamera> expected) {
    together([&](WorldPlayRollout& rollout, HeadSplit&) { rollout.prepare(expected); },
             [&] { WorldPlayRollout::prepare(expected); });
}

void SplitRollout::forget_prepared() {
    together([](WorldPlayRollout& rollout, HeadSplit&) { rollout.forget_prepared(); },
             [&] { WorldPlayRollout::forget_prepared(); });
}

at::Tensor SplitRollout::generate(std::span<const LatentCamera> cameras) {
    at::Tensor latents;
    together([&](WorldPlayRollout& rollout, HeadSplit&) { rollout.generate(cameras); },
             [&] { latents = WorldPlayRollout::generate(cameras); });
    return latents;
}

void SplitRollout::with_rank(int rank, const std::function<void(WorldPlayRollout&, HeadSplit&)>& look) {
    if (rank == 0) return look(*this, *split_);
    Follower& follower = followers_.at(static_cast<std::size_t>(rank) - 1);
    follower.thread->give([&] { look(*follower.rollout, *follower.split); }).get();
}

} // namespace wander

#include "tests/bench/worldplay/bench.hpp"

#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/wan/vae22.hpp"
#include "tests/bench/worldplay/decoding.hpp"
#include "tests/bench/worldplay/gpu_meter.hpp"

#include <optional>
#include <utility>

namespace wander::bench {
namespace {

using nlohmann::json;

constexpr int kHistory = 24; // latents before the first chunk that is made: its context is full

} // namespace

Bench::Bench(Model model) : model_(std::move(model)) {
    // Steps of a straight path.
    cameras_ = cameras_from_moves(std::vector<CameraMove>(kHistory + 128, CameraMove{.forward = 0.08}));
}

json Bench::run(const Run& run, int gpus) {
    const VideoDecoder* vae = run.decoder == "none" ? nullptr : &decoder(run.decoder == "plain");
    c10::cuda::CUDACachingAllocator::emptyCache();
    const auto before = allocated().current;
    for (int i = 0; i < gpus; ++i) c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(i));
    const auto opened = gpus > 1 ? open_split(run) : open(run);
    WorldPlayRollout& rollout = *opened;
    std::optional<Decoding> decoding;
    if (vae) decoding.emplace(*vae);
    rollout.prepare(next(rollout));
    (void)rollout.last_times();
    if (gpus > 1) (void)model_.splits.front()->take_ms();
    std::vector<double> periods, denoise, context, exchange, off;
    for (int chunk = 0; chunk < run.chunks; ++chunk) {
        const double begin = now_ms();
        // What is asked for holds from the context that is made next on.
        if (!run.to.empty() && (chunk == run.at || chunk == run.at + 1))
            TORCH_CHECK(rollout.cache().set_format(chunk == run.at ? run.to : run.policy.format),
                        "worldplay_bench: no format ", run.to);
        const at::Tensor latents = rollout.generate(next(rollout));
        if (decoding) decoding->chunk(latents);
        rollout.prepare(next(rollout));
        const RolloutTimes times = rollout.last_times(); // waits
        periods.push_back(now_ms() - begin);
        denoise.push_back(times.denoise_ms);
        context.push_back(times.context_ms);
        if (gpus > 1) exchange.push_back(model_.splits.front()->take_ms());
        if (!first_.empty() || made_first_)
            off.push_back(relative(latents, chunk));
        else
            remembered_.push_back(latents.cpu());
    }
    if (!made_first_) {
        first_ = std::move(remembered_);
        made_first_ = true;
    }
    const MemoryLedger ledger = rollout.cache().ledger();
    json result = {{"run", run.name},
                   {"period_ms", median(behind_first(periods))},
                   {"periods_ms", periods},
                   {"denoise_ms", median(behind_first(denoise))},
                   {"context_ms", median(behind_first(context))},
                   {"context_latents", rollout.context().latents.size()},
                   {"engine", rollout.cache().attention_engine()},
                   {"off", off}};
    result["cache"] = {{"format", rollout.cache().format()},         {"mib", mib(ledger.bytes())},
                       {"packed_ratio", ledger.packed_ratio()},      {"peak_mib", mib(ledger.peak_bytes)},
                       {"scratch_mib", mib(ledger.scratch_bytes)},   {"text_mib", mib(ledger.text_bytes)},
                       {"kept_rows_mib", mib(ledger.kept_row_bytes)}};
    if (decoding) {
        result["decode_ms"] = decoding->median_ms();
        result["finite_frames"] = decoding->finite();
        result["decoder_state_mib"] = decoding->state_mib();
    }
    result["weights_mib"] = {{"transformer", model_.weights_mib}, {"decoder", vae ? decoder_mib_ : 0}};
    result["loop_at_its_beginning_mib"] = mib(before);
    result["peak_mib"] = mib(allocated().peak);
    result["in_use_mib"] = in_use_mib();
    if (gpus > 1) {
        result["exchange_ms"] = median(behind_first(exchange));
        for (int i = 0; i < gpus; ++i)
            result["gpus"].push_back({{"peak_mib", mib(allocated(i).peak)}, {"in_use_mib", in_use_mib(i)}});
    }
    return result;
}

const VideoDecoder& Bench::decoder(bool plain) {
    if (!vae_ || plain != vae_is_plain_) {
        vae_.reset();
        c10::cuda::CUDACachingAllocator::emptyCache();
        const auto before = allocated().current;
        DecodeTuning tuning;
        tuning.plain = plain;
        const auto load = [&]<class Vae>(const auto& config) -> std::shared_ptr<const VideoDecoder> {
            return std::make_shared<Vae>(
                unwrap(Vae::load(config, random_weight, at::Device(at::kCUDA, 0), at::kBFloat16, false, true, tuning)));
        };
        vae_ = model_.dit ? load.operator()<HunyuanVae>(HunyuanVaeConfig{})
                          : load.operator()<Wan22Vae>(Vae22Config::published());
        vae_is_plain_ = plain;
        decoder_mib_ = mib(allocated().current - before);
    }
    return *vae_;
}

WorldPlayRollout::Config Bench::settings(const Run& run) const {
    WorldPlayRollout::Config config;
    config.schedule = model_.schedule;
    config.rows = model_.rows;
    config.cols = model_.cols;
    config.fast_context = run.fast;
    return config;
}

std::unique_ptr<quant::KvCache> Bench::cache(const Run& run, int gpus, int rank) const {
    quant::CacheShape shape = model_.shape();
    shape.heads /= gpus;
    if (run.fast) {
        shape.sink_latents = model_.schedule.context.anchor;
        shape.window_latents = 2 * model_.schedule.context.latents;
    }
    quant::CachePolicy policy = run.policy;
    if (run.fast) policy.read_latents = model_.schedule.context.latents;
    policy.first_head = rank * shape.heads;
    return unwrap(quant::KvCache::create(shape, policy, gpu(rank), at::kBFloat16));
}

std::unique_ptr<WorldPlayRollout> Bench::open(const Run& run) const {
    return begin(std::make_unique<WorldPlayRollout>(model_.net, cache(run, 1, 0), settings(run), keyed_noise(7),
                                                    ViewOverlap::of_seed(0)));
}

std::unique_ptr<WorldPlayRollout> Bench::open_split(const Run& run) const {
    std::vector<SplitRank> ranks;
    const int gpus = static_cast<int>(model_.splits.size());
    for (int rank = 0; rank < gpus; ++rank) {
        const auto index = static_cast<std::size_t>(rank);
        ranks.push_back({model_.splits[index], model_.split_nets[index],
                         [this, &run, gpus, rank] { return cache(run, gpus, rank); }});
    }
    return begin(std::make_unique<SplitRollout>(ranks, settings(run), keyed_noise(7), ViewOverlap::of_seed(0)));
}

std::unique_ptr<WorldPlayRollout> Bench::begin(std::unique_ptr<WorldPlayRollout> rollout) const {
    if (!model_.text.empty()) rollout->set_text(model_.text);
    WorldPlayHistory history;
    const int channels = model_.net->channels();
    history.latents = random_values("history", {kHistory, channels, model_.rows, model_.cols});
    history.cameras.assign(cameras_.begin(), cameras_.begin() + kHistory);
    history.picture = random_values("picture", {channels, model_.rows, model_.cols});
    rollout->restore(history);
    return rollout;
}

std::span<const LatentCamera> Bench::next(const WorldPlayRollout& rollout) const {
    return std::span(cameras_).subspan(static_cast<std::size_t>(rollout.next_latent()), kLatentsPerChunk);
}

std::vector<double> Bench::behind_first(const std::vector<double>& values) {
    return values.size() > 1 ? std::vector<double>(values.begin() + 1, values.end()) : values;
}

double Bench::relative(const at::Tensor& latents, int chunk) const {
    if (chunk >= std::ssize(first_)) return -1; // the first run made fewer
    const at::Tensor want = first_[static_cast<std::size_t>(chunk)].to(latents.device());
    return ((latents - want).norm() / want.norm()).item<double>();
}

} // namespace wander::bench

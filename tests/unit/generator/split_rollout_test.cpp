// A network whose heads are split among 2, 3 and 4 ranks against the whole one: the exchange by itself, whole walks
// with retrieval, packed pages, a change of format and of the prompt in the middle, a walk that is restored, and
// failures. On the CPU the ranks are threads; on GPUs the same code runs (gpu/split_gpu_test.cpp).

#include "generator/split/split_rollout.hpp"
#include "tests/unit/generator/split_walk.hpp"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <set>
#include <thread>

namespace wander {
namespace {

using test::good;
using test::kTokens;
using test::relative;
using test::SplitCase;
using test::SplitWalk;

constexpr int kRanks[] = {2, 3, 4};

// All ranks' `work`, each in a thread of its own.
template <class Work>
void on_all(const std::vector<std::shared_ptr<HeadSplit>>& splits, const Work& work) {
    std::vector<std::thread> threads;
    threads.reserve(splits.size());
    for (const auto& split : splits) {
        threads.emplace_back([&work, split] {
            const c10::InferenceMode inference;
            work(*split);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

std::vector<std::shared_ptr<HeadSplit>> cpu_splits(int ranks) {
    return good(HeadSplit::open(std::vector<at::Device>(static_cast<std::size_t>(ranks), at::kCPU)));
}

class SplitRolloutTest : public testing::Test {
protected:
    // These tensors are so small that torch's threads would only wait for each other.
    SplitRolloutTest() { at::set_num_threads(1); }

    c10::InferenceMode inference_;
};

TEST_F(SplitRolloutTest, SharesAreAllLatentsOnce) {
    for (const int ranks : kRanks) {
        const auto splits = cpu_splits(ranks);
        for (const std::int64_t latents : {4, 12, 20}) {
            std::int64_t next = 0;
            for (const auto& split : splits) {
                EXPECT_EQ(split->own(latents).first, next);
                EXPECT_GT(split->own(latents).count, 0);
                next += split->own(latents).count;
            }
            EXPECT_EQ(next, latents);
        }
    }
}

TEST_F(SplitRolloutTest, ExchangesAreWhatTheyAreOfTheWhole) {
    for (const int ranks : kRanks) {
        const std::int64_t latents = 4, tokens = latents * kTokens, heads = 12, channels = 8;
        const at::Tensor whole = gaussian_tensor(1, {tokens, 3, heads, channels});
        const at::Tensor attended = gaussian_tensor(2, {2, tokens, heads, channels});
        const at::Tensor flow = gaussian_tensor(3, {tokens, 5});
        on_all(cpu_splits(ranks), [&](HeadSplit& split) {
            const HeadSplit::Latents own = split.own(latents);
            const std::int64_t first = own.first * kTokens, count = own.count * kTokens;
            for (int again = 0; again < 3; ++again) { // places serve again
                const at::Tensor rows = whole.narrow(0, first, count) + again;
                const auto got = split.tokens_to_heads({rows.select(1, 0), rows.select(1, 1), rows.select(1, 2)});
                for (int i = 0; i < 3; ++i) {
                    EXPECT_TRUE(
                        at::equal(got[static_cast<std::size_t>(i)], split.own_heads(whole.select(1, i), 1) + again))
                        << ranks << " ranks, rank " << split.rank();
                }
                const at::Tensor back =
                    split.heads_to_tokens((split.own_heads(attended, 2) + again).contiguous(), first, count);
                EXPECT_TRUE(at::equal(back, attended.transpose(0, 1).narrow(0, first, count) + again));
                EXPECT_TRUE(at::equal(split.gather(flow.narrow(0, first, count) + again), flow + again));
            }
        });
    }
}

// Nobody waits for ever for a rank that has given up.
TEST_F(SplitRolloutTest, WhoGivesUpSendsTheOthersHome) {
    on_all(cpu_splits(3), [](HeadSplit& split) {
        const at::Tensor rows = at::zeros({2, 3, 4});
        split.tokens_to_heads({rows});
        if (split.rank() == 1) return split.give_up();
        EXPECT_THROW(split.tokens_to_heads({rows}), SplitBroken);
        EXPECT_THROW(split.gather(rows.flatten(1)), SplitBroken);
    });
}

// In float64 the order of sums is all that differs. The walk is long enough to choose clips of its past.
TEST_F(SplitRolloutTest, WalksAsTheWholeNetwork) {
    const SplitCase net(at::kDouble);
    for (const bool fast : {false, true}) {
        SplitWalk whole = net.open_whole(fast);
        std::vector<at::Tensor> wanted;
        std::set<std::int64_t> clips;
        for (int chunk = 0; chunk < 8; ++chunk) {
            wanted.push_back(whole.next());
            clips.insert(whole.rollout->context().clip.value_or(-1));
        }
        EXPECT_GT(clips.size(), 2U) << "the walk must look back";
        for (const int ranks : kRanks) {
            SplitWalk split = net.open_split(ranks, fast);
            for (std::size_t chunk = 0; chunk < wanted.size(); ++chunk) {
                if (chunk % 2 == 1) split.prepare();
                EXPECT_LT(relative(split.next(), wanted[chunk]), 1e-11) << ranks << " ranks, chunk " << chunk;
            }
        }
    }
}

// What differs between ranks' inputs in the whole network too: latents of one pass with other labels and timesteps, and
// the start picture, which is the first rank's alone.
TEST_F(SplitRolloutTest, AllRanksHoldTheSameLatents) {
    const SplitCase net(at::kDouble);
    SplitWalk split = net.open_split(3, false);
    for (int chunk = 0; chunk < 3; ++chunk) split.next();
    auto& rollout = dynamic_cast<SplitRollout&>(*split.rollout);
    const at::Tensor wanted = rollout.history().latents;
    for (int rank = 1; rank < 3; ++rank) {
        rollout.with_rank(rank, [&](WorldPlayRollout& its, HeadSplit&) {
            EXPECT_TRUE(at::equal(its.history().latents, wanted)) << rank;
            EXPECT_EQ(its.context().latents, rollout.context().latents);
            EXPECT_EQ(its.cache().shape().heads, net.config.heads / 3);
        });
    }
}

// Format after format in the middle of a walk, a prompt after the third chunk, back to an earlier state.
TEST_F(SplitRolloutTest, FormatsAndPromptsChangeEverywhere) {
    const SplitCase net(at::kFloat);
    const std::vector<std::string> formats = {"bf16", "bf16", "int2", "int2", "int4", "bf16", "fp8"};
    for (const bool fast : {false, true}) {
        const auto walk_through = [&](SplitWalk& walk, bool with_prompt) {
            std::vector<at::Tensor> latents;
            for (std::size_t chunk = 0; chunk < formats.size(); ++chunk) {
                EXPECT_TRUE(walk.rollout->cache().set_format(formats[chunk]));
                if (chunk == 3 && with_prompt) {
                    walk.rollout->set_text(net.second_text.layers);
                    walk.rollout->forget_prepared();
                }
                latents.push_back(walk.next());
                walk.prepare();
            }
            return latents;
        };
        SplitWalk whole = net.open_whole(fast);
        const auto wanted = walk_through(whole, true);
        SplitWalk same_text = net.open_whole(fast);
        EXPECT_GT(relative(walk_through(same_text, false)[4], wanted[4]), 1e-3) << "the prompt must be heard";
        for (const int ranks : kRanks) {
            SplitWalk split = net.open_split(ranks, fast);
            const auto got = walk_through(split, true);
            for (std::size_t chunk = 0; chunk < got.size(); ++chunk)
                EXPECT_LT(relative(got[chunk], wanted[chunk]), 1e-4) << ranks << " ranks, chunk " << chunk;
            // Every rank's pages are packed like rank 0's.
            auto& rollout = dynamic_cast<SplitRollout&>(*split.rollout);
            for (int rank = 1; rank < ranks; ++rank) {
                rollout.with_rank(rank, [&](WorldPlayRollout& its, HeadSplit&) {
                    EXPECT_EQ(its.cache().format(), formats.back());
                    EXPECT_EQ(its.cache().ledger().packed_bytes, rollout.cache().ledger().packed_bytes) << rank;
                });
            }
            EXPECT_GT(rollout.cache().ledger().packed_bytes, 0);
        }
    }
}

TEST_F(SplitRolloutTest, GoesOnFromItsLatents) {
    const SplitCase net(at::kDouble);
    for (const bool fast : {false, true}) {
        SplitWalk walk = net.open_split(2, fast), other = net.open_split(2, fast);
        for (int chunk = 0; chunk < 5; ++chunk) walk.next();
        const WorldPlayHistory saved = walk.rollout->history();
        const at::Tensor went_on = walk.next();
        for (SplitWalk* again : {&other, &walk}) {
            again->rollout->restore(saved);
            EXPECT_TRUE(at::equal(again->next(), went_on)) << fast;
        }
    }
}

// Bit for bit: a page of some heads holds what a page of all holds of them, in every format that packs heads apart.
TEST_F(SplitRolloutTest, PagesOfARankAreThoseOfTheWhole) {
    const SplitCase net(at::kFloat);
    const std::int64_t heads = net.config.heads, channels = net.config.head_dim;
    const int rows = 64; // tokens of a latent: pages that pack
    const at::Tensor keys = gaussian_tensor(5, {4 * rows, heads, channels});
    const at::Tensor values = gaussian_tensor(6, {4 * rows, heads, channels});
    for (const char* format : {"fp8", "int8", "int4", "int2", "qvg-int2", "qvg-pro", "quarot4"}) {
        const auto packed = [&](const at::Tensor& k, const at::Tensor& v, int first_head) {
            quant::CachePolicy policy;
            policy.format = format;
            policy.keep_recent = 0;
            policy.first_head = first_head;
            const quant::CacheShape shape{1, static_cast<int>(k.size(1)), static_cast<int>(channels), rows, 4, 0, 0};
            auto cache = good(quant::KvCache::create(shape, policy, at::kCPU, at::kFloat));
            quant::ReadView view;
            view.latents = 4;
            view.new_positions = {0, 1, 2, 3};
            const std::int64_t pairs = channels / 2;
            view.time_frequencies = at::ones({4}, at::kDouble);
            view.space_angles = at::zeros({rows, pairs - 4}, at::kDouble);
            cache->begin_chunk(view);
            cache->write(0, k.contiguous(), v.contiguous());
            cache->commit();
            EXPECT_GT(cache->ledger().packed_bytes, 0) << format;
            return std::pair(cache->read_keys(0, 0, 4), cache->read_values(0, 0, 4));
        };
        const auto whole = packed(keys, values, 0);
        for (const int ranks : kRanks) {
            for (int rank = 0; rank < ranks; ++rank) {
                const std::int64_t own = heads / ranks, first = rank * own;
                const auto part =
                    packed(keys.narrow(1, first, own), values.narrow(1, first, own), static_cast<int>(first));
                EXPECT_TRUE(at::equal(part.first, whole.first.narrow(1, first, own))) << format << ", rank " << rank;
                EXPECT_TRUE(at::equal(part.second, whole.second.narrow(1, first, own))) << format << ", rank " << rank;
            }
        }
    }
}

// Of several failures the cause is told, nobody hangs, and the walk is over.
TEST_F(SplitRolloutTest, AFailureEndsTheWalkEverywhere) {
    const SplitCase net(at::kDouble);
    SplitWalk walk = net.open_split(3, false, [](std::size_t step, const at::Tensor&, const at::Tensor&) {
        if (step == 2) throw std::runtime_error("the reason");
    });
    try {
        walk.next();
        FAIL() << "it must throw";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "the reason");
    }
    EXPECT_THROW(walk.next(), SplitBroken);

    SplitWalk other = net.open_split(2, false);
    dynamic_cast<SplitRollout&>(*other.rollout).with_rank(1, [](WorldPlayRollout& its, HeadSplit&) {
        its.set_text({}); // then this rank's next call alone fails
        its.start(cameras_from_moves({}).front(), at::Tensor());
        its.restore({gaussian_tensor(1, {4, 4, 2, 3}).to(at::kDouble), std::vector<LatentCamera>(4), {}});
    });
    try {
        other.next(); // three cameras, but rank 1 wants four
        FAIL() << "it must throw";
    } catch (const c10::Error& error) {
        EXPECT_NE(std::string(error.what()).find("needs 4 cameras"), std::string::npos) << error.what();
    }
}

TEST_F(SplitRolloutTest, RefusesWhatCannotBeSplit) {
    const SplitCase net(at::kDouble);
    EXPECT_THROW(net.dit->as_rank(cpu_splits(5).front()), c10::Error);
    EXPECT_THROW(cpu_splits(4).front()->own(3), c10::Error);
}

} // namespace
} // namespace wander

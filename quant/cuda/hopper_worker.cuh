#pragma once
// One warpgroup of Hopper's attention: scores, probabilities and weighted sums of 64 queries. Device code for sm_90a
// alone; hopper_kernel.cuh says how warpgroups share a block, hopper_softmax.cuh has what happens between products.

#include "quant/cuda/hopper_mma.cuh"
#include "quant/cuda/hopper_rows.cuh"

namespace wander::quant::cuda::hopper {

// BF16: a probability against its row's peak is at most 2^8. (Sums are floats, which have room for more.)
inline constexpr float kMostLog2 = 8;

// The value, of which the compiler then knows that all lanes have the same.
__device__ inline std::uint32_t alike(std::uint32_t value) { return __shfl_sync(0xffffffffU, value, 0); }

template <class T>
struct Worker {
    static constexpr int kScores = T::kKeys / 2;                  // of a thread, for one tile
    static constexpr int kWeights = kScores * T::kValueBytes / 4; // registers of them as an operand
    const Launch& launch;
    int group;                                  // of the block's queries
    int thread;                                 // of the warpgroup
    std::uint32_t q_matrix, k_matrix, v_matrix; // as describe() has them
    Barriers<T::kStages> barriers;
    Phases q_phase, k_phases, v_phases;

    Rows<T> rows;
    float scores[kScores];                           // and the probabilities that become of them
    std::uint32_t pairs[T::kE4m3 ? kScores / 2 : 1]; // E4M3: probabilities in twos
    std::uint32_t weights[kWeights];                 // probabilities as the products read them
    float fresh[T::kSums];                           // E4M3: products with the values of one tile or two
    float steps_scale = 0;                           // E4M3: of stored scores, for steps of a power of two
    bool followed;                                   // some peak of the warp may have grown with the newest scores
    float shift[2];                                  // added to a row's scaled scores: E4M3 has its peak by that alone
    float fade[2];                                   // what sums of a row shrink by for that
    float earlier[2];                                // `fade` of the tile before
    float pending[2];                  // E4M3: by two tiles' scores, of sums that their products are yet to join
    bool leapt = false;                // E4M3: the newest scores are to be made again
    bool below_zero;                   // some row of the warp has no peak above zero yet
    int pair = 0;                      // of stages, in which the last tile with an even number lies
    int tile = 0;                      // being attended to
    int segment = 0, segment_tile = 0; // of that tile, and its first tile

    __device__ Worker(const Launch& l, int g, std::uint32_t queries, std::uint32_t keys, std::uint32_t values,
                      Barriers<T::kStages> b)
        : launch(l),
          group(g),
          thread(static_cast<int>(keep(threadIdx.x % 128))),
          q_matrix(describe(queries + static_cast<unsigned>(g) * 64 * kHalfBytes, 0)),
          k_matrix(describe(keys, 0)),
          v_matrix(describe(values, T::kTileBytes / 2)),
          barriers(b) {
        rows.scale_log2 = l.scale_log2;
        if constexpr (T::kE4m3) {
            rows.scale_log2 *= l.factors->descale[0] * l.factors->descale[1];
            steps_scale = kE4m3Steps * rows.scale_log2;
        }
    }

    // One arrival a warp, at each block that copies to this one.
    __device__ void release(std::uint32_t barrier) const {
        if constexpr (T::kBlocks == 1) {
            release_queries(barrier);
        } else if (thread % 32 < T::kBlocks) {
            barrier_arrive_at(barrier, static_cast<unsigned>(thread % 32));
        }
    }
    __device__ void release_queries(std::uint32_t barrier) const {
        if (thread % 32 == 0) {
            barrier_arrive(barrier);
        }
    }
    __device__ int group_of_cluster() const { return block_of_cluster<T>() * T::kGroups + group; }
    __device__ void take_turn() const { named_sync(1 + group, 256); }
    __device__ void pass_turn() const { named_arrive(1 + (group + 1) % T::kGroups, 256); }
    __device__ void wait_for_keys(int stage) { barrier_wait(barriers.full_k(stage), k_phases.take(stage)); }
    __device__ void wait_for_values(int stage) { barrier_wait(barriers.full_v(stage), v_phases.take(stage)); }
    __device__ static std::uint32_t of_stage(std::uint32_t matrix, int stage, unsigned bytes) {
        return alike(further(matrix, static_cast<unsigned>(stage) * bytes));
    }

    __device__ void start_scores(std::uint32_t keys) {
        const std::uint32_t queries = alike(q_matrix);
        products_begin();
#pragma unroll
        for (int step = 0; step < 4 * T::kHalves; ++step) { // 32 bytes of each row
            const unsigned half = static_cast<unsigned>(step) / 4, within = static_cast<unsigned>(step) % 4 * 32;
            const std::uint32_t a = further(queries, half * (T::kQueryBytes / 2) + within);
            const std::uint32_t b = further(keys, half * (T::kTileBytes / 2) + within);
            if constexpr (T::kE4m3) {
                scores_e4m3(scores, a, b, step);
            } else {
                scores_bf16<T::kKeys>(scores, a, b, step);
            }
        }
        products_commit();
    }
    // add: E4M3, to what `fresh` has.
    __device__ void start_values(std::uint32_t values, int add) {
        products_begin();
#pragma unroll
        for (int step = 0; step < kWeights / 4; ++step) {
            const std::uint32_t* const p = weights + 4 * step;
            const unsigned further_by = static_cast<unsigned>(step) * (T::kE4m3 ? 32 : 16 * kHalfBytes);
            if constexpr (T::kE4m3) {
                values_e4m3(fresh, p[0], p[1], p[2], p[3], further(values, further_by), step | add);
            } else {
                values_bf16(rows.sums, p[0], p[1], p[2], p[3], further(values, further_by), 1);
            }
        }
        products_commit();
    }
    __device__ void wait_for_sums() {
        products_wait<0>();
        if constexpr (T::kE4m3) {
            pin(fresh);
        } else {
            pin(rows.sums);
        }
    }

    // Between products; defined in hopper_softmax.cuh.
    //
    // Keys from `valid` on are none.
    __device__ void mask(int valid);
    // Of this thread's scores, for each row. Once all peaks are above zero, bits are compared as whole numbers, three
    // at a time: negative scores come out in the wrong order, but none of them is larger than the peak.
    __device__ void find_largest(float (&largest)[2]) const;
    // Of this thread's become those of the rows.
    __device__ static void share_largest(float (&largest)[2]);
    __device__ float shift_of(float peak) const;
    __device__ bool outgrows(float score, int row) const;
    // Peaks that are outgrown become the largest scores of their rows, and so do all below zero, for find_largest() is
    // quick only behind them. largest: of this thread's scores.
    template <bool kFirst>
    __device__ void follow(float (&largest)[2]);
    // Scores become probabilities against the peak of their row, which follows the largest score at a distance: while
    // probabilities can be stored it stays, so that for most tiles threads need no more than a vote on that.
    template <bool kFirst>
    __device__ void soften();
    // E4M3: where probabilities are larger than may be stored, peaks follow by whole steps, which are taken off what
    // there is, since the scores are gone. Where half precision has no room for those steps, scores have leapt.
    __device__ void follow_steps();
    __device__ static float steps_off(float steps) { return steps > kMostStep ? steps - floorf(kLargestStep) : 0; }
    // The scores are made again; rows in which they have leapt get the largest of them as their peak. (These products
    // add up in float, those of a warpgroup with fewer bits: a tile's scores may differ from others' by what large ones
    // are rounded by.)
    __device__ void leap(std::uint32_t keys);
    // The products with the tile before are done: their operand can be written over.
    __device__ void pack();
    // E4M3: products become part of the sums. The tensor cores add them up with fewer bits than float has, so no more
    // than two tiles come together before.
    __device__ void join(const float (&shrink)[2]);
    template <int kCount>
    __device__ void fade_values(float (&values)[kCount]) const;
    // The products of a tile are done, and the peaks have changed by `fade` since, and by `earlier` before. BF16: the
    // sums have them. E4M3: the first of two tiles waits for the second.
    template <bool kFirstOfTwo>
    __device__ void fade_sums();

    // Stages of a step: of the tile before, whose number in the piece is even or odd, of its tile and of the next one.
    struct Stages {
        int before, now, after;
    };
    template <bool kBeforeIsEven>
    __device__ Stages stages() const {
        const int next_pair = T::kStages == 2 ? 0 : pair ^ 1;
        if constexpr (kBeforeIsEven) {
            return {2 * pair, 2 * pair + 1, 2 * next_pair};
        } else {
            return {2 * pair + 1, 2 * next_pair, 2 * next_pair + 1};
        }
    }

    // The next tile's scores and what becomes of them, until the products of the tile before are done. All of the loop
    // that the warps of a group have to do together is here.
    template <bool kBeforeIsEven>
    __device__ void begin_step(int first_tile) {
        const auto [before, now, after] = stages<kBeforeIsEven>();
        const std::uint32_t keys = of_stage(k_matrix, now, T::kTileBytes);
        const std::uint32_t values = of_stage(v_matrix, before, T::kValueTileBytes);
        take_turn();
        start_scores(keys);
        start_values(values, !kBeforeIsEven);
        pass_turn();
        products_wait<1>();
        pin(scores);
        if constexpr (!T::kE4m3) {
            release(barriers.empty_k(now));
            if (tile < segment_tile) [[unlikely]] { // the last tile of the segment before
                --segment;
                segment_tile = launch.first_tile[segment];
                mask(launch.rows[segment] - (tile - segment_tile) * T::kKeys);
            }
        }
        earlier[0] = fade[0];
        earlier[1] = fade[1];
        soften<false>();
        wait_for_values(now);
        if (tile > first_tile) {
            wait_for_keys(after);
        }
        wait_for_sums();
        release(barriers.empty_v(before));
    }
    // The sums of the tile before, and the probabilities for the next products.
    template <bool kBeforeIsEven>
    __device__ void end_step() {
        if constexpr (T::kE4m3) { // leap() reads them
            release(barriers.empty_k(stages<kBeforeIsEven>().now));
        }
        fade_sums<kBeforeIsEven>();
        pack();
        if constexpr (!kBeforeIsEven) {
            pair ^= T::kStages == 2 ? 0 : 1;
        }
        --tile;
    }
    // All tiles but the first one, two a round. Returns the stage of the newest tile.
    __device__ int walk(int first_tile) {
#pragma unroll 1
        while (true) {
            begin_step<true>(first_tile);
            end_step<true>();
            if (tile < first_tile) {
                return 2 * pair + 1;
            }
            begin_step<false>(first_tile);
            end_step<false>();
            if (tile < first_tile) {
                return 2 * pair;
            }
        }
    }
    // E4M3: likewise. A warp whose scores have leapt leaves the loop, whose code stays short for that, makes them again
    // and goes on where it was.
    __device__ int walk_over_leaps(int first_tile) {
        unsigned second = 0; // of the two tiles of a round
#pragma unroll 1
        while (true) {
#pragma unroll 1
            while (true) {
                if (!second) {
                    begin_step<true>(first_tile);
                    if (leapt) [[unlikely]] {
                        break;
                    }
                    end_step<true>();
                    if (tile < first_tile) {
                        return 2 * pair + 1;
                    }
                }
                second = 2; // for 1 the compiler makes more of the loop
                begin_step<false>(first_tile);
                if (leapt) [[unlikely]] {
                    break;
                }
                end_step<false>();
                second = 0;
                if (tile < first_tile) {
                    return 2 * pair;
                }
            }
            second = keep(second); // or the loop's code is there two times
            leap(of_stage(k_matrix, second ? stages<false>().now : stages<true>().now, T::kTileBytes));
            leapt = false;
            if (second) {
                end_step<false>();
                second = 0;
            } else {
                end_step<true>();
                second = 1;
            }
            second = keep(second);
            if (tile < first_tile) {
                return second ? 2 * pair + 1 : 2 * pair;
            }
        }
    }

    // None of this group's queries is there: it passes on its turns and what it would read, which costs no power.
    __device__ void sit_out(const Piece& piece) {
        barrier_wait(barriers.full_q(), q_phase.take(0));
        release_queries(barriers.empty_q());
        for (int i = 0; i < piece.last - piece.first; ++i) {
            const int stage = i % T::kStages;
            if (i > 0) {
                take_turn();
                pass_turn();
            }
            wait_for_keys(stage);
            __syncwarp(); // no lane is left behind at a barrier that goes on
            release(barriers.empty_k(stage));
            wait_for_values(stage);
            __syncwarp();
            release(barriers.empty_v(stage));
        }
    }

    __device__ void attend(const Piece& piece) {
        if (piece.tile % launch.query_tiles * T::kQueries + group_of_cluster() * 64 >= launch.queries) {
            sit_out(piece);
            return;
        }
        barrier_wait(barriers.full_q(), q_phase.take(0));
        wait_for_keys(0);
        start_scores(of_stage(k_matrix, 0, T::kTileBytes));
        products_wait<0>();
        pin(scores);
        release(barriers.empty_k(0));
        tile = piece.last - 1;
        segment = segment_of(launch, tile, launch.segments - 1);
        segment_tile = launch.first_tile[segment];
        mask(launch.rows[segment] - (tile - segment_tile) * T::kKeys);
        below_zero = true;
        soften<true>();
        wait_for_values(0);
        pack();
#pragma unroll
        for (int i = 0; i < 64; ++i) {
            rows.sums[i] = 0;
        }
        pair = 0;
        int stage = 0; // of the newest tile
        if (--tile >= piece.first) {
            wait_for_keys(1);
            if constexpr (T::kE4m3) {
                stage = walk_over_leaps(piece.first);
            } else {
                stage = walk(piece.first);
            }
        }
        release_queries(barriers.empty_q());
        const bool second = stage % 2 == 1; // of two tiles
        start_values(of_stage(v_matrix, stage, T::kValueTileBytes), second);
        wait_for_sums();
        release(barriers.empty_v(stage));
        if constexpr (T::kE4m3) {
            second ? join(pending) : join(fade);
            rows.peak[0] = __fdividef(kLargestStep - shift[0], steps_scale);
            rows.peak[1] = __fdividef(kLargestStep - shift[1], steps_scale);
        }
        rows.finish(launch, piece, group_of_cluster(), thread);
    }
};

} // namespace wander::quant::cuda::hopper

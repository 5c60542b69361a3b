#pragma once
// The k-means of the dump form: published update, stop rule and return values, distances in exact arithmetic (double).
// Scalar and deterministic; the page encoder has its own, faster one.

#include <cstdint>
#include <vector>

namespace wander::quant::qvg {

struct KmeansShape {
    int groups = 0; // batch * heads, clustered independently but for the stop test
    int points = 0;
    int dim = 0;
    int clusters = 0; // at most 256
};

struct KmeansResult {
    std::vector<std::uint8_t> ids;        // [groups][points], of the last assignment
    std::vector<std::uint16_t> centroids; // [groups][clusters][dim] bfloat16
    int iterations = 0;
};

// From given centroids. Stops when, from the second iteration on, less than `tolerance` of all ids changed: then the
// centroids are those the last assignment used, otherwise the means of its members. Empty clusters keep their centroid.
KmeansResult run_kmeans(const KmeansShape& shape, const std::vector<std::uint16_t>& points,
                        const std::vector<std::uint16_t>& start, int max_iterations, double tolerance);

// The update alone: means of the members, rounded to bfloat16; centroids without a member stay.
void update_centroids(const KmeansShape& shape, const std::vector<std::uint16_t>& points,
                      const std::vector<std::uint8_t>& ids, std::vector<std::uint16_t>& centroids);

} // namespace wander::quant::qvg

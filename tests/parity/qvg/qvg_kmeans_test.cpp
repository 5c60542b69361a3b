// Clustering from given tokens against the published code's inertia and an exact brute force's; the update bit for bit.
#include "quant/qvg/dump_kmeans.hpp"
#include "quant/qvg/number_formats.hpp"
#include "tests/support/qvg_inputs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace wander::testing {
namespace {

using quant::qvg::bf16_to_float;
using quant::qvg::KmeansShape;

std::vector<double> inertia(const KmeansShape& shape, const Bf16s& points, const Bytes& ids, const Bf16s& centroids) {
    std::vector<double> sums(static_cast<std::size_t>(shape.groups));
    const auto dim = static_cast<std::size_t>(shape.dim);
    for (std::size_t row = 0; row < ids.size(); ++row) {
        const std::size_t group = row / static_cast<std::size_t>(shape.points);
        const std::size_t centroid = (group * static_cast<std::size_t>(shape.clusters) + ids[row]) * dim;
        for (std::size_t c = 0; c < dim; ++c) {
            const double d =
                static_cast<double>(bf16_to_float(points[row * dim + c])) - bf16_to_float(centroids[centroid + c]);
            sums[group] += d * d;
        }
    }
    return sums;
}

struct Start {
    KmeansShape shape;
    Bf16s points;
    Bf16s centroids;
};

Start start_of(const QvgCase& golden, const nlohmann::json& part) {
    const std::string name = part.at("name");
    Start start;
    start.shape = {part.at("groups"), part.at("points"), part.at("dim"), part.at("clusters")};
    start.points = golden.bf16_input(part, name + ".x");
    auto tokens = golden.integer_input(part, name + ".init");
    const auto clusters = static_cast<std::size_t>(start.shape.clusters);
    const auto duplicates = part.value("duplicates", std::size_t{0});
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (part.value("distinct", false)) {
            tokens[i] = static_cast<std::uint32_t>(i % clusters);
        } else if (i % clusters >= duplicates && i % clusters < 2 * duplicates) {
            tokens[i] = tokens[i - duplicates];
        }
        const std::size_t row = i / clusters * static_cast<std::size_t>(start.shape.points) + tokens[i];
        const auto from = start.points.begin() + static_cast<std::ptrdiff_t>(row) * start.shape.dim;
        start.centroids.insert(start.centroids.end(), from, from + start.shape.dim);
    }
    return start;
}

TEST(ParityQvgKmeans, InertiaIsThatOfAnExactBruteForce) {
    const QvgCase golden("qvg-kmeans");
    ASSERT_FALSE(golden.json().at("subcases").empty());
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        const Start start = start_of(golden, part);
        const bool exact = part.value("arithmetic", std::string()) == "exact";
        for (const auto& [iterations, run] : part.at("runs").items()) {
            const auto ours = quant::qvg::run_kmeans(start.shape, start.points, start.centroids, std::stoi(iterations),
                                                     part.at("tol"));
            const std::string key = name + ".it" + iterations;
            const auto sums = inertia(start.shape, start.points, ours.ids, ours.centroids);
            const auto& wanted = run.contains("exact") ? run["exact"] : run;
            for (std::size_t g = 0; g < sums.size(); ++g) {
                EXPECT_LE(sums[g], 1.01 * wanted.at("inertia")[g].get<double>()) << key << " group " << g;
            }
            EXPECT_EQ(ours.iterations, wanted.at("iterations_run").get<int>()) << key;
            if (exact) {
                EXPECT_EQ(ours.ids, golden.bytes(key + ".ids")) << key;
                EXPECT_EQ(ours.centroids, golden.bf16(key + ".centroids")) << key;
            }
        }
    }
}

TEST(ParityQvgKmeans, StoredIdsAreNearestWithinTheReferencesArithmetic) {
    const QvgCase golden("qvg-kmeans");
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        if (!part.at("runs").contains("1") || name == "km.offset") {
            continue;
        }
        const Start start = start_of(golden, part);
        const auto ours = quant::qvg::run_kmeans(start.shape, start.points, start.centroids, 1, part.at("tol"));
        const Bytes& stored = golden.bytes(name + ".it1.ids");
        const KmeansShape single{1, 1, start.shape.dim, start.shape.clusters};
        for (std::size_t row = 0; row < stored.size(); ++row) {
            if (stored[row] == ours.ids[row]) {
                continue;
            }
            const auto dim = static_cast<std::ptrdiff_t>(start.shape.dim);
            const auto from = start.points.begin() + static_cast<std::ptrdiff_t>(row) * dim;
            const Bf16s point(from, from + dim);
            const auto group = static_cast<std::ptrdiff_t>(row) / start.shape.points;
            const auto first = start.centroids.begin() + group * start.shape.clusters * dim;
            const Bf16s centroids(first, first + start.shape.clusters * dim);
            double norm = 0;
            for (const auto value : point) {
                norm += static_cast<double>(bf16_to_float(value)) * bf16_to_float(value);
            }
            const double theirs = inertia(single, point, {stored[row]}, centroids)[0];
            const double least = inertia(single, point, {ours.ids[row]}, centroids)[0];
            EXPECT_LE(least, theirs) << name << " row " << row;
            EXPECT_LE(theirs - least, 0.02 * norm) << name << " row " << row;
        }
    }
}

TEST(ParityQvgKmeans, MeansOfTheStoredIdsAreTheStoredCentroids) {
    const QvgCase golden("qvg-kmeans");
    for (const auto& part : golden.json().at("subcases")) {
        const std::string name = part.at("name");
        const Start start = start_of(golden, part);
        for (const auto& [iterations, run] : part.at("runs").items()) {
            if (run.at("iterations_run").get<int>() != std::stoi(iterations)) {
                continue; // stopped early: the centroids are those of the assignment before
            }
            const std::string key = name + ".it" + iterations;
            const Bytes& ids = golden.bytes(key + ".ids");
            const Bf16s stored = golden.bf16(key + ".centroids");
            Bf16s ours = stored; // what has no member stays
            quant::qvg::update_centroids(start.shape, start.points, ids, ours);
            const Bytes& raw_counts = golden.bytes(key + ".counts");
            for (std::size_t i = 0; i < ours.size(); ++i) {
                std::int32_t members = 0;
                std::memcpy(&members, raw_counts.data() + i / static_cast<std::size_t>(start.shape.dim) * 4, 4);
                const Bf16s& wanted = members == 0 && iterations == "1" ? start.centroids : stored;
                ASSERT_LE(std::abs(static_cast<int>(ours[i]) - static_cast<int>(wanted[i])), 1)
                    << key << " element " << i;
            }
        }
    }
}

} // namespace
} // namespace wander::testing

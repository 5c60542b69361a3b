#include "generator/evaluate/plain/evaluation_report.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace wander::evaluate {
namespace {

EvaluationReport sample() {
    EvaluationReport report;
    report.world = "five places";
    report.device_name = "Some GPU";
    report.precision = "bf16";
    report.seconds = 30;
    PlaceFigures village;
    village.name = "village";
    village.walks = 4;
    village.known_walks = true;
    village.free_walk = {{5, 27.34, 0.851}, {20, 25, 0.8}, {30, 26.5, 0.792}};
    village.worst_second_db = 21.04;
    village.next_chunk = {29.3, 25.1, 27.2, 0.0484, 16};
    village.ceiling = {32.4, 0.93};
    village.revisits = {{"full turn", 26.4, 26.7, 27, 100}, {"back", 28.6, 13.6, 27.8, 13.6}};
    PlaceFigures harbour = village;
    harbour.name = "harbour";
    harbour.known_walks = false;
    report.all = village;
    report.all.name = "all";
    report.places = {village, harbour};
    report.formats = {{"int2", {{5, 27.3, 0.84}, {20, 24.9, 0.79}, {30, 26.4, 0.78}}, {40.1, 35.2, 33}, 6.79, 2.95}};
    report.fp8 = {{"FP8 weights", {{5, 27.31, 0.84}, {20, 24.97, 0.79}, {30, 26.42, 0.78}}, {41.2, 36, 34.5}, 0, 1}};
    return report;
}

TEST(EvaluationReport, FiguresByTheirSecond) {
    const EvaluationReport report = sample();
    EXPECT_DOUBLE_EQ(*report.psnr_at(5), 27.34);
    EXPECT_DOUBLE_EQ(*report.sharpness_at(30), 0.792);
    EXPECT_FALSE(report.psnr_at(10));
    EXPECT_DOUBLE_EQ(*report.late_psnr(), 25.75); // of 20 and 30 s
    EXPECT_FALSE(EvaluationReport().late_psnr());
}

TEST(EvaluationReport, TheTableHasEveryRow) {
    const std::string text = report_markdown(sample());
    for (const char* part :
         {"| after | 5 s | 20 s | 30 s |", "| village | 27.3 | 25.0 | 26.5 |", "| harbour (random walks) | 27.3 |",
          "Mean of 20 s and later: 25.8 dB", "| village | 4 | 29.3 | 25.1 | 27.2 | 0.048 | 32.4 | 0.93 | 21.0 |",
          "| full turn | 26.4 | 26.7 | 27.0 | the same |", "| back | 28.6 | 13.6 | 27.8 | 13.6 |",
          "| int2 | 6.79 | 2.95 | 27.3 (40.1) | 24.9 (35.2) | 26.4 (33.0) | 0.78 |",
          "| FP8 weights | 27.31 (41.2) | 24.97 (36.0) | 26.42 (34.5) |", "| bf16 | 27.34 | 25.00 | 26.50 |",
          "the GPU's own FP8 products", "| bf16 | - | 1.00 | 27.3 | 25.0 | 26.5 | 0.79 |"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
}

TEST(EvaluationReport, WhatWasNotMeasuredIsLeftOut) {
    EvaluationReport report = sample();
    report.formats.clear();
    report.fp8.clear();
    report.all.revisits.clear();
    report.all.next_chunk = {};
    report.all.free_walk = {{5, 27, 0.8}};
    const std::string text = report_markdown(report);
    for (const char* part : {"Coming back", "sink alone", "compressed", "FP8", "later"})
        EXPECT_EQ(text.find(part), std::string::npos) << part;
}

TEST(EvaluationReport, TheJsonSaysTheSame) {
    const auto json = nlohmann::json::parse(report_json(sample()));
    EXPECT_EQ(json["kind"], "wander-evaluation");
    EXPECT_EQ(json["all"]["free_walk"][0]["psnr_db"], 27.34);
    EXPECT_EQ(json["places"][1]["name"], "harbour");
    EXPECT_EQ(json["places"][1]["known_walks"], false);
    EXPECT_EQ(json["late_psnr_db"], 25.75);
    EXPECT_EQ(json["formats"][0]["plain_db"][2], 33.0);
    EXPECT_EQ(json["fp8"][0]["walk"], "FP8 weights");
    EXPECT_EQ(json["fp8"][0]["plain_db"][1], 36.0);
    EXPECT_EQ(json["fp8_weights_emulated"], false);
    EXPECT_EQ(json["all"]["next_chunk"]["latent_mse"], 0.0484);
}

} // namespace
} // namespace wander::evaluate

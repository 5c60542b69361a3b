#pragma once
// A tokenizer.json of a dozen pieces, for tests that need ids they can check by hand.

#include <nlohmann/json.hpp>

#include <string>

namespace wander::testing {

// Ids: 0 <pad>, 1 </s>, 2 <s>, 3 <unk>, 4 [web], 5 U+2581, 6 "\u2581a", 7 a, 8 b, 9 ab, 10 "\u2581ab", 11 c; added 12
// <x_1>.
inline nlohmann::json small_tokenizer() {
    const std::string space = "\u2581";
    const auto piece = [](const std::string& text, double score) { return nlohmann::json::array({text, score}); };
    auto file = nlohmann::json::parse(R"({
        "version": "1.0", "truncation": null, "padding": null,
        "normalizer": {"type": "Sequence", "normalizers":
            [{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": false}})");
    file["model"]["vocab"] =
        nlohmann::json::array({piece("<pad>", 0), piece("</s>", 0), piece("<s>", 0), piece("<unk>", 0),
                               piece("[web]", 0), piece(space, -3), piece(space + "a", -4), piece("a", -2),
                               piece("b", -2), piece("ab", -4), piece(space + "ab", -8), piece("c", -5)});
    const auto added = [](int id, const char* content) {
        return nlohmann::json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                              {"rstrip", false}, {"normalized", false}, {"special", true}};
    };
    file["added_tokens"] = {added(0, "<pad>"), added(1, "</s>"), added(2, "<s>"), added(3, "<unk>"),
                            added(12, "<x_1>")};
    return file;
}

} // namespace wander::testing

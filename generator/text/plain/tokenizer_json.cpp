// UnigramTokenizer::parse: what the parts of a tokenizer.json mean.

#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/unigram_tokenizer.hpp"
#include "generator/text/plain/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace wander {
namespace {

using nlohmann::json;

constexpr double kUnknownPenalty = 10; // below the lowest score of a piece
constexpr int kMaxNesting = 8;         // of normalisers and pre-tokenisers

const json kNothing;

const json& at(const json& object, const char* key) {
    if (!object.is_object()) return kNothing;
    const auto found = object.find(key);
    return found == object.end() ? kNothing : *found;
}

// Never a whole value: a message is one line.
std::string text_of(const json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

} // namespace

// Fills a tokenizer; the first complaint stays. One file, one thread.
class TokenizerReader {
public:
    explicit TokenizerReader(std::string where) : where_(std::move(where)) {}

    Result<std::shared_ptr<const UnigramTokenizer>> read(std::string_view text) {
        const json file = json::parse(text, nullptr, false);
        if (!file.is_object()) complain("is not a tokenizer.json: no JSON object");
        if (!error_) read_model(at(file, "model"));
        if (!error_) read_normalizer(at(file, "normalizer"), 0);
        if (!error_) read_added(at(file, "added_tokens"));
        if (!error_) read_pre_tokenizer(at(file, "pre_tokenizer"), 0);
        if (!error_) read_template(at(file, "post_processor"));
        if (error_) return *error_;
        return std::shared_ptr<const UnigramTokenizer>(std::move(made_));
    }

private:
    void complain(const std::string& what) {
        if (!error_) error_ = Error{ErrorCode::bad_input, where_ + ": " + what};
    }
    void not_understood(const char* part, const std::string& type) {
        complain(fmt::format("{} '{}' is not one that Wander understands", part, type.substr(0, 40)));
    }
    bool flag(const json& object, const char* key, bool otherwise) {
        const json& value = at(object, key);
        if (value.is_null()) return otherwise;
        if (!value.is_boolean()) complain(fmt::format("\"{}\" is neither true nor false", key));
        return value.is_boolean() && value.get<bool>();
    }
    // A whole number of 0 up to 2^30, or -1 and a complaint.
    int id(const json& value, const char* what) {
        constexpr std::int64_t kMost = 1 << 30;
        if (value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() < kMost &&
            !(value.is_number_unsigned() && value.get<std::uint64_t>() > kMost)) {
            return value.get<int>();
        }
        complain(fmt::format("{} is no token id", what));
        return -1;
    }

    void read_model(const json& model) {
        const std::string type = text_of(at(model, "type"));
        if (!type.empty() && type != "Unigram") return not_understood("the model", type);
        const json& vocab = at(model, "vocab");
        if (!vocab.is_array() || vocab.empty()) return complain("the model has no list \"vocab\"");
        std::vector<std::string_view> pieces;
        pieces.reserve(vocab.size());
        made_->scores_.reserve(vocab.size());
        double lowest = std::numeric_limits<double>::infinity();
        for (const json& entry : vocab) {
            if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
                return complain(fmt::format("piece {} of the vocabulary is not [text, score]", pieces.size()));
            }
            pieces.push_back(entry[0].get_ref<const std::string&>());
            made_->scores_.push_back(entry[1].get<double>());
            lowest = std::min(lowest, made_->scores_.back());
        }
        made_->pieces_ = PieceIndex(pieces);
        made_->unknown_score_ = lowest - kUnknownPenalty;
        made_->unknown_ = id(at(model, "unk_id"), "the model's \"unk_id\"");
        if (made_->unknown_ >= made_->size()) complain("the model's \"unk_id\" is no piece of the vocabulary");
        made_->byte_fallback_ = flag(model, "byte_fallback", false);
    }

    void read_added(const json& list) {
        if (list.is_null()) return;
        if (!list.is_array()) return complain("\"added_tokens\" is not a list");
        for (const json& entry : list) {
            AddedToken token;
            token.content = text_of(at(entry, "content"));
            if (token.content.empty()) return complain("an added token has no \"content\"");
            token.id = id(at(entry, "id"), "the \"id\" of an added token");
            token.strip_left = flag(entry, "lstrip", false);
            token.strip_right = flag(entry, "rstrip", false);
            token.normalized = flag(entry, "normalized", !flag(entry, "special", false));
            if (flag(entry, "single_word", false))
                complain("an added token is a \"single_word\" one, which Wander does not read");
            if (token.normalized) token.content = made_->normalize(token.content);
            if (error_) return;
            if (!token.content.empty()) made_->added_.push_back(std::move(token));
        }
    }

    void read_normalizer(const json& rule, int depth) {
        if (rule.is_null()) return;
        const std::string type = text_of(at(rule, "type"));
        if (depth > kMaxNesting) return complain("its normalisers are nested too deeply");
        NormalizerStep step;
        if (type == "Sequence") {
            const json& parts = at(rule, "normalizers");
            if (!parts.is_array()) return complain("a normaliser 'Sequence' has no list");
            for (const json& part : parts) read_normalizer(part, depth + 1);
            return;
        }
        if (type == "Replace") return read_replace(rule);
        if (type == "NFC") {
            step.kind = NormalizerStep::Kind::nfc;
        } else if (type == "Precompiled") {
            const std::string text = text_of(at(rule, "precompiled_charsmap"));
            auto map = Charsmap::parse(text);
            if (!map && !text.empty()) return complain("its character map is damaged");
            if (!map) return; // an empty one maps nothing
            step.kind = NormalizerStep::Kind::charsmap;
            step.map = std::move(*map);
        } else if (type == "Strip") {
            step.kind = NormalizerStep::Kind::strip;
            step.left = flag(rule, "strip_left", true);
            step.right = flag(rule, "strip_right", true);
        } else {
            return not_understood("the normaliser", type);
        }
        made_->normalizer_.push_back(std::move(step));
    }

    // {"String": text}, or {"Regex": C{N,}}: a run of at least N times the character C.
    void read_replace(const json& rule) {
        NormalizerStep step;
        step.content = text_of(at(rule, "content"));
        const json& pattern = at(rule, "pattern");
        const std::string literal = text_of(at(pattern, "String")), regex = text_of(at(pattern, "Regex"));
        if (!literal.empty()) {
            step.kind = NormalizerStep::Kind::replace;
            step.pattern = literal;
        } else if (!read_run(regex, step)) {
            return not_understood("the pattern", regex);
        }
        made_->normalizer_.push_back(std::move(step));
    }

    static bool read_run(const std::string& regex, NormalizerStep& step) {
        if (regex.empty()) return false;
        const std::size_t length = utf8_length(regex[0]);
        step.kind = NormalizerStep::Kind::collapse;
        step.pattern = regex.substr(0, length);
        if (std::string_view(R"(\^$.|?*+()[]{})").find(regex[0]) != std::string_view::npos) return false;
        const std::string count = regex.substr(length);
        if (count == "+") {
            step.least = 1;
            return true;
        }
        if (count.size() != 4 || count[0] != '{' || count[1] < '1' || count[1] > '9' || count.substr(2) != ",}")
            return false;
        step.least = static_cast<std::size_t>(count[1] - '0');
        return true;
    }

    void read_pre_tokenizer(const json& rule, int depth) {
        if (rule.is_null()) return;
        const std::string type = text_of(at(rule, "type"));
        if (depth > kMaxNesting) return complain("its pre-tokenisers are nested too deeply");
        MetaspaceRule& made = made_->metaspace_;
        if (type == "Sequence") {
            const json& parts = at(rule, "pretokenizers");
            if (!parts.is_array()) return complain("a pre-tokeniser 'Sequence' has no list");
            for (const json& part : parts) read_pre_tokenizer(part, depth + 1);
        } else if (type == "WhitespaceSplit" && !made.present) {
            made.split_white_space = true;
        } else if (type == "Metaspace" && !made.present) {
            read_metaspace(rule);
        } else {
            not_understood("the pre-tokeniser", type);
        }
        if (depth == 0 && !made.present) not_understood("without a Metaspace the pre-tokeniser", type);
    }

    // Older files say add_prefix_space, newer ones prepend_scheme and split.
    void read_metaspace(const json& rule) {
        MetaspaceRule& made = made_->metaspace_;
        made.present = true;
        made.replacement = text_of(at(rule, "replacement"));
        if (decode_utf8(made.replacement).size() != 1) complain("the replacement of Metaspace is not one character");
        made.split = flag(rule, "split", true);
        const std::string scheme = text_of(at(rule, "prepend_scheme"));
        if (scheme.empty()) {
            made.prepend =
                flag(rule, "add_prefix_space", true) ? MetaspaceRule::Prepend::always : MetaspaceRule::Prepend::never;
        } else if (scheme == "always") {
            made.prepend = MetaspaceRule::Prepend::always;
        } else if (scheme == "first") {
            made.prepend = MetaspaceRule::Prepend::first;
        } else if (scheme == "never") {
            made.prepend = MetaspaceRule::Prepend::never;
        } else {
            not_understood("the \"prepend_scheme\"", scheme);
        }
    }

    // The template for one text: special tokens before and behind {"Sequence": A}.
    void read_template(const json& rule) {
        if (rule.is_null()) return;
        const std::string type = text_of(at(rule, "type"));
        if (type != "TemplateProcessing") return not_understood("the post-processor", type);
        const json& parts = at(rule, "single");
        if (!parts.is_array()) return complain("the template has no list \"single\"");
        bool behind = false;
        for (const json& part : parts) {
            if (!at(part, "Sequence").is_null()) {
                if (behind) return complain("the template for one text names it twice");
                behind = true;
                continue;
            }
            const std::string name = text_of(at(at(part, "SpecialToken"), "id"));
            const json& known = at(rule, "special_tokens");
            const json& ids = at(at(known, name.c_str()), "ids");
            if (!ids.is_array()) return complain("the template has a special token without ids");
            for (const json& value : ids)
                (behind ? made_->after_ : made_->before_)
                    .push_back({id(value, "a special token of the template"), name});
        }
        if (!behind) complain("the template for one text does not name it");
    }

    std::string where_;
    std::optional<Error> error_;
    std::shared_ptr<UnigramTokenizer> made_ = std::make_shared<UnigramTokenizer>();
};

Result<std::shared_ptr<const UnigramTokenizer>> UnigramTokenizer::parse(std::string_view json,
                                                                        const std::string& where) {
    return TokenizerReader(where).read(json);
}

} // namespace wander

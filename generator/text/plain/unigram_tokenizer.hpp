#pragma once
// A SentencePiece unigram tokenizer out of a tokenizer.json: normaliser, added tokens, pre-tokeniser, model and the
// tokens put around are read from the file, never assumed. self-forcing.md 7.1. Immutable after parsing; any thread.
//
// Understood: normalisers Sequence, Replace (text, or a run of one character), NFC, Strip,
// Precompiled; pre-tokenisers Metaspace in
// both spellings, WhitespaceSplit, Sequence of them; post-processor TemplateProcessing. Everything else is an error
// that names it, because ids that are nearly right make pictures that are nearly right.

#include "generator/plain/result.hpp"
#include "generator/text/plain/charsmap.hpp"
#include "generator/text/plain/piece_index.hpp"
#include "generator/text/plain/prompt_tokenizer.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

// What an added token looks like in the text, and how it is taken out of it.
struct AddedToken {
    std::string content;
    int id = 0;
    bool strip_left = false; // takes the white space before it along
    bool strip_right = false;
    bool normalized = false; // looked for after the normaliser
};

struct NormalizerStep {
    enum class Kind { replace, collapse, nfc, strip, charsmap } kind = Kind::nfc;
    std::string pattern; // replace: this text. collapse: this character, at least `least` of them
    std::string content; // replace, collapse: what stands there then
    std::size_t least = 0;
    bool left = false, right = false; // strip
    Charsmap map;
};

struct MetaspaceRule {
    enum class Prepend { always, first, never };
    bool present = false;
    bool split_white_space = false; // words are cut at white space before
    std::string replacement;        // for a space; U+2581
    Prepend prepend = Prepend::always;
    bool split = true; // before every replacement
};

class UnigramTokenizer {
public:
    // `where` begins every message, usually the file's path.
    static Result<std::shared_ptr<const UnigramTokenizer>> parse(std::string_view json, const std::string& where);

    // Tokens of any text, special tokens around it included; at most max_tokens, of which the text's own are cut.
    TokenizedPrompt encode(std::string_view text, std::size_t max_tokens) const;

    int size() const { return pieces_.size(); } // without added tokens that are no pieces
    int unknown_id() const { return unknown_; }

private:
    friend class TokenizerReader;

    struct Segment { // of the text: an added token, or what stands between two
        std::string text;
        int added = -1;
        bool at_start = false; // of the whole text
    };
    std::string normalize(std::string_view text) const;
    std::vector<Segment> split_added(Segment segment, bool normalized) const;
    std::vector<std::string> split_words(const Segment& segment) const;
    void solve(std::string_view word, std::vector<PromptToken>& tokens) const;
    void append_piece(std::string_view piece, std::vector<PromptToken>& tokens) const;

    PieceIndex pieces_;
    std::vector<double> scores_;
    double unknown_score_ = 0;
    int unknown_ = 0;
    bool byte_fallback_ = false;
    std::vector<NormalizerStep> normalizer_;
    std::vector<AddedToken> added_;
    MetaspaceRule metaspace_;
    std::vector<PromptToken> before_; // what the template puts around the text
    std::vector<PromptToken> after_;
};

} // namespace wander

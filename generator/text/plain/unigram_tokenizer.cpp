#include "generator/text/plain/unigram_tokenizer.hpp"

#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/utf8.hpp"

#include <algorithm>
#include <utility>

namespace wander {
namespace {

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

std::string replaced(std::string_view text, const std::string& pattern, const std::string& content) {
    std::string out;
    std::size_t at = 0;
    while (true) {
        const std::size_t found = text.find(pattern, at);
        out += text.substr(at, found - at);
        if (found == std::string_view::npos) return out;
        out += content;
        at = found + pattern.size();
    }
}

// Runs of at least `least` times `pattern` become `content`.
std::string collapsed(std::string_view text, const NormalizerStep& step) {
    std::string out;
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t end = at;
        std::size_t count = 0;
        while (text.substr(end).starts_with(step.pattern)) {
            end += step.pattern.size();
            ++count;
        }
        if (count >= step.least) {
            out += step.content;
        } else if (count > 0) {
            out += text.substr(at, end - at);
        } else {
            out += text[end++];
        }
        at = end;
    }
    return out;
}

// How many bytes of white space `text` begins with.
std::size_t leading_space(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t length = utf8_length(text[at]);
        if (!is_white_space(decode_utf8(text.substr(at, length)).front())) break;
        at += length;
    }
    return at;
}

std::size_t trailing_space(std::string_view text) {
    std::size_t end = text.size();
    while (end > 0) {
        std::size_t begin = end - 1;
        while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
        if (!is_white_space(decode_utf8(text.substr(begin, end - begin)).front())) break;
        end = begin;
    }
    return text.size() - end;
}

std::vector<std::string_view> split_at_white_space(std::string_view text) {
    std::vector<std::string_view> words;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t space = leading_space(text.substr(at));
        if (space == 0) {
            at += utf8_length(text[at]);
            continue;
        }
        if (at > begin) words.push_back(text.substr(begin, at - begin));
        at += space;
        begin = at;
    }
    if (begin < text.size()) words.push_back(text.substr(begin));
    return words;
}

} // namespace

std::string UnigramTokenizer::normalize(std::string_view text) const {
    std::string out(text);
    for (const NormalizerStep& step : normalizer_) {
        switch (step.kind) {
            case NormalizerStep::Kind::replace: out = replaced(out, step.pattern, step.content); break;
            case NormalizerStep::Kind::collapse: out = collapsed(out, step); break;
            case NormalizerStep::Kind::nfc: out = encode_utf8(normalize_nfc(decode_utf8(out))); break;
            case NormalizerStep::Kind::charsmap: out = step.map.apply(out); break;
            case NormalizerStep::Kind::strip:
                if (step.right) out.resize(out.size() - trailing_space(out));
                if (step.left) out.erase(0, leading_space(out));
                break;
        }
    }
    return out;
}

// Of the added tokens that begin at the leftmost place the longest counts.
std::vector<UnigramTokenizer::Segment> UnigramTokenizer::split_added(Segment segment, bool normalized) const {
    std::vector<Segment> parts;
    const std::string_view text = segment.text;
    std::size_t begin = 0;
    const auto add_between = [&](std::size_t end) {
        if (end > begin) parts.push_back({segment.text.substr(begin, end - begin), -1, segment.at_start && begin == 0});
    };
    for (std::size_t at = 0; at < text.size();) {
        const AddedToken* longest = nullptr;
        for (const AddedToken& token : added_) {
            if (token.normalized != normalized || token.content[0] != text[at]) continue;
            if (!text.substr(at).starts_with(token.content)) continue;
            if (!longest || token.content.size() > longest->content.size()) longest = &token;
        }
        if (!longest) {
            ++at;
            continue;
        }
        std::size_t first = at;
        at += longest->content.size();
        if (longest->strip_left) first -= trailing_space(text.substr(begin, first - begin));
        if (longest->strip_right) at += leading_space(text.substr(at));
        add_between(first);
        parts.push_back({longest->content, longest->id});
        begin = at;
    }
    if (begin == 0) return {std::move(segment)};
    add_between(text.size());
    return parts;
}

std::vector<std::string> UnigramTokenizer::split_words(const Segment& segment) const {
    if (!metaspace_.present) return {segment.text};
    std::vector<std::string_view> parts = {segment.text};
    if (metaspace_.split_white_space) parts = split_at_white_space(segment.text);
    std::vector<std::string> words;
    for (const std::string_view part : parts) {
        std::string marked = replaced(part, " ", metaspace_.replacement);
        const bool wanted = metaspace_.prepend == MetaspaceRule::Prepend::always ||
                            (metaspace_.prepend == MetaspaceRule::Prepend::first && segment.at_start &&
                             part.data() == segment.text.data());
        if (wanted && !marked.empty() && !marked.starts_with(metaspace_.replacement))
            marked.insert(0, metaspace_.replacement);
        std::size_t begin = 0;
        while (metaspace_.split && begin < marked.size()) {
            const std::size_t next = marked.find(metaspace_.replacement, begin + 1);
            if (next == std::string::npos) break;
            words.push_back(marked.substr(begin, next - begin));
            begin = next;
        }
        if (begin < marked.size()) words.push_back(marked.substr(begin));
    }
    return words;
}

// The cut with the highest sum of scores. A character that is no piece may be an unknown one; of equal sums the one
// whose last piece begins first stays, because candidates come in that order and only a higher sum takes a place.
void UnigramTokenizer::solve(std::string_view word, std::vector<PromptToken>& tokens) const {
    struct Node {
        double score = 0;
        std::size_t start = kNowhere;
        int id = 0;
    };
    std::vector<Node> ends(word.size() + 1);
    for (std::size_t at = 0; at < word.size();) {
        const double score = ends[at].score;
        const std::size_t character = std::min(utf8_length(word[at]), word.size() - at);
        bool is_piece = false;
        const auto offer = [&](std::size_t length, int id, double value) {
            Node& end = ends[at + length];
            if (end.start == kNowhere || value > end.score) end = {value, at, id};
        };
        pieces_.prefixes(word.substr(at), [&](std::size_t length, int id) {
            offer(length, id, score + scores_[static_cast<std::size_t>(id)]);
            is_piece = is_piece || length == character;
        });
        if (!is_piece) offer(character, unknown_, score + unknown_score_);
        at += character;
    }
    // From the end; neighbouring unknown ones are one.
    std::vector<std::string_view> found;
    std::size_t unknown_end = kNowhere;
    std::size_t end = word.size();
    while (end > 0) {
        const Node& node = ends[end];
        if (node.id == unknown_) {
            if (unknown_end == kNowhere) unknown_end = end;
        } else {
            if (unknown_end != kNowhere) found.push_back(word.substr(end, unknown_end - end));
            unknown_end = kNowhere;
            found.push_back(word.substr(node.start, end - node.start));
        }
        end = node.start;
    }
    if (unknown_end != kNowhere) found.push_back(word.substr(0, unknown_end));
    for (auto piece = found.rbegin(); piece != found.rend(); ++piece) append_piece(*piece, tokens);
}

void UnigramTokenizer::append_piece(std::string_view piece, std::vector<PromptToken>& tokens) const {
    if (const int id = pieces_.find(piece); id >= 0) {
        tokens.push_back({id, std::string(piece)});
        return;
    }
    std::vector<PromptToken> bytes;
    for (std::size_t i = 0; byte_fallback_ && i < piece.size(); ++i) {
        constexpr const char* kDigits = "0123456789ABCDEF";
        const auto value = static_cast<unsigned char>(piece[i]);
        std::string name = std::string("<0x") + kDigits[value >> 4] + kDigits[value & 15] + '>';
        const int id = pieces_.find(name);
        if (id < 0) break;
        bytes.push_back({id, std::move(name)});
    }
    if (!piece.empty() && bytes.size() == piece.size()) {
        std::move(bytes.begin(), bytes.end(), std::back_inserter(tokens));
    } else {
        tokens.push_back({unknown_, std::string(piece)});
    }
}

TokenizedPrompt UnigramTokenizer::encode(std::string_view text, std::size_t max_tokens) const {
    TokenizedPrompt result;
    result.cleaned =
        encode_utf8(decode_utf8(text)); // pieces are matched byte by byte, so they must be whole characters
    std::vector<PromptToken> tokens;
    for (Segment& raw : split_added({result.cleaned, -1, true}, false)) {
        if (raw.added >= 0) {
            tokens.push_back({raw.added, std::move(raw.text)});
            continue;
        }
        raw.text = normalize(raw.text);
        for (const Segment& part : split_added(std::move(raw), true)) {
            if (part.added >= 0) {
                tokens.push_back({part.added, part.text});
                continue;
            }
            for (const std::string& word : split_words(part)) solve(word, tokens);
        }
    }
    const std::size_t around = before_.size() + after_.size();
    result.all_tokens = tokens.size() + around;
    tokens.resize(std::min(tokens.size(), max_tokens > around ? max_tokens - around : 0));
    result.tokens = before_;
    std::move(tokens.begin(), tokens.end(), std::back_inserter(result.tokens));
    result.tokens.insert(result.tokens.end(), after_.begin(), after_.end());
    return result;
}

} // namespace wander

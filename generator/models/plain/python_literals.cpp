#include "generator/models/python_literals.hpp"

#include <cctype>
#include <cstdint>
#include <optional>

namespace wander {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
    if (code < 0x80) {
        text += static_cast<char>(code);
        return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr std::uint32_t kFirst[] = {0, 0xc0, 0xe0, 0xf0};
    text += static_cast<char>(kFirst[more] | (code >> (6 * more)));
    for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f));
}

class Reader {
public:
    explicit Reader(std::string_view source) : source_(source) {}

    std::vector<std::string> run() {
        while (at_ < source_.size()) step();
        end_run();
        return std::move(texts_);
    }

private:
    char now() const { return at_ < source_.size() ? source_[at_] : '\0'; }
    bool is_next(std::string_view words) const { return source_.substr(at_).starts_with(words); }

    void step() {
        const char c = now();
        if (c == '#') {
            while (at_ < source_.size() && source_[at_] != '\n') ++at_;
        } else if (c == '\'' || c == '"') {
            literal("");
        } else if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
            const std::size_t begin = at_;
            while (std::isalnum(static_cast<unsigned char>(now())) || now() == '_') ++at_;
            const std::string_view word = source_.substr(begin, at_ - begin);
            const bool quoted = now() == '\'' || now() == '"';
            if (quoted && word.find_first_not_of("rRuUbBfFtT") == std::string_view::npos) {
                literal(word);
            } else {
                end_run();
            }
        } else {
            // Between literals of a run there is nothing but space and ends of lines, also hidden ones.
            if (!std::isspace(static_cast<unsigned char>(c)) && c != '\\') end_run();
            ++at_;
        }
    }

    void end_run() {
        if (run_length_ > 1) texts_.push_back(run_);
        run_.clear();
        run_length_ = 0;
    }

    void literal(std::string_view prefix) {
        bool raw = false;
        bool usable = true;
        for (const char c : prefix) {
            if (c == 'r' || c == 'R') {
                raw = true;
            } else if (c != 'u' && c != 'U') {
                usable = false; // bytes, or with fields to be filled in
            }
        }
        const char quote = now();
        const std::string end = is_next(std::string(3, quote)) ? std::string(3, quote) : std::string(1, quote);
        at_ += end.size();
        std::string text;
        bool closed = false;
        while (at_ < source_.size()) {
            if (is_next(end)) {
                at_ += end.size();
                closed = true;
                break;
            }
            if (source_[at_] == '\n' && end.size() == 1) break; // not closed: no literal
            if (source_[at_] != '\\') {
                take_letter(text);
            } else if (raw) {
                text += source_[at_++];
                if (at_ < source_.size()) take_letter(text);
            } else if (!escape(text)) {
                usable = false;
            }
        }
        if (!closed || !usable) {
            end_run();
            return;
        }
        texts_.push_back(text);
        run_ += text;
        ++run_length_;
    }

    // Ends of lines are \n, however the file has them.
    void take_letter(std::string& text) {
        if (is_next("\r\n")) ++at_;
        text += source_[at_++];
    }

    // Behind a backslash; false where it cannot be resolved here.
    bool escape(std::string& text) {
        ++at_;
        if (is_next("\r\n")) ++at_;
        const char c = now();
        ++at_;
        switch (c) {
            case '\n': return true; // the line goes on
            case '\\':
            case '\'':
            case '"': text += c; return true;
            case 'a': text += '\a'; return true;
            case 'b': text += '\b'; return true;
            case 'f': text += '\f'; return true;
            case 'n': text += '\n'; return true;
            case 'r': text += '\r'; return true;
            case 't': text += '\t'; return true;
            case 'v': text += '\v'; return true;
            case 'x': return number(text, 2, 2, 16);
            case 'u': return number(text, 4, 4, 16);
            case 'U': return number(text, 8, 8, 16);
            case 'N': return false;
            default: break;
        }
        if (c >= '0' && c <= '7') {
            --at_;
            return number(text, 1, 3, 8);
        }
        text += '\\'; // no escape: both letters stay
        text += c;
        return true;
    }

    bool number(std::string& text, int least, int most, std::uint32_t base) {
        std::uint32_t code = 0;
        int digits = 0;
        for (; digits < most; ++digits, ++at_) {
            const char c = now();
            std::uint32_t digit = base;
            if (c >= '0' && c <= '9') digit = static_cast<std::uint32_t>(c - '0');
            if (c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a') + 10;
            if (c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A') + 10;
            if (digit >= base) break;
            code = code * base + digit;
        }
        if (digits < least || code > 0x10ffff) return false;
        append_utf8(text, code);
        return true;
    }

    std::string_view source_;
    std::size_t at_ = 0;
    std::vector<std::string> texts_;
    std::string run_;
    int run_length_ = 0;
};

} // namespace

std::vector<std::string> python_literals(std::string_view source) { return Reader(source).run(); }

} // namespace wander

#include "generator/text/plain/system_prompt.hpp"

#include "generator/plain/sha256.hpp"
#include "generator/text/plain/utf8.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

namespace wander {
namespace {

constexpr std::uintmax_t kMaxFileBytes = 16 << 20;

constexpr const char* kHowToGet =
    "`wander convert --system-prompt-from FILE.py` takes it from the model's own code "
    "(hyvideo/models/text_encoders/__init__.py of HY-WorldPlay, or diffusers' HunyuanVideo 1.5 pipeline)";

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Walks over Python source and collects its string literals.
class PythonStrings {
public:
    explicit PythonStrings(std::string_view source) : source_(source) {}

    // The next run of literals with nothing but white space, comments and joined lines between them; empty at the end.
    std::vector<std::string> next_run() {
        std::vector<std::string> run;
        while (at_ < source_.size()) {
            const char c = source_[at_];
            if (c == '#') {
                skip_comment();
            } else if (c == '"' || c == '\'') {
                run.push_back(literal(false));
            } else if (is_name(c)) {
                // A prefix such as r or f, or any other word.
                const std::size_t begin = at_;
                while (at_ < source_.size() && is_name(source_[at_])) ++at_;
                const std::string_view word = source_.substr(begin, at_ - begin);
                const bool quote = at_ < source_.size() && (source_[at_] == '"' || source_[at_] == '\'');
                if (quote && word.size() <= 2 && word.find_first_not_of("rRbBuUfF") == std::string_view::npos) {
                    run.push_back(literal(word.find_first_of("rR") != std::string_view::npos));
                } else if (!run.empty()) {
                    return run;
                }
            } else {
                const bool between = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\\';
                ++at_;
                if (!between && !run.empty()) return run;
            }
        }
        return run;
    }

private:
    static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               static_cast<unsigned char>(c) >= 0x80;
    }
    void skip_comment() { at_ = std::min(source_.find('\n', at_), source_.size()); }

    std::string literal(bool raw) {
        const char quote = source_[at_];
        const std::string triple(3, quote);
        const bool is_triple = source_.substr(at_).starts_with(triple);
        const std::string_view end = is_triple ? std::string_view(triple) : std::string_view(triple).substr(0, 1);
        at_ += end.size();
        std::string text;
        while (at_ < source_.size() && !source_.substr(at_).starts_with(end)) {
            if (source_[at_] == '\n' && !is_triple) break; // unfinished: not Python after all
            if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
                if (raw) {
                    text += source_.substr(at_, 2);
                    at_ += 2;
                } else {
                    escape(text);
                }
            } else {
                text += source_[at_++];
            }
        }
        at_ = std::min(at_ + end.size(), source_.size());
        return text;
    }

    void escape(std::string& text) {
        constexpr std::string_view kSimple = "\\'\"abfnrtv", kMeaning = "\\'\"\a\b\f\n\r\t\v";
        const char c = source_[at_ + 1];
        at_ += 2;
        if (c == '\n') return; // the line goes on
        if (const std::size_t simple = kSimple.find(c); simple != std::string_view::npos) {
            text += kMeaning[simple];
        } else if (c >= '0' && c <= '7') {
            --at_;
            append_utf8(text, number(3, 8));
        } else if (c == 'x' || c == 'u' || c == 'U') {
            append_utf8(text, number(c == 'x' ? 2 : c == 'u' ? 4 : 8, 16));
        } else {
            text += '\\';
            text += c;
        }
    }
    char32_t number(int most_digits, int base) {
        char32_t value = 0;
        for (int i = 0; i < most_digits && at_ < source_.size(); ++i, ++at_) {
            const int digit = digit_of(source_[at_]);
            if (digit < 0 || digit >= base) break;
            value = value * static_cast<char32_t>(base) + static_cast<char32_t>(digit);
        }
        return value;
    }

    std::string_view source_;
    std::size_t at_ = 0;
};

} // namespace

bool is_system_prompt(std::string_view text, const SystemPromptMark& mark) {
    if (text.size() != mark.bytes) return false;
    Sha256 sha;
    sha.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return sha.hex() == mark.sha256;
}

std::optional<std::string> find_system_prompt(std::string_view python, const SystemPromptMark& mark) {
    std::string lines;
    for (std::size_t i = 0; i < python.size(); ++i) {
        if (python[i] == '\r' && i + 1 < python.size() && python[i + 1] == '\n') continue;
        lines += python[i];
    }
    PythonStrings strings(lines);
    for (auto run = strings.next_run(); !run.empty(); run = strings.next_run()) {
        std::string joined;
        for (const std::string& text : run) {
            if (is_system_prompt(text, mark)) return text;
            joined += text;
        }
        if (is_system_prompt(joined, mark)) return joined;
    }
    return std::nullopt;
}

Result<std::string> read_system_prompt(const std::filesystem::path& path, const SystemPromptMark& mark) {
    const auto refuse = [&](const std::string& what) {
        return Error{ErrorCode::bad_input, fmt::format("{}: {}; {}", path.string(), what, kHowToGet)};
    };
    std::error_code failed;
    const auto size = std::filesystem::file_size(path, failed);
    if (failed) return refuse(fmt::format("the model's instruction cannot be read ({})", failed.message()));
    if (size > kMaxFileBytes) return refuse(fmt::format("{} bytes are too many", size));
    std::ifstream file(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (is_system_prompt(text, mark)) return text;
    if (auto found = find_system_prompt(text, mark)) return std::move(*found);
    return refuse(fmt::format("does not hold the model's instruction ({} bytes, SHA-256 {}...)", mark.bytes,
                              mark.sha256.substr(0, 8)));
}

Result<ChatTokens> hunyuan_chat(const BytePairTokenizer& tokenizer, std::string_view system, std::string_view prompt,
                                std::size_t most, const SystemPromptMark& mark) {
    if (system.empty()) {
        return Error{
            ErrorCode::unavailable,
            fmt::format("the instruction that this model puts in front of a prompt is not there: {}", kHowToGet)};
    }
    if (!is_system_prompt(system, mark)) {
        return Error{ErrorCode::bad_input,
                     fmt::format("the instruction in front of the prompt is not the one that this model was trained "
                                 "with: {}",
                                 kHowToGet)};
    }
    ChatTokens chat = chat_tokens(tokenizer, system, prompt, most);
    if (chat.crop != mark.crop) {
        return Error{ErrorCode::bad_input,
                     fmt::format("the tokenizer makes {} tokens of the model's instruction, expected are {}: it is not "
                                 "that of Qwen2.5-VL",
                                 chat.crop, mark.crop)};
    }
    return chat;
}

} // namespace wander

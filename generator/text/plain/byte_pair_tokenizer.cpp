#include "generator/text/plain/byte_pair_tokenizer.hpp"

#include "generator/text/plain/byte_pair_words.hpp"
#include "generator/text/plain/unicode.hpp"
#include "generator/text/plain/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <queue>

namespace wander {

namespace {

constexpr std::size_t kMaxFileBytes = 64 << 20;

Error refuse(const std::string& where, const std::string& what) {
    return {ErrorCode::bad_input, fmt::format("{}: {}", where, what)};
}

// Bytes stand in the files as printable characters: those that print are themselves, the others follow from U+0100 on.
std::array<char32_t, 256> byte_characters() {
    std::array<char32_t, 256> characters{};
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        characters[byte] = prints ? byte : next++;
    }
    return characters;
}

// The bytes that a token of the files stands for; nothing if a character stands for no byte.
std::optional<std::string> token_bytes(std::string_view token) {
    static const std::unordered_map<char32_t, char> bytes = [] {
        std::unordered_map<char32_t, char> map;
        const auto characters = byte_characters();
        for (std::size_t byte = 0; byte < 256; ++byte) map.emplace(characters[byte], static_cast<char>(byte));
        return map;
    }();
    std::string text;
    for (const char32_t character : decode_utf8(token)) {
        const auto found = bytes.find(character);
        if (found == bytes.end()) return std::nullopt;
        text += found->second;
    }
    return text;
}

std::uint64_t pair_key(int first, int second) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(first)) << 32) | static_cast<std::uint32_t>(second);
}

Result<std::string> read_whole(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return refuse(path.string(), "cannot be read; it belongs beside the text encoder of the model");
    if (static_cast<std::size_t>(file.tellg()) > kMaxFileBytes) return refuse(path.string(), "is too large");
    std::string text(static_cast<std::size_t>(file.tellg()), '\0');
    file.seekg(0);
    if (!file.read(text.data(), static_cast<std::streamsize>(text.size())))
        return refuse(path.string(), "cannot be read");
    return text;
}

std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

} // namespace

Result<BytePairTokenizer> BytePairTokenizer::open(const std::filesystem::path& folder) {
    Files files;
    const std::pair<const char*, std::string*> parts[] = {
        {"vocab.json", &files.vocab}, {"merges.txt", &files.merges}, {"tokenizer_config.json", &files.config}};
    for (const auto& [name, text] : parts) {
        auto read = read_whole(folder / name);
        if (!read) return read.error();
        *text = std::move(*read);
    }
    return parse(files, folder.string());
}

Result<BytePairTokenizer> BytePairTokenizer::parse(const Files& files, const std::string& where) {
    BytePairTokenizer tokenizer;
    const auto vocab = nlohmann::json::parse(files.vocab, nullptr, false);
    if (!vocab.is_object()) return refuse(where + "/vocab.json", "is not a JSON object of tokens");
    std::unordered_map<std::string, int> ids; // by bytes
    for (const auto& [token, id] : vocab.items()) {
        const auto bytes = token_bytes(token);
        if (!bytes) return refuse(where + "/vocab.json", fmt::format("\"{}\" stands for no bytes", token));
        if (!id.is_number_integer() || id < 0 || id > 0x7fffffff)
            return refuse(where + "/vocab.json", fmt::format("\"{}\" has no id", token));
        ids.emplace(*bytes, id.get<int>());
        if (!tokenizer.bytes_.emplace(id.get<int>(), *bytes).second)
            return refuse(where + "/vocab.json", fmt::format("id {} is there twice", id.get<int>()));
    }
    for (int byte = 0; byte < 256; ++byte) {
        const auto found = ids.find(std::string(1, static_cast<char>(byte)));
        if (found == ids.end()) return refuse(where + "/vocab.json", fmt::format("byte {} has no token", byte));
        tokenizer.byte_ids_[byte] = found->second;
    }

    std::string_view rest = files.merges;
    for (int line_number = 1, rank = 0; !rest.empty(); ++line_number) {
        const std::string_view line = take_line(rest);
        if (line.empty() || (line_number == 1 && line.starts_with("#version"))) continue;
        const auto wrong = [&](const char* what) {
            return refuse(where + "/merges.txt", fmt::format("line {} \"{}\" {}", line_number, line, what));
        };
        const std::size_t blank = line.find(' ');
        if (blank == std::string_view::npos) return wrong("is not a pair of tokens");
        const auto first = token_bytes(line.substr(0, blank));
        const auto second = token_bytes(line.substr(blank + 1));
        if (!first || !second) return wrong("is not a pair of tokens");
        const auto a = ids.find(*first);
        const auto b = ids.find(*second);
        const auto merged = ids.find(*first + *second);
        if (a == ids.end() || b == ids.end() || merged == ids.end())
            return wrong("merges tokens that vocab.json lacks");
        tokenizer.merges_.try_emplace(pair_key(a->second, b->second), Merge{rank++, merged->second});
    }

    const auto config = nlohmann::json::parse(files.config, nullptr, false);
    const std::string config_file = where + "/tokenizer_config.json";
    if (!config.is_object()) return refuse(config_file, "is not a JSON object");
    const std::string kind = config.value("tokenizer_class", std::string());
    if (kind != "Qwen2Tokenizer" && kind != "Qwen2TokenizerFast")
        return refuse(config_file, fmt::format("is of a \"{}\", wanted is a Qwen2Tokenizer", kind));
    const auto added = config.value("added_tokens_decoder", nlohmann::json::object());
    if (!added.is_object()) return refuse(config_file, "added_tokens_decoder is not an object");
    for (const auto& [key, entry] : added.items()) {
        Added token;
        const bool number = !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
        if (number && entry.is_object()) token.content = entry.value("content", std::string());
        if (token.content.empty()) return refuse(config_file, fmt::format("added token {} has no content", key));
        for (const char* form : {"lstrip", "rstrip", "single_word", "normalized"}) {
            if (entry.value(form, false))
                return refuse(config_file, fmt::format("added token {} is \"{}\", which is not understood", key, form));
        }
        token.id = std::stoi(key);
        if (!tokenizer.bytes_.emplace(token.id, token.content).second)
            return refuse(config_file, fmt::format("added token {} has the id of another token", key));
        tokenizer.added_.push_back(std::move(token));
    }
    std::stable_sort(tokenizer.added_.begin(), tokenizer.added_.end(),
                     [](const Added& a, const Added& b) { return a.content.size() > b.content.size(); });
    return tokenizer;
}

const BytePairTokenizer::Added* BytePairTokenizer::added_at(std::string_view text) const {
    for (const Added& token : added_) {
        if (text.starts_with(token.content)) return &token;
    }
    return nullptr;
}

int BytePairTokenizer::id_of_added(std::string_view content) const {
    for (const Added& token : added_) {
        if (token.content == content) return token.id;
    }
    return -1;
}

std::string BytePairTokenizer::bytes_of(int id) const {
    const auto found = bytes_.find(id);
    return found == bytes_.end() ? std::string() : found->second;
}

// Neighbours in a list, candidates in a heap: a word of n bytes costs n log n, whatever somebody pastes.
void BytePairTokenizer::append_word(std::string_view bytes, std::vector<int>& ids) const {
    struct Part {
        int id;
        int previous;
        int next;
    };
    struct Candidate {
        Merge merge;
        int left;
        int left_id;
        int right_id;
        // Lowest rank first; of equal ones the leftmost.
        bool operator<(const Candidate& other) const {
            return merge.rank != other.merge.rank ? merge.rank > other.merge.rank : left > other.left;
        }
    };
    const int count = static_cast<int>(bytes.size());
    std::vector<Part> parts;
    parts.reserve(bytes.size());
    for (int i = 0; i < count; ++i)
        parts.push_back({byte_ids_[static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)])], i - 1,
                         i + 1 < count ? i + 1 : -1});
    const auto part = [&parts](int index) -> Part& { return parts[static_cast<std::size_t>(index)]; };
    std::priority_queue<Candidate> candidates;
    const auto consider = [&](int left) {
        if (left < 0 || part(left).next < 0) return;
        const int right_id = part(part(left).next).id;
        const auto found = merges_.find(pair_key(part(left).id, right_id));
        if (found != merges_.end()) candidates.push({found->second, left, part(left).id, right_id});
    };
    for (int i = 0; i + 1 < count; ++i) consider(i);
    while (!candidates.empty()) {
        const Candidate best = candidates.top();
        candidates.pop();
        Part& left = part(best.left);
        // Was one of the two merged with another meanwhile? Parts that are gone have id -1.
        if (left.id != best.left_id || left.next < 0 || part(left.next).id != best.right_id) continue;
        Part& right = part(left.next);
        left.id = best.merge.id;
        left.next = right.next;
        if (left.next >= 0) part(left.next).previous = best.left;
        right.id = -1;
        consider(left.previous);
        consider(best.left);
    }
    for (int i = 0; i >= 0 && i < count; i = part(i).next) ids.push_back(part(i).id);
}

void BytePairTokenizer::append_text(std::string_view text, std::vector<int>& ids) const {
    if (text.empty()) return;
    const std::u32string composed = normalize_nfc(decode_utf8(text));
    for (const std::u32string_view word : byte_pair_words(composed)) append_word(encode_utf8(word), ids);
}

std::vector<int> BytePairTokenizer::encode(std::string_view text) const {
    std::vector<int> ids;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
        const Added* token = added_at(text.substr(at));
        if (!token) {
            ++at;
            continue;
        }
        append_text(text.substr(begin, at - begin), ids);
        ids.push_back(token->id);
        at += token->content.size();
        begin = at;
    }
    append_text(text.substr(begin), ids);
    return ids;
}

ChatTokens chat_tokens(const BytePairTokenizer& tokenizer, std::string_view system, std::string_view prompt,
                       std::size_t most) {
    const std::string head = fmt::format("<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n", system);
    ChatTokens chat;
    // Counted without the prompt: one that begins with line ends merges with the heading's own, and is cut all the
    // same.
    chat.crop = tokenizer.encode(head).size();
    chat.ids = tokenizer.encode(
        fmt::format("{}{}<|im_end|>\n<|im_start|>assistant\n", head, prompt.empty() ? std::string_view(" ") : prompt));
    chat.truncated = chat.ids.size() > chat.crop + most;
    if (chat.truncated) chat.ids.resize(chat.crop + most);
    return chat;
}

} // namespace wander

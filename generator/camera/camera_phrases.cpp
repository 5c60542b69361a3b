#include "generator/camera/camera_phrases.hpp"

#include "generator/json_fields.hpp"

#include <cctype>
#include <utility>

namespace wander {

namespace {

constexpr std::size_t kMaxPhraseBytes = 500;

constexpr std::pair<Action, Action> kOpposites[] = {{Action::forward, Action::back},
                                                    {Action::left, Action::right},
                                                    {Action::yaw_left, Action::yaw_right},
                                                    {Action::pitch_up, Action::pitch_down},
                                                    {Action::up, Action::down}};

std::uint16_t without_opposites(std::uint16_t held) {
    for (const auto& [one, other] : kOpposites) {
        const auto both = static_cast<std::uint16_t>((1U << static_cast<int>(one)) | (1U << static_cast<int>(other)));
        if ((held & both) == both) held = static_cast<std::uint16_t>(held & ~both);
    }
    return held;
}

bool ends_a_sentence(char c) { return c == '.' || c == '!' || c == '?'; }

} // namespace

Result<CameraPhrases> CameraPhrases::read(const std::filesystem::path& file) {
    auto object = read_json_file(file, 1 << 20);
    if (!object) return object.error();
    JsonFields json(*object, file.string());
    CameraPhrases result;
    json.integer("version", 1, 1);
    result.join_ = json.text("join");
    result.between_ = json.text("between");
    result.none_ = json.text("none");
    JsonFields phrases = json.object("phrases");
    for (std::size_t i = 0; i < result.phrases_.size(); ++i) {
        const std::string key(kActionNames[i]);
        result.phrases_[i] = phrases.text(key.c_str());
        if (result.phrases_[i].size() > kMaxPhraseBytes) phrases.complain(key.c_str(), "is longer than 500 bytes");
    }
    json.adopt(phrases);
    if (json.error()) return *json.error();
    return result;
}

std::string CameraPhrases::words(std::uint16_t held) const {
    held = without_opposites(held);
    std::string words;
    for (std::size_t i = 0; i < phrases_.size(); ++i) {
        if (((held >> i) & 1U) == 0 || phrases_[i].empty()) continue;
        if (!words.empty()) words += between_;
        words += phrases_[i];
    }
    return words.empty() ? none_ : words;
}

std::string CameraPhrases::steer(const std::string& prompt, std::uint16_t held) const {
    std::string sentence = words(held);
    if (sentence.empty()) return prompt;
    sentence[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence[0])));
    if (!ends_a_sentence(sentence.back())) sentence += '.';
    if (prompt.empty()) return sentence;
    return prompt + (ends_a_sentence(prompt.back()) ? "" : ".") + join_ + sentence;
}

} // namespace wander

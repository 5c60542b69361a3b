#include "generator/plain/prompt_list.hpp"

#include "generator/json_fields.hpp"

namespace wander {

Result<std::vector<NamedPrompt>> read_prompts(const std::filesystem::path& file) {
    auto object = read_json_file(file, 1 << 20);
    if (!object) return object.error();
    JsonFields json(*object, file.string());
    json.integer("version", 1, 1);
    std::vector<NamedPrompt> prompts;
    for (const auto& entry : json.list<nlohmann::json>("prompts", 1, 1000)) {
        JsonFields item(entry, file.string() + ": prompts");
        NamedPrompt prompt;
        prompt.name = item.text("name");
        prompt.text = item.text("text");
        json.adopt(item);
        prompts.push_back(std::move(prompt));
    }
    if (json.error()) return *json.error();
    return prompts;
}

} // namespace wander

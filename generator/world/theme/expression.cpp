#include "generator/world/theme/expression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace wander {

namespace {

constexpr int kMaxDepth = 32; // of brackets

class Reader {
public:
    Reader(const std::string& text, const std::map<std::string, double>& names) : text_(text), names_(names) {}

    Result<double> read() {
        const double value = sum();
        if (problem_.empty() && at_ < text_.size())
            fail("does not go on with an operator at '" + text_.substr(at_) + "'");
        if (problem_.empty() && !std::isfinite(value)) fail("is not a finite number");
        if (!problem_.empty()) return Error{ErrorCode::wrong_use, fmt::format("\"{}\" {}", text_, problem_)};
        return value;
    }

private:
    double sum() {
        double value = product();
        while (problem_.empty()) {
            if (take('+')) {
                value += product();
            } else if (take('-')) {
                value -= product();
            } else {
                break;
            }
        }
        return value;
    }

    double product() {
        double value = factor();
        while (problem_.empty()) {
            if (take('*')) {
                value *= factor();
            } else if (take('/')) {
                value /= factor();
            } else {
                break;
            }
        }
        return value;
    }

    double factor() {
        if (take('-')) return -factor_below();
        if (take('(')) return bracket();
        skip_blanks();
        if (at_ < text_.size() && (std::isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '.'))
            return number();
        return named();
    }

    double factor_below() {
        if (++depth_ > kMaxDepth) return fail("is nested too deeply");
        const double value = factor();
        --depth_;
        return value;
    }

    double bracket() {
        if (++depth_ > kMaxDepth) return fail("is nested too deeply");
        const double value = sum();
        if (!take(')')) fail("lacks a closing bracket");
        --depth_;
        return value;
    }

    double number() {
        double value = 0;
        const char* begin = text_.data() + at_;
        const auto [end, code] = std::from_chars(begin, text_.data() + text_.size(), value);
        if (code != std::errc{}) return fail("holds something that is no number");
        at_ += static_cast<std::size_t>(end - begin);
        return value;
    }

    double named() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
        const std::string name = text_.substr(begin, at_ - begin);
        if (name.empty()) return fail("ends where a number or a name should be");
        if (name == "min" || name == "max") return choice(name == "max");
        const auto found = names_.find(name);
        if (found != names_.end()) return found->second;
        std::string known;
        for (const auto& entry : names_) known += (known.empty() ? "" : ", ") + entry.first;
        return fail(fmt::format("uses '{}', which is not among \"sizes\" ({})", name, known.empty() ? "none" : known));
    }

    double choice(bool larger) {
        if (!take('(')) return fail("needs brackets after min or max");
        if (++depth_ > kMaxDepth) return fail("is nested too deeply");
        const double a = sum();
        if (!take(',')) return fail("needs two values in min or max");
        const double b = sum();
        if (!take(')')) return fail("lacks a closing bracket");
        --depth_;
        return larger ? std::max(a, b) : std::min(a, b);
    }

    void skip_blanks() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }

    bool take(char c) {
        skip_blanks();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        skip_blanks();
        return true;
    }

    double fail(const std::string& problem) {
        if (problem_.empty()) problem_ = problem;
        return 0;
    }

    const std::string& text_;
    const std::map<std::string, double>& names_;
    std::size_t at_ = 0;
    int depth_ = 0;
    std::string problem_;
};

} // namespace

Result<double> evaluate(const std::string& text, const std::map<std::string, double>& names) {
    return Reader(text, names).read();
}

} // namespace wander

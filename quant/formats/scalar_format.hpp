#pragma once
// What the scalar formats of the registry have in common: everything but their names and their rules. Page layout:
// quant/scalar/page_layout.hpp.

#include "quant/format.hpp"
#include "quant/scalar/page_layout.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace wander::quant {

struct ScalarRules {
    scalar::ScalarRule keys;
    scalar::ScalarRule values;
};

class ScalarFormat final : public PageFormat {
public:
    ScalarFormat(std::string_view name, std::string_view label, const ScalarRules& rules)
        : name_(name), label_(label), rules_(rules) {}

    std::string_view name() const override { return name_; }
    std::string_view label() const override { return label_; }
    double nominal_bits() const override;
    bool keys_like_values() const override { return rules_.keys == rules_.values; }

    // wrong_use where 16 does not divide the head dimension, it is larger than 256, a rotation needs a power of two, or
    // the page would not be smaller than BF16.
    Result<void> supports(const PageShape& shape) const override;
    PageBytes bytes(const PageShape& shape, const EncodeOptions& options) const override;
    void encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                at::Tensor& page) const override;
    void encode_all(std::vector<EncodeJob>& jobs) const override;
    void decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head, int t0,
                     int t1, float* out) const override;
    bool expand(const cuda::ExpandJob& job, const PageShape& shape, const EncodeOptions& options,
                CUstream_st* stream) const override;

    scalar::ScalarPageLayout layout(const PageShape& shape) const;

private:
    std::string name_;
    std::string label_;
    ScalarRules rules_;
};

// The same rule for keys and values.
std::unique_ptr<PageFormat> make_scalar_format(std::string_view name, std::string_view label,
                                               const scalar::ScalarRule& rule);

} // namespace wander::quant

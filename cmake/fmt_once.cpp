// The functions of {fmt} that its headers only declare; see wander_fmt.cmake.
#include <fmt/format-inl.h>

// Templates that format.h declares and this header defines: for the types that text is made of here.
FMT_BEGIN_NAMESPACE
namespace detail {
template dragonbox::decimal_fp<float> dragonbox::to_decimal(float) noexcept;
template dragonbox::decimal_fp<double> dragonbox::to_decimal(double) noexcept;
template thousands_sep_result<char> thousands_sep_impl(locale_ref);
template char decimal_point_impl(locale_ref);
} // namespace detail
FMT_END_NAMESPACE

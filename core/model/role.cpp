#include "core/model/role.h"

#include <array>

namespace rankwright {

namespace {

constexpr std::array<std::string_view, roleCount> roleNames{"q", "k", "v", "o", "gate", "up", "down"};
constexpr std::array<std::string_view, siteCount> siteNames{"attentionInput", "outputInput", "mlpInput", "downInput"};

} // namespace

std::string_view roleName(Role role)
{
    return roleNames.at(static_cast<std::size_t>(role));
}

std::string_view siteName(TapSite site)
{
    return siteNames.at(static_cast<std::size_t>(site));
}

TapSite siteOf(Role role)
{
    switch (role) {
    case Role::Q:
    case Role::K:
    case Role::V:
        return TapSite::AttentionInput;
    case Role::O:
        return TapSite::OutputInput;
    case Role::Gate:
    case Role::Up:
        return TapSite::MlpInput;
    case Role::Down:
        break;
    }
    return TapSite::DownInput;
}

} // namespace rankwright

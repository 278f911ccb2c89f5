#include "core/base/version.h"

namespace rankwright {

std::string_view version()
{
    return RANKWRIGHT_VERSION;
}

} // namespace rankwright

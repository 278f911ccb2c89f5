#include "core/base/version.h"

#include <cstdio>
#include <string>

int main()
{
    std::printf("rankwright-cli %s\n", std::string(rankwright::version()).c_str());
    return 0;
}

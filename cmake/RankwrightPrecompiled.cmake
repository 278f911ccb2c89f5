# Headers of libraries are parsed once per target: without, they take most of the time of a build. Not for tests: Qt Test defines a
# macro by their folder, which GCC wants to be the same for all that share what is precompiled.
# Sources include what they use all the same; tools/check-tidy looks at them without what is precompiled.
option(RANKWRIGHT_PRECOMPILE "Precompile the headers of libraries" ON)

# ccache looks at the text of a source whose headers are precompiled only with this option of GCC.
if(RANKWRIGHT_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>")
endif()

# rankwright_precompile(TARGET HEADER...): headers of the standard library that are used everywhere, and these.
function(rankwright_precompile target)
  if(RANKWRIGHT_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE
      <algorithm> <array> <atomic> <cmath> <filesystem> <functional> <map> <memory> <mutex> <numeric> <optional> <set> <span>
      <string> <string_view> <utility> <vector> <fmt/format.h> <nlohmann/json.hpp> ${ARGN})
  endif()
endfunction()

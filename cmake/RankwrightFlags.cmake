# One INTERFACE target that every target of the project links: language, warnings, sanitizers.
add_library(rankwright_flags INTERFACE)
target_compile_features(rankwright_flags INTERFACE cxx_std_20)
set(CMAKE_CXX_EXTENSIONS OFF)
target_include_directories(rankwright_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(rankwright_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wcast-qual -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wshadow)
if(RANKWRIGHT_WERROR)
  target_compile_options(rankwright_flags INTERFACE -Werror)
endif()
if(RANKWRIGHT_SANITIZE)
  target_compile_options(rankwright_flags INTERFACE -fsanitize=${RANKWRIGHT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(rankwright_flags INTERFACE -fsanitize=${RANKWRIGHT_SANITIZE})
endif()

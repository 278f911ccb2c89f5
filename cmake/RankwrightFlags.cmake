# One INTERFACE target that every target of the project links: language, warnings, sanitizers.
add_library(rankwright_flags INTERFACE)
target_compile_features(rankwright_flags INTERFACE cxx_std_20)
set(CMAKE_CXX_EXTENSIONS OFF)
target_include_directories(rankwright_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(rankwright_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:\
-Wall;-Wextra;-Wpedantic;-Wcast-qual;-Wnon-virtual-dtor;-Woverloaded-virtual;-Wold-style-cast;-Wshadow>"
  # Not -Wpedantic and -Wold-style-cast: nvcc's own intermediate code breaks them.
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wcast-qual,-Wshadow>")
if(RANKWRIGHT_WERROR)
  target_compile_options(rankwright_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-Werror>" "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Werror>")
endif()
if(RANKWRIGHT_SANITIZE)
  target_compile_options(rankwright_flags INTERFACE -fsanitize=${RANKWRIGHT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(rankwright_flags INTERFACE -fsanitize=${RANKWRIGHT_SANITIZE})
endif()

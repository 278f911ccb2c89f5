#pragma once

namespace rankwright::cli {

/// The whole program; returns the exit code: 0 done, 1 a named error, 2 a wrong call.
int runProgram(int argc, char** argv);

} // namespace rankwright::cli

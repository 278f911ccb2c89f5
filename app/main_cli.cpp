#include "app/cli/program.h"

int main(int argc, char** argv)
{
    return rankwright::cli::runProgram(argc, argv);
}

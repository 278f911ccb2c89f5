#include "core/tokenizer/step_output.h"

#include "core/base/error.h"

#include <fmt/format.h>

namespace rankwright {

void StepOutput::refuse() const
{
    throw Error(ErrorKind::Unsupported,
                fmt::format("the {} makes more than {} bytes of a text of {} (the limit is {} times its length and {} "
                            "more); look at what its steps insert",
                            m_chain, growth * m_inputBytes + allowance, m_inputBytes, growth, allowance),
                {.file = m_file});
}

} // namespace rankwright

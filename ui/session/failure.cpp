#include "ui/session/failure.h"

#include "ui/session/text.h"

#include <new>

namespace rankwright::ui {

Failure currentFailure()
{
    try {
        throw;
    } catch (const Error& error) {
        return {error.kind(), toQString(error.what()), toQString(error.file()), toQString(error.tensor())};
    } catch (const std::bad_alloc&) {
        return {ErrorKind::Memory,
                QStringLiteral("no memory left; lower the memory limit or close other programs"),
                {},
                {}};
    } catch (const std::exception& exception) {
        return {ErrorKind::Internal, toQString(exception.what()), {}, {}};
    } catch (...) {
        return {ErrorKind::Internal, QStringLiteral("an exception of unknown type"), {}, {}};
    }
}

} // namespace rankwright::ui

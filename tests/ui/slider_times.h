#pragma once

#include "tests/ui/window_fixture.h"

namespace rankwright::ui {

/// Milliseconds from a key on the slider of the kept ratio until everything that changed is painted.
struct SliderTimes
{
    double median = 0.0;
    double largest = 0.0;
    double busy = 0.0; ///< median of the thread's own processor time, which other work on the machine stretches less
};

/// Goes down with 60 keys, from kept 90 % to 84 %. Fails the test where the slider or the bars of the rank plan, if
/// they are shown, do not follow each key.
SliderTimes timeSlider(WindowFixture& fixture);

QString toText(const SliderTimes& times);

} // namespace rankwright::ui

#pragma once

/// Kinds of NumericEvent that are not only shown: other code looks for them.
namespace rankwright::eventKind {

/// A step of a training was undone and is followed by half the learning rate (value: the step). The linear is the part
/// of TrainingPoint.
inline constexpr const char* divergedStep = "divergedStep";
/// A training kept what it started from (value: the loss). The linear is the part of TrainingPoint.
inline constexpr const char* trainedWithoutGain = "trainedWithoutGain";
/// A file or record of an earlier attempt is of no use; what it held is made again, or is not known.
inline constexpr const char* discardedFile = "discardedFile";
/// A model is to take the place of one that has fewer parameters (value: the ratio).
inline constexpr const char* storesMore = "storesMore";

} // namespace rankwright::eventKind

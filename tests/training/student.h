#pragma once

#include "core/training/distill.h"
#include "tests/support/tiny_llama.h"

#include <QTemporaryDir>

#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace rankwright::tiny {

/// A random model whose linears are cut to half of their rank by plain SVD, twelve windows of 40 tokens, and what
/// training makes of it.
struct Student
{
    QTemporaryDir folder;
    std::unique_ptr<Model> teacher;
    TokenWindows windows;
    std::map<std::string, std::shared_ptr<const LinearWeights>> linears;
    std::vector<TrainingPoint> points;
    std::vector<NumericEvent> events;
    std::function<void(const TrainingPoint&)> onPoint;
    std::shared_ptr<const Device> device = makeCpuDevice(1);

    explicit Student(StructureKind structure = StructureKind::Factors);

    std::filesystem::path path() const { return folder.path().toStdString(); }
    /// The teacher with `linears` as they are.
    Model student();
    std::function<std::vector<Role>(std::size_t)> rolesOf() const;
    /// Takes the factors of a trained block.
    void put(std::size_t block, const TrainedBlock& trained);
    TaskContext noting();
    TrainingObserver observing();
    /// All trained values, by name.
    std::map<std::string, std::vector<float>> values() const;
    /// Mean negative log-likelihood of the last window's next tokens, or its divergence from the teacher, by plain
    /// loops in float64.
    double plainLoss(bool ofTeacher) const;

private:
    TinyLlama m_plain;
    std::mutex m_mutex;
};

} // namespace rankwright::tiny

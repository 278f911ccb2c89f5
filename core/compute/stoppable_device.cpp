#include "core/compute/stoppable_device.h"

#include "core/base/progress.h"

#include <utility>

namespace rankwright {

namespace {

class StoppableDevice final : public Device
{
public:
    StoppableDevice(std::shared_ptr<const Device> device, std::stop_token stop)
        : m_device(std::move(device))
        , m_context{.stop = std::move(stop)}
    {}

    DeviceInfo info() const override { return m_device->info(); }

    void gemm(Transpose transposeA, Transpose transposeB, float alpha, ConstMatrixView<float> A,
              ConstMatrixView<float> B, float beta, MatrixView<float> C) const override
    {
        going().gemm(transposeA, transposeB, alpha, A, B, beta, C);
    }
    void gemm(Transpose transposeA, Transpose transposeB, double alpha, ConstMatrixView<double> A,
              ConstMatrixView<double> B, double beta, MatrixView<double> C) const override
    {
        going().gemm(transposeA, transposeB, alpha, A, B, beta, C);
    }
    void addSecondMoment(ConstMatrixView<float> X, MatrixView<double> C) const override
    {
        going().addSecondMoment(X, C);
    }
    void gram(Transpose transposeA, ConstMatrixView<double> A, MatrixView<double> C) const override
    {
        going().gram(transposeA, A, C);
    }
    SymmetricEigen symmetricEigen(Matrix<double> A, std::size_t wanted) const override
    {
        return going().symmetricEigen(std::move(A), wanted);
    }
    void solvePositiveDefinite(Matrix<double> S, MatrixView<double> R) const override
    {
        going().solvePositiveDefinite(std::move(S), R);
    }
    Matrix<double> cholesky(Matrix<double> S) const override { return going().cholesky(std::move(S)); }
    void solveLower(Transpose transposeL, const Matrix<double>& L, MatrixView<double> R) const override
    {
        going().solveLower(transposeL, L, R);
    }
    void solve(Matrix<double> J, MatrixView<double> R) const override { going().solve(std::move(J), R); }
    QrFactors qr(Matrix<double> A) const override { return going().qr(std::move(A)); }
    std::vector<std::size_t> pivotedColumns(Matrix<double> A) const override
    {
        return going().pivotedColumns(std::move(A));
    }

private:
    const Device& going() const
    {
        m_context.checkStop();
        return *m_device;
    }

    std::shared_ptr<const Device> m_device;
    TaskContext m_context;
};

} // namespace

std::shared_ptr<const Device> makeStoppableDevice(std::shared_ptr<const Device> device, std::stop_token stop)
{
    return std::make_shared<const StoppableDevice>(std::move(device), std::move(stop));
}

} // namespace rankwright

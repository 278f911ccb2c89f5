#include "core/compute/device_module.h"

#include <cstdio>

// A module with one device, a second that cannot be opened, and a third with an id
// that is taken. FAKE_ABI overrides the interface version.

unsigned rankwright_device_abi()
{
    return FAKE_ABI;
}

const char* rankwright_device_module_description()
{
    return "fake module";
}

int rankwright_device_count()
{
    return 3;
}

int rankwright_device_describe(int index, RankwrightDeviceDescription* description)
{
    std::snprintf(description->id, sizeof(description->id), "fake:%d", index % 2);
    std::snprintf(description->name, sizeof(description->name), "fake board");
    std::snprintf(description->library, sizeof(description->library), "none");
    description->memoryTotal = 2;
    description->memoryFree = 1;
    return 0;
}

const rankwright::Device* rankwright_device_create(int index, std::size_t)
{
    class FakeDevice final : public rankwright::Device
    {
    public:
        rankwright::DeviceInfo info() const override { return {.id = "fake:0", .name = "fake board", .library = {}}; }
        void gemm(rankwright::Transpose, rankwright::Transpose, float, rankwright::ConstMatrixView<float>,
                  rankwright::ConstMatrixView<float>, float, rankwright::MatrixView<float>) const override
        {}
        void gemm(rankwright::Transpose, rankwright::Transpose, double, rankwright::ConstMatrixView<double>,
                  rankwright::ConstMatrixView<double>, double, rankwright::MatrixView<double> C) const override
        {
            C(0, 0) = 42;
        }
        void addSecondMoment(rankwright::ConstMatrixView<float>, rankwright::MatrixView<double>) const override {}
        void gram(rankwright::Transpose, rankwright::ConstMatrixView<double>,
                  rankwright::MatrixView<double>) const override
        {}
        rankwright::SymmetricEigen symmetricEigen(rankwright::Matrix<double>, std::size_t) const override { return {}; }
        void solvePositiveDefinite(rankwright::Matrix<double>, rankwright::MatrixView<double>) const override {}
        rankwright::Matrix<double> cholesky(rankwright::Matrix<double> S) const override { return S; }
        void solveLower(rankwright::Transpose, const rankwright::Matrix<double>&,
                        rankwright::MatrixView<double>) const override
        {}
        void solve(rankwright::Matrix<double>, rankwright::MatrixView<double>) const override {}
        rankwright::QrFactors qr(rankwright::Matrix<double>) const override { return {}; }
        std::vector<std::size_t> pivotedColumns(rankwright::Matrix<double>) const override { return {}; }
    };
    return index == 0 ? new FakeDevice : nullptr;
}

const char* rankwright_device_last_error()
{
    return "out of fake memory";
}

#include "core/base/error.h"
#include "core/compute/device.h"
#include "core/compute/device_registry.h"

#include <QTemporaryDir>
#include <QTest>

#include <filesystem>
#include <fstream>

using namespace rankwright;
namespace fs = std::filesystem;

namespace {

QByteArray messageOf(const std::string& id)
{
    try {
        openDevice(id, 1);
    } catch (const Error& error) {
        return QByteArray(errorKindName(error.kind()).data()) + ": " + error.what();
    }
    return {};
}

} // namespace

class TestDeviceRegistry : public QObject
{
    Q_OBJECT

    std::unique_ptr<QTemporaryDir> m_folder;

    fs::path file(const char* name) const
    {
        return fs::path(m_folder->path().toStdString()) / (std::string("librankwright_device_") + name + ".so");
    }

private slots:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        qputenv("RANKWRIGHT_DEVICE_MODULES", m_folder->path().toUtf8());
    }

    void withoutModulesThereIsTheCpu()
    {
        QCOMPARE(listDevices().size(), std::size_t{1});
        QCOMPARE(listDevices()[0].id, std::string("cpu"));
        QVERIFY(listDeviceModules().empty());
        QCOMPARE(openDevice("cpu", 2)->info().threads, std::size_t{2});
        qputenv("RANKWRIGHT_DEVICE_MODULES", "/no/such/folder");
        QCOMPARE(listDevices().size(), std::size_t{1});
        qunsetenv("RANKWRIGHT_DEVICE_MODULES");
        QVERIFY(!listDevices().empty());
    }

    void brokenModulesAreLeftOut()
    {
        std::ofstream(file("garbage")) << "this is not a library";
        std::ofstream(file("empty")) << "";
        fs::create_directory(file("folder"));
        fs::create_symlink("/no/such/file", file("dangling"));
        fs::copy_file(RANKWRIGHT_OTHER_ABI_MODULE, file("other_abi"));
        fs::copy_file(RANKWRIGHT_FAKE_MODULE, m_folder->path().toStdString() + "/libother.so");
        const auto size = fs::file_size(RANKWRIGHT_FAKE_MODULE);
        for (const auto part : {size / 16, size / 4, size / 2}) {
            const fs::path cut = file(("cut" + std::to_string(part)).c_str());
            fs::copy_file(RANKWRIGHT_FAKE_MODULE, cut);
            fs::resize_file(cut, part);
        }
        const fs::path wild = file("wild");
        fs::copy_file(RANKWRIGHT_FAKE_MODULE, wild);
        std::fstream stream(wild, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(32); // e_phoff, the place of the program headers
        stream.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
        stream.close();
        QCOMPARE(listDevices().size(), std::size_t{1});
        QVERIFY(listDeviceModules().empty());
    }

    void aModuleOffersItsDevices()
    {
        fs::copy_file(RANKWRIGHT_FAKE_MODULE, file("fake"));
        std::ofstream(file("garbage")) << "this is not a library";
        const auto devices = listDevices();
        QCOMPARE(devices.size(), std::size_t{3});
        QCOMPARE(devices[1].id, std::string("fake:0"));
        QCOMPARE(devices[1].name, std::string("fake board"));
        QCOMPARE(devices[1].memoryTotal, std::size_t{2});
        QCOMPARE(devices[2].id, std::string("fake:1"));
        const auto modules = listDeviceModules();
        QCOMPARE(modules.size(), std::size_t{1});
        QCOMPARE(modules[0].description, std::string("fake module"));
        QCOMPARE(modules[0].devices, 3);

        const auto device = openDevice("fake:0", 1);
        Matrix<double> C(1, 1);
        device->gemm(Transpose::No, Transpose::No, 1.0, C.view(), C.view(), 0.0, C.view());
        QCOMPARE(C(0, 0), 42.0);
        QVERIFY(messageOf("fake:1").contains("out of fake memory"));
        QVERIFY(messageOf("fake:1").startsWith("unsupported"));
    }

    void unknownDevicesAreNamedWithTheKnownOnes()
    {
        fs::copy_file(RANKWRIGHT_FAKE_MODULE, file("fake"));
        for (const char* id : {"cuda:0", "", "CPU", "cpu:0"}) {
            const QByteArray message = messageOf(id);
            QVERIFY2(message.startsWith("notFound"), message.constData());
            QVERIFY2(message.contains("cpu, fake:0, fake:1"), message.constData());
        }
    }
};

QTEST_GUILESS_MAIN(TestDeviceRegistry)
#include "tst_device_registry.moc"

#include "ui/panels/start_page.h"

#include "core/base/bytes.h"
#include "core/base/parallel.h"
#include "core/base/paths.h"
#include "core/base/version.h"
#include "core/compute/device.h"
#include "ui/session/settings.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"

#include <QFileInfo>
#include <QGridLayout>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

QLabel* heading(const QString& text, double scale)
{
    auto* label = new QLabel(text);
    QFont font = label->font();
    font.setPointSizeF(font.pointSizeF() * scale);
    font.setBold(true);
    label->setFont(font);
    return label;
}

QPushButton* wideButton(const QString& text, const QString& iconName, const QString& tip)
{
    auto* button = new QPushButton(icon(iconName), text);
    button->setToolTip(tip);
    button->setMinimumHeight(button->fontMetrics().height() * 2);
    return button;
}

QString machineText()
{
    QStringList lines;
    for (const DeviceInfo& device : listDevices())
        lines.append(QStringLiteral("<b>%1</b> %2<br>%3, %4 %5")
                         .arg(toQString(device.id).toHtmlEscaped(), toQString(device.name).toHtmlEscaped(),
                              toQString(device.library).toHtmlEscaped())
                         .arg(device.threads)
                         .arg(StartPage::tr("threads")));
    lines.append(StartPage::tr("<b>memory</b> %1, %2 processors")
                     .arg(toQString(formatBytes(physicalMemory())))
                     .arg(processorCount()));
    return lines.join(u"<br><br>"_s);
}

} // namespace

QString demoModel()
{
    try {
        const std::filesystem::path folder = resourcesFolder() / "demo" / "stories260K";
        return std::filesystem::exists(folder) ? toQString(folder) : QString();
    } catch (const Error&) {
        return {};
    }
}

QString demoText(const QString& name)
{
    const QString model = demoModel();
    return model.isEmpty() ? QString() : QString(QFileInfo(model).path() + u'/' + name);
}

StartPage::StartPage(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_recent(new QListWidget)
    , m_noRecent(new QLabel(tr("Models that you open are listed here.")))
    , m_machine(new QLabel(tr("looking at the machine ...")))
    , m_state(new QLabel)
{
    setObjectName(u"startPage"_s);
    m_recent->setObjectName(u"recentModels"_s);
    m_recent->setAccessibleName(tr("Recent models"));
    m_recent->setFrameShape(QFrame::NoFrame);
    m_recent->setTextElideMode(Qt::ElideMiddle);
    m_machine->setTextFormat(Qt::RichText);
    m_machine->setWordWrap(true);
    m_machine->setAlignment(Qt::AlignTop | Qt::AlignLeft);
    m_state->setWordWrap(true);

    auto* openFolder =
        wideButton(tr("Open folder ..."), u"open"_s, tr("A Hugging Face folder, or one that Rankwright exported"));
    auto* openFile = wideButton(tr("Open file ..."), u"open"_s, tr("A .safetensors or .gguf file"));
    auto* demo = wideButton(tr("Open the demo model"), u"run"_s, tr("stories260K: 5 blocks, opened in a moment"));
    demo->setObjectName(u"openDemo"_s);
    demo->setEnabled(!demoModel().isEmpty());
    connect(openFolder, &QPushButton::clicked, this, &StartPage::openFolderRequested);
    connect(openFile, &QPushButton::clicked, this, &StartPage::openFileRequested);
    connect(demo, &QPushButton::clicked, this, [this] { emit openRequested(demoModel()); });
    connect(m_recent, &QListWidget::itemActivated, this,
            [this](QListWidgetItem* item) { emit openRequested(item->data(Qt::UserRole).toString()); });
    connect(m_recent, &QListWidget::itemClicked, this,
            [this](QListWidgetItem* item) { emit openRequested(item->data(Qt::UserRole).toString()); });
    connect(&session, &Session::modelOpening, this,
            [this](const QString& path) { m_state->setText(tr("Opening %1 ...").arg(path)); });
    connect(&session, &Session::modelFailed, this,
            [this](const QString&, const Failure& failure) { m_state->setText(failure.message); });
    connect(&session, &Session::modelOpened, this, [this] { m_state->clear(); });
    connect(&session, &Session::modelClosed, this, [this] { m_state->clear(); });

    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(48);
    grid->setVerticalSpacing(10);
    grid->addWidget(heading(u"Rankwright"_s, 2.2), 0, 0, 1, 2);
    auto* about = new QLabel(tr("Low-rank, activation-aware compression of language models, version %1. "
                                "Open a checkpoint, or drop one anywhere in this window.")
                                 .arg(toQString(version())));
    about->setWordWrap(true);
    grid->addWidget(about, 1, 0, 1, 2);
    grid->addItem(new QSpacerItem(1, 18), 2, 0);
    grid->addWidget(heading(tr("Start"), 1.2), 3, 0);
    auto* buttons = new QVBoxLayout;
    buttons->setSpacing(8);
    buttons->addWidget(openFolder);
    buttons->addWidget(openFile);
    buttons->addWidget(demo);
    buttons->addStretch();
    grid->addLayout(buttons, 4, 0);
    grid->addWidget(heading(tr("This machine"), 1.2), 3, 1);
    grid->addWidget(m_machine, 4, 1);
    grid->addItem(new QSpacerItem(1, 18), 5, 0);
    grid->addWidget(heading(tr("Recent models"), 1.2), 6, 0, 1, 2);
    grid->addWidget(m_noRecent, 7, 0, 1, 2);
    grid->addWidget(m_recent, 8, 0, 1, 2);
    grid->addWidget(m_state, 9, 0, 1, 2);
    grid->setColumnStretch(0, 1);
    grid->setColumnStretch(1, 2);
    grid->setRowStretch(8, 1);
    auto* outer = new QHBoxLayout(this);
    outer->setContentsMargins(56, 40, 56, 24);
    outer->addLayout(grid);
    refresh();
    askMachine();
}

void StartPage::refresh()
{
    m_recent->clear();
    for (const QString& path : Settings::recentModels()) {
        auto* item = new QListWidgetItem(u"%1    %2"_s.arg(QFileInfo(path).fileName(), shownPath(path)), m_recent);
        item->setData(Qt::UserRole, path);
        item->setToolTip(path);
    }
    m_noRecent->setVisible(m_recent->count() == 0);
    m_recent->setVisible(m_recent->count() > 0);
}

void StartPage::askMachine()
{
    m_background.run(
        this, {}, [] { return machineText(); },
        [this](const Outcome<QString>& text) { m_machine->setText(text ? *text : text.failure.message); });
}

} // namespace rankwright::ui

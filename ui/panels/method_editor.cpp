#include "ui/panels/method_editor.h"

#include "ui/session/text.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFormLayout>
#include <QLabel>
#include <QVBoxLayout>

namespace rankwright::ui {

MethodEditor::MethodEditor(QWidget* parent)
    : QWidget(parent)
    , m_method(new QComboBox)
    , m_description(new QLabel)
{
    m_method->setObjectName(QStringLiteral("method"));
    m_method->setAccessibleName(tr("Method"));
    for (const Method* method : methods())
        m_method->addItem(toQString(method->title()), toQString(method->name()));
    m_description->setWordWrap(true);
    m_description->setEnabled(false);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_method);
    layout->addWidget(m_description);
    rebuild({});
    connect(m_method, &QComboBox::currentIndexChanged, this, [this] {
        rebuild({});
        emit edited();
    });
}

std::string MethodEditor::method() const
{
    return m_method->currentData().toString().toStdString();
}

MethodParameters MethodEditor::parameters() const
{
    MethodParameters result;
    for (const Field& field : m_parameters)
        if (const double value = field.value(); value != field.info.defaultValue)
            result.emplace_back(field.info.name, value);
    return result;
}

void MethodEditor::set(const std::string& method, const MethodParameters& values)
{
    if (method == this->method() && values == parameters())
        return;
    const QSignalBlocker blocker(this);
    {
        const QSignalBlocker boxBlocker(m_method);
        m_method->setCurrentIndex(m_method->findData(toQString(findMethod(method).name())));
    }
    rebuild(values);
}

void MethodEditor::rebuild(const MethodParameters& values)
{
    const Method& chosen = findMethod(method());
    m_description->setText(toQString(chosen.description()));
    m_method->setToolTip(toQString(chosen.source()));
    delete m_fields;
    m_parameters.clear();
    m_fields = new QWidget;
    auto* form = new QFormLayout(m_fields);
    form->setContentsMargins(0, 0, 0, 0);
    for (const ParameterInfo& info : chosen.parameters()) {
        QWidget* field = addField(info, parameterValue(chosen, values, info.name));
        field->setObjectName(QStringLiteral("parameter_") + toQString(info.name));
        field->setAccessibleName(toQString(info.name));
        form->addRow(toQString(info.name), field);
    }
    layout()->addWidget(m_fields);
    m_fields->setVisible(!m_parameters.empty());
}

QWidget* MethodEditor::addField(const ParameterInfo& info, double value)
{
    if (!info.choices.empty()) {
        auto* list = new QComboBox;
        for (const std::string& choice : info.choices)
            list->addItem(toQString(choice));
        list->setCurrentIndex(static_cast<int>(value));
        list->setToolTip(toQString(info.description));
        connect(list, &QComboBox::currentIndexChanged, this, &MethodEditor::edited);
        m_parameters.push_back({info, [list] { return static_cast<double>(list->currentIndex()); }});
        return list;
    }
    if (info.integer && info.minimum == 0.0 && info.maximum == 1.0) {
        auto* check = new QCheckBox;
        check->setChecked(value != 0.0);
        check->setToolTip(toQString(info.description));
        connect(check, &QCheckBox::toggled, this, &MethodEditor::edited);
        m_parameters.push_back({info, [check] { return check->isChecked() ? 1.0 : 0.0; }});
        return check;
    }
    auto* box = new QDoubleSpinBox;
    box->setDecimals(info.integer ? 0 : 4);
    box->setRange(info.minimum, info.maximum);
    box->setSingleStep(info.integer ? 1.0 : (info.maximum - info.minimum) / 20.0);
    box->setKeyboardTracking(false);
    box->setValue(value);
    box->setToolTip(tr("%1 (%2 to %3, default %4)")
                        .arg(toQString(info.description))
                        .arg(info.minimum)
                        .arg(info.maximum)
                        .arg(info.defaultValue));
    connect(box, &QDoubleSpinBox::valueChanged, this, &MethodEditor::edited);
    m_parameters.push_back({info, [box] { return box->value(); }});
    return box;
}

} // namespace rankwright::ui

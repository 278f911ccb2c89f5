#pragma once

#include "core/decomposition/method.h"

#include <QWidget>

#include <functional>

class QComboBox;
class QFormLayout;
class QLabel;

namespace rankwright::ui {

/// A method and its parameters, built from what the method says of itself.
class MethodEditor : public QWidget
{
    Q_OBJECT

public:
    explicit MethodEditor(QWidget* parent = nullptr);

    std::string method() const;
    /// Only those that differ from their defaults.
    MethodParameters parameters() const;
    void set(const std::string& method, const MethodParameters& parameters);

signals:
    void edited();

private:
    void rebuild(const MethodParameters& values);

    QComboBox* m_method;
    QLabel* m_description;
    QWidget* m_fields = nullptr;
    struct Field
    {
        ParameterInfo info;
        std::function<double()> value;
    };
    /// A widget for one parameter: a list of choices, a switch for 0 or 1, else a number.
    QWidget* addField(const ParameterInfo& info, double value);

    std::vector<Field> m_parameters;
};

} // namespace rankwright::ui

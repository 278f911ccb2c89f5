#pragma once

#include <QObject>

#include <vector>

namespace rankwright::ui {

/// The linears chosen by the user, the same everywhere in the window: positions in Model::linears(), ascending.
class Selection : public QObject
{
    Q_OBJECT

public:
    explicit Selection(QObject* parent = nullptr);

    const std::vector<int>& linears() const { return m_linears; }
    bool contains(int linear) const;
    /// The one the inspector shows; -1 where nothing is chosen.
    int current() const { return m_current; }

    /// `current` is one of `linears`, or -1 for the first of them.
    void set(std::vector<int> linears, int current = -1);
    void clear() { set({}); }

signals:
    void changed();

private:
    std::vector<int> m_linears;
    int m_current = -1;
};

} // namespace rankwright::ui

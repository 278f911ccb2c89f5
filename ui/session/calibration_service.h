#pragma once

#include "core/calibration/statistics.h"
#include "core/experiment/recipe.h"
#include "ui/session/background.h"
#include "ui/session/document.h"

#include <QObject>
#include <QStringList>

#include <filesystem>
#include <memory>
#include <optional>

namespace rankwright::ui {

/// The calibration texts of the recipe: their token windows, and whether their statistics, of the mixture where there
/// are several, exist, with those of gradients where they are wanted.
class CalibrationService : public QObject
{
    Q_OBJECT

public:
    enum class State {
        None,    ///< no text chosen, or no model
        Reading, ///< the text is being tokenised
        Missing, ///< the windows are known; statistics, or wanted ones of gradients, are not there yet
        Ready,   ///< all that is wanted exists
        Failed
    };

    /// `cache` is RunPlaces::cache.
    explicit CalibrationService(std::filesystem::path cache, QObject* parent = nullptr);

    void setDocument(DocumentPtr document);
    /// Takes the texts, and how gradients are taken where they are wanted.
    void setRecipe(const Recipe& recipe, bool wantsGradients);
    /// Looks again whether statistics exist that did not, after a job made some.
    void refresh();

    State state() const { return m_state; }
    /// How many texts there are beside the first.
    std::size_t moreTexts() const { return m_recipe.moreCalibrations.size(); }
    /// Of the first text. Null unless Missing or Ready.
    std::shared_ptr<const TokenWindows> windows() const { return m_windows; }
    /// Null where they do not exist.
    std::shared_ptr<const CalibrationSet> set() const { return m_set; }
    /// Statistics of gradients, by linear; null where they do not exist or are not wanted.
    std::shared_ptr<const CalibrationSet> gradients() const { return m_gradients; }
    bool wantsGradients() const { return m_wantsGradients; }
    const Failure& failure() const { return m_failure; }
    /// Text of a window, at most this many tokens of it, decoded in the background.
    void previewWindow(std::size_t window, std::size_t tokens, QObject* receiver,
                       const std::function<void(const QString&)>& then);

signals:
    void changed();

private:
    void read();

    std::filesystem::path m_cache;
    DocumentPtr m_document;
    Recipe m_recipe; ///< its texts and its curvature count
    bool m_wantsGradients = false;
    State m_state = State::None;
    std::shared_ptr<const TokenWindows> m_windows;
    std::shared_ptr<const CalibrationSet> m_set;
    std::shared_ptr<const CalibrationSet> m_gradients;
    Failure m_failure;
    LatestRequest m_reading;
    LatestRequest m_previewing;
    Background m_background{1};
};

/// Equal texts and windows.
bool sameWindows(const std::optional<WindowOptions>& a, const std::optional<WindowOptions>& b);

} // namespace rankwright::ui

#include "core/base/error.h"
#include "core/experiment/recipe.h"
#include "core/model/forward.h"

#include <QProcess>
#include <QTest>

#include <cmath>
#include <functional>
#include <limits>

using namespace rankwright;

namespace {

Recipe fullRecipe()
{
    Recipe recipe;
    recipe.name = "it's a test";
    recipe.model = "/models/tiny";
    recipe.method = "whitened-svd";
    recipe.keptRatio = 0.7;
    recipe.allocation = "marginal-loss";
    recipe.structure = StructureKind::BlockIdentity;
    recipe.sequential = SequentialMode::Compressed;
    recipe.storage = DType::BF16;
    recipe.ranks = {{"model.layers.0.self_attn.q_proj", 12}, {"model.layers.1.mlp.up_proj", 30}};
    recipe.only = {"model.layers.*.mlp.*", "q"};
    recipe.calibration = WindowOptions{.text = "/texts/a b.txt",
                                       .rows = true,
                                       .length = 256,
                                       .count = 128,
                                       .order = WindowOrder::Consecutive,
                                       .seed = 0,
                                       .bosPerWindow = true};
    recipe.evaluations = {{"", {.text = "/texts/test.txt", .rows = true, .length = 2048, .count = 10}},
                          {"", {.text = "/texts/other.txt", .rows = true, .length = 2048, .count = 10}}};
    recipe.curvature = {.labels = GradientLabels::Text, .seed = 7};
    recipe.forecast = true;
    recipe.distillation =
        DistillationOptions{.inputs = DistillationInputs::Teacher,
                            .training = {.windows = 200, .epochs = 2, .batch = 4, .learningRate = 2e-4}};
    recipe.recovery = RecoveryOptions{.target = RecoveryTarget::Teacher, .training = {.epochs = 3}};
    recipe.heldOutWindows = 4;
    recipe.threads = 2;
    recipe.memoryLimit = std::size_t{1536} << 20U;
    recipe.out = "/out/dir";
    recipe.exportFormat = "dense";
    recipe.exportDType = DType::F16;
    return recipe;
}

Recipe smallRecipe()
{
    Recipe recipe;
    recipe.model = "models/tiny";
    recipe.method = "svd";
    return recipe;
}

Json smallJson()
{
    return {{"model", "models/tiny"}, {"method", "svd"}};
}

/// The message of the refusal, empty if the recipe was taken.
std::string refusal(const Json& json)
{
    try {
        recipeFromJson(json, {});
    } catch (const Error& error) {
        return error.kind() == ErrorKind::InvalidArgument ? error.what() : "wrong kind";
    }
    return {};
}

std::string refusal(const Recipe& recipe)
{
    try {
        validateRecipe(recipe);
    } catch (const Error& error) {
        return error.kind() == ErrorKind::InvalidArgument ? error.what() : "wrong kind";
    }
    return {};
}

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

/// The words of a command as a shell sees them.
QStringList words(const std::string& command)
{
    QProcess shell;
    shell.start(QStringLiteral("sh"),
                {QStringLiteral("-c"), QStringLiteral("printf '%s\\n' ") + QString::fromStdString(command)});
    shell.waitForFinished();
    return QString::fromUtf8(shell.readAllStandardOutput()).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
}

LinearInfo linear(const char* name, Role role)
{
    LinearInfo info;
    info.name = name;
    info.role = role;
    return info;
}

} // namespace

class TestRecipe : public QObject
{
    Q_OBJECT

private slots:
    void jsonIsCompleteAndRoundTrips()
    {
        for (const Recipe& recipe : {fullRecipe(), smallRecipe()}) {
            const Json json = recipeToJson(recipe);
            QCOMPARE(json.size(), std::size_t{25});
            QCOMPARE(dumpJson(recipeToJson(recipeFromJson(json, {}))), dumpJson(json));
            QCOMPARE(dumpJson(recipeToJson(recipeFromJson(parseJson(dumpJson(json, 2), "r"), {}))), dumpJson(json));
        }
        const Json json = recipeToJson(fullRecipe());
        QCOMPARE(json["calibration"]["window"].get<int>(), 256);
        QCOMPARE(json["calibration"]["windows"].get<int>(), 128);
        QCOMPARE(json["storage"].get<std::string>(), std::string("BF16"));
        QCOMPARE(json["ranks"]["model.layers.1.mlp.up_proj"].get<int>(), 30);
        QVERIFY(recipeToJson(smallRecipe())["calibration"].is_null());
    }

    /// An unknown name lists what can be chosen; what cannot is refused with the reason.
    void structuresThatCanBeChosen()
    {
        Json json = smallJson();
        for (const char* name : {"factors", "block-identity"}) {
            json["structure"] = name;
            QCOMPARE(refusal(json), std::string());
            QCOMPARE(structureName(recipeFromJson(json, {}).structure), std::string_view(name));
        }
        for (const char* name : {"factor", "sparse", ""}) {
            json["structure"] = name;
            const std::string message = refusal(json);
            QVERIFY2(message.ends_with("nown: factors, block-identity"), message.c_str());
        }
        for (const char* name : {"dense", "shared-latent"}) {
            json["structure"] = name;
            QVERIFY2(has(refusal(json), std::string("structure ") + name) &&
                         has(refusal(json), "use factors or block-identity"),
                     refusal(json).c_str());
        }
    }

    void namesAreUtf8()
    {
        Recipe recipe = smallRecipe();
        recipe.name = "\u00e9t\u00e9 \u65e5\u672c";
        QCOMPARE(refusal(recipe), std::string());
        recipe.name = "bad \xff name";
        QVERIFY2(has(refusal(recipe), "byte 0xff at offset 4"), refusal(recipe).c_str());
    }

    void threadsHaveALimit()
    {
        Recipe recipe = smallRecipe();
        recipe.threads = 256;
        QCOMPARE(refusal(recipe), std::string());
        for (const std::size_t threads :
             {std::size_t{257}, std::size_t{800}, std::numeric_limits<std::size_t>::max()}) {
            recipe.threads = threads;
            QVERIFY(has(refusal(recipe), "threads: " + std::to_string(threads) + ", at most 256"));
            // What passes go through that have no recipe.
            const PassOptions pass{.threads = threads, .memoryLimit = 0, .scratchFolder = {}};
            QVERIFY_EXCEPTION_THROWN(effectiveThreads(pass), Error);
        }
        const PassOptions most{.threads = 256, .memoryLimit = 0, .scratchFolder = {}};
        QCOMPARE(effectiveThreads(most), std::size_t{256});
    }

    /// More could not be counted in 64 bits.
    void windowsHaveLimits()
    {
        constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
        constexpr std::size_t most = mostTokensOfText / 256; // windows of 256 tokens
        const auto refused = [](const std::string& what, const std::function<void(Recipe&)>& change) {
            Recipe recipe = fullRecipe();
            recipe.heldOutWindows = 0;
            change(recipe);
            const std::string message = refusal(recipe);
            if (message.starts_with(what + ": ") && has(message, "at most"))
                return true;
            qWarning("%s", message.c_str());
            return false;
        };
        for (const std::size_t count : {most + 1, std::size_t{1} << 63U, huge}) {
            QVERIFY(refused("calibration", [&](Recipe& recipe) { recipe.calibration->count = count; }));
            QVERIFY(refused("calibration", [&](Recipe& recipe) { recipe.heldOutWindows = count; }));
            QVERIFY(refused("distillation", [&](Recipe& recipe) { recipe.distillation->training.windows = count; }));
            QVERIFY(refused("recovery", [&](Recipe& recipe) { recipe.recovery->training.windows = count; }));
            QVERIFY(refused("evaluation", [&](Recipe& recipe) { recipe.evaluations[1].windows.count = count; }));
        }
        for (const std::size_t length : {longestWindow + 1, huge}) {
            QVERIFY(refused("calibration", [&](Recipe& recipe) { recipe.calibration->length = length; }));
            QVERIFY(refused("evaluation", [&](Recipe& recipe) { recipe.evaluations[0].windows.length = length; }));
        }
        Recipe recipe = smallRecipe();
        recipe.method = "whitened-svd";
        recipe.calibration = WindowOptions{.text = "a", .length = 256, .count = most};
        QCOMPARE(refusal(recipe), std::string());
        recipe.heldOutWindows = 1;
        QVERIFY(has(refusal(recipe), "and 1 more windows"));
        recipe.heldOutWindows = 0;
        recipe.calibration->count = 1;
        recipe.moreCalibrations = {{.windows = *recipe.calibration}};
        QCOMPARE(refusal(recipe), std::string());
        recipe.moreCalibrations[0].windows.text = "b";
        recipe.moreCalibrations[0].windows.count = most + 1;
        QVERIFY(has(refusal(recipe), "moreCalibrations: "));
    }

    void gradientsAreAskedForInTime()
    {
        Recipe recipe = fullRecipe();
        QVERIFY(!needsGradients(recipe));
        const std::string before = recipeFingerprint(recipe, "m", "c");
        recipe.curvature.seed = 8;
        QCOMPARE(recipeFingerprint(recipe, "m", "c"), before);
        recipe.allocation = "curvature";
        QVERIFY(needsGradients(recipe) && refusal(recipe).empty());
        const std::string labelled = recipeFingerprint(recipe, "m", "c");
        recipe.curvature.labels = GradientLabels::Sampled;
        QVERIFY(recipeFingerprint(recipe, "m", "c") != labelled);
        recipe.method = "latentllm";
        QVERIFY(refusal(recipe).find("groups") != std::string::npos);
        recipe.method = "curvature-svd";
        QVERIFY(refusal(recipe).empty());
        for (const SequentialMode mode : {SequentialMode::Update, SequentialMode::Anchored}) {
            recipe.sequential = mode;
            QVERIFY(refusal(recipe).empty());
        }
        recipe.sequential = SequentialMode::Alternate;
        QVERIFY(refusal(recipe).find("use update") != std::string::npos);
        recipe = smallRecipe();
        recipe.method = "curvature-svd";
        QVERIFY(!refusal(recipe).empty());
    }

    void everyFieldArrives()
    {
        const Json usual = recipeToJson(Recipe{});
        const Recipe recipe = recipeFromJson(recipeToJson(fullRecipe()), {});
        const Json json = recipeToJson(recipe);
        // Nothing of the full recipe is at its default but method, device and further texts, so a field that is not
        // read shows.
        for (const auto& item : json.items())
            if (item.key() != "method" && item.key() != "device" && item.key() != "parameters" &&
                item.key() != "moreCalibrations") // which need dense statistics, see severalCalibrationTexts()
                QVERIFY2(item.value() != usual[item.key()], item.key().c_str());
        QCOMPARE(recipe.memoryLimit, std::size_t{1610612736});
        QCOMPARE(recipe.calibration->text, std::filesystem::path("/texts/a b.txt"));
        QVERIFY(recipe.calibration->bosPerWindow && recipe.calibration->rows);
        QCOMPARE(recipe.evaluations.size(), std::size_t{2});
        QVERIFY(recipe.exportDType == DType::F16 && recipe.storage == DType::BF16);
    }

    void relativePathsBelongToTheFolder()
    {
        Json json = smallJson();
        json["calibration"] = {{"text", "a.txt"}};
        json["evaluations"] = {{{"text", "/b.txt"}}};
        json["out"] = "o";
        const Recipe recipe = recipeFromJson(json, "/recipes");
        QCOMPARE(recipe.model, std::filesystem::path("/recipes/models/tiny"));
        QCOMPARE(recipe.calibration->text, std::filesystem::path("/recipes/a.txt"));
        QCOMPARE(recipe.evaluations[0].windows.text, std::filesystem::path("/b.txt"));
        QCOMPARE(recipe.out, std::filesystem::path("/recipes/o"));
        QVERIFY(recipeFromJson(smallJson(), "/x").out.empty());
    }

    void memoryLimitTakesUnits()
    {
        Json json = smallJson();
        json["memoryLimit"] = "1.5GiB";
        QCOMPARE(recipeFromJson(json, {}).memoryLimit, std::size_t{1610612736});
        json["memoryLimit"] = 1000;
        QCOMPARE(recipeFromJson(json, {}).memoryLimit, std::size_t{1000});
        json["memoryLimit"] = "much";
        QVERIFY(has(refusal(json), "memoryLimit"));
    }

    void unknownKeysNameTheNearest()
    {
        Json json = smallJson();
        json["keepRatio"] = 0.5;
        QVERIFY(has(refusal(json), "did you mean \"keptRatio\""));
        json = smallJson();
        json["calibration"] = {{"text", "a"}, {"windowss", 3}};
        QVERIFY2(has(refusal(json), "calibration.windowss") && has(refusal(json), "did you mean \"windows\""),
                 refusal(json).c_str());
        json = smallJson();
        json["evaluations"] = {{{"text", "a"}}, {{"text", "b"}, {"nmae", "x"}}};
        QVERIFY2(has(refusal(json), "evaluations[1].nmae") && has(refusal(json), "did you mean \"name\""),
                 refusal(json).c_str());
    }

    void wrongTypesAreRefused_data()
    {
        QTest::addColumn<QString>("key");
        QTest::addColumn<QString>("value");
        const auto row = [](const char* key, const char* value) {
            QTest::newRow(qPrintable(QStringLiteral("%1 = %2").arg(QLatin1String(key), QLatin1String(value))))
                << QString::fromLatin1(key) << QString::fromLatin1(value);
        };
        row("name", "1");
        row("model", "null");
        row("model", "\"\"");
        row("method", "[]");
        row("method", "\"nonsense\"");
        row("parameters", "[1]");
        row("parameters", R"({"nonsense": 1})");
        row("parameters", R"({"alpha": "1"})");
        row("keptRatio", "\"0.5\"");
        row("keptRatio", "0");
        row("keptRatio", "-0.5");
        row("keptRatio", "1.0001");
        row("allocation", "\"unifrom\"");
        row("structure", "\"dense\"");
        row("structure", "\"nonsense\"");
        row("structure", "3");
        row("sequential", "\"nonsense\"");
        row("sequential", "\"compressed\"");
        row("storage", "\"F64\"");
        row("storage", "\"Q4_0\"");
        row("ranks", R"([])");
        row("ranks", R"({"a": 0})");
        row("ranks", R"({"a": -1})");
        row("ranks", R"({"a": 1.5})");
        row("only", "\"q\"");
        row("only", "[1]");
        row("only", "[\"\"]");
        row("calibration", "\"a.txt\"");
        row("calibration", "{}");
        row("calibration", R"({"text": "a", "window": 1})");
        row("calibration", R"({"text": "a", "window": "256"})");
        row("calibration", R"({"text": "a", "windows": -1})");
        row("calibration", R"({"text": "a", "order": "sorted"})");
        row("calibration", R"({"text": "a", "seed": -1})");
        row("calibration", R"({"text": "a", "rows": 1})");
        row("evaluations", "{}");
        row("evaluations", "[1]");
        row("evaluations", R"([{"name": "a"}])");
        row("evaluations", R"([{"text": "x/a"}, {"text": "y/a"}])");
        row("heldOutWindows", "1");
        row("heldOutWindows", "1.0");
        row("device", "\"\"");
        row("threads", "-1");
        row("threads", "true");
        row("memoryLimit", "-5");
        row("out", "3");
        row("exportFormat", "\"zip\"");
        row("exportDtype", "\"I8\"");
    }

    void wrongTypesAreRefused()
    {
        QFETCH(QString, key);
        QFETCH(QString, value);
        Json json = smallJson();
        json[key.toStdString()] = Json::parse(value.toStdString());
        const std::string message = refusal(json);
        QVERIFY(!message.empty());
        QVERIFY2(message != "wrong kind", message.c_str());
        QVERIFY(!has(message, "\n"));
    }

    void recipesThatAreNoObjectsAreRefused()
    {
        for (const Json& json : {Json(), Json(1), Json("x"), Json::array()})
            QVERIFY(!refusal(json).empty());
        QVERIFY(has(refusal(Json::object()), "model"));
    }

    void severalCalibrationTexts()
    {
        Recipe recipe = smallRecipe();
        recipe.method = "whitened-svd";
        recipe.calibration = WindowOptions{.text = "/a.txt", .length = 256, .count = 8};
        recipe.moreCalibrations = {{*recipe.calibration, 0.5}};
        recipe.moreCalibrations[0].windows.text = "/b.txt";
        const Recipe read = recipeFromJson(recipeToJson(recipe), {});
        QCOMPARE(read.moreCalibrations.size(), std::size_t{1});
        QCOMPARE(read.moreCalibrations[0].weight, 0.5);
        QCOMPARE(read.moreCalibrations[0].windows.text, std::filesystem::path("/b.txt"));
        QCOMPARE(read.moreCalibrations[0].windows.count, std::size_t{8});
        QVERIFY(has(recipeToCommand(recipe), "--more-calibration /b.txt=0.5"));
        recipe.moreCalibrations[0].windows.count = 4; // which options cannot say
        QVERIFY(has(recipeToCommand(recipe), "--recipe"));
        const auto refused = [&](const auto& edit, const char* word) {
            Recipe wrong = recipe;
            edit(wrong);
            return has(refusal(wrong), word);
        };
        QCOMPARE(refusal(recipe), std::string());
        QVERIFY(refused([](Recipe& r) { r.moreCalibrations[0].weight = 0.0; }, "weight"));
        QVERIFY(refused([](Recipe& r) { r.moreCalibrations[0].weight = HUGE_VAL; }, "weight"));
        QVERIFY(refused([](Recipe& r) { r.moreCalibrations[0].windows.length = 128; }, "128"));
        QVERIFY(refused([](Recipe& r) { r.sequential = SequentialMode::Compressed; }, "dense"));
        QVERIFY(refused([](Recipe& r) { r.calibration.reset(); }, "calibration"));
    }

    void textsAndMethodsMustFit()
    {
        Recipe recipe = smallRecipe();
        QCOMPARE(refusal(recipe), std::string());
        recipe.method = "whitened-svd";
        QVERIFY(has(refusal(recipe), "calibration"));
        recipe.calibration = WindowOptions{.text = "a", .length = 256};
        QCOMPARE(refusal(recipe), std::string());
        recipe.heldOutWindows = 2;
        QVERIFY(has(refusal(recipe), "held-out"));
        recipe.calibration->count = 8;
        QCOMPARE(refusal(recipe), std::string());
        recipe.calibration->order = WindowOrder::Random;
        QVERIFY(has(refusal(recipe), "held-out"));
        recipe = smallRecipe();
        recipe.keptRatio = std::numeric_limits<double>::quiet_NaN();
        QVERIFY(has(refusal(recipe), "kept ratio"));
        recipe.keptRatio = 1.0;
        QCOMPARE(refusal(recipe), std::string());
    }

    void patternsAndRolesSelectLinears()
    {
        const LinearInfo q = linear("model.layers.0.self_attn.q_proj", Role::Q);
        const LinearInfo down = linear("model.layers.11.mlp.down_proj", Role::Down);
        const auto selects = [](const std::string& pattern, const LinearInfo& info) {
            Recipe recipe;
            recipe.only = {"no such linear", pattern};
            return recipeSelects(recipe, info);
        };
        QVERIFY(recipeSelects(Recipe{}, q));
        QVERIFY(selects("q", q) && !selects("q", down));
        QVERIFY(selects("down", down) && !selects("down", q));
        QVERIFY(selects("*", q));
        QVERIFY(selects("model.layers.0.*", q) && !selects("model.layers.0.*", down));
        QVERIFY(selects("model.layers.?.self_attn.?_proj", q));
        QVERIFY(selects("*.mlp.*", down) && !selects("*.mlp.*", q));
        QVERIFY(selects("model.layers.1?.*proj", down));
        QVERIFY(selects("*_proj**", down));
        QVERIFY(!selects("model.layers.1.*", down));
        QVERIFY(!selects("self_attn", q));
        QVERIFY(!selects("*q_proj?", q));
        QVERIFY(!selects("model.layers.0.self_attn.q_pro", q));
        QVERIFY(!selects("", q));
        // Many stars on a long name: linear work, not exponential.
        const LinearInfo longName = linear(std::string(20000, 'a').c_str(), Role::Q);
        std::string stars;
        for (int i = 0; i < 200; ++i)
            stars += "*a";
        QVERIFY(!selects(stars + "b", longName));
    }

    void theCommandNamesWhatIsNotUsual()
    {
        QCOMPARE(recipeToCommand(smallRecipe()),
                 std::string("rankwright-cli compress models/tiny --method svd --keep 0.8"));
        Recipe recipe = smallRecipe();
        recipe.parameters = {{"alpha", 0.5}};
        recipe.calibration =
            WindowOptions{.text = "a.txt", .length = 256, .count = 4, .order = WindowOrder::Random, .seed = 9};
        QCOMPARE(recipeToCommand(recipe),
                 std::string("rankwright-cli compress models/tiny --method svd --parameter alpha=0.5 --keep 0.8 "
                             "--calibration-text a.txt --calibration-window 256 --calibration-windows 4 "
                             "--calibration-order random --seed 9"));
        QCOMPARE(
            recipeToCommand(fullRecipe()),
            std::string("rankwright-cli compress /models/tiny --name 'it'\\''s a test' --method whitened-svd "
                        "--keep 0.7 --allocation marginal-loss --structure block-identity --sequential compressed "
                        "--storage BF16 --rank model.layers.0.self_attn.q_proj=12 "
                        "--rank model.layers.1.mlp.up_proj=30 --only 'model.layers.*.mlp.*' --only q "
                        "--calibration-text '/texts/a b.txt' --calibration-rows --calibration-window 256 "
                        "--calibration-windows 128 --calibration-bos-per-window --curvature text --curvature-seed "
                        "7 --forecast --distill teacher --distill-windows 200 --distill-epochs 2 --distill-batch 4 "
                        "--distill-learning-rate 0.0002 --recover teacher --recover-epochs 3 --held-out-windows 4 "
                        "--evaluate-text /texts/test.txt --evaluate-text /texts/other.txt --evaluate-rows "
                        "--evaluate-window 2048 --evaluate-windows 10 --out /out/dir --format dense --dtype F16 "
                        "--threads 2 --memory-limit 1536MiB"));
        // Options of an export that is not made would be refused.
        recipe = smallRecipe();
        recipe.exportFormat = "dense";
        recipe.exportDType = DType::BF16;
        QCOMPARE(recipeToCommand(recipe), recipeToCommand(smallRecipe()));
    }

    void theCommandSurvivesAShell()
    {
        Recipe recipe = smallRecipe();
        recipe.name = "a 'b' \"c\" $HOME `d` \\e *";
        recipe.out = "/o u t;rm -rf";
        const QStringList line = words(recipeToCommand(recipe));
        QCOMPARE(line[0], QStringLiteral("rankwright-cli"));
        QCOMPARE(line[line.indexOf(QStringLiteral("--name")) + 1], QString::fromStdString(recipe.name));
        QCOMPARE(line[line.indexOf(QStringLiteral("--out")) + 1], QString::fromStdString(recipe.out));
    }

    void whatOptionsCannotSayGoesThroughAFile()
    {
        Recipe recipe = fullRecipe();
        recipe.model = "models/it's";
        for (const auto edit : {+[](EvaluationText& text) { text.name = "WikiText-2"; },
                                +[](EvaluationText& text) { text.windows.length = 9; },
                                +[](EvaluationText& text) { text.windows.order = WindowOrder::Random; },
                                +[](EvaluationText& text) { text.windows.bosPerWindow = true; }}) {
            Recipe edited = recipe;
            edit(edited.evaluations[1]);
            QVERIFY(has(recipeToCommand(edited), "--recipe") && !has(recipeToCommand(recipe), "--recipe"));
        }
        Recipe seeded = recipe;
        seeded.recovery->training.seed = 3;
        QVERIFY(has(recipeToCommand(seeded), "--recipe"));
        recipe.evaluations[1].windows.length = 512;
        recipe.evaluations[0].name = "WikiText-2";
        const std::string command = recipeToCommand(recipe);
        QVERIFY(!has(command, "\n"));
        // Run the line with a program that shows the recipe instead of running it.
        QProcess shell;
        shell.start(QStringLiteral("bash"),
                    {QStringLiteral("-c"), QStringLiteral("function rankwright-cli { cat \"$3\"; rm \"$3\"; }; ") +
                                               QString::fromStdString(command)});
        shell.waitForFinished();
        const Recipe read = recipeFromJson(parseJson(shell.readAllStandardOutput().toStdString(), "r"), "/elsewhere");
        QCOMPARE(read.model, std::filesystem::current_path() / "models/it's");
        recipe.model = read.model;
        QCOMPARE(dumpJson(recipeToJson(read)), dumpJson(recipeToJson(recipe)));
    }

    void theKeyIsOfWhatNotOfHow()
    {
        const Recipe recipe = fullRecipe();
        const std::string key = recipeFingerprint(recipe, "m", "c");
        QCOMPARE(key.size(), std::size_t{32});
        Recipe how = recipe;
        how.name = "other";
        how.device = "cuda:0";
        how.threads = 7;
        how.memoryLimit = 1;
        how.out.clear();
        how.exportFormat = "factored";
        how.exportDType = DType::F32;
        how.evaluations.clear();
        how.forecast = false;
        how.heldOutWindows = 0;
        how.model = "/moved/tiny";
        how.only = {"q", "model.layers.*.mlp.*", "q"};
        QCOMPARE(recipeFingerprint(how, "m", "c"), key);
        QVERIFY(recipeFingerprint(recipe, "m2", "c") != key);
        QVERIFY(recipeFingerprint(recipe, "m", "c2") != key);
        QVERIFY(recipeFingerprint(recipe, "mc", "") != key);
        const auto differs = [&](const auto& edit) {
            Recipe what = recipe;
            edit(what);
            return recipeFingerprint(what, "m", "c") != key;
        };
        QVERIFY(differs([](Recipe& r) { r.method = "svd"; }));
        QVERIFY(differs([](Recipe& r) { r.keptRatio = 0.7000001; }));
        QVERIFY(differs([](Recipe& r) { r.allocation = "uniform"; }));
        QVERIFY(differs([](Recipe& r) { r.structure = StructureKind::Factors; }));
        QVERIFY(differs([](Recipe& r) { r.sequential = SequentialMode::Dense; }));
        QVERIFY(differs([](Recipe& r) { r.storage = DType::F16; }));
        QVERIFY(differs([](Recipe& r) { r.ranks.begin()->second = 13; }));
        QVERIFY(differs([](Recipe& r) { r.only.pop_back(); }));
        QVERIFY(differs([](Recipe& r) { r.distillation.reset(); }));
        QVERIFY(differs([](Recipe& r) { r.distillation->inputs = DistillationInputs::Joint; }));
        QVERIFY(differs([](Recipe& r) { r.recovery->training.seed = 1; }));
        QVERIFY(differs([](Recipe& r) { r.recovery->training.weightDecay = 0.0; }));
    }

    void choicesStandByNameEverywhere()
    {
        Recipe recipe = smallRecipe();
        recipe.method = "preconditioned-svd";
        recipe.sequential = SequentialMode::Dense;
        recipe.calibration = WindowOptions{.text = "/texts/a.txt", .length = 64};
        recipe.parameters = {{"preconditioner", 3.0}, {"damping", 0.25}};
        const Json json = recipeToJson(recipe);
        QVERIFY(json["parameters"]["preconditioner"] == "covariance");
        QVERIFY(json["parameters"]["damping"] == 0.25);
        const Recipe again = recipeFromJson(json, {});
        QVERIFY(again.parameters.size() == 2);
        for (const auto& parameter : recipe.parameters)
            QVERIFY(std::ranges::find(again.parameters, parameter) != again.parameters.end());
        QVERIFY(recipeToCommand(recipe).find("--parameter preconditioner=covariance --parameter damping=0.25") !=
                std::string::npos);
        Json wrong = json;
        wrong["parameters"]["preconditioner"] = "covarianc";
        QVERIFY_THROWS_EXCEPTION(Error, recipeFromJson(wrong, {}));
        wrong["parameters"]["preconditioner"] = 7;
        QVERIFY_THROWS_EXCEPTION(Error, recipeFromJson(wrong, {}));
        wrong["parameters"] = {{"damping", "much"}};
        QVERIFY_THROWS_EXCEPTION(Error, recipeFromJson(wrong, {}));
    }

    void aliasesAndDefaultsOfAMethodAreTheSameKey()
    {
        for (const Method* method : methods()) {
            Recipe recipe = smallRecipe();
            recipe.method = std::string(method->name());
            const std::string key = recipeFingerprint(recipe, "m", "c");
            for (const ParameterInfo& parameter : method->parameters())
                recipe.parameters.emplace_back(parameter.name, parameter.defaultValue);
            QCOMPARE(recipeFingerprint(recipe, "m", "c"), key);
            const std::vector<ParameterInfo> known = method->parameters();
            for (std::size_t i = 0; i < known.size(); ++i) {
                double& value = recipe.parameters[i].second;
                const double usual = value;
                value = known[i].choices.empty() ? usual + 0.25 : usual + (usual > 0.0 ? -1.0 : 1.0);
                QVERIFY(recipeFingerprint(recipe, "m", "c") != key);
                value = usual;
            }
            for (const std::string_view alias : method->aliases()) {
                recipe.method = std::string(alias);
                QCOMPARE(recipeFingerprint(recipe, "m", "c"), key);
            }
        }
    }
};

QTEST_GUILESS_MAIN(TestRecipe)
#include "tst_recipe.moc"

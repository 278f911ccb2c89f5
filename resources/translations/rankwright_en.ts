<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_US">
<context>
    <name>FigureActions</name>
    <message>
        <source>The image for “%1” could not be encoded.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“%1” ends in neither .png nor .svg.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“%1” was not written: %2.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>PlotFigure</name>
    <message>
        <source>1 value at or below 0 not shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 values at or below 0 not shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>1 value not finite</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 values not finite</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>and %1 more</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunColumnTexts</name>
    <message>
        <source>%1 s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>uncalibrated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by other models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by %1 on other texts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 (%2 to %3), %4</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>cancelled</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>interrupted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>State</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Method</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Structure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allocation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Statistics of</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Target</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Whole model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Original ppl</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ppl</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecast ppl</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Off by</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ppl on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Started</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tags</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Notes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Which model the calibration statistics are of: the dense one, the compressed prefix, or anchored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept parameters of the compressed linears that were asked for</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept parameters of the compressed linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept parameters of the whole model, with embeddings and norms</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weights of the whole compressed model as stored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity of the original model on the text of the column &quot;Ppl on&quot;</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity of the compressed model on the text of the column &quot;Ppl on&quot;</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity that was forecast before it was measured, the range of nine of ten runs, and how many measured runs of the same model calibrated it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How far the forecast was above (+) or below (-) what was measured</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>In local time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Press F2 or double click to change</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunPlotTexts</name>
    <message>
        <source>kept parameters of the compressed linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept parameters of the whole model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>weights as stored, MiB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>forecast perplexity, with the range of nine of ten runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 uncalibrated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 calibrated by other models only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 by the same model on other texts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 by the same model and text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs with gradients have a forecast: tick them in the recipe.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecasts: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>as forecast</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity on %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity, on the first text of each run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter for one model to see the Pareto front.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pareto front</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>forecast of selected</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>selected</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>SimilarityTexts</name>
    <message>
        <source>Inputs on %1 and on other texts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>block</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>cosine of mean |x|</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>shared part of %1 principal directions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1: %2 ± %3</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TextFiles</name>
    <message>
        <source>Choose texts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Texts (*.txt *.raw *.md);;All files (*)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TokenDetailTexts</name>
    <message>
        <source>token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 of %2, id %3</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>prediction</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>none, it is the first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>original</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 (log %2)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>compressed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>change</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 nats</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>KL</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One token: nothing is predicted.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity %1 of the original, %2 of run %3, over %4 predicted tokens; mean KL %5 nats</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TrainingPlotTexts</name>
    <message>
        <source>Distillation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recovery</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>block %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>step</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss, nats per token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss of the block</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>batches</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>held-out windows</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>main</name>
    <message>
        <source>Low-rank compression workbench for language models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Store of experiments</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder, .safetensors or .gguf file, or recipe</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::ErrorMapPanel</name>
    <message>
        <source>What the map shows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Planned rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Predicted loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss, difference to run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run that is subtracted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model to see its map.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>block</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>role</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept share</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss / loss of rank 0</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>choose a run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1: %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss of run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss: no run is shown that run %1 could be subtracted from</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run %1 and run %2 measure in different units: nats and energy of outputs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss of run %1 less that of run %2</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::ExportDialog</name>
    <message>
        <source>&amp;Factored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Dense</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Choose ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>C&amp;ancel export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Open folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is written</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The factors and the file modeling_rankwright.py: as small as the run. transformers loads it with trust_remote_code=True, and Rankwright like any checkpoint.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The product of the factors in the stock layout: AutoModelForCausalLM.from_pretrained and every other program for this architecture load it. Size and speed are those of the original: it saves nothing.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Numbers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fo&amp;lder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reading run %1 ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run %1 is not finished; only a finished run can be exported.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run %1%2: %3 of %4, kept %5 % of the linears and %6 % of the model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>about %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder for the export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 is not empty; choose another folder.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export run %1 to %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waits for the jobs before it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Writing ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Writing %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stops after this step ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancelled; nothing was left in the folder.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 in %2 files, %3 of it weights, in %4:
%5</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Read back and compared with the run on 16 tokens: the largest difference of a logit is %1 of the largest logit; up to %2 is accepted in %3.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Read back and compared with the run on 16 tokens: every logit is the same; a difference up to %1 of the largest logit is accepted in %2.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::FigureActions</name>
    <message>
        <source>Save as &amp;PNG…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the figure as an image with three pixels for one</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>PNG image (*.png)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save as &amp;SVG…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the figure as vectors with real text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>SVG drawing (*.svg)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save &amp;data as CSV…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save all numbers of the figure as comma-separated values</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Comma-separated values (*.csv)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save &amp;visible data as CSV…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the numbers in view as comma-separated values</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Copy image</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the figure to the clipboard as an image</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy d&amp;ata</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy all numbers of the figure to the clipboard</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save figure</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::ForecastLine</name>
    <message>
        <source>&amp;Measure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity of the model as it is on the evaluation texts, which forecasts start from</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast: what %1 costs is known after a run only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast: add an evaluation text to the recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast: choose a calibration text, tick gradients and calibrate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecast: reading the calibration text ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast: there are no gradients yet, calibrate first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecast: waits for the losses, %1 of %2 are known</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast: the store of experiments is not open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast on %1: %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast on %1: the perplexity of the original is not measured yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast on %1: with a perplexity of %2 the model has nothing to lose</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>; before training</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>; as with dense statistics</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecast on %1: perplexity %2 (%3 to %4), originally %5; %6</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecast: reading the evaluation texts ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nine of ten runs lie in the range in brackets.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No forecast: tick gradients in the recipe and calibrate</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::HealthModel</name>
    <message>
        <source>run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>analysis</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>From</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kind</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What happened</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Value</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::HealthPanel</name>
    <message>
        <source>selected linears only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter, e.g. run 3, singularStatistics, q_proj</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter of numeric events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Numeric events</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing was difficult so far, or nothing matches the filter. Damping, fallbacks, clamped ranks, too few tokens and values that are not finite are told of here.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::HeatMap</name>
    <message>
        <source>Heat map</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no value</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 rows, %2 columns, %3 from %4 to %5</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::Inspector</name>
    <message>
        <source>Inspector of the current linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>shape</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 outputs x %2 inputs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stored as</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>input shared by</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>break-even rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 as factors, %2 with a block identity</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>dense</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 of %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>set by hand</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>yes, the allocator leaves it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 parameters, %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>bytes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>predicted loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Spectrum of %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>largest, smallest</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>effective rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stable rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>total energy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>losses</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>exact at every rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>planning curve, exact at some ranks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Input statistics</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>trace</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>mean input norm</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>dead channels</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>measured loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>held-out error</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>seconds</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>note</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>key/value cache</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 a token (float32, all blocks), %2 if latents were cached</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>sparse entries</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::JobModel</name>
    <message>
        <source>waits</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>done</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>cancelled</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 h %2 min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Job</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>State</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Step</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stops</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, %2: %3 of %4, %5</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::JobQueue</name>
    <message>
        <source>statistics of %1 windows were there already</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>statistics of %1 windows of %2 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 in %2 files; read back with the same logits within %3 of the largest</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, kept %2 %</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Calibrate on %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compare %1 with %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 texts compared on %2 windows of %3 tokens each</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Original on %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity %1 on %2, originally %3</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept %1 % of the linears, %2 % of the model, %3</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1: %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity %1 on %2</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::JobsPanel</name>
    <message>
        <source>Jobs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Earlier</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Later</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear done</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run %1 was cut off: resume it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Calibrations, runs and exports wait and go on here.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::LinearTreeModel</name>
    <message>
        <source>block %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>dense</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> (set)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Planned rank; dense where factors would save nothing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept share of the parameters of the linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Predicted loss of the plan over the loss of leaving the linear out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss of the run shown, on its calibration statistics, in the same measure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Shape</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Type</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Predicted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::LogPanel</name>
    <message>
        <source>info</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>warning</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>error</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Log</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::MainWindow</name>
    <message>
        <source>Spectrum</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rank plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Error map</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Jobs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Health</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Health (%1)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 could not be opened: %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1: %2 %, %3 left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Calibration text: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>error: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rankwright</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A job is running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop it and close? What is recorded stays, and the run can be resumed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and close</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stopping after this step ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;File</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open &amp;folder ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a Hugging Face folder or an export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open f&amp;ile ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a .safetensors or .gguf file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Recent models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open &amp;demo model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stories260K, opened in a moment</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Load recipe ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Take a recipe from a JSON file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Save recipe ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write the recipe to a JSON file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Copy as command</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The rankwright-cli line of this recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close &amp;model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Back to the start page</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Quit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close the window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Edit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Undo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Redo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Find linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter the tree</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Lock ranks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The allocator leaves the selected linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>U&amp;nlock ranks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The allocator plans the selected linears again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Calibrate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compute the statistics of the calibration text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compress with this recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>C&amp;ancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop the running job</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;View</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Default &amp;layout</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Put all docks back</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Appearance</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As the &amp;system</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Light</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Dark</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Actions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Overview</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Help</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Keyboard shortcuts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A list of all shortcuts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;About Rankwright</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>About Rankwright</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rankwright %1
Low-rank, activation-aware compression of language models.

Free software under the GNU General Public License, version 3 or later.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models (*.safetensors *.gguf);;All files (*)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keyboard shortcuts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keys</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What they do</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tab, Shift+Tab</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go from part to part; in plots to the rank marker</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Arrows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pan a plot, move the rank marker or the cell of the map, change a rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>+, -, 0</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Zoom in, zoom out, all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This could not be opened: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Export ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write the run shown, or the latest finished one of this model, to a folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no finished run of this model yet: run its recipe first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Training</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Similarity</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::MethodEditor</name>
    <message>
        <source>Method</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 (%2 to %3, default %4)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::ModelPanel</name>
    <message>
        <source>Filter, e.g. down, or block 3 q</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter of linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Blocks and linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select all of this role</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select this block</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select all linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lock rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Unlock rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Leave dense</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy names</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::MoreTextsEditor</name>
    <message>
        <source>More calibration texts and their weights</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mixed with</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weight</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mix with texts ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Statistics of further texts are mixed into those of the first, each with a weight; the first has weight 1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1: %2 windows of %3 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weight of %1</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::OverviewBar</name>
    <message>
        <source>Kept share of the parameters of the linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Parameters of the compressed linears that the plan keeps</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Parameters of the whole model, embeddings and norms included</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weights of the whole compressed model as stored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>linears %1 (%2)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>model %1 (%2)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss: %1 of %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mean over the linears of loss / loss of rank 0, predicted exactly by the analysis; with gradients also the sum of what the linears cost in nats per token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 blocks, %2 linears, %3 M parameters, %4</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>, %1 nats</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::PlotWidget</name>
    <message>
        <source>Logarithmic &amp;x axis</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the horizontal axis on a logarithmic scale</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Logarithmic &amp;y axis</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the vertical axis on a logarithmic scale</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Reset view</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show all data</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plot</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Empty plot</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 (%2 points)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 against %2. %3: %4</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Curves</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> at %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>and %1 more</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RankBars</name>
    <message>
        <source>In &amp;per cent of the full rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show ranks in per cent of the full rank, or as they are</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show &amp;all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show all bars</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>break-even</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>other plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ranks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ranks of %1 linears as bars</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank %1 of %2 (%3 %)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept %1 % of the parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>break-even %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>, other plan %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>locked</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Block</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rank / full rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stays as it is</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RankPlan</name>
    <message>
        <source>kept ratio</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>allocation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>structure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>storage type</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>ranks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>lock</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>unlock</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>recipe</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RankPlanPanel</name>
    <message>
        <source>Allocate again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>none</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ranks of the plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model to plan its ranks.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gives ranks set by hand back to the allocator, but for locked ones</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep this plan under a name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allocation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How the kept parameters are spread over the linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Structure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How factors are stored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stored as</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Type of the factors</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Behind</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plan of another allocator at the same kept ratio, as outlines</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plans</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plans kept with this model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>plan %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>waits for the losses of all linears: %1 of %2 are known</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>losses of %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>losses of plain SVD: there are no calibration statistics yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>edited: a run takes exactly these ranks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>locked ranks: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name of the plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>none kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>waits for gradients: calibrate first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>uniform ranks: a run tries the model first and plans its own</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete a plan kept under a name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not in the plan: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>all ranks are locked: unlock some for the allocator to change</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is a plan &quot;%1&quot; already. Put this one in its place?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Replace</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>choose one</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RecipePanel</name>
    <message>
        <source>Calibrate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>name of the run (optional)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name of the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text of a token window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>window </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Window that is shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Statistics</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>dense: inputs of the original model; compressed: of the compressed blocks before; anchored: compressed inputs, outputs of the original</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Only these linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> windows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Held-out windows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Windows after those of the calibration, for the output error of every linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>three quarters of the machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Memory limit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Texts that the run is evaluated on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Statistics</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Held out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Memory</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Method</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Calibration text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Evaluation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as command</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Needed by methods that look at activations. Drop a text here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>reading the text ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>needs about %1, %2 of memory, %3 on disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a text to evaluate on first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The command is on the clipboard.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipes (*.json)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Saved %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Load recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipe taken from %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 is not taken as a recipe: %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>; of it gradients %1, at least %2 of memory</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>gradients (curvature)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Take gradients of the text too: losses in nats per token, methods and allocations that weigh by curvature</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Labels that gradients are of</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>sampled labels</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Drawn from the model itself: the true Fisher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>labels of the text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The text&apos;s own next tokens: the empirical Fisher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>seed </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Seed of sampled labels</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>all, or: down, *.layers.0.*</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 windows of %2 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, mixed with %2 more</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1; gradients are not computed yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1; statistics are not computed yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1; statistics and gradients are there</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1; statistics are there</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, %2 of %3 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>all windows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 windows</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RunComparisonDialog</name>
    <message>
        <source>Reading %1 runs ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compare runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Figures and recipe values of the runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Linears of the runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is drawn</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Which linears are drawn</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>These runs have no linears yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Figures and recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Plot</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 of %2 linears and %3 values of the recipe differ.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The runs compress different weights.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>all linears</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RunComparisonModel</name>
    <message>
        <source>dense</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rank, run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept, run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Predicted, run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured, run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run %1 - run %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept share of the parameters of the linear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss of the analysis before anything was stored, over that of rank 0</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss of the stored factors on the same statistics, over that of rank 0</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Difference of the measured losses</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>none</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>state</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept of the linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept of the model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>weights as stored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, originally %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity on %1 (not the same windows)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>perplexity on %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>recipe: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>linear, in the order of the model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>block, %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>kept share of the parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>measured loss / loss of rank 0</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::RunsPanel</name>
    <message>
        <source>only columns that &amp;differ</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>first text of each run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 of %2 runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>, %1 selected</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compare</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Two or more selected runs side by side</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show in map</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured losses of the run in map and tree</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Take recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The recipe of the run becomes the present one</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Goes on where the run was cut off, cancelled or failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write the compressed model to a folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete the selected runs with all that is kept of them</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as CSV</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the selected rows, or all, as comma-separated values</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as LaTeX</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the selected rows, or all, as a table with booktabs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy as Markdown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the selected rows, or all, as a Markdown table</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save as CSV ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the selected rows, or all, as comma-separated values</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save as LaTeX ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the selected rows, or all, as a table with booktabs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save as Markdown ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the selected rows, or all, as a Markdown table</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The recipe is that of run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete run %1, its figures and its compressed linears? This cannot be undone. Exports stay.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete %1 runs, their figures and their compressed linears? This cannot be undone. Exports stay.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The table is on the clipboard</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Saved %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Comma-separated values (*.csv)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>LaTeX (*.tex)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Markdown (*.md)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save table</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter, e.g. whitened finished paper</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter of runs: words of any column</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text that perplexities are of</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What perplexity is drawn against</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept of the linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Kept of the model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs with a perplexity appear here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1: %2, %3, kept %4, perplexity %5%6, originally %7 %8</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>, forecast %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forecast</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No run yet, or none that matches the filter.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::Session</name>
    <message>
        <source>plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The allocation waits for the losses of all linears: %1 of %2 are known.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a calibration text first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The allocation waits for gradients: calibrate first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a text to evaluate on first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a text to compare with first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 of the recipe&apos;s %2 ranks are of linears that %3 does not have, and are left out; the recipe was made for %4</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::SimilarityPanel</name>
    <message>
        <source>Com&amp;pare</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Texts that the calibration text is compared with</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>UTF-8 text files, cut into windows as the calibration text is; drop files here</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add texts ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Take the selected texts from the list</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> directions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Principal directions that are compared</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Principal directions of the second moments that are compared; at most the width of an input</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Takes the statistics that are not there yet, as a job, and compares them</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measure of similarity</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Overlap of principal directions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Shared part of the spaces of the first principal directions: 1 where they are the same, about directions / width for unrelated texts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cosine of mean |x|</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cosine of the vectors of the mean size of each channel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Inputs that are shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add texts and compare: how alike the inputs of the linears are on them and on the calibration text.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>inputs of all linears</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>inputs of %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>mean and deviation over the blocks: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>waits in Jobs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>comparing, %1 %</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1, %2 windows of %3 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 mixed with %2 more</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::SpectrumPanel</name>
    <message>
        <source>What is drawn</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss against rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Singular values</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cumulative energy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Methods that are overlaid</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Select linears in the tree to see their spectra.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 needs calibration statistics; choose a text and calibrate.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1: effective rank %2, stable rank %3</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>curves being computed: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>beyond break-even</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss / loss of rank 0</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>index</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>singular value of what the method truncates</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>share of the energy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Computing ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>break-even %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>dense</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>rank %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss in nats</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 needs gradients; tick them in the recipe and calibrate.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Losses in nats need gradients; tick them in the recipe and calibrate.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss in nats per token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 needs moments of weight gradients; choose it in the recipe and calibrate.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::StartPage</name>
    <message>
        <source>threads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&lt;b&gt;memory&lt;/b&gt; %1, %2 processors</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models that you open are listed here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>looking at the machine ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recent models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open folder ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A Hugging Face folder, or one that Rankwright exported</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open file ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A .safetensors or .gguf file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open the demo model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stories260K: 5 blocks, opened in a moment</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Opening %1 ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Low-rank, activation-aware compression of language models, version %1. Open a checkpoint, or drop one anywhere in this window.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::TextPanel</name>
    <message>
        <source>1 token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 with the end of the text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>, %1 per second</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>, the first after %1 s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1: %2, kept %3 %</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no finished run of this model yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compressed model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compress the model to see its text here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Scores compare with a compressed model: run the recipe first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopped</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loading ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>scoring ...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Both texts are the same, token for token.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The texts differ from the first token on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Equal tokens at the start: %1. What differs is marked.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens in the original and in %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>change of the log probability in %1, nats</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>less likely</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>more likely</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Point at a token, or go there with the arrow keys, to see what both models expected.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>&amp;Generate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Continue the prompt by both models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sc&amp;ore</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compare what both models expect at every token of the prompt</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>S&amp;top</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop generating or scoring</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Generated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Scored</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Prompt</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A text to continue or to score</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Once upon a time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The compressed model that is compared with the original</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens to generate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens to generate at most</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Original</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text of the model: %1</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy both texts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Score a text to see where the compressed model expects something else.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What both models expected at the token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save or copy the tokens as numbers or as a picture</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::TextService</name>
    <message>
        <source>original: token %1 of %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>compressed: token %1 of %2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>scoring: %1 of %2</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::TokenView</name>
    <message>
        <source>Tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%1 tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>token %1 of %2: %3, %4 %5</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::TrainingPanel</name>
    <message>
        <source>What was trained</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Losses of a run that trains appear here: one by Lillama, or of a recipe with distillation or recovery.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>run %1: %2 step %3 of %4</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>rankwright::ui::WindowsEditor</name>
    <message>
        <source>lines are data-set rows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>UTF-8 text file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a text file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens per window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Number of windows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Order of windows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>seed </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Seed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> windows</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Join the lines by empty lines, as the papers do with WikiText-2</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Texts (*.txt *.raw *.md);;All files (*)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
</TS>

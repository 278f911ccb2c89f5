"""Runs the benchmarks group by group and writes one table. Standard library only; called by tools/benchmark.

Within a group the repetitions of all benchmarks are interleaved at random, together with the rates of the machine. A time is the
least of its repetitions. Beside the wall clock stands the processor time of one thread: other work on the machine stretches the
first, and mostly not the second.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

LAYERS = ["576x576", "768x768", "768x3072", "3072x768", "2048x2048"]
GROUPS = [f"layer/{shape}" for shape in LAYERS] + ["moment", "eigen", "model", "forward", "input", "plan", "pipeline"]


class Times:
    """Least wall and processor seconds of each benchmark, its counters, and the rates of each group."""

    def __init__(self):
        self.rows = {}
        self.context = {}
        self.loads = []

    def read(self, group, report):
        self.context = report["context"]
        threads = int(self.context["threads"])
        for entry in report["benchmarks"]:
            if entry.get("run_type") == "aggregate" or entry.get("error_occurred"):
                continue
            suffix = re.search(r"(/(process_time|real_time|iterations:\d+))+$", entry["name"])
            name = entry["name"][: suffix.start()] if suffix else entry["name"]
            if name.startswith("rate/"):
                name = f"{group}:{name}"
            divisor = threads if suffix and "process_time" in suffix.group() else 1
            known = {"name", "run_name", "run_type", "real_time", "cpu_time", "iterations", "time_unit", "repetitions",
                     "repetition_index", "threads", "family_index", "per_family_instance_index"}
            counters = {key: value for key, value in entry.items() if key not in known}
            self.add(name, entry["real_time"] / 1e3, entry["cpu_time"] / 1e3 / divisor, counters)

    def add(self, name, wall, processor, counters):
        row = self.rows.setdefault(name, {"wall": wall, "processor": processor, "counters": counters})
        row["wall"] = min(row["wall"], wall)
        row["processor"] = min(row["processor"], processor)

    def __contains__(self, name):
        return name in self.rows

    def wall(self, name):
        return self.rows[name]["wall"]

    def processor(self, name):
        return self.rows[name]["processor"]

    def counter(self, name, key):
        return self.rows[name]["counters"][key]

    def share(self, name, rate, work=None):
        """Work per processor second over that of a rate of the same group."""
        group = next(g for g in GROUPS if name.startswith(g))
        return self.speed(name, work) / self.speed(f"{group}:rate/{rate}")

    def speed(self, name, work=None):
        counters = self.rows[name]["counters"]
        work = counters.get("flop", counters.get("byte")) if work is None else work
        return work / self.processor(name)


def seconds(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def both(times, name):
    return f"{seconds(times.wall(name))} / {seconds(times.processor(name))}"


def ratio(times, slow, fast):
    return f"{times.wall(slow) / times.wall(fast):.2g} / {times.processor(slow) / times.processor(fast):.2g}"


def rates_section(times):
    rows = []
    for group in GROUPS:
        names = [f"{group}:rate/{rate}" for rate in ("sgemm", "dgemm", "copy")]
        if names[0] in times:
            rows.append([group] + [f"{times.speed(name) / 1e9:.0f}" for name in names])
    return table(["group", "sgemm 2048, GFLOP/s", "dgemm 2048, GFLOP/s", "copy, GB/s"], rows)


def layers_section(times):
    rows = []
    losses = []
    for shape in LAYERS:
        name = f"layer/{shape}"
        ours = f"{name}/rankwright"
        if ours not in times:
            continue
        rows.append([shape, f"{times.counter(ours, 'rank'):.0f}", both(times, ours), both(times, f"{name}/lapack"),
                     both(times, f"{name}/svdLlm"), ratio(times, f"{name}/lapack", ours), ratio(times, f"{name}/svdLlm", ours),
                     f"{times.processor(f'{name}/anotherRank') / times.processor(ours):.1%}", f"{times.share(ours, 'dgemm'):.0%}"])
        losses.append([shape] + [f"{times.counter(f'{name}/{way}', 'loss'):.9e}" for way in ("rankwright", "lapack", "svdLlm")])
    return (table(["m x n", "rank", "Rankwright, s", "LAPACK, s", "SVD-LLM's way, s", "LAPACK / Rankwright", "SVD-LLM / Rankwright",
                   "another rank", "share of dgemm"], rows) + "\n" +
            table(["m x n", "loss, Rankwright", "loss, LAPACK", "loss, SVD-LLM's way"], losses))


def model_section(times):
    ours = "model/rankwright"
    if ours not in times:
        return "SmolLM2 is not there.\n"
    rows = [["Rankwright", both(times, ours), "", ""],
            ["Rankwright, a second ratio", both(times, "model/anotherRatio"), ratio(times, "model/anotherRatio", ours), ""]]
    for way, name in (("lapack", "Cholesky, inverse of a triangle, dgesdd"), ("svdLlm64", "Cholesky, inverse, dgesdd")):
        other = f"model/{way}"
        rows.append([name, both(times, other), ratio(times, other, ours), f"{times.counter(other, 'excess'):.1e}"])
    return table(["way", "seconds", "over Rankwright", "largest excess of Rankwright's loss"], rows)


def pairs_section(times, group, ways, rate):
    sizes = sorted({int(name.split("/")[1]) for name in times.rows if name.startswith(group + "/")})
    rows = []
    for size in sizes:
        ours = f"{group}/{size}/rankwright"
        row = [size] + [both(times, f"{group}/{size}/{way}") for way in ways]
        row.append(ratio(times, f"{group}/{size}/{ways[-1]}", ours))
        if rate:
            row.append(f"{2 * times.share(ours, rate):.0%}")
        rows.append(row)
    return rows


def forward_section(times):
    rows = []
    for length in (2048, 256):
        for part, what in (("blocks", "without head"), ("head", "with head and losses"), ("calibration", "with second moments of all taps"),
                           ("curvature", "curvature: with second moments of all gradients")):
            name = f"forward/{length}/{part}"
            if name not in times:
                continue
            tokens = times.counter(name, "tokens")
            row = [length, what, f"{tokens / times.wall(name):.0f}",
                   f"{tokens / times.processor(name):.0f}", f"{times.share(name, 'sgemm'):.0%}"]
            for peer in ("torch", "llama-f32", "llama-q4_1"):
                other = f"forward/{peer}/{length}/{part}"
                row.append("-" if other not in times else "{:.0f} / {:.0f} ({:.1f}x)".format(
                    times.counter(other, "tokens") / times.wall(other), times.counter(other, "tokens") / times.processor(other),
                    (tokens / times.processor(name)) / (times.counter(other, "tokens") / times.processor(other))))
            rows.append(row)
    return table(["window", "pass", "tokens/s", "per processor second", "share of sgemm", "torch", "llama.cpp f32", "llama.cpp Q4_1"],
                 rows)


def input_section(times):
    rows = []
    for name, what in (("input/bf16/matrix", "bf16 to a float32 matrix"), ("input/bf16/rows", "bf16 to 16 rows of float32, in cache"),
                       ("forward/load", "Q4_1 to float32, all linears (GB of float32)")):
        if name in times:
            speed = times.speed(name) / 1e9
            rows.append([what, both(times, name), f"{speed:.1f} GB/s", f"{times.share(name, 'copy'):.0%}"])
    for name in ("gpt2", "gpt-neox-20b"):
        key = f"input/tokenize/{name}"
        if key in times:
            megabytes = times.counter(key, "textBytes") / 1e6
            rows.append([f"tokenize, {name}", both(times, key), f"{megabytes / times.processor(key):.1f} MB/s", "-"])
    return table(["what", "seconds", "per processor second", "share of copy"], rows)


def plan_section(times):
    rows = []
    for name, what in (("marginal-loss/smooth", "marginal loss, smooth spectra"), ("marginal-loss/noisy", "marginal loss, noisy spectra"),
                       ("marginal-loss-block-identity/noisy", "the same with block identities"), ("uniform", "uniform"),
                       ("prepare", "preparing the planner, once")):
        name = f"plan/{name}"
        if name in times:
            rows.append([what, f"{times.wall(name) * 1e3:.3f} / {times.processor(name) * 1e3:.3f}"])
    return table(["what", "milliseconds"], rows)


def pipeline_section(times):
    name = "pipeline/smollm2"
    counters = times.rows[name]["counters"]
    stages = {key[len("seconds."):]: value for key, value in counters.items() if key.startswith("seconds.")}
    work = {"calibrate": ("flop.calibrate", "sgemm"), "analyse": ("flop.decompose", "dgemm"), "evaluate": ("flop.evaluate", "sgemm")}
    rows = []
    for stage, value in stages.items():
        share = "-"
        if stage in work:
            counter, rate = work[stage]
            spent = value + stages.get("factorise", 0.0) if stage == "analyse" else value
            share = f"{counters[counter] / spent / (times.counter('pipeline:rate/' + rate, 'flop') / times.wall('pipeline:rate/' + rate)):.0%}"
        rows.append([stage, seconds(value), share])
    rows.append(["all", both(times, name), "-"])
    return table(["stage", "seconds", "share of sgemm or dgemm, by wall"], rows)


def document(times, repetitions):
    context = times.context
    parts = [f"{context['processor']}, {context['threads']} threads, {context['blas']}; {repetitions} repetitions; load average of the "
             f"machine while it ran {min(times.loads):.1f} to {max(times.loads):.1f}.\n"]
    sections = [("Rates of the machine", "", rates_section), ("One linear", "layer", layers_section),
                ("Second moments, 2048 tokens, one thread", "moment", lambda t: table(
                    ["channels", "Rankwright, s", "ssyrk, s", "ssyrk / Rankwright", "share of one thread's sgemm"],
                    pairs_section(t, "moment", ["rankwright", "ssyrk"], "sgemm"))),
                ("Symmetric eigenproblem", "eigen", lambda t: table(
                    ["size", "all vectors, s", "half of them, s", "LAPACK dsyevd, s", "dsyevd / Rankwright"],
                    pairs_section(t, "eigen", ["rankwright", "half", "dsyevd"], None))),
                ("All linears of SmolLM2-135M", "model", model_section),
                ("Forward pass of SmolLM2-135M", "forward/2048/blocks", forward_section), ("Input", "input", input_section),
                ("Ranks of 224 linears of 4096x4096, one thread", "plan/", plan_section),
                ("Whole run on SmolLM2-135M", "pipeline/", pipeline_section)]
    for title, prefix, section in sections:
        if any(name.startswith(prefix) for name in times.rows):
            parts.append(f"### {title}\n\n{section(times)}")
    return "\n".join(parts)


def run_group(binary, group, repetitions):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "report.json")
        rates = "sgemm|dgemm|copy"
        command = [binary, f"--benchmark_filter=^(rate/({rates})|{group}(/|$))", f"--benchmark_repetitions={repetitions}",
                   "--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.1", f"--benchmark_out={out}",
                   "--benchmark_out_format=json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
        with open(out) as file:
            return json.load(file)


def run_peer(times, interpreter, what):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.py")
    result = subprocess.run([interpreter, script, what], stdout=subprocess.PIPE)
    if result.returncode != 0:
        print(f"skipped: {what} did not run with {interpreter}", file=sys.stderr)
        return False
    for line in result.stdout.decode().splitlines():
        row = json.loads(line)
        times.add(f"forward/{row['name']}", row["seconds"], row["processorSeconds"], {"tokens": row["tokens"]})
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--out", required=True, help="Markdown file to write")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", default="", help="regular expression of groups: " + ", ".join(GROUPS))
    parser.add_argument("--pipeline", action="store_true", help="a whole run on SmolLM2 too (minutes)")
    parser.add_argument("--torch", default="", help="interpreter with torch and transformers")
    parser.add_argument("--llama", default="", help="interpreter with xllamacpp and gguf")
    arguments = parser.parse_args()
    times = Times()
    peers = {what: interpreter for what, interpreter in (("torch", arguments.torch), ("llama", arguments.llama)) if interpreter}
    for group in GROUPS:
        if not re.search(arguments.only, group) or (group == "pipeline" and not arguments.pipeline):
            continue
        print(f"== {group}", file=sys.stderr)
        times.loads.append(os.getloadavg()[0])
        if group == "forward":
            # Turn by turn with the other programs.
            for _ in range(max(1, arguments.repetitions // 2)):
                times.read(group, run_group(arguments.binary, group, 1))
                peers = {what: python for what, python in peers.items() if run_peer(times, python, what)}
        else:
            times.read(group, run_group(arguments.binary, group, 1 if group == "pipeline" else arguments.repetitions))
        times.loads.append(os.getloadavg()[0])
    text = document(times, arguments.repetitions)
    with open(arguments.out, "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()

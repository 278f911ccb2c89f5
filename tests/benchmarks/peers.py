"""Forward passes of other programs over the shapes of SmolLM2-135M: `peers.py torch` or `peers.py llama`, one JSON object a line.

torch: LlamaForCausalLM of transformers in float32 with random weights (speed does not depend on them), threads as the machine has.
llama: llama.cpp through xllamacpp, prompt processing of the file in RANKWRIGHT_SMOLLM2 as it is and dequantised to float32; it computes
the head for the last token only, so its figures stand in the rows without head.
"""

import json
import os
import random
import sys
import tempfile
import time

THREADS = len(os.sched_getaffinity(0))


def report(name, tokens, wall, processor):
    print(json.dumps({"name": name, "tokens": tokens, "seconds": wall, "processorSeconds": processor / THREADS}), flush=True)


def run_torch():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(THREADS)
    config = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                         num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=True, use_cache=False)
    model = LlamaForCausalLM(config).eval()
    for length, batch in ((2048, 1), (256, 8)):
        ids = torch.randint(0, 49152, (batch, length))
        for part in ("blocks", "head"):
            wall, processor = time.perf_counter(), time.process_time()
            with torch.no_grad():
                if part == "head":
                    logits = model(ids).logits
                    torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, 49152), ids[:, 1:].reshape(-1))
                else:
                    model.model(ids)
            report(f"torch/{length}/{part}", batch * length, time.perf_counter() - wall, time.process_time() - processor)


def write_float32(source, target):
    """The same model with every quantised tensor in float32."""
    import gguf
    from gguf.quants import dequantize

    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=element)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run_llama_file(name, path):
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 2304
    parameters.n_parallel = 1
    parameters.n_batch = 2048
    parameters.n_ubatch = 512
    parameters.cpuparams.n_threads = THREADS
    parameters.cpuparams_batch.n_threads = THREADS
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    generator = random.Random(1)
    for length, count in ((2048, 1), (256, 8)):
        wall = processor = 0.0
        for _ in range(count):
            ids = [generator.randrange(100, 49000) for _ in range(length)]
            before = time.process_time()
            answer = server.handle_completions({"prompt": ids, "n_predict": 1, "cache_prompt": False, "temperature": 0})
            processor += time.process_time() - before
            if answer["timings"]["prompt_n"] != length:
                raise RuntimeError(f"{answer['timings']['prompt_n']} of {length} tokens were processed")
            wall += answer["timings"]["prompt_ms"] / 1e3
        report(f"{name}/{length}/blocks", count * length, wall, processor)


def run_llama():
    source = os.environ["RANKWRIGHT_SMOLLM2"]
    run_llama_file("llama-q4_1", source)
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "model-f32.gguf")
        write_float32(source, target)
        run_llama_file("llama-f32", target)


if __name__ == "__main__":
    {"torch": run_torch, "llama": run_llama}[sys.argv[1]]()

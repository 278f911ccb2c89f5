"""Random models of the Llama family with their logits and greedy continuations by transformers, float32 on the CPU.

usage: make_llama_variants.py TOKENIZER_DIR OUT

OUT/NAME is a checkpoint folder with the tokenizer of TOKENIZER_DIR; OUT/NAME/reference.json holds a window of ids, logits of some
positions, and what generate() adds to a prompt.
"""
import json, pathlib, shutil, sys
import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

PROMPT, NEW_TOKENS, WINDOW = "Once upon a time, there was", 40, 300
tokenizer_dir, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
prompt = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json")).encode(PROMPT).ids
torch.set_num_threads(2)

base = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, vocab_size=512,
            max_position_embeddings=512, initializer_range=0.2, rms_norm_eps=1e-5, tie_word_embeddings=True)
llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)

# name -> (model, changes of the configuration, keys removed from config.json, dtype stored, changes of the generation configuration)
L, M, F32 = (LlamaConfig, LlamaForCausalLM), (MistralConfig, MistralForCausalLM), torch.float32
variants = {
    "grouped": (L, {}, [], F32, {}),
    "own-head": (L, dict(tie_word_embeddings=False, num_key_value_heads=6, rms_norm_eps=1e-6, rope_theta=10000.0),
                 ["num_key_value_heads", "rms_norm_eps", "rope_theta", "tie_word_embeddings", "head_dim", "bos_token_id", "eos_token_id"], F32, {}),
    "wide-heads": (L, dict(head_dim=20), [], F32, {}),
    "biases": (L, dict(attention_bias=True, mlp_bias=True), [], F32, {}),
    "llama3": (L, dict(head_dim=32, rope_theta=500000.0, rope_scaling=llama3), [], F32, {}),
    "linear": (L, dict(rope_scaling=dict(type="linear", factor=4.0)), [], F32, {}),
    "dynamic": (L, dict(rope_scaling=dict(type="dynamic", factor=4.0)), [], F32, {}),
    "bf16": (L, dict(tie_word_embeddings=False), [], torch.bfloat16, {}),
    "f16": (L, dict(pretraining_tp=2), [], torch.float16, {}),
    "mistral": (M, dict(sliding_window=None, num_key_value_heads=3), [], F32, {}),
    "ends": (L, {}, [], F32, "from-text"),
    "penalty": (L, {}, [], F32, {"repetition_penalty": 1.3}),
}

for seed, (name, ((config_class, model_class), changes, removed, dtype, ends)) in enumerate(variants.items()):
    torch.manual_seed(seed)
    folder = out / name
    model = model_class(config_class(**{**base, **changes})).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias"):
                parameter.normal_(0, 0.5)
            elif "norm" in key:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.to(dtype).save_pretrained(folder, max_shard_size="60KB" if name == "grouped" else "5GB")
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text())
    for key in removed:
        config.pop(key, None)
    config_file.write_text(json.dumps(config))
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(tokenizer_dir / file, folder / file)

    def generate():
        model = model_class.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
        ids = torch.tensor([prompt])
        with torch.no_grad():
            return model, model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0)[0, len(prompt):].tolist()

    model, generated = generate()
    if isinstance(ends, dict) and ends:
        without = generated
        (folder / "generation_config.json").write_text(json.dumps(dict(bos_token_id=1, eos_token_id=2, **ends)))
        model, generated = generate()
        assert generated != without
    elif ends:  # the tenth token first seen there, second of a list, must end the text
        end = next(t for i, t in enumerate(generated) if i >= 10 and t not in generated[:i])
        (folder / "generation_config.json").write_text(json.dumps(dict(bos_token_id=1, eos_token_id=[2, end])))
        model, generated = generate()
    ids = torch.randint(3, 512, (WINDOW,))
    with torch.no_grad():
        logits = model(ids[None], use_cache=False).logits[0]
    positions = [0, 1, 130, WINDOW - 1]
    (folder / "reference.json").write_text(json.dumps(dict(prompt_text=PROMPT, prompt=prompt, new_tokens=NEW_TOKENS, generated=generated,
        ids=ids.tolist(), positions=positions, logits=[logits[p].tolist() for p in positions])))
    print(name, len(generated), flush=True)

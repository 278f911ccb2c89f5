"""Ids and decoded texts of many tokenizer.json configurations, from Hugging Face tokenizers.

usage: make_tokenizer_configurations.py TESTS_DATA_DIR STORIES260K_DIR OUT.json

Every case is a base tokenizer (gpt2 or stories260K) with some top-level keys replaced, and with some keys of its model replaced.
"""

import json, random, sys
from tokenizers import Tokenizer

data, stories, out = sys.argv[1:4]
random.seed(7)
gpt2 = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "model": {
        "type": "BPE",
        "vocab": json.load(open(data + "/tokenizers/gpt2/vocab.json")),
        "merges": [l for l in open(data + "/tokenizers/gpt2/merges.txt", encoding="utf-8").read().split("\n") if l and not l.startswith("#version")],
    },
}
st = json.load(open(stories + "/tokenizer.json"))
pieces = [
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    "\u00a0",
    "\u2003",
    "\u200b",
    "\u2028",
    "\u0085",
    "\x0b",
    "\x0c",
    "\x1c",
    "\u180e",
    "\ufeff",
    "'s",
    "'S",
    "'ſ",
    "'LL",
    "'ll",
    "'re",
    "don",
    "'T",
    "é",
    "e\u0301",
    "ﬁ",
    "½",
    "²",
    "٣",
    "Ⅷ",
    "abc",
    "The",
    "THE",
    "lazy",
    "1",
    "12",
    "1234567",
    ".",
    "...",
    "!?",
    "—",
    "«",
    "日本",
    "한",
    "\u1100\u1161",
    "क्षि",
    "👩‍👩‍👧",
    "🇩🇪",
    "\ufe0f",
    "İ",
    "ß",
    "ΑΣ",
    "Σ",
    "<s>",
    "</s>",
    "<unk>",
    "<|endoftext|>",
    "<|im_start|>",
    "<mask>",
    "▁",
    "▁▁",
    "Ġ",
    "_",
    "a_b",
    "x²",
    "Ä",
    "A\u030a",
    "\u212b",
    "\u0345",
    "\u0301",
    "\u0308 ",
    "ﷺ",
    "ａｂ",
    "ㄱ",
    "\u3099",
    "か\u3099",
    "\U00010400",
    "𝒜",
    "\U0001d7d8",
    "\u2160",
    "\u00aa",
    "\u0e33",
    "\x1b",
    "\x7f",
    "<0x0A>",
    "~",
    "`",
    "$",
    "^",
    "+",
    "=",
    "|",
    "<",
    ">",
    "①",
    "\u20dd",
    "\u0300",
    "\u200d",
    "\u200c",
    "ǅ",
    "\u16ee",
    "\u3007",
    "\u19da",
    "\u2070",
]
texts = ["", " ", "a", "\n"] + open(data + "/texts/edge_cases.txt", encoding="utf-8", newline="").read().split("\n")[:12]
texts += ["".join(random.choice(pieces) for _ in range(n)) for n in [3] * 12 + [12] * 12 + [40] * 4]


def bl(pre=False, rx=True):
    return {"type": "ByteLevel", "add_prefix_space": pre, "trim_offsets": True, "use_regex": rx}


def sp(p, b="Isolated", inv=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: p}, "behavior": b, "invert": inv}


def seq(*l):
    return {"type": "Sequence", "pretokenizers": list(l)}


def nseq(*l):
    return {"type": "Sequence", "normalizers": list(l)}


L3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
O4 = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
cfg = []


def add(name, base, **kw):
    top = {k: v for k, v in kw.items() if not k.startswith("model_")}
    model = {k[6:]: v for k, v in kw.items() if k.startswith("model_")}
    cfg.append((name, "gpt2" if base is gpt2 else "stories260K", top, model, dict(base, **top, model=dict(base["model"], **model))))


add("stories", st)
add("llama3", gpt2, pre_tokenizer=seq(sp(L3), bl(False, False)), model_ignore_merges=True)
add("cl100k", gpt2, pre_tokenizer=seq(sp(CL), bl(False, False)))
add("o200k", gpt2, pre_tokenizer=seq(sp(O4), bl(False, False)))
add("smol", gpt2, pre_tokenizer=seq({"type": "Digits", "individual_digits": True}, bl()))
add("digits", gpt2, pre_tokenizer=seq({"type": "Digits", "individual_digits": False}, bl(True)))
add("prefix", gpt2, pre_tokenizer=bl(True))
add(
    "default",
    gpt2,
    pre_tokenizer=seq(
        sp(r"[\p{P}\$\+<=>\^~\|]+"),
        sp(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"),
        sp(r"\p{N}+"),
        sp("[0-9][0-9][0-9]"),
        bl(False, False),
    ),
)
for b in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
    for inv in (False, True):
        add(f"s-{b}-{inv}", gpt2, pre_tokenizer=seq(sp(r"\s", b, inv), bl(False, False)))
        add(f"w-{b}-{inv}", gpt2, pre_tokenizer=seq(sp(r"\w+", b, inv), bl(False, False)))
    add(f"str-{b}", gpt2, pre_tokenizer=seq(sp("e", b, False, "String"), bl(False, False)))
    add(f"look-{b}", gpt2, pre_tokenizer=seq(sp(r"(?=[A-Z])|(?<=\d)", b), bl(False, False)))
    add(f"punct-{b}", gpt2, pre_tokenizer=seq({"type": "Punctuation", "behavior": b}, bl(False, False)))
for i, p in enumerate(
    [
        r"^a|b$|.",
        r"\bT",
        r"\d+",
        r"\h+",
        r"\W",
        r"\D+",
        r"\S+",
        r"[\s\d]+",
        r"[^\w\s]+",
        r"\p{^L}+",
        r"[[:alpha:]]+",
        r"\p{Han}|\p{Hiragana}+",
        r"(?<!e)s",
        r"\A.|.\z",
        r"[a-z&&[^e]]+",
        r"\R",
        r"\x{41}|\u0042",
        r"(?i)the|σ|ß|é",
    ]
):
    add(f"rx-{p}", gpt2, pre_tokenizer=seq(sp(p), bl(False, False)))
for n in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]:
    add(n, gpt2, normalizer={"type": n})
add(
    "nmix",
    gpt2,
    normalizer=nseq(
        {"type": "NFKC"},
        {"type": "Lowercase"},
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Prepend", "prepend": "x"},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Replace", "pattern": {"String": "ab"}, "content": "ba"},
    ),
)
for sch in ["always", "first", "never"]:
    for spl in (True, False):
        add(
            f"meta-{sch}-{spl}",
            st,
            normalizer=None,
            pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": sch, "split": spl},
            decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": sch, "split": spl},
        )
add("ws", st, normalizer=None, pre_tokenizer={"type": "Whitespace"}, decoder=None)
add("wss", st, normalizer=None, pre_tokenizer={"type": "WhitespaceSplit"}, decoder={"type": "Fuse"})
add("nofuse", st, model_byte_fallback=False, model_fuse_unk=False)
add("fuse", st, model_byte_fallback=False)
add("nounk", st, model_byte_fallback=False, model_unk_token=None)
v = dict(st["model"]["vocab"])
for b in range(0x80, 0xA0):
    v.pop(f"<0x{b:02X}>")
add("halfbytes", st, model_vocab=v)
add("halfbytesnofuse", st, model_vocab=v, model_fuse_unk=False)


def at(id, c, **k):
    return dict(dict(id=id, content=c, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False), **k)


A0 = [
    at(32000, "lazy", single_word=True),
    at(32001, "<mask>", lstrip=True, special=True),
    at(32002, "The", rstrip=True),
    at(32003, "THE", normalized=True, lstrip=True, rstrip=True),
    at(32004, "é", normalized=True),
    at(32005, "  ", normalized=True),
    at(32006, "abc", single_word=True, normalized=True),
    at(32007, "!?", lstrip=True, rstrip=True),
]


def fix(A, base):
    v = base["model"]["vocab"]
    n = max(v.values()) + 1
    out = []
    for a in A:
        a = dict(a)
        if a["content"] in v:
            a["id"] = v[a["content"]]
        else:
            a["id"] = n
            n += 1
        out.append(a)
    return out


add("added", st, added_tokens=st["added_tokens"] + fix(A0, st))
A2 = fix(A0, gpt2)
add("added2", gpt2, added_tokens=A2, normalizer={"type": "NFKC"})
add("added3", gpt2, added_tokens=A2, normalizer={"type": "Lowercase"}, pre_tokenizer=bl(True))
add("added4", gpt2, added_tokens=A2)
add("suffix", st, normalizer=None, pre_tokenizer={"type": "WhitespaceSplit"}, model_end_of_word_suffix="e", decoder={"type": "BPEDecoder", "suffix": "e"})
add("cont", st, normalizer=None, pre_tokenizer={"type": "WhitespaceSplit"}, model_continuing_subword_prefix="e", model_merges=[])

cases = []
for name, base, top, model, whole in cfg:
    t = Tokenizer.from_str(json.dumps(whole))
    ids = [t.encode(x, add_special_tokens=False).ids for x in texts]
    cases.append(
        dict(
            name=name,
            base=base,
            top=top,
            model={k: v for k, v in model.items() if k != "vocab"},
            removed=sorted(set(st["model"]["vocab"]) - set(model["vocab"])) if "vocab" in model else [],
            ids=ids,
            decoded=[t.decode(i, skip_special_tokens=False) for i in ids],
        )
    )
json.dump(dict(texts=texts, cases=cases), open(out, "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
print(len(cases), "cases", len(texts), "texts")

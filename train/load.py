"""Read an exported GGUF file back into PyTorch, weights dequantised to float32."""
import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from export import heads_of, names, unpermute
from model import Llama


def raw_tensors(reader):
    """Dequantised tensors, exactly as they lie in the file."""
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(t.shape[::-1])
            for t in reader.tensors}


def settings(reader):
    get = lambda key: reader.get_field(key).contents()
    return {"vocab_size": get("llama.vocab_size"), "dim": get("llama.embedding_length"),
            "hidden": get("llama.feed_forward_length"), "layers": get("llama.block_count"),
            "heads": get("llama.attention.head_count"), "kv_heads": get("llama.attention.head_count_kv"),
            "context": get("llama.context_length"), "rope_base": get("llama.rope.freq_base"),
            "norm_eps": get("llama.attention.layer_norm_rms_epsilon")}


def load(path):
    """(model, tokenizer) of a GGUF file that export.py wrote."""
    reader = gguf.GGUFReader(str(path))
    c, tensors = settings(reader), raw_tensors(reader)
    model = Llama(c).eval()
    state = {}
    for ours, theirs, _ in names(c["layers"]):
        a = tensors[theirs]
        if heads := heads_of(ours, c):
            a = unpermute(a, heads)
        state[ours] = torch.from_numpy(np.ascontiguousarray(a))
    model.load_state_dict(state)

    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    merges = reader.get_field("tokenizer.ggml.merges").contents()
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    bos = reader.get_field("tokenizer.ggml.bos_token_id").contents()
    tok.add_special_tokens([AddedToken(tokens[bos], special=True)])
    return model, tok

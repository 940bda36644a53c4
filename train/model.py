"""A Llama-style transformer: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings."""
import torch
import torch.nn.functional as F
from torch import nn


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return (y * self.weight).to(x.dtype)


def rope_table(head_dim, context, base):
    """cos and sin per position, each pair frequency twice: feature i turns with feature i + head_dim/2."""
    freq = base ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.outer(torch.arange(context).float(), freq).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class RowDropout(nn.Module):
    """Dropout with one mask for all positions of a row: next to free on a CPU, where random numbers are dear."""

    p = 0.0     # set by train.py, phase by phase

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2]) >= self.p
        return x * (keep.to(x.dtype) / (1 - self.p))


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c["heads"], c["kv_heads"], c["dim"] // c["heads"]
        kv = self.kv_heads * self.head_dim
        self.q = nn.Linear(c["dim"], c["dim"], bias=False)
        self.k = nn.Linear(c["dim"], kv, bias=False)
        self.v = nn.Linear(c["dim"], kv, bias=False)
        self.o = nn.Linear(c["dim"], c["dim"], bias=False)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        q = rotate(self.q(x).view(b, t, self.heads, -1).transpose(1, 2), cos, sin)
        k = rotate(self.k(x).view(b, t, self.kv_heads, -1).transpose(1, 2), cos, sin)
        v = self.v(x).view(b, t, self.kv_heads, -1).transpose(1, 2)
        group = self.heads // self.kv_heads
        k, v = (y.repeat_interleave(group, dim=1) for y in (k, v))
        # No dropout on the attention weights: it would forbid the fused CPU kernel,
        # whose backward pass is faster in float32 than in bfloat16.
        with torch.autocast("cpu", enabled=False):
            y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
        return self.o(y.transpose(1, 2).reshape(b, t, d))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate = nn.Linear(c["dim"], c["hidden"], bias=False)
        self.up = nn.Linear(c["dim"], c["hidden"], bias=False)
        self.down = nn.Linear(c["hidden"], c["dim"], bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attn_norm, self.attn = RMSNorm(c["dim"], c["norm_eps"]), Attention(c)
        self.ffn_norm, self.ffn = RMSNorm(c["dim"], c["norm_eps"]), FeedForward(c)
        self.drop = RowDropout()

    def forward(self, x, cos, sin):
        x = x + self.drop(self.attn(self.attn_norm(x), cos, sin))
        return x + self.drop(self.ffn(self.ffn_norm(x)))


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed = nn.Embedding(c["vocab_size"], c["dim"])
        self.drop = RowDropout()
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = RMSNorm(c["dim"], c["norm_eps"])
        cos, sin = rope_table(c["dim"] // c["heads"], c["context"], c["rope_base"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        # Small embeddings because they are also the output matrix; residual outputs shrink with depth.
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("o.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / (2 * c["layers"]) ** 0.5 if last else 0.02)

    def hidden(self, ids):
        x = self.drop(self.embed(ids))
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x)

    def forward(self, ids):
        return F.linear(self.hidden(ids), self.embed.weight)

    def loss(self, ids, targets):
        logits = self(ids).view(-1, self.embed.num_embeddings)
        return F.cross_entropy(logits.float(), targets.reshape(-1))

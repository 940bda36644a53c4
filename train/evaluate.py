"""Held-out loss of an exported model.

    python evaluate.py model.gguf --data OUT
"""
import argparse
from pathlib import Path

from load import load
from train import held_out


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model")
    args.add_argument("--data", type=Path, required=True)
    args = args.parse_args()
    model, _ = load(args.model)
    for name in ("held_tiny", "held_fairy"):
        nats, bits = held_out(model, args.data, name, model.cos.shape[0])
        print(f"{name}: {nats:.4f} nats/token, {bits:.4f} bits/byte")


if __name__ == "__main__":
    main()

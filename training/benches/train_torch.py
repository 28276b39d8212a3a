"""The heavy ranker of `roost bench train` in PyTorch: same shapes, weights, rows, order and loss.

Blocks and head towers are stacked into batched products, Adam is fused, the id table is outside the graph with row-wise
AdaGrad, as on the other side. Reads what training/benches/torch-case.ts wrote; prints one JSON object.
"""

import argparse
import json
import os
import time

import torch
import torch.nn.functional as F


def read(directory, name, dtype, shape):
    size = 1
    for side in shape:
        size *= side
    if size == 0:
        return torch.zeros(shape, dtype=dtype)
    path = os.path.join(directory, name)
    return torch.from_file(path, shared=False, size=size, dtype=dtype).clone().reshape(shape)


class Heavy(torch.nn.Module):
    def __init__(self, case, directory):
        super().__init__()
        self.blocks, self.features = case["blocks"], case["features"]
        loaded = {}
        for one in case["parameters"]:
            loaded[one["name"]] = read(directory, one["file"], torch.float32, one["shape"])

        def stacked(name):
            return torch.stack([loaded[f"{name}_{b}"] for b in range(self.blocks)])

        def own(value):
            return torch.nn.Parameter(value.contiguous())

        self.mask_in = own(loaded["mask_in"])
        self.mask_in_bias = own(loaded["mask_in_bias"])
        self.mask_out = own(stacked("mask_out"))  # [blocks, hidden, width]
        self.mask_out_bias = own(stacked("mask_out_bias").unsqueeze(1))
        self.block = own(stacked("block"))  # [blocks, width, out]
        self.block_scale = own(stacked("block_scale").unsqueeze(1))
        self.block_shift = own(stacked("block_shift").unsqueeze(1))
        self.trunk = torch.nn.ParameterList(own(loaded[f"trunk_{i}"]) for i in range(case["trunk"]))
        self.trunk_bias = torch.nn.ParameterList(
            own(loaded[f"trunk_bias_{i}"]) for i in range(case["trunk"])
        )
        self.towers = case["towers"]
        self.tower_in = own(loaded["tower_in"])
        self.tower_in_bias = own(loaded["tower_in_bias"])
        self.tower_out = own(loaded["tower_out"].reshape(self.towers, -1))
        self.wide = own(loaded["wide"])
        self.head_bias = own(loaded["head_bias"])
        self.mean = read(directory, "mean.f32", torch.float32, [self.features])
        self.inverse = 1 / read(directory, "deviation.f32", torch.float32, [self.features])
        self.indicators = torch.tensor(case["indicators"], dtype=torch.long)
        spread = torch.zeros(self.towers, len(case["tower_of"]))
        for head, tower in enumerate(case["tower_of"]):
            spread[tower, head] = 1
        # One tower a head needs no handing over.
        self.spread = None if self.towers == len(case["tower_of"]) else spread

    def transform(self, x):
        with torch.no_grad():
            missing = ~torch.isfinite(x)
            finite = torch.where(missing, 0.0, x)
            logged = torch.sign(finite) * torch.log1p(finite.abs())
            clipped = ((logged - self.mean) * self.inverse).clamp_(-5, 5).masked_fill_(missing, 0)
            if len(self.indicators) == 0:
                return clipped
            return torch.cat([clipped, missing[:, self.indicators].float()], 1)

    def forward(self, raw, embedded):
        x = torch.cat([self.transform(raw), embedded], 1)
        n, width = x.shape
        hidden = torch.addmm(self.mask_in_bias, x, self.mask_in).relu_()
        hidden = hidden.view(n, self.blocks, -1).transpose(0, 1)  # [blocks, n, hidden]
        mask = torch.baddbmm(self.mask_out_bias, hidden, self.mask_out)
        mixed = torch.bmm(x * mask, self.block)  # [blocks, n, out]
        normal = F.layer_norm(mixed, mixed.shape[-1:])
        normal = torch.addcmul(self.block_shift, normal, self.block_scale).relu_()
        shared = normal.transpose(0, 1).reshape(n, -1)
        for weight, bias in zip(self.trunk, self.trunk_bias):
            shared = torch.addmm(bias, shared, weight).relu_()
        tower = torch.addmm(self.tower_in_bias, shared, self.tower_in).relu_()
        deep = (tower.view(n, self.towers, -1) * self.tower_out).sum(-1)
        scores = torch.addmm(deep, x, self.wide)
        if self.spread is not None:
            scores = scores @ self.spread
        return scores + self.head_bias


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, default=0)
    parser.add_argument("--predict")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    directory = flags.directory
    with open(os.path.join(directory, "case.json")) as file:
        case = json.load(file)
    rows, size, heads = case["rows"], case["batch"], len(case["tower_of"])
    columns, id_width = case["id_columns"], case["id_width"]
    model = Heavy(case, directory)
    features = read(directory, "features.f32", torch.float32, [rows, case["features"]])
    labels = read(directory, "labels.f32", torch.float32, [rows, heads])
    weights = read(directory, "weights.f32", torch.float32, [rows, heads])
    order = read(directory, "order.i32", torch.int32, [case["steps"], size]).long()
    id_rows = read(directory, "id_rows.i32", torch.int32, [case["steps"], size * columns]).long()
    continuous = torch.tensor(case["continuous"], dtype=torch.bool)
    ceiling = torch.log(torch.tensor(case["amount_cap"] / case["amount_unit"])).item()
    # One row more than the table: missing and hidden ids read zeros there.
    table = torch.zeros(case["id_rows"] + 1, id_width)
    squares = torch.zeros(case["id_rows"])
    options = dict(lr=case["learning_rate"], betas=tuple(case["betas"]), eps=case["epsilon"])
    try:
        adam, optimiser = torch.optim.Adam(model.parameters(), fused=True, **options), "fused"
    except (RuntimeError, TypeError):
        # CPU kernels of fused Adam came with 2.4.
        adam, optimiser = torch.optim.Adam(model.parameters(), foreach=True, **options), "foreach"
    is_continuous = bool(continuous.any())

    def update_table(indices, gradient):
        seen = indices >= 0
        indices, gradient = indices[seen], gradient[seen]
        touched, at = torch.unique(indices, return_inverse=True)
        sums = torch.zeros(len(touched), id_width).index_add_(0, at, gradient)
        total = squares[touched] + sums.square().mean(1)
        squares[touched] = total
        rate = case["id_learning_rate"] / (total.sqrt() + 1e-8)
        keep = 1 - case["id_learning_rate"] * case["id_l2"]
        table[touched] = keep * table[touched] - rate[:, None] * sums

    def step(i):
        picked = order[i]
        x, y, w = features[picked], labels[picked], weights[picked]
        embedded = table[id_rows[i]].view(size, columns * id_width).requires_grad_()
        raw = model(x, embedded)
        if is_continuous:
            z = raw.clamp(-12, ceiling)
            each = torch.where(
                continuous,
                z.exp() - y * z,
                F.binary_cross_entropy_with_logits(raw, y, reduction="none"),
            )
            loss = (each * w).sum()
        else:
            loss = F.binary_cross_entropy_with_logits(raw, y, weight=w, reduction="sum")
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        if columns > 0:
            update_table(id_rows[i], embedded.grad.view(-1, id_width))
        return loss

    started = time.perf_counter()
    losses = []
    for i in range(flags.warm_up + flags.steps):
        if i == flags.warm_up:
            started = time.perf_counter()
        # As the other side, which reads each loss to see whether it is finite.
        losses.append(step(i).item())
    seconds = time.perf_counter() - started

    if flags.predict:
        n = case["validation_rows"]
        x = read(directory, "validation.f32", torch.float32, [n, case["features"]])
        ids = read(directory, "validation_ids.i32", torch.int32, [n * columns]).long()
        with torch.no_grad():
            raw = model(x, table[ids].view(n, columns * id_width)).contiguous()
        torch.from_file(flags.predict, shared=True, size=raw.numel(), dtype=torch.float32).copy_(
            raw.flatten()
        )
    print(
        json.dumps(
            {
                "threads": flags.threads,
                "rows_per_s": flags.steps * size / seconds,
                "optimiser": optimiser,
                "torch": torch.__version__,
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "parameters": sum(p.numel() for p in model.parameters()),
            }
        )
    )


main()

"""The loop: rows in, steps out, until the plan ends or something says stop."""

import math
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import orjson
import torch

from pipelines.errors import BudgetError, CurateError
from workflows.answer import say
from workflows.train import metrics
from workflows.train.arithmetic import mfu
from workflows.train.batch import Row, batch_of
from workflows.train.engine import Engine
from workflows.train.job import BAD_BATCH, METRICS, Job
from workflows.train.ranks import Ranks
from workflows.train.stopping import StopRequest

Rows = Iterator[Sequence[Row]]
"""For each step from where the run stands: the rows of this rank."""
LEAST_SEEN = 20
"""Steps before a spike can be told from a beginning."""
FEW = 16
"""Bad samples that end no run, however short it is."""
THROUGH = "--resume --set spike=null goes through it from the last checkpoint; "


class Loop:
    """Trains from `step` on. `step` counts finished steps; `losses` are the last ones, for telling a spike."""

    def __init__(self, job: Job, ranks: Ranks, engine: Engine, stop: StopRequest) -> None:
        self.job, self.ranks, self.engine, self.stop = job, ranks, engine, stop
        self.step = 0
        window = job.recipe.spike.window if job.recipe.spike else 1
        self.losses: deque[float] = deque(maxlen=window)
        self.path = job.out / METRICS
        self.boards: Sequence[metrics.Board] = ()
        self.held_out: Callable[[], dict[str, float]] | None = None
        """What gives the loss on held-out samples, by source."""
        self.left_out = self.samples = 0
        self._told = 0.0

    def run(self, rows: Rows, save: Any) -> bool:
        """Train until the end (True) or until asked to stop (False); `save()` writes a checkpoint.

        Raises:
            CurateError: a loss or a gradient that is no number, or a spike; the samples of the step are written down,
                and no weight was changed by it.
        """
        since_save = True
        while self.step < self.job.steps:
            began = time.perf_counter()
            mine = next(rows)
            waited = time.perf_counter() - began
            counts = [float(sum(row.labelled for row in mine)), float(sum(len(row.ids) for row in mine)),
                      float(self.stop.asked)]  # fmt: skip
            counts += [float(sum(row.left_out for row in mine)), float(sum(len(row.keys) for row in mine))]
            labelled, tokens, asked, left_out, samples = self.ranks.summed(counts)
            if asked:
                break
            self.hold_to_budget(int(left_out), int(samples))
            told = self._step(mine, max(1.0, labelled))
            self.step += 1
            seconds = time.perf_counter() - began
            more = {"left_out": int(left_out)} | self._validated()
            self._note(told | more, labelled, tokens, seconds, waited)
            since_save = False
            if self.step % self.job.recipe.save_every == 0 and self.step < self.job.steps:
                save()
                since_save = True
        if not since_save:
            save()
        return self.step == self.job.steps

    def hold_to_budget(self, left_out: int, samples: int) -> None:
        """Count the bad samples of a step, and its others; they are the same on all ranks.

        Raises:
            BudgetError: more were left out than the recipe allows.
        """
        self.left_out += left_out
        self.samples += samples
        allowed = max(FEW, self.job.recipe.bad_share * (self.samples + self.left_out))
        if self.left_out > allowed:
            raise BudgetError(
                f"step {self.step + 1}: {self.left_out:,} of {self.samples + self.left_out:,} samples are bad",
                f"{self.job.out}/train.log names them; restore the shards, or --resume --set bad_share=0.1 goes on",
            )

    def _step(self, mine: Sequence[Row], labelled: float) -> dict[str, float]:
        """One optimizer step. The loss is the mean over the labelled tokens of all rows of all ranks."""
        job, deepspeed = self.job, self.engine.deepspeed
        self.engine.set_rate(job.recipe.factor(self.step, job.steps))
        scale = self.ranks.world * len(mine) / labelled  # DeepSpeed divides by both
        total = balance = 0.0
        load_E = torch.zeros(job.model.text.num_local_experts, device=self.ranks.device)
        for number, row in enumerate(mine):
            batch = batch_of(row, job.context, job.model, self.ranks.device)
            row_total, row_balance, row_load_E = deepspeed(**vars(batch))
            deepspeed.backward(row_total * scale + job.recipe.balance * row_balance)
            total += float(row_total.detach())
            balance += float(row_balance.detach())
            load_E += row_load_E
            if number == len(mine) - 1:
                total, balance = self.ranks.summed([total, balance])
                self._refuse_bad(total / labelled, mine)
            deepspeed.step()
        rows = self.ranks.world * len(mine)
        load = self.ranks.summed(load_E.tolist())
        norm = float(deepspeed.get_global_grad_norm())
        if not math.isfinite(norm):  # DeepSpeed left the step out, and would leave out all that follow
            self._refuse(f"the loss is {total / labelled:.3f} and its gradient no number", total / labelled, mine)
        return {"loss": total / labelled, "balance": balance / rows, "router_max_load": max(load) / rows,
                "grad_norm": norm}  # fmt: skip

    def _refuse_bad(self, loss: float, mine: Sequence[Row]) -> None:
        spike = self.job.recipe.spike
        seen = len(self.losses) >= min(LEAST_SEEN, self.losses.maxlen or 1)
        usual = statistics.median(self.losses) if self.losses else math.inf
        high = spike is not None and seen and loss > spike.factor * usual
        if math.isfinite(loss) and not high:
            self.losses.append(loss)
            return
        if math.isfinite(loss):
            self._refuse(f"the loss is {loss:.3f} where {usual:.3f} is usual", loss, mine, THROUGH)
        self._refuse("the loss is no number", loss, mine)

    def _refuse(self, what: str, loss: float, mine: Sequence[Row], hint: str = "") -> NoReturn:
        """End the run, with the samples of the step in a file."""
        keys = [key for part in self.ranks.gathered([key for row in mine for key in row.keys]) for key in part]
        if self.ranks.first:
            usual = statistics.median(self.losses) if self.losses else math.inf
            document = {"step": self.step + 1, "loss": str(loss), "usual": str(usual), "samples": keys}
            (self.job.out / BAD_BATCH).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        raise CurateError(
            f"step {self.step + 1}: {what}; its {len(keys)} samples are in {self.job.out / BAD_BATCH}",
            f"`curate why RUN SAMPLE_ID` says where each came from; {hint}a lower learning rate, or shards without a "
            "sample (`curate remove`), make another training: start it in another --out",
        )

    def _validated(self) -> dict[str, Any]:
        """The loss on held-out samples, after the steps for which the recipe asks that."""
        wanted = self.job.recipe.validation
        if self.held_out is None or wanted is None or (self.step % wanted.every and self.step < self.job.steps):
            return {}
        return {"validation": self.held_out()}

    def _note(self, told: dict[str, Any], labelled: float, tokens: float, seconds: float, waited: float) -> None:
        if not self.ranks.first:
            return
        factor = self.job.recipe.factor(self.step - 1, self.job.steps)
        rate = max(self.engine.rates) * factor
        row: dict[str, Any] = {
            "step": self.step, "rows": self.step * self.job.rows_per_step, **told, "learning_rate": rate,
            "tokens": int(tokens), "loss_tokens": int(labelled),
            "seconds": seconds, "wait_seconds": waited, "tokens_per_second": tokens / seconds,
            "mfu": mfu(self.job, self.ranks.world, seconds),
        }  # fmt: skip
        metrics.append(self.path, row)
        for board in self.boards:
            board(row)
        now = time.monotonic()
        if now - self._told > (1 if os.isatty(2) else 30) or self.step in {1, self.job.steps}:
            self._told = now
            say(f"step {self.step:,} of {self.job.steps:,}: loss {told['loss']:.4f}, rate {rate:.2e}, "
                f"{row['tokens_per_second']:,.0f} tokens/s")  # fmt: skip

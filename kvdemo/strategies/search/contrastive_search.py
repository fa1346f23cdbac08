"""Try the likeliest few tokens in one pass, and take one that is unlike the text before (contrastive search)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

import torch
from torch.nn.functional import normalize

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import Pass, Step, TimedStep
from kvdemo.models.device import widest
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import on_device
from kvdemo.models.network.hidden_states import forward_with_states
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.chooser import Picked
from kvdemo.strategies.compatibility import cache_support
from kvdemo.strategies.longrope import Factors


class ContrastiveSearch(Strategy):
    """Runs the k likeliest tokens as k rows of one pass, and takes one that is likely and says something new.

    The score of a candidate v is (1 - alpha) · p(v) - alpha · max_j cos(h_v, h_j): its probability, less the largest
    cosine similarity of its hidden state h_v (of the last layer) to those of all positions before it. A text that
    runs in circles comes back to states that it had, and pays for it. The pass that looks at the candidates is also
    the one that gives the next probabilities, so a token takes one pass of k rows; the row of the token that is taken
    goes on, the others are dropped. It costs k rows of cache, and the states of all positions. It wins against
    greedy decoding in open text of models whose states tell positions apart, and draws nothing: the same prompt gives
    the same text. It loses where repetition is right, as in code and tables. In models whose states all point nearly
    the same way (the small GPT-2 models, Su and Collier 2022, arXiv:2210.14140) the candidates hardly differ.
    At alpha 0 it is greedy decoding. Su et al. 2022, arXiv:2202.06417.
    """

    id = "contrastive_search"
    name = "Contrastive search"
    summary = "Tries the likeliest few tokens and takes one whose hidden state is unlike those before."
    lossless = False
    picture = Picture(computes="new", keeps="all")
    rows_from = "candidates"
    prefills_once = True
    samples = False
    no_candidates = "It weighs likely tokens by their hidden states too: it chooses from no distribution."

    alpha: float = option(0.6, "Penalty alpha", "Weight of the similarity; 0 is greedy decoding.", low=0, high=1)
    candidates: int = option(4, "Candidates", "The likeliest tokens that are tried, each in a row.", low=2, high=64)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return cache_support.reason_of(self, model)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        """Read the prompt in the first step; each step then tries candidates after the text and commits one.

        A candidate is read before it is chosen, so the context ends the text one token earlier than in other loops.
        """
        if job.sampling.temperature > 0:
            raise BadInput("Contrastive search weighs candidates and draws nothing: set the temperature to 0.")
        model, written, factors = job.model, job.encode(""), Factors(job.model)
        cache = fitting_cache.dynamic_cache(model.network)
        factors.change(len(written))
        logits, (states,) = forward_with_states(model, on_device(model, written)[None], cache, [-1])
        passes = [Pass(1, len(written), len(written))]
        seen, row = normalize(states[0].float(), dim=-1), torch.zeros((), dtype=torch.long, device=model.device)
        tried = min(self.candidates, logits.shape[-1])  # a small vocabulary has no more
        while len(written) < (model.context_length or math.inf):
            likeliest = logits[row].float().softmax(-1).topk(tried)
            new_ids = likeliest.indices[:, None]
            if factors.change(len(written) + 1):
                cache = fitting_cache.dynamic_cache(model.network)
                new_ids = torch.cat((on_device(model, written).expand(tried, -1), new_ids), 1)
            else:
                cache.reorder_cache(row.expand(tried))  # the row that was taken, once for each candidate
            chosen_from = logits[row]
            logits, (states,) = forward_with_states(model, new_ids, cache, [-1])
            if new_ids.shape[1] > 1:  # the past was run again, by the factors that hold now
                seen = normalize(states[0, :-1].float(), dim=-1)
            ahead = normalize(states[:, -1].float(), dim=-1)
            similar = (ahead @ seen.T).amax(-1)
            row = ((1 - self.alpha) * likeliest.values - self.alpha * similar).argmax()
            seen = torch.cat((seen, ahead[row][None]))
            ids = likeliest.indices[row].reshape(1)
            figures = torch.stack([part.to(widest(model.device)) for part in (ids[0], row, similar[row], similar[0])])
            token, rank, taken, first = figures.tolist()  # the step's one copy to the host
            written.append(int(token))
            passes.append(Pass(tried, new_ids.shape[1], len(written)))
            yield Step(
                (Picked(int(token), ids=ids, logits=chosen_from),),
                sum(ran.rows * ran.positions for ran in passes),
                cache=cache,
                details={"rank": rank, "similarity": taken, "likeliest_similarity": first} | factors.details,
                passes=tuple(passes),
            )
            passes = []

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        details = [timed.step.details for timed in steps]
        others = [one for one in details if one["rank"]]
        name, all_of = self.info.name, units.count(len(details), "token")
        similar = fmean(one["similarity"] for one in details)
        mean = (
            f"The hidden states of its tokens had on average a cosine similarity of {similar:.2f} to the nearest before"
        )
        if not others:
            return [f"{name} took the likeliest token each time, {all_of} in all: the penalty changed nothing. {mean}."]
        instead = fmean(one["likeliest_similarity"] for one in others)
        taken = fmean(one["similarity"] for one in others)
        return [
            f"{name} passed over the likeliest token for {len(others):,} of {all_of}: there it took a similarity of "
            f"{taken:.2f} on average in place of {instead:.2f}. {mean}."
        ]

"""Define every number on the page, in one table; the browser shows an entry on hover, tap or focus."""

from __future__ import annotations

DEFINITIONS: dict[str, dict[str, str]] = {
    "ttft": {
        "name": "TTFT",
        "long": "Time to first token",
        "text": "Seconds of this lane's own device time from its start to its first committed token. Tokenising the "
        "prompt and running it through the model (the prefill) are included.",
        "also": "vLLM: TTFT",
    },
    "tpot": {
        "name": "TPOT",
        "long": "Time per output token",
        "text": "Average time of a token after the first: (E2E − TTFT) / (tokens − 1). Undefined where all tokens come "
        "in one step, and for a search.",
        "also": "vLLM: TPOT · AIPerf: ITL",
    },
    "total": {
        "name": "Total",
        "long": "Seconds of the whole search so far",
        "text": "This lane's own device time from its start to its last committed token. A search commits a token when "
        "all its texts agree on it, not when it is found: TTFT and TPOT mean nothing there.",
        "also": "E2E",
    },
    "level": {
        "name": "Per level",
        "long": "Seconds of one level of a search",
        "text": "Device time so far over the levels of the search, prefill included. With each level all texts that "
        "are kept grow by one token.",
        "also": "",
    },
    "rate": {
        "name": "Tokens/s",
        "long": "Tokens per second",
        "text": "Committed tokens divided by E2E, this lane's own device seconds from its start to its last token. "
        "The first token counts, and so does its wait.",
        "also": "output throughput of one request",
    },
    "positions": {
        "name": "Positions",
        "long": "Positions computed",
        "text": "Token positions run through the model so far, over all steps. Without a cache each step computes the "
        "whole sequence again: n·P + n(n−1)/2 for n tokens after a prompt of P. With one: P + n − 1.",
        "also": "forward-pass tokens",
    },
    "cache": {
        "name": "Cache",
        "long": "Size of the key-value cache",
        "text": "Bytes of the key and value tensors that the lane holds now. One position takes "
        "2 · layers · KV heads · head size · bytes per number. 0 for a lane that keeps none.",
        "also": "KV cache",
    },
    "speedup": {
        "name": "Speed-up",
        "long": "Speed-up over the baseline",
        "text": "The first lane's device time divided by this lane's, both taken at the smaller of the two token "
        "counts, so that equal amounts of work are compared. A search is compared when both are done, over the whole.",
        "also": "",
    },
    "latency": {
        "name": "Latency",
        "long": "Latency of a token",
        "text": "Device time between this token and the one before it (inter-token latency). A step that commits k "
        "tokens counts as k gaps of a k-th of its time. The first token's is the TTFT.",
        "also": "vLLM: ITL · AIPerf: ICL",
    },
    "cumulative": {
        "name": "Elapsed",
        "long": "Device time so far",
        "text": "The lane's own device time from its start up to this token. Time in which other lanes had the device "
        "is not in it. The last point is E2E.",
        "also": "vLLM: E2EL",
    },
    "probability": {
        "name": "Probability",
        "long": "Probability of the token",
        "text": "What the model itself gave the chosen token, before temperature and top-p.",
        "also": "exp(log-probability)",
    },
    "mean_logprob": {
        "name": "Mean ln p",
        "long": "Mean log-probability of a token",
        "text": "The mean of ln p over the lane's tokens, p being what the model itself gave each of them, before "
        "temperature and top-p, as this lane computed it. Near 0: the model finds its own text likely.",
        "also": "ln p in nats",
    },
    "perplexity": {
        "name": "Perplexity",
        "long": "Perplexity of its own text",
        "text": "exp(−mean ln p): as if each token had been one of so many equally likely ones. It is that of the text "
        "which the lane wrote, under the model that wrote it. A text that runs in circles has a low one, too.",
        "also": "PPL",
    },
    "distinct_2": {
        "name": "Distinct-2",
        "long": "Share of different pairs of tokens",
        "text": "Different pairs of neighbouring tokens over all such pairs: 100 % where no pair comes twice. Li et "
        "al. 2016 (arXiv:1510.03055) divide by the number of tokens, which is one more.",
        "also": "distinct-n",
    },
    "repeated_4gram": {
        "name": "Repeated 4-grams",
        "long": "Share of repeated sequences of four tokens",
        "text": "1 − different sequences of four tokens / all of them: 0 % where none comes twice, near 100 % in a "
        "loop. Welleck et al. 2019 (arXiv:1908.04319).",
        "also": "seq-rep-4",
    },
    "entropy": {
        "name": "Entropy",
        "long": "Entropy of the distribution",
        "text": "How open the choice of a token is, in bits: the sum of −p · log2 p over the whole vocabulary. 0 where "
        "one token is certain; n bits are as open as a choice among 2ⁿ equally likely tokens.",
        "also": "Shannon entropy",
    },
    "survivors": {
        "name": "Tokens left",
        "long": "Tokens that can still be chosen",
        "text": "How many tokens of the vocabulary no rule has cut so far. A draw is made among those that are left "
        "after the last rule.",
        "also": "",
    },
    "score": {
        "name": "Score",
        "long": "Summed log-probability",
        "text": "The sum of ln p over all tokens of the text. The nearer to 0, the likelier the model finds it. Only "
        "texts of equally many tokens compare: every further token can but lower it.",
        "also": "generate(): sequences_scores with length_penalty=0",
    },
    "likelier": {
        "name": "Best is likelier by",
        "long": "Odds of the best text against this one",
        "text": "exp(best score − this score): how many times as likely the model finds the best text.",
        "also": "",
    },
    "e2e": {
        "name": "E2E",
        "long": "End to end",
        "text": "The lane's own device seconds from its start to its last token: mean over the runs, ± their sample "
        "standard deviation (n − 1).",
        "also": "vLLM: E2EL",
    },
    "median": {
        "name": "Median",
        "long": "Median of E2E",
        "text": "Half of the runs took less. One disturbed run hardly moves it.",
        "also": "p50",
    },
    "min": {
        "name": "Min",
        "long": "Fastest run",
        "text": "E2E of the fastest run: the least disturbed one.",
        "also": "",
    },
    "p90": {
        "name": "p90",
        "long": "90th percentile of E2E",
        "text": "Nine runs in ten took no longer. Linear interpolation between runs, as in numpy.percentile.",
        "also": "",
    },
    "p99": {
        "name": "p99",
        "long": "99th percentile of E2E",
        "text": "Given from 100 runs on; fewer say nothing about one run in a hundred.",
        "also": "",
    },
    "runs": {
        "name": "n",
        "long": "Measured runs",
        "text": "Complete runs that the figures are calculated from, without warm-up runs.",
        "also": "repeats",
    },
    "measured_speedup": {
        "name": "Speed-up",
        "long": "Speed-up over the baseline",
        "text": "The baseline's mean E2E over this lane's, at equally many tokens. In brackets the 95 % interval: the "
        "ratios that these runs are compatible with (Welch's t-test on the logarithms of the times).",
        "also": "",
    },
    "prefill": {
        "name": "Prefill",
        "long": "Up to the first token",
        "text": "Running the whole prompt through the model and choosing the first token (TTFT). Many positions share "
        "each weight that is read, so arithmetic is the limit.",
        "also": "prompt processing (pp)",
    },
    "decode": {
        "name": "Decode",
        "long": "After the first token",
        "text": "E2E − TTFT: the time of all further tokens. With a cache, one position a step; the weights and the "
        "cache are read for a single token, so memory is the limit.",
        "also": "token generation (tg)",
    },
    "tokenize": {
        "name": "Tokenising",
        "long": "Time in the tokenizer",
        "text": "Part of the above, not added to it: what the lane spends turning text into tokens again.",
        "also": "",
    },
    "achieved": {
        "name": "Achieved",
        "long": "Bytes read per second",
        "text": "Weights and cache that the decode steps have to read, divided by the decode time that was measured.",
        "also": "achieved bandwidth",
    },
    "floor": {
        "name": "Of the floor",
        "long": "Share of what the device allows",
        "text": "The predicted least time of the decode steps over their measured time: 100 % is as fast as this "
        "device's measured bandwidth and arithmetic allow.",
        "also": "roofline, MBU",
    },
    "bound": {
        "name": "Bound by",
        "long": "What holds a step up",
        "text": "The largest of three predicted times: launching its operations, reading its bytes, or doing its "
        "arithmetic, each at what this device was measured to reach.",
        "also": "",
    },
    "copy": {
        "name": "Copy",
        "long": "Memory bandwidth, copying",
        "text": "Bytes read and written per second while a large array is copied on this device.",
        "also": "STREAM copy",
    },
    "matvec": {
        "name": "Matrix × vector",
        "long": "Memory bandwidth, reading weights",
        "text": "Bytes of a large matrix read per second while it is multiplied by a vector, in the model's own "
        "precision: what decoding does with each weight.",
        "also": "GEMV",
    },
    "read": {
        "name": "Read",
        "long": "Memory bandwidth, reading",
        "text": "Bytes read per second while a large array is added up on this device.",
        "also": "STREAM sum",
    },
    "one_row": {
        "name": "This model’s matrices × vector",
        "long": "What the math library reads of this model’s weights",
        "text": "Bytes of weights per second while one row is multiplied by each of this model's own matrices. Where "
        "it is far below what the memory delivers, the math library is the limit of a decoding step. Packed: as the "
        "compiled lane has them, prepared beforehand.",
        "also": "GEMV",
    },
    "matmul": {
        "name": "Matrix × matrix",
        "long": "Arithmetic throughput",
        "text": "Floating-point operations per second in a large matrix product, in the model's own precision.",
        "also": "GEMM",
    },
    "launch": {
        "name": "Launch",
        "long": "Time to issue one operation",
        "text": "Seconds for one operation that has next to nothing to do: the host's part of every step.",
        "also": "launch overhead",
    },
    "cache_measured": {
        "name": "Measured",
        "long": "Cache at the end, measured",
        "text": "Bytes of the key and value tensors that the lane held after its last step, added up over the live "
        "tensors. The last token is chosen and never run, so it is not in them.",
        "also": "",
    },
    "cache_formula": {
        "name": "Formula",
        "long": "Cache at the end, by the formula",
        "text": "2 · layers · KV heads · head size · bytes per number · positions; a sliding-window layer keeps at "
        "most its window.",
        "also": "",
    },
    "peak": {
        "name": "Peak",
        "long": "Peak device memory",
        "text": "The most memory that the device's allocator had handed out at once during the lane's runs.",
        "also": "torch.cuda.max_memory_allocated",
    },
    "outgrows": {
        "name": "Outgrows the weights",
        "long": "Where the cache is larger than the model",
        "text": "The context at which one sequence's cache takes more bytes than all the weights.",
        "also": "",
    },
    "published": {
        "name": "published",
        "long": "Published, not measured here",
        "text": "Figures of others: other code, another device, sometimes no warm-up. They stand beside a "
        "measurement for orientation and are never part of it.",
        "also": "",
    },
    "predicted": {
        "name": "predicted",
        "long": "Predicted, not measured",
        "text": "Worked out from the model's shape and a device's limits: measured ones, or those that were typed in. "
        "No step can be faster than its floor.",
        "also": "",
    },
    "formula": {
        "name": "formula",
        "long": "From the formula, not measured",
        "text": "Worked out from the model's shape alone.",
        "also": "",
    },
}

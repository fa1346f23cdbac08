#!/usr/bin/env bash
# Starts vLLM on this machine's CPUs and races it: beside DynamicCache here, alone, and with four requests at once.
# For a person: it needs Docker, a network, kvdemo's requirements, and some minutes. No test runs it.
#   scripts/try_vllm.sh [MODEL]
set -euo pipefail
cd "$(dirname "$0")/.."

model=${1:-HuggingFaceTB/SmolLM2-135M-Instruct}
port=${PORT:-8000}
case $(uname -m) in
    aarch64 | arm64) image=vllm/vllm-openai-cpu:latest-arm64 ;;
    *) image=vllm/vllm-openai-cpu:latest-x86_64 ;;
esac

container=$(docker run --rm --detach --shm-size=4g --security-opt seccomp=unconfined --cap-add SYS_NICE \
    --env VLLM_CPU_KVCACHE_SPACE=2 --volume "$HOME/.cache/huggingface:/root/.cache/huggingface" \
    --publish "127.0.0.1:$port:8000" "$image" \
    "$model" --dtype float32 --max-model-len 2048 --generation-config vllm)
trap 'docker stop "$container" > /dev/null' EXIT

echo "Waiting for vLLM, which downloads and compiles first."
until curl --silent --fail "http://127.0.0.1:$port/health" > /dev/null; do
    docker inspect "$container" > /dev/null  # ends the script where the container has ended
    sleep 2
done

KVDEMO_REMOTE_URLS="vllm=http://127.0.0.1:$port/v1" python -m kvdemo race --model "$model" --dtype float32 \
    --prompt "In one paragraph, explain why caching saves work." --max-new-tokens 64 \
    --strategies dynamic_cache,remote:engine=vllm,remote:engine=vllm:concurrency=4

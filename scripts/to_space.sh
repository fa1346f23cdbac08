#!/usr/bin/env bash
# Send what is committed to a Space of Hugging Face: scripts/to_space.sh OWNER/NAME
# Needs the command hf (pip install huggingface_hub) and a token that may write: HF_TOKEN, or `hf auth login`.
# It is no `git push`, since the Hub refuses a history with pictures in it. What is no longer committed is removed there.
set -euo pipefail

space=${1:?"name the Space: scripts/to_space.sh OWNER/NAME"}
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

git archive HEAD | tar -x -C "$folder"
# The picture for links to the Space needs an address, which only a Space has.
picture="https://huggingface.co/spaces/$space/resolve/main/.github/thumbnail.png"
awk -v picture="$picture" '/^pinned:/ && !done { print "thumbnail: " picture; done = 1 } { print }' \
    <(git show HEAD:README.md) > "$folder/README.md"

hf upload "$space" "$folder" . --repo-type space --delete "*" --commit-message "$(git log -1 --format=%s)"

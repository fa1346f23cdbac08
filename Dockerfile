# The app for a CPU, or for CUDA with --build-arg DEVICE=cuda. See docs/deploy.md.
ARG DEVICE=cpu
FROM python:3.12-slim

ARG DEVICE
RUN useradd --create-home --uid 1000 kvdemo
WORKDIR /app
COPY requirements.txt pyproject.toml README.md LICENSE app.py ./
# torch's own index has builds without CUDA, which are ten times smaller; PyPI's are the ones with it.
RUN if [ "$DEVICE" = cpu ]; then \
        pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "$(grep -o '^torch==[0-9.]*' requirements.txt)+cpu"; \
    fi && pip install --no-cache-dir -r requirements.txt
COPY kvdemo ./kvdemo
# With what --metrics and --mcp need.
RUN pip install --no-cache-dir '.[metrics,mcp]'

# By its number: Kubernetes checks that it is not 0.
USER 1000
# A volume that is made for this folder takes over its owner.
RUN mkdir /home/kvdemo/.cache
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 HF_HOME=/home/kvdemo/.cache/huggingface
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["kvdemo"]

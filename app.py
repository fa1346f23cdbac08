"""Start the app as a Space does: `python app.py`. `kvdemo` on the command line is the same."""

import sys

import spaces  # isort: skip  # noqa: F401 - on ZeroGPU it must come before anything that touches CUDA
from kvdemo.app import main

if __name__ == "__main__":
    main(sys.argv[1:])

"""The tests, laid out as the package is."""

from kvdemo.engine import openmp

openmp.limit_spinning()  # before anything here imports torch: the suite shares its machine with a browser

"""Every figure we publish is a command anyone can run: `eclor bench NAME`, `eclor eval NAME`.

`benchmarks/bench/` measures speed and size, `benchmarks/evaluations/` the quality of results. One
module is one command; `benchmarks.harness` finds it by its file name. The folder belongs to a
source checkout and is not part of the wheel.
"""

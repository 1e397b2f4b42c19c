"""How many allowances each firm gets for free, and why some firms end long and others short. No engine, no market.

    benchmarks   the plans 分配方案 as sourced data (`benchmarks.toml`), with their correction factors
    plants       the firms' plants 机组, drawn: class, heat, cooling, load, output
    methods      one function a step: benchmark, intensity, grandfathering, declared; pre-allocation, top-up, duty cap
    allocate     a cycle's rule applied to all firms
    reasons      why each plant is long or short;  table  the same summed by sector and class
    whole        whole tonnes: rounding, and sums that stay exact when they are split

Pure functions over arrays; randomness comes from named streams and depends on nothing but the seed.
"""
